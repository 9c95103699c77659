//! Tasks submitted twice, listed, cancelled; and which web pages may do that.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, header, json_of, planner_answer, problem, until};

use super::support::{Api, NOBODY, TestDatabase, TestOrchestrator, on_each_database, settings};

on_each_database!(
    a_task_submitted_twice_under_one_key_is_one_task,
    simultaneous_submissions_under_one_key_are_one_task,
    a_key_outlives_the_orchestrator_and_the_task,
    tasks_are_listed_newest_first_page_by_page,
    tasks_are_listed_by_status,
    a_waiting_task_is_cancelled_at_once,
    a_task_in_progress_is_abandoned,
    a_task_in_progress_elsewhere_is_abandoned,
    a_task_that_has_ended_is_not_cancelled,
);

fn good() -> Reply {
    Reply::Body("application/json", planner_answer().to_string())
}

async fn submit_as(api: &Api, key: &str, body: &Value) -> (u16, Value) {
    let response = api.post_with("/submit", &[("Idempotency-Key", key)], body).await;
    (response.status().as_u16(), json_of(response).await)
}

async fn a_task_submitted_twice_under_one_key_is_one_task(database: TestDatabase) {
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let api = &orchestrator.api;
    let task = json!({ "goal": "Fix it", "constraints": { "a": 1, "b": 2 } });
    let first = api.post_with("/submit", &[("Idempotency-Key", "order-17")], &task).await;
    let (status, location) = (first.status(), header(&first, "location").to_owned());
    let first = json_of(first).await;
    let again = api.post_with("/submit", &[("Idempotency-Key", "order-17")], &task).await;
    assert_eq!((again.status(), header(&again, "location")), (status, location.as_str()));
    assert_eq!(json_of(again).await, first);
    // The same task, written in another way.
    let same = json!({ "metadata": null, "constraints": { "b": 2, "a": 1 }, "goal": "Fix it", "priority": "medium" });
    assert_eq!(submit_as(api, "order-17", &same).await, (202, first.clone()));
    for other in [json!({ "goal": "Fix it" }), json!({ "goal": "Fix it", "constraints": { "a": 1, "b": 3 } })]
    {
        let response = api.post_with("/submit", &[("Idempotency-Key", "order-17")], &other).await;
        let (status, refused) = problem(response).await;
        assert_eq!((status, &refused["code"]), (422, &json!("invalid_request")), "{refused}");
        assert_eq!(refused["errors"][0]["field"], "Idempotency-Key", "{refused}");
    }
    // Another key, or none, is another task.
    assert_ne!(submit_as(api, "order-18", &task).await.1["task_id"], first["task_id"]);
    assert_ne!(api.submit(&task).await, api.submit(&task).await);
    assert_eq!(database.count("SELECT count(*) FROM tasks").await, 4);
    assert!((api.metric("orchestrator_tasks_submitted_total").await - 4.0).abs() < 0.1);
}

async fn simultaneous_submissions_under_one_key_are_one_task(database: TestDatabase) {
    let planner = FakeLlm::start([good()]).await;
    let one = TestOrchestrator::start(&database, &planner.origin).await;
    let two = TestOrchestrator::start(&database, &planner.origin).await;
    let submits = (0..40).map(|number| {
        let api = if number % 2 == 0 { &one.api } else { &two.api }.clone();
        tokio::spawn(async move { submit_as(&api, "once", &json!({ "goal": "Fix it" })).await })
    });
    let mut ids = std::collections::BTreeSet::new();
    for submit in submits.collect::<Vec<_>>() {
        let (status, answer) = submit.await.expect("no panic");
        assert_eq!(status, 202, "{answer}");
        ids.insert(answer["task_id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let id = ids.first().expect("one");
    assert_eq!(one.api.ended(id).await["status"], "completed");
    assert_eq!(planner.calls().len(), 1);
}

async fn a_key_outlives_the_orchestrator_and_the_task(database: TestDatabase) {
    let planner = FakeLlm::start([good()]).await;
    let goal = json!({ "goal": "Fix it" });
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let (_, first) = submit_as(&orchestrator.api, "k", &goal).await;
    orchestrator.api.ended(first["task_id"].as_str().expect("an id")).await;
    orchestrator.stop().await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    assert_eq!(submit_as(&orchestrator.api, "k", &goal).await, (202, first));
    assert_eq!(planner.calls().len(), 1);
}

#[tokio::test]
async fn a_key_that_breaks_a_rule_is_reported_with_the_faults_of_the_body() {
    let database = TestDatabase::sqlite();
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let long = "k".repeat(256);
    for headers in [
        &[("Idempotency-Key", "")][..],
        &[("Idempotency-Key", long.as_str())],
        &[("Idempotency-Key", "schlüssel")],
        &[("Idempotency-Key", "a"), ("Idempotency-Key", "a")],
    ] {
        let response = orchestrator.api.post_with("/submit", headers, &json!({})).await;
        let (status, refused) = problem(response).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("Idempotency-Key")), "{refused}");
        assert_eq!(refused["errors"][1]["field"], "goal", "{refused}");
    }
    let longest = "k".repeat(255);
    assert_eq!(submit_as(&orchestrator.api, &longest, &json!({ "goal": "g" })).await.0, 202);
}

async fn list(api: &Api, query: &str) -> Value {
    let response = api.get(&format!("/tasks{query}")).await;
    assert_eq!(response.status(), 200, "{query}");
    json_of(response).await
}

fn ids(list: &Value) -> Vec<String> {
    let tasks = list["tasks"].as_array().expect("tasks");
    tasks.iter().map(|task| task["task_id"].as_str().expect("an id").to_owned()).collect()
}

async fn tasks_are_listed_newest_first_page_by_page(database: TestDatabase) {
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let api = &orchestrator.api;
    assert_eq!(list(api, "").await, json!({ "tasks": [], "next": null }));
    let mut submitted = Vec::new();
    for number in 0..7 {
        submitted.push(api.submit(&json!({ "goal": format!("Task {number}") })).await);
    }
    // As if all had come in the same moment: each is listed once all the same.
    database
        .execute("UPDATE tasks SET created_at = (SELECT min(created_at) FROM tasks) WHERE goal > 'Task 3'")
        .await;
    let all = ids(&list(api, "?status=&limit=&after=").await);
    assert_eq!(all.len(), 7);
    let oldest_first: Vec<&String> = all.iter().rev().collect();
    assert_eq!(oldest_first[4..], submitted[1..4].iter().collect::<Vec<_>>()[..], "newest first");

    let (mut paged, mut query) = (Vec::new(), "?limit=3".to_owned());
    for pages_left in (0..3).rev() {
        let page = list(api, &query).await;
        paged.extend(ids(&page));
        // Tasks that come meanwhile move nothing.
        api.submit(&json!({ "goal": "Later" })).await;
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=3&after={next}"),
            None => assert_eq!(pages_left, 0, "{page}"),
        }
    }
    assert_eq!(paged, all);
    let last = all.last().expect("a task");
    assert_eq!(list(api, &format!("?after={last}")).await, json!({ "tasks": [], "next": null }));
}

async fn tasks_are_listed_by_status(database: TestDatabase) {
    let planner =
        FakeLlm::start([good(), crate::support::planner_problem(500, "plan_invalid", "Not valid.")]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let api = &orchestrator.api;
    let complete = api.submit(&json!({ "goal": "Plan it" })).await;
    api.ended(&complete).await;
    let failed = api.submit(&json!({ "goal": "Plan that", "priority": "high" })).await;
    api.ended(&failed).await;
    let kept = api.submit(&json!({ "goal": "Keep it", "assigned_arm": "coder" })).await;
    for (query, expected) in [
        ("?status=completed", vec![&complete]),
        ("?status=failed", vec![&failed]),
        ("?status=pending", vec![&kept]),
        ("?status=processing", vec![]),
        ("?status=pending,completed", vec![&kept, &complete]),
        ("", vec![&kept, &failed, &complete]),
    ] {
        assert_eq!(ids(&list(api, query).await).iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let all = list(api, "").await;
    let of = |index: usize, field: &str| all["tasks"][index][field].clone();
    assert_eq!((of(2, "steps"), of(2, "goal"), of(2, "error")), (json!(5), json!("Plan it"), Value::Null));
    assert!(of(1, "error").as_str().is_some_and(|error| error.contains("Not valid")), "{all}");
    assert_eq!((of(1, "priority"), of(1, "steps")), (json!("high"), Value::Null));
    assert_eq!((of(0, "assigned_arm"), of(0, "priority")), (json!("coder"), json!("medium")));
    for field in ["created_at", "updated_at", "processing_time_ms"] {
        assert_eq!(of(2, field), api.task(&complete).await[field], "{field}");
    }
}

#[tokio::test]
async fn every_fault_of_a_list_is_reported() {
    let database = TestDatabase::sqlite();
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let (status, refused) = problem(orchestrator.api.get("/tasks?status=done&limit=0&after=x").await).await;
    assert_eq!((status, &refused["code"]), (422, &json!("invalid_request")));
    assert_eq!(
        refused["errors"],
        json!([
            { "field": "after", "message": "must be the id of a task, such as `next` of the previous page" },
            { "field": "limit", "message": "must be a whole number from 1 to 200" },
            { "field": "status", "message": "must be one of pending, processing, completed, failed, cancelled, or several of them separated by commas" },
        ])
    );
    let unknown = "/tasks?after=7c74842f-69f8-41b3-9a91-f96d6943bcc3";
    let (status, refused) = problem(orchestrator.api.get(unknown).await).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("after")), "{refused}");
}

async fn a_waiting_task_is_cancelled_at_once(database: TestDatabase) {
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let api = &orchestrator.api;
    let kept = api.submit(&json!({ "goal": "Keep it", "assigned_arm": "coder" })).await;
    let waiting = api.submit(&json!({ "goal": "Fix it" })).await;
    api.task_when(&waiting, |task| task["status"] == "pending" && task["error"].is_string()).await;
    for id in [&kept, &waiting] {
        let response = api.cancel(id).await;
        assert_eq!(response.status(), 200);
        let task = json_of(response).await;
        assert_eq!(
            (&task["status"], &task["error"], &task["task_id"]),
            (&json!("cancelled"), &Value::Null, &json!(id))
        );
        assert_eq!(api.task(id).await, task);
        // Again: it is as it was.
        let response = api.cancel(id).await;
        assert_eq!((response.status().as_u16(), json_of(response).await), (200, task));
    }
    let open = "SELECT count(*) FROM tasks WHERE due_at IS NOT NULL";
    assert_eq!(database.count(open).await, 0, "nobody claims them");
    assert!((api.metric("orchestrator_tasks_finished_total{status=\"cancelled\"}").await - 2.0).abs() < 0.1);
}

/// Waits until the planner's caller has disconnected and nothing is in progress; how long that took.
async fn abandoned(api: &Api) -> Duration {
    let began = Instant::now();
    until(async || {
        let in_progress = api.metric("orchestrator_tasks_in_progress").await;
        if in_progress < 0.5 { Ok(()) } else { Err(in_progress) }
    })
    .await;
    began.elapsed()
}

async fn a_task_in_progress_is_abandoned(database: TestDatabase) {
    let planner = FakeLlm::start([good().after(Duration::from_secs(8))]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let api = &orchestrator.api;
    let id = api.submit(&json!({ "goal": "Fix it" })).await;
    planner.called(1).await;
    assert_eq!(json_of(api.cancel(&id).await).await["status"], "cancelled");
    let took = abandoned(api).await;
    assert!(took < Duration::from_secs(2), "long before its lease is renewed: {took:?}");
    assert_stays_cancelled(&database, api, &id).await;
    assert_eq!(planner.calls().len(), 1);
}

async fn a_task_in_progress_elsewhere_is_abandoned(database: TestDatabase) {
    let planner = FakeLlm::start([good().after(Duration::from_secs(8))]).await;
    let working = TestOrchestrator::start(&database, &planner.origin).await;
    let id = working.api.submit(&json!({ "goal": "Fix it" })).await;
    planner.called(1).await;
    let other = TestOrchestrator::start(&database, NOBODY).await;
    assert_eq!(json_of(other.api.cancel(&id).await).await["status"], "cancelled");
    let took = abandoned(&working.api).await;
    assert!(took < Duration::from_secs(6), "when its lease would be renewed: {took:?}");
    assert_stays_cancelled(&database, &working.api, &id).await;
}

async fn assert_stays_cancelled(database: &TestDatabase, api: &Api, id: &str) {
    let task = api.task(id).await;
    assert_eq!((&task["status"], &task["result"]), (&json!("cancelled"), &Value::Null), "{task}");
    assert_eq!(database.subtasks().await, []);
}

async fn a_task_that_has_ended_is_not_cancelled(database: TestDatabase) {
    let planner = FakeLlm::start([good()]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    let ended = orchestrator.api.ended(&id).await;
    let (status, refused) = problem(orchestrator.api.cancel(&id).await).await;
    assert_eq!((status, &refused["code"]), (409, &json!("task_ended")), "{refused}");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("is completed")), "{refused}");
    assert_eq!(orchestrator.api.task(&id).await, ended);
    for unknown in ["7c74842f-69f8-41b3-9a91-f96d6943bcc3", "17", "%ff"] {
        let (status, refused) = problem(orchestrator.api.cancel(unknown).await).await;
        assert_eq!((status, &refused["code"]), (404, &json!("not_found")), "{refused}");
    }
}

#[tokio::test]
async fn pages_of_foreign_origins_may_neither_submit_nor_cancel() {
    let database = TestDatabase::sqlite();
    let allowed = [("ALLOWED_ORIGINS", "https://app.example.com")];
    let orchestrator = TestOrchestrator::with(&database, NOBODY, &allowed).await;
    let api = &orchestrator.api;
    let (goal, own) = (json!({ "goal": "Fix it" }), api.url(""));
    let id = api.submit(&goal).await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        for path in ["/submit".to_owned(), format!("/tasks/{id}/cancel")] {
            let (status, refused) = problem(api.post_with(&path, &[("origin", origin)], &goal).await).await;
            assert_eq!((status, &refused["code"]), (403, &json!("origin_not_allowed")), "{origin} {path}");
            assert!(
                refused["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.contains("ORCHESTRATOR_ALLOWED_ORIGINS"))
            );
        }
    }
    // Whoever owns a name can let it point here.
    let rebound = [("origin", "http://evil.example"), ("host", "evil.example")];
    assert_eq!(api.post_with("/submit", &rebound, &goal).await.status(), 403);
    for origin in [own.as_str(), "https://app.example.com"] {
        assert_eq!(api.post_with("/submit", &[("origin", origin)], &goal).await.status(), 202, "{origin}");
    }
    let cancel = format!("/tasks/{id}/cancel");
    assert_eq!(api.post_with(&cancel, &[("origin", &own)], &goal).await.status(), 200);
    let faults = settings(&[("ALLOWED_ORIGINS", "app.example.com")]).expect_err("no origin");
    assert!(faults[0].starts_with("ORCHESTRATOR_ALLOWED_ORIGINS has \"app.example.com\""), "{faults:?}");
}
