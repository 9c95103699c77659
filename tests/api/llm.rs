//! The service against an LLM server that misbehaves, over real sockets.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{FakeLlm, Reply, TestApp, good_plan};

fn goal() -> serde_json::Value {
    json!({"goal": "Ship it"})
}

#[tokio::test]
async fn the_call_carries_model_key_limits_and_schema() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let more = [
        ("PLANNER_OPENAI_API_KEY", "sk-test"),
        ("PLANNER_LLM_MODEL", "fake-1"),
        ("PLANNER_PLANNING_TEMPERATURE", "0.7"),
        ("PLANNER_MAX_TOKENS", "1234"),
        ("PLANNER_MIN_PLAN_STEPS", "2"),
    ];
    let app = TestApp::with_llm(&llm, &more).await;
    app.planned(&goal()).await;
    let call = &llm.calls()[0];
    assert_eq!(llm.first_header("authorization").as_deref(), Some("Bearer sk-test"));
    assert_eq!((&call["model"], &call["max_tokens"]), (&json!("fake-1"), &json!(1234)));
    assert_eq!(call["temperature"], json!(0.7));
    assert_eq!(call["messages"][0]["role"], "system");
    assert_eq!(call["messages"][1]["role"], "user");
    assert_eq!(call["response_format"]["type"], "json_schema");
    assert_eq!(call["response_format"]["json_schema"]["schema"]["properties"]["plan"]["minItems"], 2);
}

#[tokio::test]
async fn without_a_key_none_is_sent() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    TestApp::with_llm(&llm, &[]).await.planned(&goal()).await;
    assert_eq!(llm.first_header("authorization"), None);
}

#[tokio::test]
async fn failures_become_the_right_problem_after_the_right_number_of_calls() {
    let said =
        |status, code: &str| Reply::Status(status, vec![], json!({"error": {"message": "m", "code": code}}));
    for (what, reply, status, code, calls) in [
        ("wrong key", said(401, "invalid_api_key"), 500, "llm_failed", 1),
        ("unknown model", said(404, "model_not_found"), 500, "llm_failed", 1),
        ("context too long", said(400, "context_length_exceeded"), 500, "llm_failed", 1),
        ("content filter", said(400, "content_filter"), 500, "llm_failed", 1),
        ("quota gone", said(429, "insufficient_quota"), 500, "llm_failed", 1),
        ("bad request", said(400, "whatever"), 500, "llm_failed", 1),
        ("down", Reply::status(503), 503, "llm_unavailable", 2),
        ("limited", said(429, "rate_limit_exceeded"), 503, "llm_unavailable", 2),
        ("HTML", Reply::Body("text/html", "<html>hello</html>".into()), 503, "llm_unavailable", 2),
        ("no plan", Reply::Text("I would rather not.".into()), 500, "plan_invalid", 1),
        ("cut off", Reply::Truncated("{\"plan\": [".into()), 500, "plan_invalid", 1),
    ] {
        let llm = FakeLlm::start([reply]).await;
        let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "2")]).await;
        let (got, document) = app.refused(&goal()).await;
        assert_eq!((got, &document["code"]), (status, &json!(code)), "{what}: {document}");
        assert_eq!(llm.calls().len(), calls, "{what}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unavailable() {
    // Port 9 of this machine: nobody listens.
    let app = TestApp::start(&[
        ("PLANNER_LLM_BASE_URL", "http://127.0.0.1:9/v1"),
        ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
    ])
    .await;
    let (status, document) = app.refused(&goal()).await;
    assert_eq!((status, &document["code"]), (503, &json!("llm_unavailable")));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_counted() {
    let llm = FakeLlm::start([Reply::status(500), Reply::status(429), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let response = app.plan(&goal()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-planner-attempts"], "3");
}

#[tokio::test]
async fn retry_after_that_does_not_fit_is_handed_on_at_once() {
    let limited = Reply::Status(429, vec![("retry-after", "37".into())], json!({}));
    let llm = FakeLlm::start([limited]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let began = Instant::now();
    let response = app.plan(&goal()).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(response.headers()["retry-after"], "37");
    assert_eq!(response.status(), 503);
    assert_eq!(llm.calls().len(), 1);
}

#[tokio::test]
async fn a_silent_server_ends_at_the_deadline_of_the_service_or_the_caller() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_TIMEOUT_SECONDS", "0.3")]).await;
    for (header, most) in [("5000", 300), ("120", 120)] {
        let began = Instant::now();
        let request = app.client.post(app.url("/plan")).json(&goal()).header("x-request-timeout-ms", header);
        let (status, document) = crate::support::problem(request.send().await.expect("an answer")).await;
        let took = began.elapsed().as_millis();
        assert_eq!((status, &document["code"]), (504, &json!("deadline_exceeded")));
        assert!(took + 20 >= most, "{took} ms is too early for {most}");
        // Generous, for slow machines; the exact bound is tested under paused time.
        assert!(took < most + 5_000, "{took} ms is too late for {most}");
    }
}

#[tokio::test]
async fn a_model_that_takes_no_schema_is_asked_less_strictly_from_then_on() {
    let refused = |what: &str| {
        Reply::Status(400, vec![], json!({"error": {"message": format!("'{what}' is not supported")}}))
    };
    let llm = FakeLlm::start([
        refused("response_format.json_schema"),
        refused("response_format"),
        Reply::plan(&good_plan()),
    ])
    .await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
    app.planned(&goal()).await;
    app.planned(&goal()).await;
    let forms: Vec<_> = llm.calls().iter().map(|call| call["response_format"]["type"].clone()).collect();
    assert_eq!(forms, [json!("json_schema"), json!("json_object"), json!(null), json!(null)]);
}

#[tokio::test]
async fn fallback_models_are_asked_in_order_and_named() {
    let llm = FakeLlm::start([Reply::status(404), Reply::status(404), Reply::plan(&good_plan())]).await;
    let app =
        TestApp::with_llm(&llm, &[("PLANNER_LLM_MODEL", "a"), ("PLANNER_LLM_FALLBACK_MODELS", "b, c")]).await;
    let response = app.plan(&goal()).await;
    assert_eq!(response.headers()["x-planner-model"], "c");
    let models: Vec<_> = llm.calls().iter().map(|call| call["model"].clone()).collect();
    assert_eq!(models, [json!("a"), json!("b"), json!("c")]);
}

#[tokio::test]
async fn the_fallback_engine_answers_for_a_dead_llm_and_says_so() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let more = [("PLANNER_TIMEOUT_SECONDS", "0.2"), ("PLANNER_FALLBACK_ENGINE", "embedded")];
    let app = TestApp::with_llm(&llm, &more).await;
    let response = app.plan(&goal()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-planner-engine"], "embedded");
    assert_ne!(response.headers()["x-planner-attempts"], "0");
}

#[tokio::test]
async fn a_replica_that_waits_for_its_llm_comes_back_with_it() {
    let llm = FakeLlm::start([Reply::status(500), Reply::plan(&good_plan())]).await;
    let more = [
        ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
        ("PLANNER_LLM_BREAKER_THRESHOLD", "1"),
        ("PLANNER_LLM_BREAKER_RESET_SECONDS", "1"),
        ("PLANNER_READY_REQUIRES_LLM", "true"),
    ];
    let app = TestApp::with_llm(&llm, &more).await;
    assert_eq!(app.refused(&goal()).await.0, 503);
    assert_eq!(app.get("/ready").await.status(), 503);
    // Nothing but readiness is asked, as by a load balancer that sends no requests meanwhile.
    let back = async {
        while app.get("/ready").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("ready again");
    app.planned(&goal()).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let elsewhere = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let to = format!("{}/chat/completions", elsewhere.base_url);
    let llm = FakeLlm::start([Reply::Status(307, vec![("location", to)], json!({}))]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_OPENAI_API_KEY", "sk-test")]).await;
    assert_eq!(app.refused(&goal()).await.0, 500);
    assert_eq!(elsewhere.calls().len(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let flood = Reply::Body("application/json", " ".repeat(5 * 1024 * 1024));
    let llm = FakeLlm::start([flood]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
    assert_eq!(app.refused(&goal()).await.0, 503);
}
