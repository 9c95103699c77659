//! From what an LLM says to a plan, or to what is wrong with it.

use planner_arm::domain::EngineKind;
use planner_arm::domain::PlanRequest;
use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::{Arm, ArmRegistry};
use planner_arm::llm::{CallError, CallFailure, Completion, LlmError};
use planner_arm::planner::error::{ParseError, PlanError, PlanFault};
use serde_json::{Value, json};

use crate::scripted_model::{ScriptedPlanner, answer, goal};
use crate::support::{assert_valid_by_default, good_plan, step};

#[tokio::test]
async fn a_clean_answer_passes_through_unchanged() {
    let (plan, repairs) = ScriptedPlanner::answering(good_plan().to_string()).plan().await;
    assert_eq!(repairs, []);
    let mut said = good_plan();
    said["total_estimated_duration"] = json!(245);
    said["complexity_score"] = json!(plan.complexity_score);
    assert_eq!(serde_json::to_value(&plan).expect("JSON"), said);
}

#[tokio::test]
async fn the_complexity_score_is_computed_from_the_plan() {
    let mut boastful = good_plan();
    boastful["complexity_score"] = json!(0.999);
    let (first, _) = ScriptedPlanner::answering(boastful.to_string()).plan().await;
    let (second, _) = ScriptedPlanner::answering(good_plan().to_string()).plan().await;
    assert_eq!(first.complexity_score.to_bits(), second.complexity_score.to_bits());
    // 0.35·5/10 + 0.20·5/8 + 0.15·4/5 + 0.15·(11/5 − 1)/4 + 0.15·4/5
    assert!((first.complexity_score - 0.59).abs() < 1e-9, "{}", first.complexity_score);
}

#[tokio::test]
async fn text_around_the_plan_is_no_repair() {
    let plan = good_plan();
    for text in [
        format!("Sure! Here it is:\n```json\n{plan}\n```\nAnything else?"),
        format!("<think>five steps</think>{plan}"),
        json!({ "result": plan, "status": "ok" }).to_string(),
    ] {
        let (made, repairs) = ScriptedPlanner::answering(text).plan().await;
        assert_eq!((made.confidence, repairs), (0.88, vec![]));
    }
}

#[tokio::test]
async fn an_arm_that_nothing_points_to_is_a_fault_and_never_guessed() {
    let arms: Vec<Arm> = serde_json::from_value(json!([
        {"id": "painter", "keywords": ["paint"]},
        {"id": "inspector", "keywords": ["inspect"], "capabilities": ["validation"]},
    ]))
    .expect("arms");
    let mut setup = ScriptedPlanner::answering(answer(&[
        step(1, "painter", "Paint the wall", &[], 1, 20),
        step(2, "smith", "Hoof a mule", &[], 1, 20),
        step(3, "inspector", "Look at both", &[1, 2], 1, 20),
    ]));
    setup.registry = ArmRegistry::new(arms, true).expect("a registry");
    assert_eq!(setup.faults().await, [PlanFault::UnknownArm { step: 2.into(), candidates: vec![] }]);
}

#[tokio::test]
async fn a_cycle_is_a_fault_that_names_its_steps() {
    let steps = [
        step(1, "retriever", "Gather", &[], 1, 20),
        step(2, "coder", "Write it", &[1, 3], 3, 60),
        step(3, "coder", "Test it", &[2], 3, 60),
        step(4, "judge", "Verify it", &[3], 2, 30),
    ];
    let faults = ScriptedPlanner::answering(answer(&steps)).faults().await;
    assert_eq!(faults, [PlanFault::Cycle { steps: vec![2.into(), 3.into()] }]);
    assert_eq!(faults[0].to_string(), "steps 2 and 3 depend on each other");
}

#[tokio::test]
async fn too_few_and_too_many_steps_are_faults() {
    let one = ScriptedPlanner::answering(answer(&[step(1, "judge", "Verify it", &[], 2, 30)]));
    let faults = one.faults().await;
    assert_eq!(faults, [PlanFault::TooFewSteps { found: 1, min: 3 }]);
    assert_eq!(faults[0].to_string(), "the plan has 1 step and needs at least 3");
    let none = ScriptedPlanner::answering(answer(&[]));
    assert_eq!(none.faults().await, [PlanFault::TooFewSteps { found: 0, min: 3 }]);
    let mut eight: Vec<Value> =
        (1..=7).map(|n| step(n, "coder", &format!("Write {n}"), &[], 3, 60)).collect();
    eight.push(step(8, "judge", "Verify all", &[1], 2, 30));
    let too_many = PlanFault::TooManySteps { found: 8, max: 7 };
    assert_eq!(ScriptedPlanner::answering(answer(&eight)).faults().await, std::slice::from_ref(&too_many));
    eight[7]["required_arm"] = json!("coder");
    let faults = ScriptedPlanner::answering(answer(&eight)).faults().await;
    assert_eq!(faults, [too_many, PlanFault::Unverified { max: 7 }]);
}

#[tokio::test]
async fn all_unrepairable_faults_are_reported_together() {
    let mut blank = step(1, "coder", "  ", &[], 1, 20);
    blank["acceptance_criteria"] = json!([]);
    let steps =
        [blank, step(2, "coder", "Write it", &[], 3, 60), step(3, "judge", " Write it ", &[2], 2, 30)];
    assert_eq!(
        ScriptedPlanner::answering(answer(&steps)).faults().await,
        [
            PlanFault::RepeatedAction { steps: vec![2.into(), 3.into()] },
            PlanFault::BlankAction { step: 1.into() },
            PlanFault::NoCriteria { step: 1.into() },
        ]
    );
}

#[tokio::test]
async fn an_answer_that_is_no_plan_says_why() {
    for (text, why) in [
        ("I cannot help with that.", ParseError::NotJson),
        ("{\"answer\": 42}", ParseError::NoSteps),
        ("   ", ParseError::Empty),
    ] {
        let error = ScriptedPlanner::answering(text).error().await;
        assert!(matches!(error, PlanError::Parse(reason) if reason == why), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_distinguished_from_an_invalid_one() {
    let whole = good_plan().to_string();
    let cut = Completion { content: whole[..200].to_owned(), truncated: true, ..Completion::default() };
    let setup = ScriptedPlanner { answers: vec![Ok(cut)], ..ScriptedPlanner::answering("") };
    let error = setup.error().await;
    assert!(matches!(error, PlanError::Parse(ParseError::Truncated)), "{error}");
}

#[tokio::test]
async fn the_prompt_has_goal_constraints_context_and_arms() {
    let request = PlanRequest {
        goal: "Grüße 世界 senden".into(),
        constraints: vec!["Use Python only".into()],
        context: json!({"repo": "https://example.com/r"}).as_object().expect("an object").clone(),
        request_id: None,
        ..PlanRequest::default()
    };
    let (_, _, asked) = ScriptedPlanner::answering(good_plan().to_string()).run(&request).await;
    let (system, user) = (&asked[0].messages[0].content, &asked[0].messages[1].content);
    for part in ["Grüße 世界 senden", "Use Python only", "https://example.com/r"] {
        assert!(user.contains(part), "{part} in {user}");
        assert!(!system.contains(part), "a caller's words are no rules");
    }
    assert!(system.contains("guardian") && asked[0].schema.tight.get().contains("guardian"));
}

#[tokio::test]
async fn an_outage_of_every_model_is_an_error() {
    let refused =
        ScriptedPlanner { answers: vec![Err(CallFailure::BadKey)], ..ScriptedPlanner::answering("") };
    let error = refused.error().await;
    assert!(
        matches!(error, PlanError::Llm(LlmError::Refused(CallError { failure: CallFailure::BadKey, .. }))),
        "{error}"
    );
    let down =
        ScriptedPlanner { answers: vec![Err(CallFailure::Connection)], ..ScriptedPlanner::answering("") };
    let error = down.error().await;
    assert!(matches!(error, PlanError::Llm(LlmError::Unavailable { .. })), "{error}");
}

#[tokio::test]
async fn the_fallback_engine_answers_after_any_failure() {
    let cycle = answer(&[
        step(1, "coder", "One", &[2], 1, 20),
        step(2, "coder", "Two", &[1], 1, 20),
        step(3, "judge", "Verify it", &[2], 2, 30),
    ]);
    let failing = [Err(CallFailure::ServerError), Err(CallFailure::BadKey)];
    let answering =
        ["no plan".to_owned(), cycle].map(|content| Ok(Completion { content, ..Completion::default() }));
    for answer in failing.into_iter().chain(answering) {
        let setup =
            ScriptedPlanner { answers: vec![answer], fallback: true, ..ScriptedPlanner::answering("") };
        let (origin, made, _) = setup.run(&goal()).await;
        let (plan, repairs) = made.expect("a plan by rules");
        assert_valid_by_default(&plan);
        assert_eq!(repairs, []);
        assert_eq!(
            (origin.engine, &*origin.model, origin.usage_totals.attempts),
            (EngineKind::Embedded, "embedded", 1)
        );
    }
}

#[tokio::test]
async fn the_fallback_engine_does_not_replace_a_valid_answer() {
    let setup = ScriptedPlanner { fallback: true, ..ScriptedPlanner::answering(good_plan().to_string()) };
    let (origin, made, _) = setup.run(&goal()).await;
    assert_eq!((origin.engine, &*origin.model), (EngineKind::OpenAi, "scripted"));
    assert!((made.expect("a plan").0.confidence - 0.88).abs() < 1e-9);
}

#[tokio::test]
async fn other_limits_hold() {
    let mut setup = ScriptedPlanner::answering(answer(&[step(1, "judge", "Verify it", &[], 2, 30)]));
    setup.rules = PlanRules { min_steps: 1, max_steps: 1, require_verification: true };
    assert_eq!(setup.plan().await.0.plan.len(), 1);
    let many: Vec<Value> = (1..=50)
        .map(|n| step(n, if n == 50 { "judge" } else { "coder" }, &format!("Do {n}"), &[], 3, 60))
        .collect();
    let mut setup = ScriptedPlanner::answering(answer(&many));
    setup.rules = PlanRules { min_steps: 50, max_steps: 50, require_verification: true };
    assert_eq!(setup.plan().await.0.plan.len(), 50);
}
