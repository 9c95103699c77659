//! The HTTP API: status, headers and problems of every endpoint.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use planner_arm::app::App;
use planner_arm::lifecycle::Phase;
use planner_arm::llm::ladder::CallPolicy;
use planner_arm::llm::{BoxFuture, CallError, ChatModel, Completion, Ladder, Question};
use planner_arm::metrics::Metrics;
use planner_arm::planner::Engine;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{FakeLlm, Reply, TestApp, assert_usually_sound, good_plan, problem, settings, step};

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

async fn json_of(response: reqwest::Response) -> Value {
    response.json().await.expect("JSON")
}

#[tokio::test]
async fn a_plan_comes_with_its_origin() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MODEL", "fake-1")]).await;
    let response = app.plan(&json!({"goal": "Fix authentication bug and add tests"})).await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-planner-engine", "openai"),
        ("x-planner-model", "fake-1"),
        ("x-planner-cache", "off"),
        ("x-planner-attempts", "1"),
        ("x-planner-repairs", "0"),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    let mut plan = json_of(response).await;
    let keys: Vec<&String> = plan.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["complexity_score", "confidence", "plan", "rationale", "total_estimated_duration"]);
    plan.as_object_mut()
        .expect("an object")
        .retain(|key, _| ["plan", "rationale", "confidence"].contains(&key.as_str()));
    assert_eq!(plan, good_plan());
}

#[tokio::test]
async fn extras_come_when_asked_for() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let plan =
        json_of(app.plan_at("/plan?include=schedule,usage,repairs,id", &json!({"goal": "g"})).await).await;
    assert_eq!(
        plan["schedule"],
        json!({"levels": [[1], [2, 3], [4], [5]], "critical_path": [1, 2, 4, 5], "critical_path_seconds": 200})
    );
    assert_eq!(
        plan["usage"],
        json!({"model": "gpt-3.5-turbo", "attempts": 1, "prompt_tokens": 420, "completion_tokens": 510, "cost_usd": null})
    );
    assert_eq!(plan["repairs"], json!([]));
    let id = plan["plan_id"].as_str().and_then(|id| id.strip_prefix("plan_")).expect("an id");
    assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
}

#[tokio::test]
async fn repairs_are_counted_and_told() {
    let mut plan = good_plan();
    plan["plan"][1]["required_arm"] = json!("Coder");
    plan["plan"][2]["estimated_cost_tier"] = json!(11);
    let llm = FakeLlm::start([Reply::plan(&plan)]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let response = app.plan_at("/plan?include=repairs", &json!({"goal": "g"})).await;
    assert_eq!(header(&response, "x-planner-repairs"), "2");
    let made = json_of(response).await;
    let codes: Vec<(&str, u64)> = made["repairs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|repair| (repair["code"].as_str().expect("a code"), repair["step"].as_u64().expect("a step")))
        .collect();
    assert_eq!(codes, [("arm_mapped", 2), ("clamped", 3)]);
    assert_eq!(made["confidence"], json!(0.7942));
    assert!((app.metric("planner_repairs_total{code=\"clamped\"}").await - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn unknown_extras_are_refused_by_name() {
    let app = TestApp::embedded().await;
    let response = app.plan_at("/plan?include=cost,schedule,time", &json!({"goal": "g"})).await;
    let (status, document) = problem(response).await;
    assert_eq!((status, &document["code"]), (400, &json!("unknown_include")));
    assert_eq!(document["errors"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_bad_request_is_a_problem_with_every_fault() {
    let app = TestApp::embedded().await;
    let body = json!({"goal": "", "constraints": vec!["c"; 60], "context": [1], "request_id": "my-id"});
    let (status, mut document) = app.refused(&body).await;
    assert_eq!(status, 422);
    document["request_id"] = json!("(the request's)");
    insta::assert_json_snapshot!(document, @r#"
    {
      "code": "invalid_request",
      "detail": "The request is invalid: constraints must have at most 50 entries; context must be an object, not an array; goal must be 1 to 10,000 characters long and not blank.",
      "errors": [
        {
          "field": "constraints",
          "message": "must have at most 50 entries"
        },
        {
          "field": "context",
          "message": "must be an object, not an array"
        },
        {
          "field": "goal",
          "message": "must be 1 to 10,000 characters long and not blank"
        }
      ],
      "request_id": "(the request's)",
      "status": 422,
      "title": "Invalid request",
      "type": "urn:octollm:planner:problem:invalid_request"
    }
    "#);
}

#[tokio::test]
async fn bad_input_of_every_kind_gets_its_problem_and_the_service_stays_up() {
    let app = TestApp::embedded().await;
    let deep = format!("{{\"goal\":\"g\",\"context\":{}1{}}}", "{\"k\":".repeat(10_000), "}".repeat(10_000));
    let text = |value: Value| value.to_string().into_bytes();
    let bodies: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("not JSON", b"goal=Ship it".to_vec(), 422, "invalid_request"),
        ("empty", Vec::new(), 422, "invalid_request"),
        ("wrong types", text(json!({"goal": 1, "constraints": 2})), 422, "invalid_request"),
        ("blank", text(json!({"goal": " \t"})), 422, "invalid_request"),
        ("too long", text(json!({"goal": "x".repeat(10_001)})), 422, "invalid_request"),
        ("60 constraints", text(json!({"goal": "g", "constraints": vec!["c"; 60]})), 422, "invalid_request"),
        ("context an array", text(json!({"goal": "g", "context": []})), 422, "invalid_request"),
        (
            "70 KiB of context",
            text(json!({"goal": "g", "context": {"k": "x".repeat(70 * 1024)}})),
            422,
            "invalid_request",
        ),
        ("2 MiB", vec![b' '; 2 * 1024 * 1024], 413, "payload_too_large"),
        ("10,000 deep", deep.into_bytes(), 422, "invalid_request"),
        ("invalid UTF-8", b"{\"goal\": \"\xc3\x28\"}".to_vec(), 422, "invalid_request"),
        ("a lone surrogate", br#"{"goal": "\ud800"}"#.to_vec(), 422, "invalid_request"),
        ("an array", b"[\"Ship it\"]".to_vec(), 422, "invalid_request"),
    ];
    for (what, body, status, code) in bodies {
        let request = app.client.post(app.url("/plan")).header("content-type", "application/json").body(body);
        let (got, document) = problem(request.send().await.expect("an answer")).await;
        assert_eq!((got, &document["code"]), (status, &json!(code)), "{what}: {document}");
        assert_eq!(app.get("/health").await.status(), 200, "after {what}");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let app = TestApp::embedded().await;
    let body = json!({"goal": "Ship it"}).to_string();
    for (content_type, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
    ] {
        let request =
            app.client.post(app.url("/plan")).header("content-type", content_type).body(body.clone());
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), status, "{content_type}");
        if status == 415 {
            assert_eq!(problem(response).await.1["code"], "unsupported_media_type");
        }
    }
    let without = app.client.post(app.url("/plan")).body(body).send().await.expect("an answer");
    assert_eq!(problem(without).await.0, 415);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let app = TestApp::embedded().await;
    for path in ["/nothing", "/plan/7", "/docs/nothing.js", "/%ff"] {
        let (status, document) = problem(app.get(path).await).await;
        assert_eq!((status, &document["code"]), (404, &json!("not_found")), "{path}");
    }
    for (method, path, allowed) in [
        (http::Method::GET, "/plan", "POST"),
        (http::Method::DELETE, "/health", "GET,HEAD"),
        (http::Method::POST, "/metrics", "GET,HEAD"),
    ] {
        let response = app.client.request(method.clone(), app.url(path)).send().await.expect("an answer");
        assert_eq!(header(&response, "allow"), allowed, "{path}");
        let (status, document) = problem(response).await;
        assert_eq!((status, &document["code"]), (405, &json!("method_not_allowed")), "{method} {path}");
    }
}

#[tokio::test]
async fn the_request_id_is_the_callers_or_a_new_one_everywhere() {
    let app = TestApp::embedded().await;
    for path in ["/health", "/ready", "/metrics", "/capabilities", "/openapi.json", "/docs", "/nothing"] {
        let request = app.client.get(app.url(path)).header("x-request-id", "from the caller");
        assert_eq!(
            header(&request.send().await.expect("an answer"), "x-request-id"),
            "from the caller",
            "{path}"
        );
        let response = app.get(path).await;
        assert!(uuid::Uuid::parse_str(header(&response, "x-request-id")).is_ok(), "{path}");
    }
    let from_body = app.plan(&json!({"goal": "g", "request_id": "from the body"})).await;
    assert_eq!(header(&from_body, "x-request-id"), "from the body");
    let body = json!({"goal": "g", "request_id": "body"});
    let both = app.client.post(app.url("/plan")).header("x-request-id", "header").json(&body);
    assert_eq!(header(&both.send().await.expect("an answer"), "x-request-id"), "header");
    let too_long = app.client.get(app.url("/health")).header("x-request-id", "i".repeat(129));
    assert!(header(&too_long.send().await.expect("an answer"), "x-request-id").len() == 36);
    let unprintable = app.plan(&json!({"goal": "g", "request_id": "a\nb"})).await;
    assert_eq!((unprintable.status(), header(&unprintable, "x-request-id").len()), (StatusCode::OK, 36));
}

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
async fn an_llm_outage_shows_in_readiness_and_counts_only_when_asked_to() {
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
    let app = App::from_settings(&settings).expect("an application");
    let router = planner_arm::app::router(app);
    let request = http::Request::get("/ready").body(axum::body::Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(router, request).await.expect("an answer");
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn capabilities_are_the_usual_ones_until_there_is_experience() {
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
    assert!(!text.contains("secret"), "no raw path in a label");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
    }
}

#[tokio::test]
async fn tokens_close_the_plan_and_nothing_else() {
    let tokens = ("PLANNER_AUTH_TOKENS", "first-token, second-token");
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), tokens]).await;
    let with = |authorization: &str| {
        app.client.post(app.url("/plan")).json(&json!({"goal": "g"})).header("authorization", authorization)
    };
    for good in ["Bearer first-token", "bearer second-token", "BEARER  second-token "] {
        assert_eq!(with(good).send().await.expect("an answer").status(), 200, "{good}");
    }
    for bad in [
        "Bearer first-toke",
        "Bearer first-token2",
        "Bearer",
        "Basic first-token",
        "first-token",
        "Bearer ",
        "é",
    ] {
        let response = with(bad).send().await.expect("an answer");
        assert_eq!(header(&response, "www-authenticate"), "Bearer", "{bad}");
        let (status, document) = problem(response).await;
        assert_eq!((status, &document["code"]), (401, &json!("unauthorized")), "{bad}");
    }
    // Who may not plan is not told what else is wrong.
    assert_eq!(app.refused(&json!({"goal": ""})).await.0, 401);
    for path in ["/health", "/ready", "/metrics", "/capabilities", "/openapi.json", "/docs"] {
        assert_eq!(app.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn each_caller_has_a_limit_of_its_own() {
    let app = TestApp::start(&[
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_AUTH_TOKENS", "a,b"),
        ("PLANNER_RATE_LIMIT_PER_MINUTE", "2"),
    ])
    .await;
    let ask = |token: &'static str| {
        app.client.post(app.url("/plan")).json(&json!({"goal": "g"})).bearer_auth(token).send()
    };
    for _ in 0..2 {
        assert_eq!(ask("a").await.expect("an answer").status(), 200);
    }
    let response = ask("a").await.expect("an answer");
    let wait: u64 = header(&response, "retry-after").parse().expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    let (status, document) = problem(response).await;
    assert_eq!((status, &document["code"]), (429, &json!("rate_limited")));
    assert_eq!(document["retry_after_seconds"], json!(wait));
    assert_eq!(ask("b").await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn callers_without_a_token_are_told_apart_by_address() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_RATE_LIMIT_PER_MINUTE", "1")]).await;
    app.planned(&json!({"goal": "g"})).await;
    assert_eq!(app.refused(&json!({"goal": "g"})).await.0, 429);
    let other = reqwest::Client::builder().no_proxy().local_address(std::net::IpAddr::from([127, 0, 0, 2]));
    let other = other.build().expect("a client").post(app.url("/plan")).json(&json!({"goal": "g"}));
    assert_eq!(other.send().await.expect("an answer").status(), 200);
}

/// Sends `head` and nothing more, and reads what comes back until the connection or 10 s end.
async fn send_raw(app: &TestApp, head: &str) -> String {
    let mut connection = tokio::net::TcpStream::connect(app.address).await.expect("a connection");
    connection.write_all(head.as_bytes()).await.expect("the head goes out");
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("an end").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_at_the_deadline() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_TIMEOUT_SECONDS", "0.2")]).await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{";
    let answer = send_raw(&app, head).await;
    assert!(
        answer.starts_with("HTTP/1.1 504") && answer.contains("\"code\":\"deadline_exceeded\""),
        "{answer}"
    );
}

#[tokio::test]
async fn who_may_not_plan_is_told_before_the_body_is_read() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_AUTH_TOKENS", "t")]).await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{";
    assert!(send_raw(&app, head).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn chunked_bodies_are_read() {
    let app = TestApp::embedded().await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                5\r\n{\"goa\r\nb\r\nl\": \"Ship\"}\r\n0\r\n\r\n";
    assert!(send_raw(&app, head).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn faults_of_headers_and_body_come_together_and_keep_the_callers_id() {
    let app = TestApp::embedded().await;
    let request = app
        .client
        .post(app.url("/plan"))
        .header("x-request-timeout-ms", "soon")
        .json(&json!({"goal": "", "request_id": " mine "}));
    let (status, document) = problem(request.send().await.expect("an answer")).await;
    assert_eq!((status, &document["request_id"]), (422, &json!("mine")));
    let fields: Vec<&str> = document["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    assert_eq!(fields, ["goal", "X-Request-Timeout-Ms"]);
}

#[tokio::test]
async fn more_plans_than_there_are_places_for_are_shed() {
    let slow = Reply::plan(&good_plan()).after(Duration::from_millis(300));
    let llm = FakeLlm::start([slow]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    let goal = json!({"goal": "g"});
    let (first, second) = tokio::join!(app.plan(&goal), async {
        while llm.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        app.plan(&goal).await
    });
    assert_eq!(first.status(), 200);
    assert_eq!(header(&second, "retry-after"), "1");
    let (status, document) = problem(second).await;
    assert_eq!((status, &document["code"]), (503, &json!("overloaded")));
    app.planned(&goal).await;
}

#[tokio::test]
async fn only_named_origins_may_call_from_a_page() {
    let app = TestApp::start(&[
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_CORS_ALLOWED_ORIGINS", "https://app.example.com"),
    ])
    .await;
    let preflight = |origin: &'static str| {
        app.client
            .request(http::Method::OPTIONS, app.url("/plan"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
    };
    let allowed = preflight("https://app.example.com").await.expect("an answer");
    assert_eq!(header(&allowed, "access-control-allow-origin"), "https://app.example.com");
    let other = preflight("https://evil.example.com").await.expect("an answer");
    assert_eq!(header(&other, "access-control-allow-origin"), "");
    let closed = TestApp::embedded().await;
    let request = closed.client.get(closed.url("/health")).header("origin", "https://app.example.com");
    assert_eq!(header(&request.send().await.expect("an answer"), "access-control-allow-origin"), "");
}

#[tokio::test]
async fn the_documentation_page_needs_nothing_from_outside() {
    let app = TestApp::embedded().await;
    let response = app.get("/docs").await;
    assert_eq!(
        (response.status(), header(&response, "content-type")),
        (StatusCode::OK, "text/html; charset=utf-8")
    );
    assert!(header(&response, "content-security-policy").starts_with("default-src 'self'"));
    let page = response.text().await.expect("a page");
    assert!(!page.contains("://"), "{page}");
    let assets: Vec<&str> = page.split(['"', '\'']).filter(|part| part.starts_with("docs/")).collect();
    assert_eq!(assets.len(), 4, "{page}");
    for asset in assets {
        let response = app.get(&format!("/{asset}")).await;
        assert_eq!(response.status(), 200, "{asset}");
        assert!(!response.bytes().await.expect("a body").is_empty(), "{asset}");
    }
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

#[tokio::test]
async fn a_plan_that_is_not_sound_is_a_problem_that_quotes_nothing() {
    let plan = json!({
        "plan": [step(1, "coder", "canary-action", &[2], 1, 1), step(2, "coder", "canary-other", &[1], 1, 1)],
        "rationale": "canary-rationale", "confidence": 0.9,
    });
    let llm = FakeLlm::start([Reply::plan(&plan)]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let (status, document) = app.refused(&json!({"goal": "canary-goal"})).await;
    assert_eq!((status, &document["code"]), (500, &json!("plan_invalid")));
    assert!(document["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{document}");
    assert!(!document.to_string().contains("canary"), "{document}");
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    let goal = json!({"goal": "g"});
    tokio::select! {
        _ = app.plan(&goal) => panic!("the LLM never answers"),
        () = async { while llm.calls().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    let gone = "planner_plan_requests_total{outcome=\"client_closed\"}";
    while app.metric(gone).await < 1.0 {
        tokio::task::yield_now().await;
    }
    assert!(app.metric("planner_plans_in_flight").await.abs() < 1e-9);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_a_metric_and_the_service_lives() {
    struct Panicking(Arc<str>);
    impl ChatModel for Panicking {
        fn name(&self) -> &Arc<str> {
            &self.0
        }
        fn call<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Completion, CallError>> {
            panic!("canary")
        }
    }
    let settings = settings(&[]).expect("settings");
    let metrics = Metrics::new();
    let policy = CallPolicy {
        max_attempts: 1,
        breaker_threshold: 1,
        breaker_reset: Duration::from_secs(1),
        fair_time: Duration::from_secs(1),
    };
    let ladder = Ladder::new(vec![Box::new(Panicking("panicking".into()))], policy, metrics.clone());
    let app = App::new(&settings, Engine::Llm { ladder, fallback: None }, metrics.clone());
    app.lifecycle.enter(Phase::Serving);
    let router = planner_arm::app::router(app);
    for _ in 0..2 {
        let body = axum::body::Body::from(r#"{"goal": "g", "request_id": "of-the-body"}"#);
        let request = http::Request::post("/plan").header("content-type", "application/json").body(body);
        let response = tower::ServiceExt::oneshot(router.clone(), request.expect("a request")).await;
        let (parts, body) = response.expect("an answer").into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.expect("a body");
        let document: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            (parts.status, &document["code"]),
            (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal_error"))
        );
        assert_eq!(document["request_id"], json!("of-the-body"));
        assert!(!document.to_string().contains("canary"), "{document}");
    }
    let text = metrics.render();
    assert!(
        text.contains("planner_panics_total 2\n") && text.contains("planner_plans_in_flight 0\n"),
        "{text}"
    );
}

#[tokio::test]
async fn plans_by_rules_say_so() {
    let app = TestApp::embedded().await;
    let response = app.plan(&json!({"goal": "Debug the login and add tests"})).await;
    assert_eq!(header(&response, "x-planner-engine"), "embedded");
    assert_eq!(header(&response, "x-planner-model"), "embedded");
    assert_eq!(header(&response, "x-planner-attempts"), "0");
    let plan = response.json().await.expect("a plan");
    assert_usually_sound(&plan);
    assert!(plan.confidence <= 0.65);
}
