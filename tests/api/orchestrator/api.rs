//! What the orchestrator's API takes, what it refuses, and how it says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{header, problem};

use super::support::{NOBODY, TestDatabase, TestOrchestrator, on_each_database};

on_each_database!(a_task_at_every_limit_is_stored, a_task_that_breaks_a_rule_is_refused_with_all_its_faults);

/// An orchestrator whose planner is not there.
async fn orchestrator(database: &TestDatabase) -> TestOrchestrator {
    TestOrchestrator::start(database, NOBODY).await
}

async fn a_task_at_every_limit_is_stored(database: TestDatabase) {
    let orchestrator = orchestrator(&database).await;
    let long = |chars: usize| "é".repeat(chars);
    let constraints: serde_json::Map<String, Value> =
        (0..100).map(|number| (format!("c{number}"), json!(long(1_995)))).collect();
    let criteria: Vec<String> = (0..60).map(|_| long(3_000)).collect();
    let task = json!({
        "goal": long(10_000), "constraints": constraints, "context": long(50_000),
        "acceptance_criteria": criteria, "priority": "critical", "assigned_arm": long(100),
        "budget": { "max_tokens": 100_000, "max_time_seconds": 3_600, "max_cost_usd": 100 },
        "metadata": { "deep": [[[[{ "a": [null, true, 1.5e300, -0.0, "\u{10ffff}"] }]]]] },
    });
    let id = orchestrator.api.submit(&task).await;
    assert_eq!(orchestrator.api.task(&id).await["goal"], task["goal"]);
    let least =
        json!({ "goal": "g", "budget": { "max_tokens": 1.0, "max_time_seconds": 1, "max_cost_usd": 0 } });
    orchestrator.api.submit(&least).await;
    let nulls = json!({
        "goal": "g", "constraints": null, "context": null, "acceptance_criteria": null, "budget": null,
        "priority": null, "assigned_arm": null, "metadata": null,
    });
    orchestrator.api.submit(&nulls).await;
    orchestrator.api.submit(&json!({ "goal": "g", "budget": { "max_tokens": null } })).await;
}

async fn a_task_that_breaks_a_rule_is_refused_with_all_its_faults(database: TestDatabase) {
    let orchestrator = orchestrator(&database).await;
    for (task, faults) in [
        (json!({}), &[("goal", "is required")][..]),
        (json!({ "goal": null }), &[("goal", "is required")]),
        (json!({ "goal": " \n" }), &[("goal", "must be 1 to 10,000 characters long and not blank")]),
        (
            json!({ "goal": "g".repeat(10_001) }),
            &[("goal", "must be 1 to 10,000 characters long and not blank")],
        ),
        (
            json!({ "goal": 1, "constraints": [], "context": {}, "acceptance_criteria": {}, "budget": 1,
                    "priority": 2, "assigned_arm": true, "metadata": "x" }),
            &[
                ("acceptance_criteria", "must be an array of strings, not an object"),
                ("assigned_arm", "must be a string, not a boolean"),
                ("budget", "must be an object, not a number"),
                ("constraints", "must be an object, not an array"),
                ("context", "must be a string, not an object"),
                ("goal", "must be a string, not a number"),
                ("metadata", "must be an object, not a string"),
                ("priority", "must be a string, not a number"),
            ],
        ),
        (
            json!({ "goal": "g", "budget": { "max_tokens": 100_001, "max_time_seconds": 0.5, "max_cost_usd": -1 } }),
            &[
                ("budget.max_cost_usd", "must be from 0 to 100"),
                ("budget.max_time_seconds", "must be from 1 to 3600"),
                ("budget.max_tokens", "must be from 1 to 100000"),
            ],
        ),
        (
            json!({ "goal": "g", "budget": { "max_tokens": "5", "max_time_seconds": 1.5, "max_cost_usd": true } }),
            &[
                ("budget.max_cost_usd", "must be a number, not a boolean"),
                ("budget.max_time_seconds", "must be a whole number"),
                ("budget.max_tokens", "must be a whole number, not a string"),
            ],
        ),
        (
            json!({ "goal": "g", "priority": "HIGH" }),
            &[("priority", "must be one of low, medium, high, critical")],
        ),
        (
            json!({ "goal": "g", "context": "c".repeat(50_001), "assigned_arm": " " }),
            &[
                ("assigned_arm", "must be 1 to 100 characters long and not blank"),
                ("context", "must be at most 50,000 characters long"),
            ],
        ),
        (
            json!({ "goal": "g", "acceptance_criteria": ["ok", " ", 1] }),
            &[
                ("acceptance_criteria[1]", "must not be blank"),
                ("acceptance_criteria[2]", "must be a string, not a number"),
            ],
        ),
        (
            json!({ "goal": "g", "constraints": { "a": "c".repeat(40_000) },
                    "acceptance_criteria": ["c".repeat(30_000)], "context": "cut to nothing" }),
            &[(
                "constraints",
                "must not, together with acceptance_criteria, exceed 50 entries of 2,000 characters by more than 64 KiB",
            )],
        ),
        (
            json!({ "goal": "a\u{0}", "constraints": { "a": [{ "\u{0}": 1 }] }, "context": "\u{0}",
                    "acceptance_criteria": ["a\u{0}"], "assigned_arm": "a\u{0}", "metadata": { "a": ["\u{0}"] } }),
            &[
                ("acceptance_criteria[0]", "must not contain the character U+0000"),
                ("assigned_arm", "must not contain the character U+0000"),
                ("constraints", "must not contain the character U+0000"),
                ("context", "must not contain the character U+0000"),
                ("goal", "must not contain the character U+0000"),
                ("metadata", "must not contain the character U+0000"),
            ],
        ),
    ] {
        let (status, refused) = problem(orchestrator.api.post(&task).await).await;
        let expected: Vec<Value> =
            faults.iter().map(|(field, message)| json!({ "field": field, "message": message })).collect();
        assert_eq!((status, &refused["code"]), (422, &json!("invalid_request")), "{refused}");
        assert_eq!(refused["errors"], json!(expected));
    }
    assert_eq!(database.count("SELECT count(*) FROM tasks").await, 0);
}

#[tokio::test]
async fn a_body_that_is_no_task_is_refused() {
    let database = TestDatabase::sqlite();
    let orchestrator = orchestrator(&database).await;
    let json = Some("application/json");
    for (content_type, body, status, code, what) in [
        (json, "", 422, "invalid_request", "is empty; send a JSON object with a goal"),
        (json, "{\"goal\": ", 422, "invalid_request", "is not valid JSON (line 1, column 9)"),
        (json, "[]", 422, "invalid_request", "is an array; send a JSON object"),
        (json, "{\"goal\": \"\\ud800\"}", 422, "invalid_request", "is not valid JSON"),
        (json, &"[".repeat(10_000), 422, "invalid_request", "is nested deeper than 128 levels"),
        (Some("text/xml"), "<goal/>", 415, "unsupported_media_type", "Content-Type: application/json"),
        (json, &" ".repeat(1024 * 1024 + 1), 413, "payload_too_large", "over 1 MiB"),
    ] {
        let (found, refused) = problem(orchestrator.api.post_as(content_type, body).await).await;
        assert_eq!((found, refused["code"].as_str()), (status, Some(code)), "{refused}");
        assert!(refused.to_string().contains(what), "{what}: {refused}");
    }
}

#[tokio::test]
async fn only_bodies_declared_as_json_are_accepted() {
    let database = TestDatabase::sqlite();
    let orchestrator = orchestrator(&database).await;
    let goal = r#"{"goal": "Fix it"}"#;
    for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
        let response = orchestrator.api.post_as(Some(content_type), goal).await;
        assert_eq!(response.status(), 202, "{content_type:?}");
        let location = header(&response, "location").to_owned();
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(location, format!("/tasks/{}", answer["task_id"].as_str().expect("an id")));
        assert_eq!(answer.as_object().expect("an object").len(), 3, "{answer}");
        assert_eq!(orchestrator.api.get(&location).await.status(), 200);
    }
    // What a form on any website can send, and what curl declares unasked.
    for content_type in
        [None, Some("application/x-www-form-urlencoded"), Some("text/plain"), Some("multipart/form-data")]
    {
        let (status, refused) = problem(orchestrator.api.post_as(content_type, goal).await).await;
        assert_eq!((status, &refused["code"]), (415, &json!("unsupported_media_type")), "{content_type:?}");
    }
    assert_eq!(database.count("SELECT count(*) FROM tasks").await, 2);
}

#[tokio::test]
async fn unknown_paths_and_tasks_are_not_found() {
    let database = TestDatabase::sqlite();
    let orchestrator = orchestrator(&database).await;
    for path in [
        "/tasks/7c74842f-69f8-41b3-9a91-f96d6943bcc3",
        "/tasks/17",
        "/tasks/not-an-id",
        "/tasks/%00",
        "/tasks/%ff",
        "/tasks/",
        "/plan",
        "/page/none.js",
    ] {
        let (status, refused) = problem(orchestrator.api.get(path).await).await;
        assert_eq!((status, refused["code"].as_str()), (404, Some("not_found")), "{path}: {refused}");
    }
    let (status, refused) = problem(orchestrator.api.get("/submit").await).await;
    assert_eq!((status, refused["code"].as_str()), (405, Some("method_not_allowed")), "{refused}");
}

#[tokio::test]
async fn health_readiness_and_metrics_answer_from_the_start() {
    let database = TestDatabase::sqlite();
    let orchestrator = orchestrator(&database).await;
    let health: Value = orchestrator.api.get("/health").await.json().await.expect("JSON");
    assert_eq!(
        (&health["status"], &health["version"]),
        (&json!("healthy"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let response = orchestrator.api.get("/ready").await;
    assert_eq!(response.status(), 200);
    let ready: Value = response.json().await.expect("JSON");
    assert_eq!(ready["checks"], json!({ "database": true, "planner_arm": false, "serving": true }));
    let metrics = orchestrator.api.get("/metrics").await.text().await.expect("metrics");
    for name in [
        "orchestrator_tasks_submitted_total 0",
        "orchestrator_tasks_finished_total{status=\"completed\"} 0",
        "orchestrator_tasks_finished_total{status=\"failed\"} 0",
        "orchestrator_tasks_finished_total{status=\"cancelled\"} 0",
        "orchestrator_tasks_waiting 0",
        "orchestrator_tasks_in_progress 0",
        "planner_client_requests_total{outcome=\"ok\"} 0",
        "planner_client_breaker_state 0",
    ] {
        assert!(metrics.contains(&format!("\n{name}\n")), "{name}\n{metrics}");
    }
}

#[tokio::test]
async fn a_planner_that_hangs_does_not_hang_readiness() {
    let database = TestDatabase::sqlite();
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", hanging.local_addr().expect("an address"));
    let orchestrator = TestOrchestrator::start(&database, &origin).await;
    let began = std::time::Instant::now();
    assert_eq!(orchestrator.api.get("/ready").await.status(), 200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}, where a planner has 400 ms", began.elapsed());
}

#[tokio::test]
async fn many_tasks_at_once_are_all_stored() {
    let database = TestDatabase::sqlite();
    let orchestrator = orchestrator(&database).await;
    let submits = (0..300).map(|number| {
        let api = orchestrator.api.clone();
        tokio::spawn(async move { api.submit(&json!({ "goal": format!("Task {number}") })).await })
    });
    let mut ids = std::collections::HashSet::new();
    for submit in submits.collect::<Vec<_>>() {
        ids.insert(submit.await.expect("accepted"));
    }
    assert_eq!(ids.len(), 300);
    assert_eq!(database.count("SELECT count(*) FROM tasks").await, 300);
}

#[tokio::test]
async fn a_short_request_with_countless_faults_has_a_short_answer() {
    let database = TestDatabase::sqlite();
    let orchestrator = orchestrator(&database).await;
    for body in [
        format!(r#"{{"goal": "g", "acceptance_criteria": [{}1]}}"#, "1,".repeat(400_000)),
        format!(r#"{{"goal": "g", "acceptance_criteria": [{}""]}}"#, "\"\",".repeat(300_000)),
    ] {
        let response = orchestrator.api.post_as(Some("application/json"), &body).await;
        assert_eq!(response.status(), 422);
        let answer = response.bytes().await.expect("a body");
        assert!(answer.len() < 20_000, "{} bytes", answer.len());
        let refused: Value = serde_json::from_slice(&answer).expect("JSON");
        let errors = refused["errors"].as_array().expect("faults");
        assert_eq!((errors.len(), &errors[100]["message"]), (101, &json!("has more faults than these")));
    }
}

#[tokio::test]
async fn every_fault_of_a_field_is_named() {
    let database = TestDatabase::sqlite();
    let orchestrator = orchestrator(&database).await;
    let goal = format!("\0{}", "g".repeat(10_000));
    let (_, refused) = problem(orchestrator.api.post(&json!({ "goal": goal })).await).await;
    assert_eq!(refused["errors"].as_array().map(Vec::len), Some(2), "{refused}");
}
