//! Tokens, origins, rate limits, permits, deadlines and request bodies.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use planner_arm::llm::fallback::CallPolicy;
use planner_arm::llm::{BoxFuture, CallError, CallObserver, ChatModel, Completion, FallbackChain, Prompt};
use planner_arm::planner::Engine;
use planner_arm::server::lifecycle::Phase;
use planner_arm::service::PlannerService;
use planner_arm::telemetry::metrics::Metrics;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, plain_client, problem, settings};

#[tokio::test]
async fn tokens_protect_plans_and_nothing_else() {
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
    // An unauthorized caller learns nothing else.
    assert_eq!(app.refused(&json!({"goal": ""})).await.0, 401);
    for path in ["/health", "/ready", "/metrics", "/capabilities", "/openapi.json", "/docs"] {
        assert_eq!(app.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn each_caller_has_its_own_limit() {
    let app = TestApp::start(&[
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_AUTH_TOKENS", "a,b"),
        ("PLANNER_RATE_LIMIT_PER_MINUTE", "2"),
    ])
    .await;
    let ask = |token: &'static str| {
        app.client.post(app.url("/plan")).json(&json!({"goal": "g"})).bearer_auth(token).send()
    };
    for left in ["\"plans\";r=1", "\"plans\";r=0"] {
        let response = ask("a").await.expect("an answer");
        assert_eq!((response.status(), header(&response, "ratelimit")), (StatusCode::OK, left));
        assert_eq!(header(&response, "ratelimit-policy"), "\"plans\";q=2;w=60");
    }
    let response = ask("a").await.expect("an answer");
    let wait: u64 = header(&response, "retry-after").parse().expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(header(&response, "ratelimit"), format!("\"plans\";r=0;t={wait}"));
    assert_eq!(header(&response, "ratelimit-policy"), "\"plans\";q=2;w=60");
    let (status, document) = problem(response).await;
    assert_eq!((status, &document["code"]), (429, &json!("rate_limited")));
    assert_eq!(document["retry_after_seconds"], json!(wait));
    assert_eq!(ask("b").await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn only_requests_that_count_report_the_remaining_limit() {
    let llm = FakeLlm::start([Reply::Text("no plan".into())]).await;
    let more = [("PLANNER_RATE_LIMIT_PER_MINUTE", "600"), ("PLANNER_LLM_MAX_ATTEMPTS", "1")];
    let app = TestApp::with_llm(&llm, &more).await;
    for (goal, status, policy) in [("", 422, ""), ("g", 500, "\"plans\";q=600;w=60")] {
        let response = app.plan(&json!({ "goal": goal })).await;
        assert_eq!((response.status().as_u16(), header(&response, "ratelimit-policy")), (status, policy));
        assert_eq!(header(&response, "ratelimit").is_empty(), policy.is_empty());
    }
    let unlimited = TestApp::embedded().await.plan(&json!({"goal": "g"})).await;
    assert_eq!(header(&unlimited, "ratelimit-policy"), "");
}

#[tokio::test]
async fn callers_without_a_token_are_limited_by_address() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_RATE_LIMIT_PER_MINUTE", "1")]).await;
    app.planned(&json!({"goal": "g"})).await;
    assert_eq!(app.refused(&json!({"goal": "g"})).await.0, 429);
    let other = plain_client().local_address(std::net::IpAddr::from([127, 0, 0, 2]));
    let other = other.build().expect("a client").post(app.url("/plan")).json(&json!({"goal": "g"}));
    assert_eq!(other.send().await.expect("an answer").status(), 200);
}

/// Sends `head` and nothing more, and reads what comes back until the connection or 10 s end.
pub async fn send_raw(app: &TestApp, head: &str) -> String {
    let mut connection = tokio::net::TcpStream::connect(app.address).await.expect("a connection");
    connection.write_all(head.as_bytes()).await.expect("the head goes out");
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("an end").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_does_not_arrive_ends_at_the_deadline() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_TIMEOUT_SECONDS", "0.2")]).await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{";
    let answer = send_raw(&app, head).await;
    assert!(
        answer.starts_with("HTTP/1.1 504") && answer.contains("\"code\":\"deadline_exceeded\""),
        "{answer}"
    );
}

#[tokio::test]
async fn unauthorized_callers_are_refused_before_the_body_is_read() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_AUTH_TOKENS", "t")]).await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{";
    assert!(send_raw(&app, head).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn callers_over_their_limit_are_refused_before_the_body_is_read_and_invalid_requests_do_not_count() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_RATE_LIMIT_PER_MINUTE", "1")]).await;
    assert_eq!(app.refused(&json!({})).await.0, 422);
    assert_eq!(
        app.client.post(app.url("/plan")).json(&json!({"goal": "g"})).send().await.expect("a plan").status(),
        200
    );
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{";
    let answer = send_raw(&app, head).await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("ratelimit: \"plans\";r=0;t="), "{answer}");
}

#[tokio::test]
async fn chunked_bodies_are_read() {
    let app = TestApp::embedded().await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                5\r\n{\"goa\r\nb\r\nl\": \"Ship\"}\r\n0\r\n\r\n";
    assert!(send_raw(&app, head).await.starts_with("HTTP/1.1 200"));
}

/// Posts `body` to `path` under a content encoding.
async fn send_encoded(app: &TestApp, path: &str, encoding: &str, body: Vec<u8>) -> reqwest::Response {
    let request = app.client.post(app.url(path)).header("content-type", "application/json").body(body);
    request.header("content-encoding", encoding).send().await.expect("an answer")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn compressed_bodies_are_read_up_to_the_limit_of_plain_ones() {
    let app = TestApp::embedded().await;
    let spaces = |count: usize| format!("{}{{\"goal\": \"g\"}}", " ".repeat(count));
    for (path, body) in
        [("/plan", spaces(0)), ("/plan", spaces(1_000_000)), ("/validate", good_plan().to_string())]
    {
        assert_eq!(send_encoded(&app, path, "gzip", gzip(&body)).await.status(), 200, "{path}");
    }
    assert_eq!(send_encoded(&app, "/plan", "identity", spaces(0).into_bytes()).await.status(), 200);
    let mut broken = gzip(&spaces(0));
    broken.truncate(broken.len() / 2);
    for (encoding, body, status, code, part) in [
        ("gzip", gzip(&spaces(1 << 20)), 413, "payload_too_large", "1 MiB"),
        ("gzip", gzip(&spaces(100 << 20)), 413, "payload_too_large", "1 MiB"),
        ("gzip", broken, 422, "invalid_request", "gzip"),
        ("gzip", spaces(0).into_bytes(), 422, "invalid_request", "gzip"),
        ("br", spaces(0).into_bytes(), 415, "unsupported_media_type", "`br`"),
        ("gzip, gzip", spaces(0).into_bytes(), 415, "unsupported_media_type", "`gzip, gzip`"),
    ] {
        let (found, document) = problem(send_encoded(&app, "/plan", encoding, body).await).await;
        assert_eq!((found, &document["code"]), (status, &json!(code)), "{document}");
        assert!(document["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{document}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_accepted() {
    let app = TestApp::embedded().await;
    for (path, body) in [("/plan", json!({"goal": "g"})), ("/validate", good_plan())] {
        let request = app.client.post(app.url(path)).header("content-type", "application/json");
        let response = request.body(format!("\u{feff}{body}")).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_foreign_page_cannot_use_an_open_service() {
    let allowed = "https://app.example.com";
    let open = [("PLANNER_ENGINE", "embedded"), ("PLANNER_CORS_ALLOWED_ORIGINS", allowed)];
    let app = TestApp::start(&open).await;
    let own = format!("http://{}", app.address);
    let rebound = format!("evil.example:{}", app.address.port());
    let send = async |app: &TestApp, path: &str, host: Option<&str>, origin: &str| {
        let request = app.client.post(app.url(path)).header("origin", origin).bearer_auth("t");
        let request = match host {
            Some(host) => request.header("host", host),
            None => request,
        };
        let body = if path == "/validate" { good_plan() } else { json!({"goal": "g"}) };
        request.json(&body).send().await.expect("an answer")
    };
    for path in ["/plan", "/validate"] {
        for origin in [allowed, &own] {
            assert_eq!(send(&app, path, None, origin).await.status(), 200, "{path} {origin}");
        }
    }
    for path in ["/plan", "/validate", "/replan"] {
        for (host, origin) in [
            (Some(rebound.as_str()), format!("http://{rebound}").as_str()),
            (None, "https://evil.example"),
            (None, "null"),
        ] {
            let (status, document) = problem(send(&app, path, host, origin).await).await;
            assert_eq!((status, &document["code"]), (403, &json!("origin_not_allowed")), "{path} {origin}");
        }
    }
    // A page has the token only if it was given it.
    let closed = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_AUTH_TOKENS", "t")]).await;
    assert_eq!(send(&closed, "/plan", None, "https://evil.example").await.status(), 200);
}

#[tokio::test]
async fn plans_beyond_the_permits_are_shed() {
    let slow = Reply::plan(&good_plan()).after(Duration::from_millis(300));
    let llm = FakeLlm::start([slow]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    let goal = json!({"goal": "g"});
    let (first, second) = tokio::join!(app.plan(&goal), async {
        llm.called(1).await;
        let refused = app.plan(&goal).await;
        // Before the body is read.
        let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{";
        assert!(send_raw(&app, head).await.starts_with("HTTP/1.1 503"));
        refused
    });
    assert_eq!(first.status(), 200);
    assert_eq!(header(&second, "retry-after"), "1");
    let (status, document) = problem(second).await;
    assert_eq!((status, &document["code"]), (503, &json!("overloaded")));
    app.planned(&goal).await;
}

#[tokio::test]
async fn only_allowed_origins_get_cors_headers() {
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
    assert_eq!(allowed.status(), 200);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-methods", "GET,POST"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-allow-credentials", ""),
    ] {
        assert_eq!(header(&allowed, name), value, "{name}");
    }
    for other in [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.example",
        "null",
    ] {
        let refused = preflight(other).await.expect("an answer");
        assert_eq!(header(&refused, "access-control-allow-origin"), "", "{other}");
        let plan = app.client.post(app.url("/plan")).header("origin", other).json(&json!({"goal": "g"}));
        let plan = plan.send().await.expect("an answer");
        assert_eq!(header(&plan, "access-control-allow-origin"), "", "{other}");
    }
    // Responses can be read too, errors included, with their headers.
    for body in [json!({"goal": "g"}), json!({"goal": ""})] {
        let plan = app.client.post(app.url("/plan")).header("origin", "https://app.example.com").json(&body);
        let plan = plan.send().await.expect("an answer");
        assert_eq!(header(&plan, "access-control-allow-origin"), "https://app.example.com");
        assert!(header(&plan, "vary").contains("origin"), "{}", header(&plan, "vary"));
        let exposed: Vec<&str> = header(&plan, "access-control-expose-headers").split(',').collect();
        for name in ["retry-after", "x-request-id", "ratelimit", "ratelimit-policy", "x-planner-engine"] {
            assert!(exposed.contains(&name), "{name} in {exposed:?}");
        }
    }
    let closed = TestApp::embedded().await;
    let request = closed.client.get(closed.url("/health")).header("origin", "https://app.example.com");
    assert_eq!(header(&request.send().await.expect("an answer"), "access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_caller_that_disconnects_releases_its_permit() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    let goal = json!({"goal": "g"});
    tokio::select! {
        _ = app.plan(&goal) => panic!("the LLM never answers"),
        () = llm.called(1) => {}
    }
    let gone = "planner_plan_requests_total{outcome=\"client_closed\"}";
    while app.metric(gone).await < 1.0 {
        tokio::task::yield_now().await;
    }
    assert!(app.metric("planner_plans_in_flight").await.abs() < 1e-9);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_a_metric() {
    struct Panicking(Arc<str>);
    impl ChatModel for Panicking {
        fn name(&self) -> &Arc<str> {
            &self.0
        }
        fn call<'a>(
            &'a self,
            _: &'a Prompt,
            _: Option<CallObserver>,
        ) -> BoxFuture<'a, Result<Completion, CallError>> {
            panic!("canary")
        }
    }
    let settings = settings(&[]).expect("settings");
    let metrics = Metrics::new();
    let policy = CallPolicy {
        max_attempts: 1,
        breaker_threshold: 1,
        breaker_reset: Duration::from_secs(1),
        request_time: Duration::from_secs(10),
    };
    let chain = FallbackChain::new(
        vec![Box::new(Panicking("panicking".into()))],
        &settings.prices,
        policy,
        metrics.clone(),
    );
    let app = PlannerService::new(&settings, Engine::Llm { chain, fallback: false }, None, metrics.clone())
        .expect("a service");
    app.lifecycle.enter(Phase::Serving);
    let router = planner_arm::app::router(app);
    for (accept, status) in
        [("*/*", StatusCode::INTERNAL_SERVER_ERROR), ("text/event-stream", StatusCode::OK)]
    {
        let body = axum::body::Body::from(r#"{"goal": "g", "request_id": "of-the-body"}"#);
        let request = http::Request::post("/plan").header("content-type", "application/json");
        let request = request.header("accept", accept).body(body);
        let response = tower::ServiceExt::oneshot(router.clone(), request.expect("a request")).await;
        let (parts, body) = response.expect("an answer").into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.expect("a body");
        // A stream has sent its head by then.
        let body = body.strip_prefix(b"event: error\ndata: ").unwrap_or(&body);
        let document: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!((parts.status, &document["code"]), (status, &json!("internal_error")));
        assert_eq!(document["request_id"], json!("of-the-body"));
        assert!(!document.to_string().contains("canary"), "{document}");
    }
    let text = metrics.render();
    assert!(
        text.contains("planner_panics_total 2\n") && text.contains("planner_plans_in_flight 0\n"),
        "{text}"
    );
}
