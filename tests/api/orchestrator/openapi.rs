//! What the orchestrator's `/openapi.json` says, held against what it does.

use serde_json::{Value, json};

use crate::contract::{dangling_references, misfits};
use crate::support::{FakeLlm, Reply, json_of, planner_answer};

use super::support::{NOBODY, TestDatabase, TestOrchestrator};

#[tokio::test]
async fn every_endpoint_is_described() {
    let database = TestDatabase::sqlite();
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let api = json_of(orchestrator.api.get("/openapi.json").await).await;
    assert!(api["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", api["openapi"]);
    assert_eq!(
        (&api["info"]["title"], &api["info"]["version"]),
        (&json!("Orchestrator"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let paths: Vec<&String> = api["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(
        paths,
        [
            "/health",
            "/metrics",
            "/openapi.json",
            "/ready",
            "/submit",
            "/tasks",
            "/tasks/{id}",
            "/tasks/{id}/cancel"
        ]
    );
    let (dangling, count) = dangling_references(&api);
    assert_eq!(dangling, Vec::<String>::new());
    assert!(count > 10, "{count}");
    for (path, item) in api["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("operations").values() {
            for (status, response) in operation["responses"].as_object().expect("responses") {
                assert!(response["headers"]["X-Request-ID"].is_object(), "{path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn answers_are_as_described() {
    let database = TestDatabase::sqlite();
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let api = &orchestrator.api;
    let description = json_of(api.get("/openapi.json").await).await;
    let id = api.submit(&json!({ "goal": "Plan it" })).await;
    api.ended(&id).await;
    let kept = api.submit(&json!({ "goal": "Keep it", "assigned_arm": "coder" })).await;
    let (task, unknown) = (format!("/tasks/{id}"), "/tasks/17".to_owned());
    let (by_id, cancelled) = ("/tasks/{id}", "/tasks/{id}/cancel");
    let key = [("Idempotency-Key", "k")];
    let responses = [
        ("/submit", "post", api.post_with("/submit", &key, &json!({ "goal": "g" })).await),
        ("/submit", "post", api.post_with("/submit", &key, &json!({ "goal": "h" })).await),
        ("/submit", "post", api.post_with("/submit", &[("origin", "null")], &json!({ "goal": "h" })).await),
        ("/submit", "post", api.post_as(None, "{}").await),
        ("/submit", "post", api.post(&json!("x".repeat(2 << 20))).await),
        ("/submit", "post", api.get("/submit").await),
        ("/tasks", "get", api.get("/tasks").await),
        ("/tasks", "get", api.get("/tasks?limit=0").await),
        (by_id, "get", api.get(&task).await),
        (by_id, "get", api.get(&unknown).await),
        (cancelled, "post", api.cancel(&kept).await),
        (cancelled, "post", api.cancel(&id).await),
        (cancelled, "post", api.cancel("17").await),
        ("/health", "get", api.get("/health").await),
        ("/ready", "get", api.get("/ready").await),
        ("/openapi.json", "get", api.get("/openapi.json").await),
    ];
    let mut statuses = Vec::new();
    for (path, method, response) in responses {
        let status = response.status().as_u16();
        let content_type = response.headers()["content-type"].to_str().expect("ASCII").to_owned();
        let described = &description["paths"][path][method]["responses"][status.to_string()];
        for name in ["location", "allow", "retry-after"] {
            if response.headers().contains_key(name) {
                let headers = described["headers"].as_object().expect("headers");
                assert!(
                    headers.keys().any(|known| known.eq_ignore_ascii_case(name)),
                    "{path} {status} {name}"
                );
            }
        }
        let schema = &described["content"][&content_type]["schema"];
        assert!(schema.is_object(), "{path} {status} {content_type}");
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(misfits(&description, schema, &body, path), Vec::<String>::new(), "{status} {body}");
        statuses.push(status);
    }
    assert_eq!(statuses, [202, 422, 403, 415, 413, 405, 200, 422, 200, 404, 200, 409, 404, 200, 200, 200]);
}

#[tokio::test]
async fn a_task_is_described_with_its_limits() {
    let database = TestDatabase::sqlite();
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let api = json_of(orchestrator.api.get("/openapi.json").await).await;
    let schemas = &api["components"]["schemas"];
    assert_eq!(schemas["Submission"]["required"], json!(["goal"]));
    assert_eq!(schemas["Budget"]["required"], Value::Null);
    let (task, budget) = (&schemas["Submission"]["properties"], &schemas["Budget"]["properties"]);
    for (field, bound, value) in [
        (&task["goal"], "maxLength", 10_000),
        (&task["context"], "maxLength", 50_000),
        (&task["assigned_arm"], "maxLength", 100),
        (&budget["max_tokens"], "maximum", 100_000),
        (&budget["max_time_seconds"], "maximum", 3_600),
        (&budget["max_cost_usd"], "maximum", 100),
    ] {
        assert_eq!(field[bound], json!(value), "{field}");
    }
    let null = |schema: &Value| {
        let nullable = |types: &Value| types.as_array().is_some_and(|types| types.contains(&json!("null")));
        let options = schema["oneOf"].as_array().into_iter().flatten();
        nullable(&schema["type"]) || options.into_iter().any(|option| option["type"] == "null")
    };
    for (name, schema) in task.as_object().expect("fields") {
        assert_eq!(null(schema), name != "goal", "{name}: {schema}");
    }
    for (name, schema) in budget.as_object().expect("fields") {
        assert!(null(schema), "{name}: {schema}");
    }
}
