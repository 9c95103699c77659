//! Who works on which task, and when: urgency, leases, several orchestrators, time budgets.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use planner_arm::domain::PlanResponse;
use planner_arm::orchestrator::{Store, Submission, TaskOutcome};
use serde_json::json;
use uuid::Uuid;

use crate::support::{FakeLlm, Reply, TestApp, planner_answer, planner_problem, until};

use super::support::{NOBODY, TestDatabase, TestOrchestrator, on_each_database};

on_each_database!(
    tasks_run_by_priority_then_age,
    several_orchestrators_plan_each_task_once,
    tasks_of_a_dead_orchestrator_are_taken_over,
    a_lease_is_renewed_for_as_long_as_the_claim_holds,
    a_stop_returns_tasks_to_the_queue,
    a_stop_lets_plans_finish_within_the_grace_time,
    a_task_waits_for_its_planner_until_its_time_is_up,
    a_task_that_was_not_started_in_time_fails,
    a_task_behind_an_open_breaker_fails_with_the_reason,
    time_without_an_orchestrator_does_not_count,
    starts_extend_no_budget_and_shorten_no_wait,
    a_slow_probe_delays_the_others,
    a_wrong_token_is_retried,
    several_orchestrators_can_start_at_once,
);

fn good() -> Reply {
    Reply::Body("application/json", planner_answer().to_string())
}

/// Longer than that of an orchestrator.
const LEASE: Duration = Duration::from_secs(60);

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

async fn store(database: &TestDatabase) -> Store {
    Store::connect(&database.url.parse().expect("a database")).await.expect("a store")
}

fn task(json: &str) -> Submission {
    Submission::from_json(json.as_bytes()).expect("a task")
}

async fn tasks_run_by_priority_then_age(database: TestDatabase) {
    let (store, mut names) = (store(&database).await, HashMap::new());
    for (name, priority) in [
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("also high", "high"),
        ("critical", "critical"),
    ] {
        let id = Uuid::new_v4();
        let task = task(&format!(r#"{{"goal": "{name}", "priority": "{priority}"}}"#));
        store.insert(id, &task, None).await.expect("stored");
        names.insert(id.to_string(), name);
        // So that no two are of the same millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let planner = FakeLlm::start([good()]).await;
    let one = [("MAX_CONCURRENT_TASKS", "1")];
    let orchestrator = TestOrchestrator::with(&database, &planner.origin, &one).await;
    for id in names.keys() {
        orchestrator.api.ended(id).await;
    }
    let asked = planner.headers("x-request-id");
    let order: Vec<&str> = asked.iter().flatten().map(|id| names[id]).collect();
    assert_eq!(order, ["critical", "high", "also high", "medium", "low"]);
}

async fn several_orchestrators_plan_each_task_once(database: TestDatabase) {
    let planner = FakeLlm::start([good().after(Duration::from_millis(30))]).await;
    let one = TestOrchestrator::start(&database, &planner.origin).await;
    let two = TestOrchestrator::start(&database, &planner.origin).await;
    let mut ids = Vec::new();
    for number in 0..60 {
        let api = if number % 2 == 0 { &one.api } else { &two.api };
        ids.push(api.submit(&json!({ "goal": format!("Task {number}") })).await);
    }
    for id in &ids {
        assert_eq!(one.api.ended(id).await["status"], "completed");
    }
    let mut asked: Vec<String> = planner.headers("x-request-id").into_iter().flatten().collect();
    asked.sort();
    ids.sort();
    assert_eq!(asked, ids, "each was planned, and once");
    assert_eq!(database.subtasks().await.len(), 60 * 5);
    let shares = [&one, &two].map(|orchestrator| orchestrator.api.clone());
    for api in shares {
        let done = api.metric("orchestrator_tasks_finished_total{status=\"completed\"}").await;
        assert!(done > 0.5, "both worked: {done}");
    }
}

async fn tasks_of_a_dead_orchestrator_are_taken_over(database: TestDatabase) {
    // One that claims a task, and dies: its lease runs out.
    let planner = FakeLlm::start([good()]).await;
    let task = task(r#"{"goal": "Fix it"}"#);
    let (dead, id) = (store(&database).await, Uuid::new_v4());
    dead.insert(id, &task, None).await.expect("stored");
    let claims = dead.claim(Uuid::new_v4(), 10, Duration::from_millis(400), &none()).await.expect("claimed");
    assert_eq!(claims.len(), 1);
    assert!(
        dead.claim(Uuid::new_v4(), 10, LEASE, &none()).await.expect("an answer").is_empty(),
        "it is claimed already"
    );

    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let ended = orchestrator.api.ended(&id.to_string()).await;
    assert_eq!(ended["status"], "completed");

    // It was not dead after all, and comes with a plan of its own.
    let mut late: PlanResponse = serde_json::from_value(planner_answer()).expect("a plan");
    late.plan.truncate(3);
    for end in [
        TaskOutcome::Completed(Box::new(late)),
        TaskOutcome::Failed("late".into()),
        TaskOutcome::Postponed(Duration::ZERO, Some("late".into())),
    ] {
        assert!(!dead.finish(&claims[0], &end).await.expect("an answer"), "{end:?}");
    }
    assert!(!dead.renew(&claims[0], LEASE).await.expect("an answer"));
    assert_eq!(orchestrator.api.task(&id.to_string()).await, ended);
    assert_eq!(database.subtasks().await.len(), 5);
}

async fn a_lease_is_renewed_for_as_long_as_the_claim_holds(database: TestDatabase) {
    let task = task(r#"{"goal": "Fix it"}"#);
    let (store, worker) = (store(&database).await, Uuid::new_v4());
    store.insert(Uuid::new_v4(), &task, None).await.expect("stored");
    let first = store.claim(worker, 1, Duration::from_millis(1), &none()).await.expect("claimed").remove(0);
    assert_eq!(
        (first.number, first.request.as_ref().map(|request| request.goal.as_str())),
        (1, Some("Fix it"))
    );
    assert!(store.renew(&first, LEASE).await.expect("an answer"));
    assert!(
        store.claim(worker, 1, LEASE, &none()).await.expect("an answer").is_empty(),
        "the lease is longer now"
    );
    assert!(store.renew(&first, Duration::ZERO).await.expect("an answer"));
    // The same worker claims it again: the number tells the two claims apart.
    let second = store.claim(worker, 1, LEASE, &none()).await.expect("claimed").remove(0);
    assert_eq!((second.worker, second.number), (worker, 2));
    assert!(!store.renew(&first, LEASE).await.expect("an answer"));
    assert!(store.renew(&second, LEASE).await.expect("an answer"));
}

async fn a_stop_returns_tasks_to_the_queue(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::Never, good()]).await;
    let grace = [("SHUTDOWN_GRACE_SECONDS", "0.1")];
    let orchestrator = TestOrchestrator::with(&database, &planner.origin, &grace).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    planner.called(1).await;
    orchestrator.stop().await;
    let store = store(&database).await;
    let task = store.find(Uuid::parse_str(&id).expect("an id")).await.expect("an answer").expect("the task");
    assert_eq!(json!(task.status), "pending");
    let claims = store.claim(Uuid::new_v4(), 1, LEASE, &none()).await.expect("an answer");
    assert_eq!(claims.len(), 1, "without waiting for the lease to run out");
}

async fn a_stop_lets_plans_finish_within_the_grace_time(database: TestDatabase) {
    let planner = FakeLlm::start([good().after(Duration::from_millis(500))]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    planner.called(1).await;
    orchestrator.stop().await;
    assert_eq!(planner.calls().len(), 1);
    let task = store(&database).await.find(Uuid::parse_str(&id).expect("an id")).await.expect("an answer");
    assert_eq!(json!(task.expect("the task").status), "completed");
}

async fn a_task_waits_for_its_planner_until_its_time_is_up(database: TestDatabase) {
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let budget = json!({ "max_time_seconds": 3 });
    let began = Instant::now();
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it", "budget": budget })).await;
    let waiting = |task: &serde_json::Value| task["status"] == "pending" && task["error"].is_string();
    let task = orchestrator.api.task_when(&id, |task| waiting(task) || task["status"] == "failed").await;
    assert_eq!(task["status"], "pending", "it is tried again");
    let task = orchestrator.api.ended(&id).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    let error = task["error"].as_str().expect("a reason");
    let used_up = "the time budget of 3 s was used up before there was a plan; ";
    assert!(error.starts_with(used_up) && error.contains("the planner arm"), "{error}");
    assert_eq!(task["status"], "failed");
}

async fn a_task_that_was_not_started_in_time_fails(database: TestDatabase) {
    let task = task(r#"{"goal": "Fix it", "budget": {"max_time_seconds": 1}}"#);
    let (store, id) = (store(&database).await, Uuid::new_v4());
    store.insert(id, &task, None).await.expect("stored");
    let reason = "nobody had time";
    assert_eq!(store.expire(reason, &none()).await.expect("an answer"), 0, "its time is not up yet");
    until(async || match store.expire(reason, &none()).await.expect("an answer") {
        1 => Ok(()),
        other => Err(other),
    })
    .await;
    assert!(store.claim(Uuid::new_v4(), 1, LEASE, &none()).await.expect("an answer").is_empty());
    let planner = TestApp::embedded().await;
    let orchestrator = TestOrchestrator::start(&database, &planner.url("")).await;
    let task = orchestrator.api.task(&id.to_string()).await;
    assert_eq!(task["error"], "the time budget of 1 s was used up before there was a plan; nobody had time");
    assert_eq!((&task["status"], &task["processing_time_ms"]), (&json!("failed"), &json!(null)));
}

async fn a_task_behind_an_open_breaker_fails_with_the_reason(database: TestDatabase) {
    let planner = FakeLlm::start([planner_problem(503, "llm_unavailable", "The LLM is down.")]).await;
    let threshold = [("PLANNER_ARM_CIRCUIT_BREAKER_THRESHOLD", "1")];
    let orchestrator = TestOrchestrator::with(&database, &planner.origin, &threshold).await;
    let first = orchestrator.api.submit(&json!({ "goal": "Open the breaker" })).await;
    orchestrator.api.task_when(&first, |task| task["error"].is_string()).await;
    let budget = json!({ "max_time_seconds": 1 });
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it", "budget": budget })).await;
    let task = orchestrator.api.ended(&id).await;
    let error = "the time budget of 1 s was used up before there was a plan; \
                 the planner arm is unavailable: The LLM is down";
    assert_eq!((&task["status"], &task["error"]), (&json!("failed"), &json!(error)));
    assert_eq!(planner.calls().len(), 1, "the breaker is open");
}

async fn time_without_an_orchestrator_does_not_count(database: TestDatabase) {
    let (store, pending, half_done) = (store(&database).await, Uuid::new_v4(), Uuid::new_v4());
    let task = task(r#"{"goal": "Fix it", "budget": {"max_time_seconds": 60}}"#);
    store.insert(half_done, &task, None).await.expect("stored");
    let claims = store.claim(Uuid::new_v4(), 1, Duration::from_millis(100), &none()).await.expect("claimed");
    assert_eq!(claims.len(), 1);
    store.insert(pending, &task, None).await.expect("stored");
    // Nobody is there for an hour.
    database.make_older(3_600).await;
    let planner = TestApp::embedded().await;
    let orchestrator = TestOrchestrator::start(&database, &planner.url("")).await;
    for id in [pending, half_done] {
        let task = orchestrator.api.ended(&id.to_string()).await;
        assert_eq!(task["status"], "completed", "{task}");
    }
}

async fn starts_extend_no_budget_and_shorten_no_wait(database: TestDatabase) {
    let (store, id) = (store(&database).await, Uuid::new_v4());
    store.insert(id, &task(r#"{"goal": "Fix it"}"#), None).await.expect("stored");
    let claim = store.claim(Uuid::new_v4(), 1, LEASE, &none()).await.expect("claimed").remove(0);
    let wait = TaskOutcome::Postponed(Duration::from_secs(50), Some("the planner is down".into()));
    assert!(store.finish(&claim, &wait).await.expect("stored"));
    let interval = Duration::from_secs(1);
    for _ in 0..20 {
        assert_eq!(store.begin_run(interval).await.expect("an answer"), 0);
    }
    assert_eq!(database.budget_seconds().await, 300);
    assert!(store.claim(Uuid::new_v4(), 1, LEASE, &none()).await.expect("an answer").is_empty());
    // Every start costs a second, however long nobody was there.
    for downtime in 1..=3 {
        database.make_older(60).await;
        assert_eq!(store.begin_run(interval).await.expect("an answer"), 1);
        let budget = database.budget_seconds().await;
        assert!((300 + 59 * downtime..=300 + 59 * downtime + 1).contains(&budget), "{budget}");
    }
    // While it runs, time counts.
    store.record_heartbeat().await.expect("recorded");
    assert_eq!(store.begin_run(interval).await.expect("an answer"), 0);
}

async fn a_slow_probe_delays_the_others(database: TestDatabase) {
    let planner = FakeLlm::start([Reply::status(503), Reply::Never]).await;
    let settings = [
        ("PLANNER_ARM_CIRCUIT_BREAKER_THRESHOLD", "1"),
        ("PLANNER_ARM_CIRCUIT_BREAKER_RESET_TIMEOUT", "1"),
        ("PLANNER_ARM_MAX_RETRIES", "1"),
    ];
    let orchestrator = TestOrchestrator::with(&database, &planner.origin, &settings).await;
    let first = orchestrator.api.submit(&json!({ "goal": "Open the breaker" })).await;
    orchestrator.api.task_when(&first, |task| task["error"].is_string()).await;
    for number in 0..20 {
        orchestrator.api.submit(&json!({ "goal": format!("Wait {number}") })).await;
    }
    until(async || match planner.calls().len() {
        2 => Ok(()),
        calls => Err(calls),
    })
    .await;
    // Some rounds of the worker, in each of which it could claim, and put off again, one after the other.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(planner.calls().len(), 2, "the probe is under way all the time");
    let claims = database.count("SELECT CAST(sum(claims) AS bigint) FROM tasks").await;
    assert!(claims <= 8, "one to open it, one for the probe, and hardly more: {claims}");
}

async fn a_wrong_token_is_retried(database: TestDatabase) {
    let planner = FakeLlm::start([planner_problem(401, "unauthorized", "Wrong token."), good()]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    let task = orchestrator.api.task_when(&id, |task| task["error"].is_string()).await;
    assert_eq!(task["error"], "the planner arm refused the request (unauthorized): Wrong token");
    assert_eq!(orchestrator.api.ended(&id).await["status"], "completed");
}

async fn several_orchestrators_can_start_at_once(database: TestDatabase) {
    let starts = (0..4).map(|_| {
        let url = database.url.clone();
        tokio::spawn(async move { Store::connect(&url.parse().expect("a database")).await.map(drop) })
    });
    for start in starts.collect::<Vec<_>>() {
        assert_eq!(start.await.expect("no panic"), Ok(()));
    }
}
