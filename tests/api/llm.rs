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
    let call = &llm.bodies()[0];
    assert_eq!(llm.first_header("authorization").as_deref(), Some("Bearer sk-test"));
    assert_eq!((&call["model"], &call["max_tokens"]), (&json!("fake-1"), &json!(1234)));
    assert_eq!(call["temperature"], json!(0.7));
    assert_eq!(call["messages"][0]["role"], "system");
    assert_eq!(call["messages"][1]["role"], "user");
    assert_eq!(call["response_format"]["type"], "json_schema");
    let schema = &call["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["properties"]["plan"]["anyOf"][0]["minItems"], 2);
}

#[tokio::test]
async fn without_a_key_none_is_sent() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    TestApp::with_llm(&llm, &[]).await.planned(&goal()).await;
    assert_eq!(llm.first_header("authorization"), None);
}

#[tokio::test]
async fn failures_become_the_right_problem_after_the_right_number_of_calls() {
    let error =
        |status, code: &str| Reply::Status(status, vec![], json!({"error": {"message": "m", "code": code}}));
    for (what, reply, status, code, calls) in [
        ("wrong key", error(401, "invalid_api_key"), 500, "llm_failed", 1),
        ("unknown model", error(404, "model_not_found"), 500, "llm_failed", 1),
        ("context too long", error(400, "context_length_exceeded"), 500, "llm_failed", 1),
        ("content filter", error(400, "content_filter"), 500, "llm_failed", 1),
        ("quota gone", error(429, "insufficient_quota"), 500, "llm_failed", 1),
        ("bad request, in every form", error(400, "whatever"), 500, "llm_failed", 4),
        ("down", Reply::status(503), 503, "llm_unavailable", 2),
        ("limited", error(429, "rate_limit_exceeded"), 503, "llm_unavailable", 2),
        ("HTML", Reply::Body("text/html", "<html>hello</html>".into()), 503, "llm_unavailable", 2),
        ("no plan", Reply::Text("I would rather not.".into()), 500, "plan_invalid", 2),
        ("cut off", Reply::Truncated("{\"plan\": [".into()), 500, "plan_invalid", 2),
    ] {
        let llm = FakeLlm::start([reply]).await;
        let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "2")]).await;
        let (got, document) = app.refused(&goal()).await;
        assert_eq!((got, &document["code"]), (status, &json!(code)), "{what}: {document}");
        assert_eq!(llm.calls().len(), calls, "{what}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
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
async fn transient_failures_are_retried_and_counted() {
    let llm = FakeLlm::start([Reply::status(500), Reply::status(429), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let response = app.plan(&goal()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-planner-attempts"], "3");
}

#[tokio::test]
async fn a_long_retry_after_is_passed_on_at_once() {
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
async fn a_model_without_schemas_is_downgraded() {
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
    let forms: Vec<_> = llm.bodies().iter().map(|call| call["response_format"]["type"].clone()).collect();
    assert_eq!(forms, [json!("json_schema"), json!("json_object"), json!(null), json!(null)]);
}

#[tokio::test]
async fn fallback_models_are_asked_in_order_and_named() {
    let llm = FakeLlm::start([Reply::status(401), Reply::status(401), Reply::plan(&good_plan())]).await;
    let app =
        TestApp::with_llm(&llm, &[("PLANNER_LLM_MODEL", "a"), ("PLANNER_LLM_FALLBACK_MODELS", "b, c")]).await;
    let response = app.plan(&goal()).await;
    assert_eq!(response.headers()["x-planner-model"], "c");
    let models: Vec<_> = llm.bodies().iter().map(|call| call["model"].clone()).collect();
    assert_eq!(models, [json!("a"), json!("b"), json!("c")]);
}

#[tokio::test]
async fn the_fallback_engine_answers_for_a_dead_llm() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let more = [("PLANNER_TIMEOUT_SECONDS", "0.2"), ("PLANNER_FALLBACK_ENGINE", "embedded")];
    let app = TestApp::with_llm(&llm, &more).await;
    let response = app.plan(&goal()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-planner-engine"], "embedded");
    assert_ne!(response.headers()["x-planner-attempts"], "0");
}

#[tokio::test]
async fn readiness_returns_with_the_llm() {
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
async fn an_endless_answer_is_abandoned() {
    let flood = Reply::Body("application/json", " ".repeat(5 * 1024 * 1024));
    let llm = FakeLlm::start([flood]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
    assert_eq!(app.refused(&goal()).await.0, 503);
}

/// A plan whose steps two and three depend on each other.
fn circular_plan() -> serde_json::Value {
    let mut plan = good_plan();
    plan["plan"][1]["depends_on"] = json!([3]);
    plan["plan"][2]["depends_on"] = json!([2]);
    plan
}

#[tokio::test]
async fn an_invalid_answer_is_asked_again_with_its_faults_and_a_higher_temperature() {
    let llm = FakeLlm::start([
        Reply::plan(&circular_plan()),
        Reply::Text("I would rather not.".into()),
        Reply::plan(&good_plan()),
    ])
    .await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let response = app.plan(&goal()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-planner-attempts"]),
        (200, &"3".parse().expect("a value"))
    );
    let calls = llm.bodies();
    let told = |call: usize| {
        let messages = calls[call]["messages"].as_array().expect("messages");
        messages.last().expect("one")["content"].as_str().expect("a text").to_owned()
    };
    assert!(!told(0).contains("could not be used"));
    assert!(told(1).contains("- Steps 2 and 3 depend on each other."), "{}", told(1));
    assert!(told(2).contains("- It was not JSON."), "{}", told(2));
    assert!(!told(2).contains("depend on each other"), "the last answer's faults, not the history");
    let temperatures: Vec<f64> = calls.iter().filter_map(|call| call["temperature"].as_f64()).collect();
    assert_eq!(temperatures, [0.3, 0.7, 1.0]);
    for (metric, count) in [
        ("planner_reasks_total{reason=\"cycle\"}", 1),
        ("planner_reasks_total{reason=\"not_json\"}", 1),
        ("planner_parses_total{outcome=\"strict\"}", 2),
        ("planner_parses_total{outcome=\"failed\"}", 1),
    ] {
        assert_eq!(app.count(metric).await, count, "{metric}");
    }
}

#[tokio::test]
async fn the_next_model_is_asked_after_three_invalid_answers() {
    let llm = FakeLlm::start([Reply::plan(&circular_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let (status, document) = app.refused(&goal()).await;
    assert_eq!((status, &document["code"], llm.calls().len()), (500, &json!("plan_invalid"), 3));
    assert_eq!(document["errors"][0]["field"], "plan[2].depends_on", "{document}");

    let bad = || Reply::plan(&circular_plan());
    let llm = FakeLlm::start([bad(), bad(), bad(), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_FALLBACK_MODELS", "other")]).await;
    assert_eq!(app.plan(&goal()).await.headers()["x-planner-model"], "other");
    assert_eq!(app.count("planner_fallbacks_total{to=\"other\"}").await, 1);
}

#[tokio::test]
async fn one_attempt_means_no_retry() {
    let llm = FakeLlm::start([Reply::plan(&circular_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
    assert_eq!(app.refused(&goal()).await.0, 500);
    assert_eq!(llm.calls().len(), 1);
}

#[tokio::test]
async fn without_time_for_another_answer_the_faults_are_returned() {
    let llm = FakeLlm::start([Reply::plan(&circular_plan()).after(Duration::from_millis(700))]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_TIMEOUT_SECONDS", "1")]).await;
    let (status, document) = app.refused(&goal()).await;
    assert_eq!((status, &document["code"]), (500, &json!("plan_invalid")), "{document}");
}

#[tokio::test]
async fn a_refused_format_costs_one_call_for_all_requests() {
    let refusal = json!({"error": {"message": "'response_format' of type 'json_schema' is not supported"}});
    let llm = FakeLlm::start([Reply::Status(400, vec![], refusal), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let request = goal();
    let requests = (0..20).map(|_| app.plan(&request));
    for response in futures_util::future::join_all(requests).await {
        assert_eq!(response.status(), 200);
    }
    assert_eq!(llm.calls().len(), 21);
    let metric = "planner_llm_downgrades_total{model=\"gpt-3.5-turbo\",part=\"json_schema\"}";
    assert_eq!(app.count(metric).await, 1);
}

#[tokio::test]
async fn a_refused_schema_is_simplified() {
    let refusal = json!({"error": {"message": "Invalid schema for response_format 'plan': 'prefixItems' is not permitted."}});
    let llm = FakeLlm::start([Reply::Status(400, vec![], refusal), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    app.planned(&goal()).await;
    let schemas: Vec<String> = llm
        .bodies()
        .iter()
        .map(|call| call["response_format"]["json_schema"]["schema"].to_string())
        .collect();
    assert!(schemas[0].contains("prefixItems") && !schemas[1].contains("prefixItems"));
    assert!(schemas[1].contains("\"enum\""));
}

#[tokio::test]
async fn max_completion_tokens_replaces_max_tokens_on_request() {
    let refusal = json!({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this \
        model. Use 'max_completion_tokens' instead.", "code": "unsupported_parameter"}});
    let llm = FakeLlm::start([Reply::Status(400, vec![], refusal), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    app.planned(&goal()).await;
    let calls = llm.bodies();
    assert_eq!((&calls[0]["max_tokens"], &calls[0]["max_completion_tokens"]), (&json!(2000), &json!(null)));
    assert_eq!((&calls[1]["max_tokens"], &calls[1]["max_completion_tokens"]), (&json!(null), &json!(2000)));
    assert_eq!(calls[1]["temperature"], json!(null), "nor do they take a temperature");
}

#[tokio::test]
async fn the_breaker_and_the_retries_show_in_the_metrics() {
    let llm = FakeLlm::start([Reply::status(500)]).await;
    let more = [
        ("PLANNER_LLM_BREAKER_THRESHOLD", "1"),
        ("PLANNER_LLM_MODEL", "m"),
        ("PLANNER_FALLBACK_ENGINE", "embedded"),
    ];
    let app = TestApp::with_llm(&llm, &more).await;
    let state = "planner_llm_breaker_state{model=\"m\"}";
    assert_eq!(app.count(state).await, 0);
    assert_eq!(app.plan(&goal()).await.status(), 200);
    assert_eq!(app.count(state).await, 2);
    assert_eq!(app.count("planner_llm_retries_total{cause=\"server_error\"}").await, 2);
    assert_eq!(app.count("planner_fallbacks_total{to=\"embedded\"}").await, 1);
}
