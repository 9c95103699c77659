//! What holds for every way of writing a plan: other names for keys, any values, a piece that is missing.

use planner_arm::domain::arms::ArmRegistry;
use planner_arm::domain::{PlanResponse, PlanRules, Repair};
use planner_arm::planner::normalize::normalize;
use planner_arm::planner::parse::{self, Doubt};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::scripted_model::{ScriptedPlanner, goal};
use crate::support::good_plan;

const STEPS: [&str; 12] = [
    "plan",
    "steps",
    "tasks",
    "nodes",
    "items",
    "workflow",
    "phases",
    "stages",
    "todo_list",
    "Subtasks",
    "q",
    "schritte",
];
const ACTIONS: [&str; 9] =
    ["action", "what", "description", "task", "instruction", "todo", "objective", "aktion", "w"];
const ARMS: [&str; 12] = [
    "required_arm",
    "tool",
    "agent",
    "agent_name",
    "worker",
    "assignee",
    "executor_agent",
    "Arm",
    "handler",
    "who",
    "ausführer",
    "v",
];
const CRITERIA: [&str; 12] = [
    "acceptance_criteria",
    "criteria",
    "successCriteria",
    "done_when",
    "expected_output",
    "verification",
    "definition_of_done",
    "checks",
    "tests",
    "outcomes",
    "kriterien",
    "u",
];
const NEEDS: [&str; 20] = [
    "depends_on",
    "dependencies",
    "blocked_by",
    "needs",
    "predecessors",
    "requires_steps",
    "dependency_ids",
    "inputs",
    "context",
    "after",
    "waits_for",
    "prerequisite_steps",
    "upstream",
    "parents",
    "input_from",
    "Depends On",
    "preceded_by",
    "hängt_ab_von",
    "refs",
    "t",
];
const LEADS_TO: [&str; 12] = [
    "then",
    "unlocks",
    "next",
    "blocks",
    "successors",
    "followed_by",
    "required_by",
    "needed_for",
    "dependents",
    "downstream",
    "enables",
    "leads_to",
];

/// Keys for a plan; `forward` when steps say what follows them.
#[derive(Debug, Clone)]
struct Keys {
    steps: &'static str,
    action: &'static str,
    arm: &'static str,
    criteria: &'static str,
    depends_on: &'static str,
    forward: bool,
}

fn keys() -> impl Strategy<Value = Keys> {
    let direction = prop_oneof![
        select(&NEEDS[..]).prop_map(|key| (key, false)),
        select(&LEADS_TO[..]).prop_map(|key| (key, true)),
    ];
    (select(&STEPS[..]), select(&ACTIONS[..]), select(&ARMS[..]), select(&CRITERIA[..]), direction).prop_map(
        |(steps, action, arm, criteria, (depends_on, forward))| Keys {
            steps,
            action,
            arm,
            criteria,
            depends_on,
            forward,
        },
    )
}

/// A plan of four steps in which the second and third can run side by side.
fn answer(keys: &Keys) -> String {
    const STEPS: [(&str, &str, &[u32], &[u32]); 4] = [
        ("Gather the release notes", "retriever", &[], &[2, 3]),
        ("Write the migration", "coder", &[1], &[4]),
        ("Run the load test", "executor", &[1], &[4]),
        ("Verify the tables", "judge", &[2, 3], &[]),
    ];
    let steps: Vec<Value> = (1..)
        .zip(STEPS)
        .map(|(number, (action, arm, needs, leads_to))| {
            let mut step = Map::new();
            step.insert("step".into(), json!(number));
            step.insert(keys.action.into(), json!(action));
            step.insert(keys.arm.into(), json!(arm));
            step.insert(keys.criteria.into(), json!([format!("Criterion {arm}"), "It is written down"]));
            step.insert(keys.depends_on.into(), json!(if keys.forward { leads_to } else { needs }));
            step.insert("estimated_cost_tier".into(), json!(2));
            step.insert("estimated_duration_seconds".into(), json!(60));
            step.into()
        })
        .collect();
    json!({keys.steps: steps, "rationale": "Notes first.", "confidence": 0.9}).to_string()
}

fn plan_in(answer: &str) -> Option<(PlanResponse, Vec<Repair>, Vec<Doubt>)> {
    let registry = ArmRegistry::default();
    let reading = parse::read_for(answer, &registry).ok()?;
    let (plan, details) = normalize(reading.draft, &registry, &PlanRules::default()).ok()?.into_response();
    Some((plan, details.repairs, reading.doubts))
}

proptest! {
    #[test]
    fn the_names_of_keys_do_not_change_the_plan(keys in keys()) {
        let asked_for =
            Keys { steps: "plan", action: "action", arm: "required_arm", criteria: "acceptance_criteria", depends_on: "depends_on", forward: false };
        let (wanted, ..) = plan_in(&answer(&asked_for)).expect("a plan");
        let read = plan_in(&answer(&keys));
        let (plan, repairs, doubts) = read.ok_or_else(|| TestCaseError::fail("no plan"))?;
        prop_assert_eq!((plan, repairs, doubts), (wanted, Vec::new(), Vec::new()));
    }

    #[test]
    fn no_value_in_any_field_makes_a_plan_that_breaks_its_promises(
        field in 0..10_usize, place in 0..4_usize, value in any_value(),
    ) {
        let mut plan: Value = serde_json::from_str(&answer(&Keys {
            steps: "plan", action: "action", arm: "required_arm", criteria: "acceptance_criteria",
            depends_on: "depends_on", forward: false,
        })).expect("JSON");
        let fields = ["step", "action", "required_arm", "acceptance_criteria", "depends_on", "estimated_cost_tier",
            "estimated_duration_seconds", "notes"];
        match fields.get(field) {
            Some(field) => plan["plan"][place][*field] = value,
            None => plan[["rationale", "confidence"][field - fields.len()]] = value,
        }
        if let Some((plan, ..)) = plan_in(&plan.to_string()) {
            prop_assert!((0.0..=1.0).contains(&plan.confidence), "{}", plan.confidence);
            prop_assert!(plan.complexity_score.is_finite());
            let texts = plan.plan.iter().flat_map(|step| {
                step.acceptance_criteria.iter().chain([&step.action, &step.required_arm])
            });
            for text in texts.chain([&plan.rationale]) {
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            }
            for step in &plan.plan {
                prop_assert!((1..=5).contains(&step.estimated_cost_tier));
                prop_assert!(step.estimated_duration_seconds >= 1);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_a_step_waits_for_is_read_or_asked_about(words in "[a-z]{3,9}( [a-z]{1,9}){0,4}[.!?]?", place in 1..4_usize) {
        let asked_for =
            Keys { steps: "plan", action: "action", arm: "required_arm", criteria: "acceptance_criteria", depends_on: "depends_on", forward: false };
        let mut plan: Value = serde_json::from_str(&answer(&asked_for)).expect("JSON");
        plan["plan"][place]["depends_on"] = json!([words]);
        if let Some((plan, repairs, doubts)) = plan_in(&plan.to_string()) {
            let waits = !plan.plan[place].depends_on.is_empty();
            let says_none = ["none", "nothing", "not", "null", "nil", "nan", "undefined", "false", "keine", "kein",
                "nichts", "rien", "nada", "geen", "ingen", "inga", "brak", "yok", "start", "root", "initial",
                "independent", "ninguna", "ninguno", "nessuna", "nessuno", "nenhuma", "nenhum", "aucun", "aucune"];
            let first = words.split([' ', '.', '!', '?']).next().unwrap_or_default();
            prop_assert!(waits || !doubts.is_empty() || !repairs.is_empty() || says_none.contains(&first), "{words}");
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (0..6_i64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\\x00-\\x20a-z0-9/%.{}$#,-]{0,20}".prop_map(Value::from),
        select(&["9e999", "NaN", "inf", "-inf", "1e308 hours", "step 1", "{{steps.2}}", "\u{0}", "high"][..])
            .prop_map(Value::from),
        (1..500_usize, 0..3_usize).prop_map(|(length, kind)| {
            let digits = "9".repeat(length);
            Value::from(
                [digits.clone(), format!("{digits}/{digits}"), format!("{digits} minutes")][kind].clone(),
            )
        }),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("[a-z_]{1,9}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[tokio::test]
async fn a_plan_of_which_a_piece_is_missing_is_asked_for_again() {
    let whole = answer(&Keys {
        steps: "plan",
        action: "action",
        arm: "required_arm",
        criteria: "acceptance_criteria",
        depends_on: "depends_on",
        forward: false,
    });
    let mut silent = Vec::new();
    for length in [7, 40, 90, 230] {
        for from in (0..whole.len().saturating_sub(length)).step_by(9) {
            let cut = format!("{}{}", &whole[..from], &whole[from + length..]);
            let (_, result, asked) =
                ScriptedPlanner::answering(cut.as_str()).then(good_plan().to_string()).run(&goal()).await;
            let (plan, repairs) = result.unwrap_or_else(|error| panic!("{error}: {cut}"));
            if asked.len() == 1 && plan.plan.len() < 4
                || asked.len() == 1
                    && plan.plan.len() == 4
                    && repairs.iter().any(|r| r.code.as_str() == "verification_added")
            {
                silent.push(format!("{length} at {from}: {repairs:?}\n{cut}"));
            }
        }
    }
    assert!(silent.is_empty(), "{}:\n{}", silent.len(), silent.join("\n\n"));
}
