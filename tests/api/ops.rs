//! What operators and orchestrators ask: health, readiness, metrics, capabilities, documentation.

use http::StatusCode;
use planner_arm::service::PlannerService;
use serde_json::{Value, json};

use crate::process::Process;
use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of, settings};

#[tokio::test]
async fn health_says_version_and_model_whatever_the_llm_does() {
    let llm = FakeLlm::start([Reply::status(500)]).await;
    let app =
        TestApp::with_llm(&llm, &[("PLANNER_LLM_MODEL", "fake-1"), ("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
    app.plan(&json!({"goal": "g"})).await;
    let health = json_of(app.get("/health").await).await;
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["model"], "fake-1");
    let timestamp = health["timestamp"].as_str().expect("a time");
    assert!(humantime::parse_rfc3339(timestamp).is_ok(), "{timestamp}");
    assert_eq!(json_of(TestApp::embedded().await.get("/health").await).await["model"], "embedded");
}

#[tokio::test]
async fn an_llm_outage_affects_readiness_only_when_required() {
    for (required, status) in [("false", 200), ("true", 503)] {
        let llm = FakeLlm::start([Reply::status(500)]).await;
        let more = [
            ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
            ("PLANNER_LLM_BREAKER_THRESHOLD", "1"),
            ("PLANNER_READY_REQUIRES_LLM", required),
        ];
        let app = TestApp::with_llm(&llm, &more).await;
        assert_eq!(json_of(app.get("/ready").await).await["checks"]["llm"], json!(true));
        app.plan(&json!({"goal": "g"})).await;
        let response = app.get("/ready").await;
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "content-type"), "application/json");
        let ready = json_of(response).await;
        assert_eq!(ready["ready"], json!(status == 200));
        assert_eq!(ready["checks"]["llm"], json!(false));
        assert_eq!(ready["checks"]["config"], json!(true));
    }
}

#[tokio::test]
async fn a_replica_is_not_ready_before_it_serves() {
    let settings = settings(&[("PLANNER_ENGINE", "embedded")]).expect("settings");
    let app = PlannerService::from_settings(&settings).expect("an application");
    let router = planner_arm::app::router(app);
    let request = http::Request::get("/ready").body(axum::body::Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(router, request).await.expect("an answer");
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn probes_are_not_logged_at_info() {
    let process = Process::start(&[("PLANNER_ENGINE", "embedded")]).await;
    for path in ["/health", "/ready", "/metrics", "/arms"] {
        let response = reqwest::get(format!("{}{path}", process.url)).await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
    }
    let (_, lines) = process.stop().await;
    let logged: Vec<&Value> =
        lines.iter().map(|line| &line["route"]).filter(|route| !route.is_null()).collect();
    assert_eq!(logged, ["/arms"]);
}

#[tokio::test]
async fn capabilities_have_defaults_until_plans_were_made() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let usual = json_of(app.get("/capabilities").await).await;
    assert_eq!(
        usual,
        json!({
            "arm_id": "planner",
            "capabilities": ["planning", "task_decomposition", "dependency_resolution", "arm_selection"],
            "cost_tier": 2, "average_latency_ms": 1500, "success_rate": 0.92,
        })
    );
    for _ in 0..19 {
        app.planned(&json!({"goal": "g"})).await;
    }
    // A caller's own fault is no experience.
    app.refused(&json!({"goal": ""})).await;
    assert_eq!(json_of(app.get("/capabilities").await).await, usual);
    app.planned(&json!({"goal": "g"})).await;
    let own = json_of(app.get("/capabilities").await).await;
    assert_eq!(own["success_rate"], json!(1.0));
    assert!(own["average_latency_ms"].as_u64().is_some_and(|ms| ms < 1_500), "{own}");
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let llm = FakeLlm::start([Reply::status(500), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MODEL", "fake-1")]).await;
    app.planned(&json!({"goal": "g"})).await;
    app.refused(&json!({"goal": ""})).await;
    app.get("/nothing/secret").await;
    for (name, value) in [
        ("planner_plan_requests_total{outcome=\"ok\"}", 1.0),
        ("planner_plan_requests_total{outcome=\"invalid_request\"}", 1.0),
        ("planner_plan_duration_seconds_count{outcome=\"ok\"}", 1.0),
        ("planner_plans_in_flight", 0.0),
        ("planner_plans_in_flight_limit", 1024.0),
        ("planner_plan_steps_sum", 5.0),
        ("planner_llm_calls_total{model=\"fake-1\",outcome=\"ok\"}", 1.0),
        ("planner_llm_calls_total{model=\"fake-1\",outcome=\"server_error\"}", 1.0),
        ("planner_llm_call_duration_seconds_count{model=\"fake-1\"}", 2.0),
        ("planner_http_requests_total{method=\"POST\",route=\"/plan\",status=\"200\"}", 1.0),
        ("planner_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}", 1.0),
        ("planner_http_request_duration_seconds_count{method=\"POST\",route=\"/plan\"}", 2.0),
        (concat!("planner_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert!((app.metric(name).await - value).abs() < 1e-9, "{name}: {}", app.metric(name).await);
    }
    let response = app.get("/metrics").await;
    assert_eq!(header(&response, "content-type"), "text/plain; version=0.0.4");
    let text = response.text().await.expect("text");
    assert!(text.contains("\nplanner_plan_requests_total{outcome=\"overloaded\"} 0\n"), "before the first");
    assert!(!text.contains("secret"), "no raw path in a label");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
    }
}

#[tokio::test]
async fn the_documentation_page_needs_nothing_from_outside() {
    let app = TestApp::embedded().await;
    let response = app.get("/docs").await;
    assert_eq!(
        (response.status(), header(&response, "content-type")),
        (StatusCode::OK, "text/html; charset=utf-8")
    );
    assert_guarded(&response);
    let page = response.text().await.expect("a page");
    assert!(!page.contains("://"), "{page}");
    let assets: Vec<&str> = page.split(['"', '\'']).filter(|part| part.starts_with("docs/")).collect();
    assert_eq!(assets.len(), 6, "{page}");
    for asset in assets {
        let response = app.get(&format!("/{asset}")).await;
        assert_eq!(response.status(), 200, "{asset}");
        assert_guarded(&response);
        assert!(!response.bytes().await.expect("a body").is_empty(), "{asset}");
    }
}

/// That a page or a part of it runs nothing from elsewhere, cannot be framed and sends no referrer.
fn assert_guarded(response: &reqwest::Response) {
    let policy: Vec<&str> = header(response, "content-security-policy").split("; ").collect();
    for rule in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
        assert!(policy.contains(&rule), "{rule} in {policy:?}");
    }
    assert!(
        !policy.iter().any(|rule| rule.starts_with("script-src")),
        "scripts of its own alone: {policy:?}"
    );
    assert_eq!(header(response, "x-content-type-options"), "nosniff");
    assert_eq!(header(response, "referrer-policy"), "no-referrer");
}

#[tokio::test]
async fn no_response_can_be_rendered_as_a_page() {
    let app = TestApp::embedded().await;
    for path in ["/health", "/metrics", "/openapi.json", "/<script>"] {
        assert_eq!(header(&app.get(path).await, "x-content-type-options"), "nosniff", "{path}");
    }
    let plan = app.plan(&json!({"goal": "<script>alert(1)</script> Review the page"})).await;
    assert_eq!(header(&plan, "content-type"), "application/json");
    assert_eq!(header(&plan, "x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let app = TestApp::embedded().await;
    for path in ["/health", "/ready", "/metrics"] {
        let response = app.client.head(app.url(path)).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.bytes().await.expect("a body").is_empty(), "{path}");
    }
}
