//! From what an LLM says to a plan, or to what is wrong with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use planner_arm::llm::ladder::CallPolicy;
use planner_arm::llm::{
    BoxFuture, CallError, CallFailure, ChatModel, Completion, Ladder, LlmError, Question,
};
use planner_arm::metrics::Metrics;
use planner_arm::models::{PlanRequest, PlanResponse, Repair, RepairCode};
use planner_arm::planner::embedded::EmbeddedPlanner;
use planner_arm::planner::error::{PlanError, PlanFault, Unreadable};
use planner_arm::planner::repair::{Plan, PlanRules};
use planner_arm::planner::{Engine, EngineKind, Origin, PlannerArm};
use planner_arm::registry::{Arm, ArmRegistry};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{assert_sound, assert_usually_sound, good_plan, step};

type Said = Result<Completion, CallFailure>;

/// A model that always says the same, and remembers what it was asked.
struct Parrot {
    name: Arc<str>,
    says: Said,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl ChatModel for Parrot {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn call<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Completion, CallError>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(question.clone());
        let said = self.says.clone().map_err(CallError::from);
        Box::pin(std::future::ready(said))
    }
}

/// A planner whose LLM says `says`.
struct Setup {
    says: Said,
    rules: PlanRules,
    registry: ArmRegistry,
    fallback: bool,
}

impl Setup {
    fn saying(text: impl Into<String>) -> Self {
        let completion = Completion { content: text.into(), ..Completion::default() };
        Self {
            says: Ok(completion),
            rules: PlanRules::default(),
            registry: ArmRegistry::default(),
            fallback: false,
        }
    }

    async fn run(
        self,
        request: &PlanRequest,
    ) -> (Origin, Result<(PlanResponse, Vec<Repair>), PlanError>, Vec<Question>) {
        let metrics = Metrics::new();
        let registry = Arc::new(self.registry);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let parrot = Parrot { name: "parrot".into(), says: self.says, asked: asked.clone() };
        let policy = CallPolicy {
            max_attempts: 1,
            breaker_threshold: 5,
            breaker_reset: Duration::from_secs(30),
            fair_time: Duration::from_secs(1),
        };
        let ladder = Ladder::new(vec![Box::new(parrot)], policy, metrics.clone());
        let fallback = self.fallback.then(|| EmbeddedPlanner::new(registry.clone(), self.rules.clone()));
        let engine = Engine::Llm { ladder, fallback };
        let planner = PlannerArm::new(registry.clone(), self.rules.clone(), engine, metrics);
        let deadline = Instant::now() + Duration::from_secs(10);
        let (origin, result) = planner.generate_plan(request, deadline).await;
        let made = result.map(Plan::into_response);
        if let Ok((plan, _)) = &made {
            assert_sound(plan, &self.rules, &registry);
        }
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (origin, made, asked)
    }

    async fn plan(self) -> (PlanResponse, Vec<Repair>) {
        self.run(&goal()).await.1.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn error(self) -> PlanError {
        self.run(&goal()).await.1.expect_err("no plan")
    }

    async fn faults(self) -> Vec<PlanFault> {
        match self.error().await {
            PlanError::Unsound(faults) => faults,
            other => panic!("{other}"),
        }
    }
}

fn goal() -> PlanRequest {
    PlanRequest { goal: "Ship it".into(), ..PlanRequest::default() }
}

/// An answer with these steps.
fn answer(steps: &[Value]) -> String {
    json!({ "plan": steps, "rationale": "because", "confidence": 0.8 }).to_string()
}

/// Three steps in a row that are fine, the first changed by `change`.
fn first_step(change: impl FnOnce(&mut Value)) -> String {
    let mut first = step(1, "retriever", "Gather the facts", &[], 1, 20);
    change(&mut first);
    answer(&[first, step(2, "coder", "Write it", &[1], 3, 60), step(3, "judge", "Verify it", &[2], 2, 30)])
}

fn codes(repairs: &[Repair]) -> Vec<(RepairCode, Option<u32>)> {
    repairs.iter().map(|repair| (repair.code, repair.step)).collect()
}

#[tokio::test]
async fn a_clean_answer_passes_through_unchanged() {
    let (plan, repairs) = Setup::saying(good_plan().to_string()).plan().await;
    assert_eq!(repairs, []);
    let mut said = good_plan();
    said["total_estimated_duration"] = json!(245);
    said["complexity_score"] = json!(plan.complexity_score);
    assert_eq!(serde_json::to_value(&plan).expect("JSON"), said);
}

#[tokio::test]
async fn the_score_is_the_services_own_and_the_same_for_the_same_plan() {
    let mut boastful = good_plan();
    boastful["complexity_score"] = json!(0.999);
    let (first, _) = Setup::saying(boastful.to_string()).plan().await;
    let (second, _) = Setup::saying(good_plan().to_string()).plan().await;
    assert_eq!(first.complexity_score.to_bits(), second.complexity_score.to_bits());
    // 0.35·5/10 + 0.20·5/8 + 0.15·4/5 + 0.15·(11/5 − 1)/4 + 0.15·4/5
    assert!((first.complexity_score - 0.59).abs() < 1e-9, "{}", first.complexity_score);
}

#[tokio::test]
async fn what_stands_around_the_plan_is_no_repair() {
    let plan = good_plan();
    for text in [
        format!("Sure! Here it is:\n```json\n{plan}\n```\nAnything else?"),
        format!("<think>five steps</think>{plan}"),
        json!({ "result": plan, "status": "ok" }).to_string(),
    ] {
        let (made, repairs) = Setup::saying(text).plan().await;
        assert_eq!((made.confidence, repairs), (0.88, vec![]));
    }
}

#[tokio::test]
async fn arms_are_found_by_alias_case_and_capability() {
    for (name, arm) in [
        ("safety-guardian", "guardian"),
        ("Retriever", "retriever"),
        ("CODER_ARM", "coder"),
        ("web_search", "retriever"),
        ("Code Generation", "coder"),
        ("validator", "judge"),
    ] {
        let text = first_step(|step| step["required_arm"] = json!(name));
        let (plan, repairs) = Setup::saying(text).plan().await;
        assert_eq!(plan.plan[0].required_arm, arm, "{name}");
        assert_eq!(codes(&repairs), [(RepairCode::ArmMapped, Some(1))], "{name}");
    }
}

#[tokio::test]
async fn arms_are_found_by_keywords_in_their_name_then_in_the_action() {
    for (name, action, arm) in [
        ("research_agent", "Read it", "retriever"),
        ("deploy bot", "Write code", "executor"),
        ("wizard", "Refactor the module", "coder"),
        ("", "Redact secrets and check privacy", "guardian"),
        ("wizard", "Think about it", "planner"),
    ] {
        let text = first_step(|step| {
            step["required_arm"] = json!(name);
            step["action"] = json!(action);
        });
        let (plan, _) = Setup::saying(text).plan().await;
        assert_eq!(plan.plan[0].required_arm, arm, "{name:?} for {action:?}");
    }
}

#[tokio::test]
async fn an_arm_that_nothing_points_to_is_a_fault_where_none_takes_the_rest() {
    let arms: Vec<Arm> = serde_json::from_value(json!([
        {"id": "painter", "keywords": ["paint"]},
        {"id": "inspector", "keywords": ["inspect"], "capabilities": ["validation"]},
    ]))
    .expect("arms");
    let mut setup = Setup::saying(answer(&[
        step(1, "painter", "Paint the wall", &[], 1, 20),
        step(2, "welder", "Weld the gate", &[], 1, 20),
        step(3, "inspector", "Look at both", &[1, 2], 1, 20),
    ]));
    setup.registry = ArmRegistry::new(arms, true).expect("a registry");
    assert_eq!(setup.faults().await, [PlanFault::UnknownArm { step: 2 }]);
}

#[tokio::test]
async fn dependencies_that_cannot_be_are_left_out() {
    for (needs, left) in [
        (json!([1, 2]), vec![1]),
        (json!([1, 1]), vec![1]),
        (json!([1, 9, -1]), vec![1]),
        (json!([0]), vec![]),
    ] {
        let mut second = step(2, "coder", "Write it", &[], 3, 60);
        second["depends_on"] = needs.clone();
        let steps =
            [step(1, "retriever", "Gather", &[], 1, 20), second, step(3, "judge", "Verify it", &[2], 2, 30)];
        let (plan, repairs) = Setup::saying(answer(&steps)).plan().await;
        assert_eq!(plan.plan[1].depends_on, left, "{needs}");
        assert!(
            repairs.iter().all(|r| (r.code, r.step) == (RepairCode::DependencyDropped, Some(2))),
            "{repairs:?}"
        );
        assert!(!repairs.is_empty(), "{needs}");
    }
}

#[tokio::test]
async fn steps_are_brought_into_an_order_in_which_they_can_run() {
    let steps = [
        step(1, "coder", "Write it", &[2], 3, 60),
        step(2, "retriever", "Gather", &[], 1, 0),
        step(3, "judge", "Verify it", &[1], 2, 30),
    ];
    let (plan, repairs) = Setup::saying(answer(&steps)).plan().await;
    let order: Vec<(&str, &[u32])> =
        plan.plan.iter().map(|step| (step.action.as_str(), step.depends_on.as_slice())).collect();
    assert_eq!(order, [("Gather", &[][..]), ("Write it", &[1]), ("Verify it", &[2])]);
    // The clamped duration belongs to what is step 1 now.
    assert_eq!(codes(&repairs), [(RepairCode::Clamped, Some(1)), (RepairCode::StepsRenumbered, None)]);
}

#[tokio::test]
async fn numbers_that_do_not_run_from_one_are_mapped() {
    let from_zero = [
        step(0, "retriever", "Gather", &[], 1, 20),
        step(1, "coder", "Write it", &[0], 3, 60),
        step(2, "judge", "Verify it", &[1], 2, 30),
    ];
    let tens = [
        step(10, "retriever", "Gather", &[], 1, 20),
        step(20, "coder", "Write it", &[10], 3, 60),
        step(30, "judge", "Verify it", &[20], 2, 30),
    ];
    for steps in [from_zero, tens] {
        let (plan, repairs) = Setup::saying(answer(&steps)).plan().await;
        assert_eq!(plan.plan[2].depends_on, [2]);
        assert_eq!(codes(&repairs), [(RepairCode::StepsRenumbered, None)]);
    }
}

#[tokio::test]
async fn steps_without_numbers_of_their_own_are_numbered_by_place() {
    for number in [json!(null), json!(1)] {
        let mut steps = [
            step(1, "retriever", "Gather", &[], 1, 20),
            step(2, "coder", "Write it", &[1], 3, 60),
            step(3, "judge", "Verify it", &[2], 2, 30),
        ];
        for step in &mut steps {
            step["step"] = number.clone();
        }
        let (plan, repairs) = Setup::saying(answer(&steps)).plan().await;
        assert_eq!(plan.plan[2].depends_on, [2]);
        assert_eq!(codes(&repairs), [(RepairCode::StepsRenumbered, None)], "{number}");
    }
}

#[tokio::test]
async fn a_cycle_is_a_fault_that_names_its_steps() {
    let steps = [
        step(1, "retriever", "Gather", &[], 1, 20),
        step(2, "coder", "Write it", &[1, 3], 3, 60),
        step(3, "coder", "Test it", &[2], 3, 60),
        step(4, "judge", "Verify it", &[3], 2, 30),
    ];
    let faults = Setup::saying(answer(&steps)).faults().await;
    assert_eq!(faults, [PlanFault::Cycle { steps: vec![2, 3] }]);
    assert_eq!(faults[0].to_string(), "steps 2 and 3 wait for each other");
}

#[tokio::test]
async fn too_few_and_too_many_steps_are_faults() {
    let one = Setup::saying(answer(&[step(1, "judge", "Verify it", &[], 2, 30)]));
    assert_eq!(one.faults().await, [PlanFault::TooFewSteps { found: 1, min: 3 }]);
    let none = Setup::saying(answer(&[]));
    assert_eq!(none.faults().await, [PlanFault::TooFewSteps { found: 0, min: 3 }]);
    let mut eight: Vec<Value> =
        (1..=7).map(|n| step(n, "coder", &format!("Write {n}"), &[], 3, 60)).collect();
    eight.push(step(8, "judge", "Verify all", &[1], 2, 30));
    assert_eq!(Setup::saying(answer(&eight)).faults().await, [PlanFault::TooManySteps { found: 8, max: 7 }]);
}

#[tokio::test]
async fn a_plan_that_ends_without_verification_gets_one_that_waits_for_every_end() {
    let steps = [
        step(1, "retriever", "Gather", &[], 1, 20),
        step(2, "coder", "Write it", &[1], 3, 60),
        step(3, "coder", "Document it", &[1], 3, 60),
    ];
    let (plan, repairs) = Setup::saying(answer(&steps)).plan().await;
    let last = &plan.plan[3];
    assert_eq!((last.required_arm.as_str(), last.depends_on.as_slice()), ("judge", &[2, 3][..]));
    assert_eq!(codes(&repairs), [(RepairCode::VerificationAdded, Some(4))]);
}

#[tokio::test]
async fn the_added_verification_counts_for_both_limits() {
    let two = [step(1, "retriever", "Gather", &[], 1, 20), step(2, "coder", "Write it", &[1], 3, 60)];
    assert_eq!(Setup::saying(answer(&two)).plan().await.0.plan.len(), 3);
    let seven: Vec<Value> = (1..=7).map(|n| step(n, "coder", &format!("Write {n}"), &[], 3, 60)).collect();
    assert_eq!(Setup::saying(answer(&seven)).faults().await, [PlanFault::Unverified { max: 7 }]);
}

#[tokio::test]
async fn verification_can_be_switched_off() {
    let steps = [
        step(1, "retriever", "Gather", &[], 1, 20),
        step(2, "coder", "Write it", &[1], 3, 60),
        step(3, "executor", "Run it", &[2], 3, 60),
    ];
    let mut setup = Setup::saying(answer(&steps));
    setup.rules.require_verification = false;
    let (plan, repairs) = setup.plan().await;
    assert_eq!((plan.plan.len(), repairs), (3, vec![]));
}

#[tokio::test]
async fn costs_and_durations_are_brought_into_their_ranges() {
    for (tier, seconds, want) in [
        (json!(0), json!(0), (1, 1)),
        (json!(9), json!(1e12), (5, 86_400)),
        (json!(-3), json!(-3), (1, 1)),
        (json!(2.6), json!(44.5), (3, 45)),
        (json!("7"), json!("2 days"), (5, 86_400)),
    ] {
        let text = first_step(|step| {
            step["estimated_cost_tier"] = tier.clone();
            step["estimated_duration_seconds"] = seconds.clone();
        });
        let (plan, repairs) = Setup::saying(text).plan().await;
        let first = &plan.plan[0];
        assert_eq!((first.estimated_cost_tier, first.estimated_duration_seconds), want, "{tier} {seconds}");
        assert_eq!(codes(&repairs), [(RepairCode::Clamped, Some(1)); 2], "{tier} {seconds}");
    }
}

#[tokio::test]
async fn missing_optional_fields_are_filled_and_said() {
    let text = first_step(|step| {
        step["required_arm"] = json!("coder");
        step["estimated_cost_tier"] = json!(null);
        step.as_object_mut().expect("an object").remove("estimated_duration_seconds");
        step["depends_on"] = json!(null);
    });
    let (plan, repairs) = Setup::saying(text).plan().await;
    let first = &plan.plan[0];
    assert_eq!(
        (first.estimated_cost_tier, first.estimated_duration_seconds),
        (4, 30),
        "as usual for a coder"
    );
    assert_eq!(codes(&repairs), [(RepairCode::FieldFilled, Some(1)); 2]);

    let bare = json!({ "plan": good_plan()["plan"] }).to_string();
    let (plan, repairs) = Setup::saying(bare).plan().await;
    assert_eq!(codes(&repairs), [(RepairCode::FieldFilled, None); 2]);
    assert!(!plan.rationale.is_empty() && plan.confidence < 0.5);
}

#[tokio::test]
async fn confidence_stays_within_its_range() {
    for (said, within) in [(json!(1.7), 1.0), (json!(-1), 0.0), (json!(88), 0.88), (json!(4000), 1.0)] {
        let mut answer = good_plan();
        answer["confidence"] = said.clone();
        let (plan, repairs) = Setup::saying(answer.to_string()).plan().await;
        assert!((plan.confidence - within * 0.95).abs() < 1e-9, "{said}: {}", plan.confidence);
        assert_eq!(codes(&repairs), [(RepairCode::Clamped, None)], "{said}");
    }
}

#[tokio::test]
async fn each_repair_lowers_the_confidence() {
    let mut before = 0.8;
    for broken in 1..=3 {
        let text = first_step(|step| {
            step["required_arm"] = json!("Retriever");
            if broken > 1 {
                step["estimated_cost_tier"] = json!(9);
            }
            if broken > 2 {
                step["depends_on"] = json!([7]);
            }
        });
        let (plan, repairs) = Setup::saying(text).plan().await;
        assert_eq!(repairs.len(), broken);
        assert!(plan.confidence < before, "{broken}: {}", plan.confidence);
        before = plan.confidence;
    }
}

#[tokio::test]
async fn blank_and_repeated_criteria_are_left_out() {
    let text = first_step(|step| step["acceptance_criteria"] = json!(["done", " ", "done", "tested"]));
    let (plan, repairs) = Setup::saying(text).plan().await;
    assert_eq!(plan.plan[0].acceptance_criteria, ["done", "tested"]);
    assert_eq!(codes(&repairs), [(RepairCode::CriterionDropped, Some(1))]);
}

#[tokio::test]
async fn what_has_no_one_right_repair_is_said_all_at_once() {
    let mut blank = step(1, "coder", "  ", &[], 1, 20);
    blank["acceptance_criteria"] = json!([]);
    let steps =
        [blank, step(2, "coder", "Write it", &[], 3, 60), step(3, "judge", " Write it ", &[2], 2, 30)];
    assert_eq!(
        Setup::saying(answer(&steps)).faults().await,
        [
            PlanFault::RepeatedAction { steps: vec![2, 3] },
            PlanFault::BlankAction { step: 1 },
            PlanFault::NoCriteria { step: 1 },
        ]
    );
}

#[tokio::test]
async fn an_answer_that_is_no_plan_says_why() {
    for (text, why) in [
        ("I cannot help with that.", Unreadable::NotJson),
        ("{\"answer\": 42}", Unreadable::NoSteps),
        ("   ", Unreadable::Empty),
    ] {
        let error = Setup::saying(text).error().await;
        assert!(matches!(error, PlanError::Unreadable(reason) if reason == why), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_told_from_a_bad_one() {
    let whole = good_plan().to_string();
    let cut = Completion { content: whole[..200].to_owned(), truncated: true, ..Completion::default() };
    let setup = Setup { says: Ok(cut), ..Setup::saying("") };
    let error = setup.error().await;
    assert!(matches!(error, PlanError::Unreadable(Unreadable::Truncated)), "{error}");
}

#[tokio::test]
async fn the_question_has_the_goal_the_constraints_the_context_and_the_arms() {
    let request = PlanRequest {
        goal: "Grüße 世界 senden".into(),
        constraints: vec!["Use Python only".into()],
        context: json!({"repo": "https://example.com/r"}).as_object().expect("an object").clone(),
        request_id: None,
    };
    let (_, _, asked) = Setup::saying(good_plan().to_string()).run(&request).await;
    for part in ["Grüße 世界 senden", "Use Python only", "https://example.com/r"] {
        assert!(asked[0].user.contains(part), "{part} in {}", asked[0].user);
        assert!(!asked[0].system.contains(part), "a caller's words are no rules");
    }
    assert!(asked[0].system.contains("guardian") && asked[0].schema.schema.get().contains("guardian"));
}

#[tokio::test]
async fn when_no_model_answers_the_error_says_so() {
    let refused = Setup { says: Err(CallFailure::BadKey), ..Setup::saying("") };
    let error = refused.error().await;
    assert!(matches!(error, PlanError::Llm(LlmError::Refused(CallFailure::BadKey))), "{error}");
    let down = Setup { says: Err(CallFailure::Connection), ..Setup::saying("") };
    let error = down.error().await;
    assert!(matches!(error, PlanError::Llm(LlmError::Unavailable { .. })), "{error}");
}

#[tokio::test]
async fn the_fallback_engine_answers_whatever_failed_and_says_that_it_did() {
    let cycle = answer(&[
        step(1, "coder", "One", &[2], 1, 20),
        step(2, "coder", "Two", &[1], 1, 20),
        step(3, "judge", "Verify it", &[2], 2, 30),
    ]);
    let failing = [Err(CallFailure::ServerError), Err(CallFailure::BadKey)];
    let answering =
        ["no plan".to_owned(), cycle].map(|content| Ok(Completion { content, ..Completion::default() }));
    for says in failing.into_iter().chain(answering) {
        let setup = Setup { says, fallback: true, ..Setup::saying("") };
        let (origin, made, _) = setup.run(&goal()).await;
        let (plan, repairs) = made.expect("a plan by rules");
        assert_usually_sound(&plan);
        assert_eq!(repairs, []);
        assert_eq!(
            (origin.engine, &*origin.model, origin.tally.attempts),
            (EngineKind::Embedded, "embedded", 1)
        );
    }
}

#[tokio::test]
async fn the_fallback_engine_keeps_out_of_the_way_of_a_good_answer() {
    let setup = Setup { fallback: true, ..Setup::saying(good_plan().to_string()) };
    let (origin, made, _) = setup.run(&goal()).await;
    assert_eq!((origin.engine, &*origin.model), (EngineKind::OpenAi, "parrot"));
    assert!((made.expect("a plan").0.confidence - 0.88).abs() < 1e-9);
}

#[tokio::test]
async fn limits_other_than_the_usual_ones_hold() {
    let mut setup = Setup::saying(answer(&[step(1, "judge", "Verify it", &[], 2, 30)]));
    setup.rules = PlanRules { min_steps: 1, max_steps: 1, require_verification: true };
    assert_eq!(setup.plan().await.0.plan.len(), 1);
    let many: Vec<Value> = (1..=50)
        .map(|n| step(n, if n == 50 { "judge" } else { "coder" }, &format!("Do {n}"), &[], 3, 60))
        .collect();
    let mut setup = Setup::saying(answer(&many));
    setup.rules = PlanRules { min_steps: 50, max_steps: 50, require_verification: true };
    assert_eq!(setup.plan().await.0.plan.len(), 50);
}
