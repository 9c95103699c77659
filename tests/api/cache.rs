//! Plans that were made before.

use serde_json::json;

use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of};

const CACHED: (&str, &str) = ("PLANNER_CACHE_TTL_SECONDS", "3600");

async fn cache_and_attempts(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> (String, String) {
    let mut request = app.client.post(app.url(path)).json(&json!({ "goal": "Fix the login" }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("an answer");
    (header(&response, "x-planner-cache").to_owned(), header(&response, "x-planner-attempts").to_owned())
}

fn as_headers(cache: &str, attempts: u32) -> (String, String) {
    (cache.to_owned(), attempts.to_string())
}

#[tokio::test]
async fn a_cached_plan_costs_no_call() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[CACHED]).await;
    let body = json!({ "goal": "Fix the login", "context": { "b": 1, "a": 2 } });
    let first = app.plan(&body).await.text().await.expect("a body");
    let again = json!({ "context": { "a": 2, "b": 1 }, "constraints": null, "goal": "Fix the login", "request_id": "2" });
    let response = app.plan(&again).await;
    assert_eq!(header(&response, "x-planner-cache"), "hit");
    assert_eq!(header(&response, "x-planner-model"), "gpt-3.5-turbo");
    assert_eq!(header(&response, "x-planner-engine"), "openai");
    assert_eq!(header(&response, "x-planner-repairs"), "0");
    assert_eq!(response.text().await.expect("a body"), first);
    assert_eq!(llm.calls().len(), 1);

    let extras = json_of(app.plan_at("/plan?include=usage,schedule,repairs,id", &again).await).await;
    let usage = json!({ "model": "gpt-3.5-turbo", "attempts": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0 });
    assert_eq!(extras["usage"], usage, "nothing was asked for this one");
    assert_eq!(extras["schedule"]["levels"], json!([[1], [2, 3], [4], [5]]));
    assert!(extras["plan_id"].as_str().is_some_and(|id| id.starts_with("plan_")));
    assert_eq!(app.count("planner_cache_answers_total{use=\"hit\"}").await, 2);
    assert_eq!(app.count("planner_cache_answers_total{use=\"miss\"}").await, 1);
}

#[tokio::test]
async fn no_cache_skips_the_cache() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[CACHED]).await;
    assert_eq!(cache_and_attempts(&app, "/plan", &[]).await, as_headers("miss", 1));
    let no_cache = [("cache-control", "max-age=0, No-Cache")];
    assert_eq!(cache_and_attempts(&app, "/plan", &no_cache).await, as_headers("bypass", 1));
    assert_eq!(cache_and_attempts(&app, "/plan", &[]).await, as_headers("hit", 0));
    assert_eq!(llm.calls().len(), 2);
}

#[tokio::test]
async fn a_ttl_or_size_of_zero_disables_the_cache() {
    for off in [("PLANNER_CACHE_TTL_SECONDS", "0"), ("PLANNER_CACHE_MAX_ENTRIES", "0")] {
        let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
        let app = TestApp::with_llm(&llm, &[CACHED, off]).await;
        for _ in 0..2 {
            assert_eq!(cache_and_attempts(&app, "/plan", &[]).await, as_headers("off", 1), "{off:?}");
        }
    }
}

#[tokio::test]
async fn failures_and_plans_of_fallback_models_are_not_cached() {
    let unfit = json!({ "plan": [], "rationale": "r", "confidence": 0.5 });
    for fallback in [("PLANNER_FALLBACK_ENGINE", "embedded"), ("PLANNER_FALLBACK_ENGINE", "none")] {
        let llm = FakeLlm::start([Reply::status(401)]).await;
        let app = TestApp::with_llm(&llm, &[CACHED, fallback]).await;
        for _ in 0..2 {
            assert_eq!(cache_and_attempts(&app, "/plan", &[]).await, as_headers("miss", 1), "{fallback:?}");
        }
    }
    // The first model never makes a plan; the second does.
    let script =
        [Reply::plan(&unfit), Reply::plan(&good_plan()), Reply::plan(&unfit), Reply::plan(&good_plan())];
    let llm = FakeLlm::start(script).await;
    let more = [CACHED, ("PLANNER_LLM_FALLBACK_MODELS", "second"), ("PLANNER_LLM_MAX_ATTEMPTS", "1")];
    let app = TestApp::with_llm(&llm, &more).await;
    for _ in 0..2 {
        assert_eq!(cache_and_attempts(&app, "/plan", &[]).await, as_headers("miss", 2));
    }
}

#[tokio::test]
async fn a_cached_plan_is_streamed_with_all_its_steps() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[CACHED]).await;
    let body = json!({ "goal": "Fix the login" });
    app.planned(&body).await;
    let request = app.client.post(app.url("/plan")).header("accept", "text/event-stream").json(&body);
    let events = request.send().await.expect("an answer").text().await.expect("a stream");
    assert_eq!(events.matches("event: step\n").count(), 5, "{events}");
    assert_eq!(events.matches("event: plan\n").count(), 1, "{events}");
    assert!(events.contains("\n: x-planner-cache: hit\n"), "{events}");
    assert_eq!(llm.calls().len(), 1);
}
