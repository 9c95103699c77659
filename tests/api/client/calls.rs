//! Every kind of call: what is sent, what comes back, and what it does to the circuit breaker.

use planner_arm::domain::{Budget, PlanRequest, Progress, ReplanRequest, StepStatus};

use super::*;

/// The rest of the plan that the fake planner answers with, its first step done.
fn rest(request: PlanRequest) -> ReplanRequest {
    let plan: PlanResponse = serde_json::from_value(planner_answer()).expect("a plan");
    ReplanRequest {
        request,
        plan: plan.plan,
        progress: vec![progress(1, StepStatus::Done, None)],
        feedback: None,
    }
}

fn progress(step: u32, status: StepStatus, reason: Option<&str>) -> Progress {
    Progress { step, status, reason: reason.map(str::to_owned), note: None }
}

fn request() -> PlanRequest {
    let request = json!({
        "goal": "Ship it", "constraints": ["No downtime"], "context": { "k": 1 }, "arms": ["coder", "judge"],
        "budget": { "max_duration_seconds": 864_000, "max_cost_tier": 4, "max_steps": 6 }, "playbook": "none",
    });
    serde_json::from_value(request).expect("a request")
}

#[tokio::test]
async fn a_real_planner_plans_replans_validates_and_lists_arms() {
    let app = TestApp::embedded().await;
    let client = PlannerClient::new(&app.url(""), options()).expect("a client");
    let arms = client.arms().await.expect("arms");
    let ids: Vec<&str> = arms.arms.iter().map(|listed| listed.arm.id.as_str()).collect();
    assert_eq!(ids, ["planner", "retriever", "coder", "executor", "judge", "guardian"]);

    let goal = PlanRequest { goal: "Debug the login and add tests".into(), ..PlanRequest::default() };
    let plan = client.plan("task-1", &goal).await.expect("a plan");
    assert_valid_by_default(&plan);
    let of_some = PlanRequest { arms: request().arms, ..goal.clone() };
    let of_some = client.plan("task-2", &of_some).await.expect("a plan");
    assert!(
        of_some.plan.iter().all(|step| ["coder", "judge"].contains(&step.required_arm.as_str())),
        "{of_some:?}"
    );

    let valid = client.validate("task-3", &plan).await.expect("it is valid");
    assert_eq!((&valid.plan, valid.repairs.as_deref()), (&plan.plan, Some(&[][..])));
    assert!(valid.schedule.is_some());
    let error = client.validate("task-4", &json!({ "plan": [] })).await.expect_err("no plan");
    assert!(
        matches!(&error, ClientError::Rejected(why) if !why.errors.is_empty() || !why.detail.is_empty()),
        "{error}"
    );

    let progress =
        vec![progress(1, StepStatus::Done, None), progress(2, StepStatus::Failed, Some("no access"))];
    let rest = ReplanRequest { request: goal, plan: plan.plan.clone(), progress, feedback: None };
    let replanned = client.replan("task-5", &rest).await.expect("a plan");
    assert_eq!(replanned.plan[0], plan.plan[0], "what is done stays");
    assert!(replanned.plan.len() > 1);
}

#[tokio::test]
async fn every_field_of_a_request_is_passed_on() {
    let planner = FakeLlm::start([good()]).await;
    let client = client(&planner, options());
    let within = Duration::from_secs(2);
    client.plan_within(within, "task-7", &request()).await.expect("a plan");
    client.replan_within(within, "task-8", &rest(request())).await.expect("a plan");
    client.validate("task-9", &planner_answer()).await.expect("a plan");

    let sent = planner.bodies();
    assert_eq!(sent[0], serde_json::to_value(request()).expect("JSON"));
    assert_eq!(
        sent[0]["budget"],
        json!({ "max_duration_seconds": 864_000, "max_cost_tier": 4, "max_steps": 6 })
    );
    assert_eq!((&sent[0]["playbook"], &sent[0]["arms"]), (&json!("none"), &json!(["coder", "judge"])));
    let mut both = serde_json::to_value(request()).expect("JSON");
    both["plan"] = planner_answer()["plan"].clone();
    both["progress"] = json!([{ "step": 1, "status": "done" }]);
    assert_eq!(sent[1], both);
    assert_eq!(sent[2], planner_answer());
    let ids: Vec<Option<String>> = planner.headers("x-request-id");
    assert_eq!(ids.into_iter().flatten().collect::<Vec<_>>(), ["task-7", "task-8", "task-9"]);
}

#[tokio::test]
async fn replanning_shares_the_breaker_and_calls_without_an_llm_do_not() {
    let arms = json!({
        "arms": [{ "id": "coder", "description": "", "source": "settings", "available": true, "new_field": 1 }],
        "sources": [],
    });
    let down = || Reply::status(503);
    let planner = FakeLlm::start([
        down(),
        // Retried, the breaker notwithstanding.
        down(),
        good(),
        down(),
        Reply::Body("application/json", arms.to_string()),
    ])
    .await;
    let once = ClientOptions { max_retries: 1, breaker_threshold: 1, ..options() };
    let client = client(&planner, once);
    let rest = rest(request());
    assert!(matches!(client.replan("t", &rest).await, Err(ClientError::Unavailable { .. })));
    assert_eq!(client.breaker_state(), BreakerState::Open);
    assert!(matches!(client.plan("t", &request()).await, Err(ClientError::CircuitOpen { .. })));
    assert!(matches!(client.replan("t", &rest).await, Err(ClientError::CircuitOpen { .. })));
    assert_eq!(planner.calls().len(), 1);

    client.validate("t", &planner_answer()).await.expect("a plan");
    assert_eq!(planner.calls().len(), 3);
    let listed = client.arms().await.expect("arms");
    assert_eq!((listed.arms.len(), listed.arms[0].arm.id.as_str()), (1, "coder"));
    assert_eq!((planner.calls().len(), client.breaker_state()), (5, BreakerState::Open));
    assert_eq!(
        metric(&client, "planner_client_calls_total{outcome=\"unavailable\"}"),
        1,
        "of calls for plans"
    );
    assert_eq!(metric(&client, "planner_client_requests_total{outcome=\"circuit_open\"}"), 2);
}

#[tokio::test]
async fn failures_of_calls_without_an_llm_do_not_open_the_breaker() {
    let planner = FakeLlm::start([Reply::status(502)]).await;
    let client = client(&planner, ClientOptions { max_retries: 0, breaker_threshold: 1, ..options() });
    assert!(matches!(client.arms().await, Err(ClientError::Unavailable { .. })));
    assert!(matches!(client.validate("t", &planner_answer()).await, Err(ClientError::Unavailable { .. })));
    assert_eq!(client.breaker_state(), BreakerState::Closed);
}

/// What docs/client-library.md shows.
#[expect(clippy::print_stdout, reason = "as documented")]
async fn as_documented(planner: &PlannerClient) -> Result<(), Box<dyn std::error::Error>> {
    let budget = Budget { max_duration_seconds: Some(3_600), max_steps: Some(5), ..Budget::default() };
    let request =
        PlanRequest { goal: "Fix the login".into(), budget: Some(budget), ..PlanRequest::default() };
    let plan = planner.plan("task-17", &request).await?;

    let reason = Some("auth.py is generated from auth.proto".to_owned());
    let failed = Progress { step: 1, status: StepStatus::Failed, reason, note: None };
    let rest = ReplanRequest { request, plan: plan.plan, progress: vec![failed], feedback: None };
    let plan = planner.replan("task-17", &rest).await?;

    match planner.validate("task-17", &plan).await {
        Ok(valid) => println!("{} repairs", valid.repairs.unwrap_or_default().len()),
        Err(ClientError::Rejected(why)) => println!("not valid: {:?}", why.errors),
        Err(later) => return Err(later.into()),
    }
    for listed in planner.arms().await?.arms {
        println!("{} from {}", listed.arm.id, listed.source);
    }
    Ok(())
}

#[tokio::test]
async fn the_documented_calls_work() {
    let documented =
        include_str!("../../../docs/client-library.md").split("```rust\n").nth(2).expect("a second block");
    let code = documented.split("```").next().expect("its code");
    let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let source = in_one_line(include_str!("calls.rs"));
    for line in code.lines().filter(|line| !line.starts_with("use ")) {
        assert!(source.contains(&in_one_line(line)), "{line}");
    }
    let planner = FakeLlm::start([
        good(),
        good(),
        good(),
        Reply::Body("application/json", json!({ "arms": [], "sources": [] }).to_string()),
    ])
    .await;
    as_documented(&client(&planner, options())).await.expect("answers");
    assert_eq!(planner.calls().len(), 4);
}
