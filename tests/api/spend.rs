//! The budget for LLM calls: what counts against it, and what happens when it is used up.
//!
//! Every answer of the fake LLM says 420 tokens of the prompt and 510 of the completion: 0.000975 US dollars at the price
//! of gpt-3.5-turbo.

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of, problem};

const BUDGET: &str = "PLANNER_LLM_BUDGET_USD_PER_DAY";

fn plan() -> Reply {
    Reply::plan(&good_plan())
}

fn goal() -> Value {
    json!({ "goal": "Change the login" })
}

#[tokio::test]
async fn plans_are_refused_with_a_retry_after_once_the_budget_is_used_up() {
    let llm = FakeLlm::start([plan()]).await;
    let app = TestApp::with_llm(&llm, &[(BUDGET, "0.0015")]).await;
    for _ in 0..2 {
        assert_eq!(app.plan(&goal()).await.status(), 200);
    }
    let response = app.plan(&goal()).await;
    let retry_after: u64 = header(&response, "retry-after").parse().expect("seconds");
    let (status, document) = problem(response).await;
    assert_eq!((status, &document["code"]), (503, &json!("budget_exhausted")));
    assert_eq!(document["retry_after_seconds"], json!(retry_after));
    assert!((86_400 - 300..=86_400 + 300).contains(&retry_after), "{retry_after}");
    assert_eq!(llm.number_of_calls(), 2);
    assert!((app.metric("planner_llm_spend_usd").await - 0.001_95).abs() < 1e-9);
    assert!((app.metric("planner_llm_spend_limit_usd").await - 0.0015).abs() < 1e-9);
    assert_eq!(app.count("planner_llm_spend_refusals_total").await, 1);
    assert_eq!(app.count(r#"planner_llm_breaker_state{model="gpt-3.5-turbo"}"#).await, 0);
    assert_eq!(app.get("/ready").await.status(), 200);
}

#[tokio::test]
async fn the_fallback_engine_answers_once_the_budget_is_used_up() {
    let llm = FakeLlm::start([plan()]).await;
    let app = TestApp::with_llm(&llm, &[(BUDGET, "0.0005"), ("PLANNER_FALLBACK_ENGINE", "embedded")]).await;
    for engine in ["openai", "embedded", "embedded"] {
        let response = app.plan(&goal()).await;
        assert_eq!((response.status().as_u16(), header(&response, "x-planner-engine")), (200, engine));
    }
    assert_eq!(llm.number_of_calls(), 1);
}

#[tokio::test]
async fn each_call_is_checked_when_the_llm_is_asked_again_and_for_the_next_model() {
    let llm = FakeLlm::start([Reply::Text("I would rather not.".into()), plan()]).await;
    let more = [(BUDGET, "0.0005"), ("PLANNER_LLM_FALLBACK_MODELS", "gpt-4o-mini")];
    let app = TestApp::with_llm(&llm, &more).await;
    let (status, document) = app.refused(&goal()).await;
    assert_eq!((status, &document["code"]), (503, &json!("budget_exhausted")));
    assert_eq!(llm.number_of_calls(), 1);
}

#[tokio::test]
async fn refused_calls_are_free_and_answers_without_tokens_count_at_the_most_they_may_cost() {
    let choice = json!({ "message": { "content": good_plan().to_string() }, "finish_reason": "stop" });
    let uncounted = Reply::Body("application/json", json!({ "choices": [choice] }).to_string());
    for (what, reply, model, most) in [
        ("a refusal", Reply::status(401), "gpt-3.5-turbo", 0.0..=0.0),
        // 2,000 tokens of the answer alone are 0.003.
        ("no tokens", uncounted, "gpt-3.5-turbo", 0.003..=0.01),
        // 420 tokens at 30 and 510 at 60 US dollars for a million.
        ("no price", plan(), "llama3.1", 0.0432..=0.0432),
    ] {
        let llm = FakeLlm::start([reply]).await;
        let more = [(BUDGET, "5"), ("PLANNER_LLM_MODEL", model), ("PLANNER_LLM_MAX_ATTEMPTS", "1")];
        let app = TestApp::with_llm(&llm, &more).await;
        app.plan(&goal()).await;
        let spent = app.metric("planner_llm_spend_usd").await;
        assert!(most.contains(&((spent * 1e6).round() / 1e6)), "{what}: {spent}");
    }
}

#[tokio::test]
async fn plans_from_the_cache_cost_nothing() {
    let llm = FakeLlm::start([plan()]).await;
    let app = TestApp::with_llm(&llm, &[(BUDGET, "0.0005"), ("PLANNER_CACHE_TTL_SECONDS", "60")]).await;
    for cache in ["miss", "hit"] {
        let response = app.plan(&goal()).await;
        assert_eq!((response.status().as_u16(), header(&response, "x-planner-cache")), (200, cache));
    }
    let (status, _) = app.refused(&json!({ "goal": "Another" })).await;
    assert_eq!(status, 503);
    let plan = json_of(app.plan(&goal()).await).await;
    assert!(plan["plan"].is_array(), "the plan is still cached");
}
