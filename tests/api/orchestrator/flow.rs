//! From `POST /submit` to a plan in the database.

use std::collections::BTreeSet;
use std::time::Duration;

use planner_arm::domain::{PlanRequest, PlanResponse};
use planner_arm::orchestrator::{Store, Submission};
use serde_json::{Value, json};

use crate::support::{
    FakeLlm, Reply, TestApp, assert_valid_by_default, good_plan, planner_answer, planner_problem,
};

use super::support::{TestDatabase, TestOrchestrator, on_each_database};

on_each_database!(
    a_submitted_task_is_planned_and_stored,
    a_plan_of_a_model_is_stored_as_well,
    every_field_of_a_task_reaches_the_planner,
    a_time_budget_limits_the_plan_if_the_task_states_it,
    tasks_from_before_stated_times_keep_a_budget_other_than_the_default,
    a_long_context_is_cut_with_a_note,
    constraints_beyond_the_limit_go_into_the_context,
    a_task_for_one_arm_is_kept_and_not_planned,
    a_refused_task_fails_at_once_with_the_reason,
    a_plan_that_cannot_be_stored_fails_the_task,
    an_unreadable_task_fails_and_delays_none,
);

async fn a_submitted_task_is_planned_and_stored(database: TestDatabase) {
    let planner = TestApp::embedded().await;
    let orchestrator = TestOrchestrator::start(&database, &planner.url("")).await;
    let goal = "Write a function to calculate fibonacci";
    let id = orchestrator.api.submit(&json!({ "goal": goal })).await;
    let task = orchestrator.api.ended(&id).await;

    let keys: Vec<&String> = task.as_object().expect("an object").keys().collect();
    let mut expected =
        ["task_id", "status", "goal", "result", "error", "created_at", "updated_at", "processing_time_ms"];
    expected.sort_unstable();
    assert_eq!(keys, expected, "{task}");
    assert_eq!((&task["task_id"], &task["status"]), (&json!(id), &json!("completed")));
    assert_eq!((&task["goal"], &task["error"]), (&json!(goal), &Value::Null));
    assert!(task["processing_time_ms"].as_i64().is_some_and(|ms| (0..60_000).contains(&ms)), "{task}");
    let time = |name: &str| humantime::parse_rfc3339(task[name].as_str().expect("a text")).expect("a time");
    assert!(time("created_at") <= time("updated_at"), "{task}");

    let plan: PlanResponse = serde_json::from_value(task["result"].clone()).expect("a plan");
    assert_valid_by_default(&plan);
    assert_eq!(plan, planner.planned(&json!({ "goal": goal })).await, "the planner's own words");

    let subtasks = database.subtasks().await;
    assert_eq!(subtasks.len(), plan.plan.len());
    for (subtask, step) in subtasks.iter().zip(&plan.plan) {
        assert_eq!((&subtask.task_id, &subtask.status), (&id, &"pending".to_owned()));
        assert_eq!((subtask.step, &subtask.action), (step.step as i32, &step.action));
        assert_eq!(subtask.required_arm, step.required_arm);
        assert_eq!(subtask.acceptance_criteria, json!(step.acceptance_criteria));
        assert_eq!(subtask.depends_on, json!(step.depends_on));
        assert_eq!(subtask.cost_tier, i32::from(step.estimated_cost_tier));
        assert_eq!(subtask.seconds, step.estimated_duration_seconds as i32);
    }
    assert!((orchestrator.api.metric("orchestrator_tasks_submitted_total").await - 1.0).abs() < 0.1);
    let completed = "orchestrator_tasks_finished_total{status=\"completed\"}";
    assert!((orchestrator.api.metric(completed).await - 1.0).abs() < 0.1);
    assert!(
        (orchestrator.api.metric("planner_client_requests_total{outcome=\"ok\"}").await - 1.0).abs() < 0.1
    );
}

async fn a_plan_of_a_model_is_stored_as_well(database: TestDatabase) {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let planner = TestApp::with_llm(&llm, &[("PLANNER_AUTH_TOKENS", "secret")]).await;
    let token = [("PLANNER_ARM_TOKEN", "secret")];
    let orchestrator = TestOrchestrator::with(&database, &planner.url(""), &token).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix the login" })).await;
    let task = orchestrator.api.ended(&id).await;
    assert_eq!(task["result"]["confidence"], 0.88, "{task}");
    assert_eq!(database.subtasks().await.len(), 5);
}

async fn every_field_of_a_task_reaches_the_planner(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let task = json!({
        "goal": "Fix the login \u{1f511}",
        "constraints": {
            "max_time": "5 min", "steps": 4, "online": false, "unset": null, "bare": "",
            "tools": ["pytest", "ruff"],
        },
        "context": "The login is in auth.py.",
        "acceptance_criteria": ["All tests pass"],
        "budget": { "max_tokens": 500, "max_time_seconds": 20, "max_cost_usd": 0.5 },
        "priority": "high", "metadata": { "ticket": 17 }, "assigned_arm": null, "unknown": true,
    });
    let id = orchestrator.api.submit(&task).await;
    let ended = orchestrator.api.ended(&id).await;
    assert_eq!(ended["result"], planner_answer(), "{ended}");
    let asked = json!({
        "goal": "Fix the login \u{1f511}",
        "constraints": [
            "bare", "max_time: 5 min", "online: false", "steps: 4", "tools: [\"pytest\",\"ruff\"]",
            "Acceptance criterion: All tests pass",
        ],
        "context": { "text": "The login is in auth.py." },
        "budget": { "max_duration_seconds": 20 },
        "request_id": null,
    });
    assert_eq!(planner.bodies(), [asked]);
    assert_eq!(planner.first_header("x-request-id"), Some(id));
    assert_eq!(planner.first_header("x-request-timeout-ms").as_deref(), Some("9900"), "PLANNER_ARM_TIMEOUT");
}

async fn a_time_budget_limits_the_plan_if_the_task_states_it(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    for (budget, expected) in [
        (json!({ "max_time_seconds": 300 }), json!({ "max_duration_seconds": 300 })),
        (json!({ "max_time_seconds": null, "max_tokens": 5 }), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let id = orchestrator.api.submit(&json!({ "goal": "Fix it", "budget": budget })).await;
        orchestrator.api.ended(&id).await;
        let asked = planner.bodies().pop().expect("a request");
        assert_eq!(asked["budget"], expected, "{budget}");
        assert_eq!(database.count("SELECT CAST(max(max_time_seconds) AS bigint) FROM tasks").await, 300);
    }
}

async fn tasks_from_before_stated_times_keep_a_budget_other_than_the_default(database: TestDatabase) {
    let connect =
        || async { Store::connect(&database.url.parse().expect("a URL")).await.expect("connected") };
    let store = connect().await;
    for seconds in [300, 20] {
        let task = json!({ "goal": "Fix it", "budget": { "max_time_seconds": seconds } }).to_string();
        let task = Submission::from_json(task.as_bytes()).expect("a task");
        store.insert(uuid::Uuid::new_v4(), &task, None).await.expect("stored");
    }
    store.close().await;
    database.execute("ALTER TABLE tasks DROP COLUMN is_time_stated").await;
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 3").await;
    let claims =
        connect().await.claim(uuid::Uuid::new_v4(), 2, Duration::from_secs(10), &BTreeSet::new()).await;
    let mut limits: Vec<Option<u64>> = claims
        .expect("claimed")
        .into_iter()
        .map(|claim| claim.request.expect("a request").budget.and_then(|budget| budget.max_duration_seconds))
        .collect();
    limits.sort_unstable();
    assert_eq!(limits, [None, Some(20)]);
}

async fn a_long_context_is_cut_with_a_note(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let context = "計".repeat(50_000);
    let id = orchestrator.api.submit(&json!({ "goal": "g", "context": context })).await;
    assert_eq!(orchestrator.api.ended(&id).await["status"], "completed");
    let asked = serde_json::to_vec(&planner.bodies()[0]).expect("JSON");
    let prompt = PlanRequest::from_json(&asked).expect("what the planner takes");
    let kept = prompt.context["text"].as_str().expect("a text");
    assert!(
        context.starts_with(kept) && kept.chars().count() > 21_000,
        "{} characters",
        kept.chars().count()
    );
    let note =
        format!("The text was cut off: these are the first {} of 50000 characters.", kept.chars().count());
    assert_eq!(prompt.context["note"], json!(note));
}

async fn constraints_beyond_the_limit_go_into_the_context(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let criteria: Vec<String> = (1..=55).map(|number| format!("Test {number} passes")).collect();
    let long = "c".repeat(2_500);
    let task = json!({
        "goal": "g", "constraints": { "long": long, "": "" }, "acceptance_criteria": criteria,
        "context": "t".repeat(50_000),
    });
    let id = orchestrator.api.submit(&task).await;
    assert_eq!(orchestrator.api.ended(&id).await["status"], "completed");
    let asked = serde_json::to_vec(&planner.bodies()[0]).expect("JSON");
    let prompt = PlanRequest::from_json(&asked).expect("what the planner takes");
    assert_eq!(prompt.constraints.len(), 50);
    assert_eq!(prompt.constraints[49], "Acceptance criterion: Test 50 passes");
    let more = prompt.context["more_constraints"].as_array().expect("a list");
    assert_eq!((more.len(), &more[0]), (6, &json!(format!("long: {long}"))));
    assert_eq!(more[5], "Acceptance criterion: Test 55 passes");
    assert_eq!(prompt.context["text"].as_str().map(str::len), Some(50_000), "there is room for all of it");
}

async fn a_task_for_one_arm_is_kept_and_not_planned(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let response = orchestrator.api.post(&json!({ "goal": "Fix it", "assigned_arm": "coder" })).await;
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer["message"], "The task is stored for the arm coder; it is not planned.");
    // One that is planned comes after it.
    let other = orchestrator.api.submit(&json!({ "goal": "Plan it" })).await;
    orchestrator.api.ended(&other).await;
    let kept = orchestrator.api.task(answer["task_id"].as_str().expect("an id")).await;
    assert_eq!((&kept["status"], &kept["result"]), (&json!("pending"), &Value::Null));
    assert_eq!(planner.calls().len(), 1);
}

async fn a_refused_task_fails_at_once_with_the_reason(database: TestDatabase) {
    let planner =
        FakeLlm::start([planner_problem(500, "plan_invalid", "The LLM's plan is not valid.")]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    let task = orchestrator.api.ended(&id).await;
    assert_eq!((&task["status"], &task["result"]), (&json!("failed"), &Value::Null));
    let reason = "the planner arm refused the request (plan_invalid): The LLM's plan is not valid";
    assert_eq!(task["error"], reason);
    assert_eq!(planner.calls().len(), 1);
    assert_eq!(database.subtasks().await, []);
}

async fn a_plan_that_cannot_be_stored_fails_the_task(database: TestDatabase) {
    let mut answer = planner_answer();
    answer["plan"][1]["action"] = json!("Write\u{0}it");
    let planner = FakeLlm::start([Reply::Body("application/json", answer.to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    let task = orchestrator.api.ended(&id).await;
    if database.file().is_some() {
        assert_eq!((&task["status"], &task["result"]), (&json!("completed"), &answer), "SQLite takes it");
    } else {
        let reason = "the planner arm's response contains a character that the database cannot store";
        assert_eq!(task["error"], reason);
        assert_eq!(database.subtasks().await, [], "all or nothing");
    }
    assert_eq!(planner.calls().len(), 1, "{task}");
}

async fn an_unreadable_task_fails_and_delays_none(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let assigned = TestOrchestrator::start(&database, &planner.origin).await;
    let unreadable = assigned.api.submit(&json!({ "goal": "Fix it", "assigned_arm": "coder" })).await;
    assigned.stop().await;
    database.execute("UPDATE tasks SET acceptance_criteria = '{}', due_at = created_at").await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let readable = orchestrator.api.submit(&json!({ "goal": "Plan it" })).await;
    assert_eq!(orchestrator.api.ended(&unreadable).await["error"], "the stored task cannot be read");
    assert_eq!(orchestrator.api.ended(&readable).await["status"], "completed");
}
