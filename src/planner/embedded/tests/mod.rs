//! The embedded planner on real goals, and on any goal at all.

mod constraints;
mod goals;
mod reading;
mod registries;

use proptest::prelude::*;

use super::*;
use crate::domain::SubTask;
use crate::planner::graph;
use crate::planner::normalize::{Plan, normalize};

fn rules(min_steps: usize, max_steps: usize) -> PlanRules {
    PlanRules { min_steps, max_steps, require_verification: true }
}

fn registry(arms: &str) -> Arc<ArmRegistry> {
    let arms: Vec<Arm> = serde_json::from_str(arms).expect("arms");
    Arc::new(ArmRegistry::new(arms, false).expect("a registry"))
}

fn request(goal: &str, constraints: &[&str]) -> PlanRequest {
    PlanRequest {
        goal: goal.into(),
        constraints: constraints.iter().map(|&text| text.into()).collect(),
        ..PlanRequest::default()
    }
}

/// The plan for `request`, checked against every promise that this engine makes.
fn planned(registry: &Arc<ArmRegistry>, rules: &PlanRules, request: &PlanRequest) -> Plan {
    let planner = EmbeddedPlanner::new(registry.clone(), rules.clone());
    let draft = planner.propose(request);
    assert_eq!(draft, planner.propose(request), "the same request gives the same plan");
    for (number, step) in (1..).zip(&draft.steps) {
        assert_eq!(step.number, Some(number));
        assert!(step.depends_on.is_sorted(), "{step:?}");
        assert!(step.criteria.len() >= 2 || rules.min_steps > 7, "{step:?}");
        assert!(!step.criteria.iter().chain([&step.action]).any(|text| text.chars().any(char::is_control)));
    }
    let plan = normalize(draft, registry, rules).expect("a sound plan");
    assert_eq!(plan.repairs(), []);
    assert!((LOWEST_CONFIDENCE..=HIGHEST_CONFIDENCE).contains(&plan.confidence()), "{}", plan.confidence());
    for constraint in request.constraints.iter().map(|text| tidy(text)).filter(|text| !text.is_empty()) {
        let shown: String = constraint.chars().take(60).collect();
        assert!(has_criterion(plan.steps(), shown.trim_end()), "{constraint:?} is in no criterion");
    }
    plan
}

fn plan(goal: &str) -> Plan {
    constrained(goal, &[])
}

fn constrained(goal: &str, constraints: &[&str]) -> Plan {
    planned(&Arc::default(), &PlanRules::default(), &request(goal, constraints))
}

fn has_criterion(steps: &[SubTask], text: &str) -> bool {
    steps.iter().any(|step| step.acceptance_criteria.iter().any(|criterion| criterion.contains(text)))
}

/// Arm and action of each step, with what it depends on.
fn outline(plan: &Plan) -> Vec<(&str, &str, &[u32])> {
    plan.steps()
        .iter()
        .map(|s| (s.required_arm.as_str(), s.action.as_str(), s.depends_on.as_slice()))
        .collect()
}

/// Checks each goal's steps, as `arm action <1 2`: all of them, or the given ones in a row.
fn assert_parts(goals: &[(&str, &[&str])]) {
    for (goal, expected) in goals {
        let plan = plan(goal);
        let line = |(arm, action, needs): (&str, &str, &[u32])| {
            let needs: Vec<String> = needs.iter().map(u32::to_string).collect();
            format!("{arm} {action} <{}", needs.join(" "))
        };
        let lines: Vec<String> = outline(&plan).into_iter().map(line).collect();
        assert!(lines.windows(expected.len()).any(|row| row == *expected), "{goal}: {lines:#?}");
    }
}

fn arms_of(plan: &Plan) -> Vec<&str> {
    plan.steps().iter().map(|step| step.required_arm.as_str()).collect()
}

fn actions(plan: &Plan) -> String {
    plan.steps().iter().map(|step| step.action.as_str()).collect::<Vec<_>>().join("\n")
}

fn clauses_of(goal: &str) -> Vec<String> {
    let lexicon = Lexicon::new(&ArmRegistry::default());
    clauses::split(goal, &lexicon).into_iter().map(|clause| clause.text).collect()
}

/// Words that the rules act on, and some that they cannot know.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "fix", "build", "and", "then", "tests", "with", "it", "the", "API", ",", ".", ":", "\n- ", "\n# ", "\n1.", "?",
    "deploy", "password", "und", "并", "然后", "测试", "它", "e.g.", "a", "to", "within", "2", "minutes", "<5s",
    "verify", "find", "report", "\u{202e}", "\u{0}", "ẞ", "İ", "ﬃ", "😀", "compare", "them", "is", "for", "tests for",
    "if", "When", "after", "before", "unless", "as", "but", "do not", "never", "must", "only", "use", "please",
    "I want you to", "we have", "Steps", "Requirements", "me", "how", "why", "whether", "half an hour", "1,000",
    "30m", "deadline", "or less", "longer than", "that", "finally", "not", "no", "GET", "lint", "e\u{301}", "after that",
    "5分钟内", "of", "suite", "others", "everything", "&",
];

/// One of [`WORDS`], perhaps in quotes, brackets or with punctuation at its end.
fn any_word() -> impl Strategy<Value = String> {
    let opening = prop::sample::select(vec!["", "", "", "“", "«", "¿", "(", "\"", "'", "#", "*", "—"]);
    let closing = prop::sample::select(vec!["", "", "", ",", ":", "”", "»", "?", "!", "…", ")", "."]);
    (opening, prop::sample::select(WORDS), closing)
        .prop_map(|(opening, word, closing)| format!("{opening}{word}{closing}"))
}

fn any_goal() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,60}",
        (prop::collection::vec(any_word(), 1..40), prop::sample::select(vec![" ", " ", ""]))
            .prop_map(|(words, between)| words.join(between)),
    ]
}

proptest! {
    #[test]
    fn every_goal_gets_a_sound_plan_without_repairs(
        goal in any_goal(),
        constraints in prop::collection::vec(any_goal(), 0..6),
        (min, max) in (1_usize..=50).prop_flat_map(|min| (Just(min), min..=50)),
        require_verification in any::<bool>(),
        which in 0..4,
    ) {
        let registry = match which {
            0 => registry(r#"[{"id":"solo"}]"#),
            1 => registry(r#"[{"id":"ê","keywords":["fix","測","a","--"]},{"id":"判","capabilities":["validation"]}]"#),
            _ => Arc::default(),
        };
        let request = PlanRequest { goal, constraints, ..PlanRequest::default() };
        let rules = PlanRules { min_steps: min, max_steps: max, require_verification };
        planned(&registry, &rules, &request);
    }
}
