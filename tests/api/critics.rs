//! Critics and budgets: what goes back to the LLM, what becomes a warning, and what is never returned.

mod good_plans;

use planner_arm::domain::{Budget, CriticsMode, PlanRequest, RepairCode, WarningCode};
use planner_arm::planner::error::PlanError;
use planner_arm::planner::normalize::PlanDetails;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scripted_model::{ScriptedPlanner, answer};
use crate::support::{FakeLlm, Reply, TestApp, json_of, step};

/// Three steps of `seconds` each, in a row.
fn steps_of(actions: [&str; 3], seconds: i64) -> String {
    let [first, second, third] = actions;
    answer(&[
        step(1, "coder", first, &[], 2, seconds),
        step(2, "coder", second, &[1], 2, seconds),
        step(3, "judge", third, &[2], 2, seconds),
    ])
}

const VAGUE: [&str; 3] = ["Do thing 1", "Do thing 2", "Do thing 3"];
const CLEAR: [&str; 3] = [
    "Fix the authentication bug in the login handler",
    "Add unit tests for the login handler",
    "Verify that all tests pass in time",
];

fn authentication() -> PlanRequest {
    PlanRequest {
        goal: "Fix authentication bug and add tests".into(),
        constraints: vec!["Complete in <5 minutes".into()],
        ..PlanRequest::default()
    }
}

fn within(budget: Budget) -> PlanRequest {
    PlanRequest { budget: Some(budget), ..authentication() }
}

fn codes(details: &PlanDetails) -> Vec<WarningCode> {
    let mut codes: Vec<WarningCode> = details.warnings.iter().map(|warning| warning.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn text_of(prompt: &planner_arm::llm::Prompt) -> String {
    prompt.messages.iter().map(|message| message.content.to_string()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_plan_that_is_too_long_and_vague_is_asked_about_once_with_the_figures() {
    let setup = ScriptedPlanner::answering_in_turn([steps_of(VAGUE, 400), steps_of(CLEAR, 60)]);
    let (_, made, asked) = setup.with_retries().run_in_full(&authentication()).await;
    let (plan, details) = made.expect("a plan");
    assert_eq!(plan.plan[0].action, CLEAR[0]);
    assert_eq!(details.warnings, []);
    assert_eq!(asked.len(), 2);
    let question = text_of(&asked[1]);
    for part in
        ["1,200 s; constraint 1 of the request allows 300 s", "The action of step 2 did not say what to do"]
    {
        assert!(question.contains(part), "{part}\n{question}");
    }
}

#[tokio::test]
async fn what_the_llm_insists_on_becomes_warnings() {
    let setup = ScriptedPlanner::answering(steps_of(VAGUE, 400)).with_retries();
    let (_, made, asked) = setup.run_in_full(&authentication()).await;
    let (plan, details) = made.expect("a plan");
    assert_eq!(asked.len(), 2, "asked about once");
    assert_eq!(codes(&details), [WarningCode::TimeLimit, WarningCode::VagueAction]);
    assert!((plan.confidence - 0.8).abs() < f64::EPSILON, "a warning is no repair: {}", plan.confidence);
    assert_eq!(
        details.warnings[0].message,
        "The critical path takes 1,200 s; constraint 1 of the request allows 300 s."
    );
}

#[tokio::test]
async fn the_plan_is_kept_when_the_second_answer_is_of_no_use() {
    let setup = ScriptedPlanner::answering_in_turn([steps_of(VAGUE, 400), "no".to_owned()]).with_retries();
    let (_, made, asked) = setup.run_in_full(&authentication()).await;
    let (plan, details) = made.expect("a plan");
    assert_eq!((asked.len(), plan.plan[0].action.as_str()), (2, VAGUE[0]));
    assert!(!details.warnings.is_empty());
}

#[tokio::test]
async fn critics_that_only_warn_cause_no_call_and_those_that_are_off_find_nothing() {
    for (mode, found) in [(CriticsMode::Warn, 2), (CriticsMode::Off, 0)] {
        let setup = ScriptedPlanner::answering(steps_of(VAGUE, 400)).with_retries().with_critics(mode);
        let (_, made, asked) = setup.run_in_full(&authentication()).await;
        let (_, details) = made.expect("a plan");
        assert_eq!((asked.len(), codes(&details).len()), (1, found), "{mode:?}");
    }
}

#[tokio::test]
async fn a_budget_is_stated_and_a_plan_that_breaks_it_is_never_returned() {
    let budget = Budget { max_duration_seconds: Some(300), max_cost_tier: Some(1), max_steps: None };
    let setup =
        ScriptedPlanner::answering(steps_of(CLEAR, 400)).with_retries().with_critics(CriticsMode::Off);
    let (_, made, asked) = setup.run_in_full(&within(budget)).await;
    let PlanError::Invalid(faults) = made.expect_err("no plan") else { panic!("faults") };
    let said_to_caller: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        said_to_caller,
        [
            "the critical path takes 1,200 s; the budget allows 300 s: shorten or parallelise",
            "step 1 has cost tier 2; the budget allows 1",
            "step 2 has cost tier 2; the budget allows 1",
            "step 3 has cost tier 2; the budget allows 1",
        ]
    );
    assert_eq!(faults[1].field(), "plan[0].estimated_cost_tier");
    assert!(text_of(&asked[0]).contains("add up to at most 300 seconds; no step has a cost tier above 1"));
    assert!(asked[0].schema.tight.get().contains("\"maximum\":300}"), "the schema has it too");
    assert!(text_of(&asked[1]).contains("Its critical path took 1,200 s; the budget allows 300 s"));
}

#[tokio::test]
async fn an_added_verification_fits_into_the_budget() {
    let steps = answer(&[
        step(1, "coder", "Fix the bug in the login", &[], 1, 100),
        step(2, "coder", "Write tests for the login", &[1], 1, 190),
    ]);
    let budget = Budget { max_duration_seconds: Some(300), max_cost_tier: Some(1), max_steps: Some(3) };
    let (_, made, _) = ScriptedPlanner::answering(steps).run_in_full(&within(budget)).await;
    let (plan, _) = made.expect("a plan");
    let last = plan.plan.last().expect("a step");
    assert_eq!((last.estimated_duration_seconds, last.estimated_cost_tier), (10, 1));
}

#[tokio::test]
async fn a_verifying_step_waits_for_every_other_one() {
    let steps = answer(&[
        step(1, "coder", "Fix the bug in the login", &[], 2, 60),
        step(2, "coder", "Write tests for the login", &[], 2, 60),
        step(3, "retriever", "Look up the changelog format", &[], 1, 60),
        step(4, "judge", "Verify the login", &[2], 2, 30),
    ]);
    let (plan, repairs) = ScriptedPlanner::answering(steps).plan().await;
    assert_eq!(plan.plan[3].depends_on, [1, 2, 3]);
    let [repair] = repairs.as_slice() else { panic!("{repairs:?}") };
    assert_eq!((repair.code, repair.step), (RepairCode::VerificationWaits, Some(4)));
    assert_eq!(
        repair.message,
        "The verifying step depended on step 2; it now waits for steps 1 and 3 as well."
    );
}

#[tokio::test]
async fn every_interface_of_http_shows_warnings() {
    let plan: Value = serde_json::from_str(&steps_of(VAGUE, 400)).expect("JSON");
    let llm = FakeLlm::start([Reply::plan(&plan)]).await;
    let app =
        TestApp::start(&[("PLANNER_LLM_BASE_URL", &llm.base_url), ("PLANNER_CACHE_TTL_SECONDS", "3600")])
            .await;
    let wanted = serde_json::to_value(authentication()).expect("JSON");
    for cache in ["miss", "hit"] {
        let response = app.plan_at("/plan?include=warnings", &wanted).await;
        assert_eq!(response.headers()["x-planner-cache"], cache);
        assert_eq!(response.headers()["x-planner-warnings"], "4");
        let answer = json_of(response).await;
        assert_eq!(answer["warnings"][0]["code"], "time_limit", "{cache}");
    }
    let mut sent = plan.clone();
    sent["constraints"] = json!(["Complete in <5 minutes"]);
    let checked =
        json_of(app.client.post(app.url("/validate")).json(&sent).send().await.expect("an answer")).await;
    assert_eq!(checked["warnings"].as_array().map(Vec::len), Some(4), "{checked}");
    sent["budget"] = json!({"max_duration_seconds": 300});
    let refused = app.client.post(app.url("/validate")).json(&sent).send().await.expect("an answer");
    assert_eq!(refused.status(), 422);
    assert_eq!(json_of(refused).await["errors"][0]["field"], "plan");
    let text = app.client.get(app.url("/metrics")).send().await.expect("metrics").text().await.expect("text");
    assert!(
        text.contains("planner_findings_total{code=\"vague_action\",outcome=\"asked_again\"} 3"),
        "{text}"
    );
    assert!(text.contains("planner_findings_total{code=\"time_limit\",outcome=\"warned\"} 1"), "{text}");
}

#[tokio::test]
async fn a_budget_that_no_plan_can_keep_is_refused() {
    let app = TestApp::embedded().await;
    let wanted = json!({"goal": "Fix the login", "budget": {"max_steps": 2, "max_cost_tier": 6}});
    let response = app.plan(&wanted).await;
    assert_eq!(response.status(), 422);
    let wanted = json!({"goal": "Fix the login", "budget": {"max_steps": 2}});
    let refused = json_of(app.plan(&wanted).await).await;
    assert_eq!(refused["errors"][0]["field"], "budget.max_steps");
    assert_eq!(refused["errors"][0]["message"], "must be at least 3: plans here have 3 to 7 steps");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_plan_that_is_returned_breaks_its_budget(
        max_seconds in proptest::option::of(1..5_000_u64),
        max_tier in proptest::option::of(1..=5_u8),
        max_steps in proptest::option::of(3..8_u32),
        durations in proptest::collection::vec(1..3_000_u32, 2..8),
        tier in 1..=5_u8,
        waits in any::<bool>(),
        goal in "(Fix|Deploy|Research|Translate) the (login|report|service)( and (test|document|announce) it)?",
    ) {
        let budget = Budget { max_duration_seconds: max_seconds, max_cost_tier: max_tier, max_steps };
        let request = PlanRequest { goal, budget: Some(budget), ..PlanRequest::default() };
        let steps: Vec<Value> = (1..).zip(&durations).map(|(number, seconds)| {
            let needs: Vec<i64> = if waits && number > 1 { vec![number - 1] } else { vec![] };
            let action = format!("Change module {number} of the login");
            step(number, "coder", &action, &needs, tier.into(), i64::from(*seconds))
        }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(async {
            for setup in [ScriptedPlanner::answering(answer(&steps)), ScriptedPlanner::answering("no").with_fallback()] {
                let (_, made, _) = setup.run_in_full(&request).await;
                let Ok((plan, _)) = made else { continue };
                let schedule = planner_arm::planner::estimate::schedule(&plan.plan);
                prop_assert!(max_seconds.is_none_or(|most| schedule.critical_path_seconds <= most), "{plan:?}");
                prop_assert!(max_steps.is_none_or(|most| plan.plan.len() <= most as usize));
                prop_assert!(max_tier.is_none_or(|most| plan.plan.iter().all(|step| step.estimated_cost_tier <= most)));
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn the_embedded_planner_keeps_a_budget_or_says_honestly_that_it_cannot() {
    let app = TestApp::embedded().await;
    let wanted = json!({
        "goal": "Fix authentication bug and add tests",
        "budget": {"max_duration_seconds": 120, "max_cost_tier": 2, "max_steps": 4},
    });
    let plan = json_of(app.plan_at("/plan?include=schedule", &wanted).await).await;
    assert!(plan["schedule"]["critical_path_seconds"].as_u64().expect("seconds") <= 120, "{plan}");
    assert!(plan["plan"].as_array().expect("steps").len() <= 4);
    assert!(plan["rationale"].as_str().expect("text").contains(" scaled to "), "{plan}");
    let impossible = json!({"goal": "Fix the login", "budget": {"max_duration_seconds": 1}});
    let response = app.plan(&impossible).await;
    assert_eq!(response.status(), 500);
    let answer = json_of(response).await;
    assert_eq!((&answer["code"], &answer["errors"][0]["field"]), (&json!("plan_invalid"), &json!("plan")));
}
