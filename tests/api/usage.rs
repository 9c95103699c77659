//! What a plan took from LLMs, in tokens and in dollars, told to callers and counted for operators.
//!
//! Every answer of the fake LLM says 420 tokens of the prompt and 510 of the completion.

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TempFile, TestApp, good_plan, json_of};

fn plan() -> Reply {
    Reply::plan(&good_plan())
}

fn no_plan() -> Reply {
    Reply::Text("I would rather not.".into())
}

/// A plan from a server that says this of its tokens.
fn plan_counted_as(usage: &Value) -> Reply {
    let choice = json!({ "message": { "content": good_plan().to_string() }, "finish_reason": "stop" });
    Reply::Body("application/json", json!({ "choices": [choice], "usage": usage }).to_string())
}

async fn usage_of(app: &TestApp) -> Value {
    let response = app.plan_at("/plan?include=usage", &json!({"goal": "g"})).await;
    assert_eq!(response.status(), 200);
    json_of(response).await["usage"].take()
}

#[tokio::test]
async fn the_cost_covers_all_answers_at_their_models_prices() {
    let (mini, llama) =
        (("PLANNER_LLM_FALLBACK_MODELS", "gpt-4o-mini"), ("PLANNER_LLM_FALLBACK_MODELS", "llama3.1"));
    let once = ("PLANNER_LLM_MAX_ATTEMPTS", "1");
    let embedded = ("PLANNER_FALLBACK_ENGINE", "embedded");
    for (what, script, settings, expected) in [
        ("one answer", vec![plan()], vec![], ("gpt-3.5-turbo", 1, 420, json!(0.000_975))),
        (
            "a retry after a refusal",
            vec![Reply::status(500), plan()],
            vec![],
            ("gpt-3.5-turbo", 2, 420, json!(0.000_975)),
        ),
        ("asked again", vec![no_plan(), plan()], vec![], ("gpt-3.5-turbo", 2, 840, json!(0.001_95))),
        (
            "asked again, then the next model",
            vec![no_plan(), no_plan(), no_plan(), plan()],
            vec![mini],
            ("gpt-4o-mini", 4, 1_680, json!(0.003_294)),
        ),
        (
            "the next model has no price",
            vec![no_plan(), plan()],
            vec![llama, once],
            ("llama3.1", 2, 840, Value::Null),
        ),
        (
            "the first model has no price",
            vec![no_plan(), plan()],
            vec![("PLANNER_LLM_MODEL", "gpt-4o-mini-tts"), mini, once],
            ("gpt-4o-mini", 2, 840, Value::Null),
        ),
        (
            "a model without a price that did not answer",
            vec![Reply::status(401), plan()],
            vec![("PLANNER_LLM_MODEL", "llama3.1"), mini],
            ("gpt-4o-mini", 2, 420, json!(0.000_369)),
        ),
        (
            "the embedded planner, after an answer",
            vec![no_plan()],
            vec![once, embedded],
            ("embedded", 1, 420, json!(0.000_975)),
        ),
        (
            "the embedded planner, after none",
            vec![Reply::status(401)],
            vec![embedded],
            ("embedded", 1, 0, json!(0.0)),
        ),
    ] {
        let llm = FakeLlm::start(script).await;
        let app = TestApp::with_llm(&llm, &settings).await;
        let (model, attempts, prompt_tokens, cost_usd) = expected;
        assert_eq!(
            usage_of(&app).await,
            json!({
                "model": model, "attempts": attempts, "prompt_tokens": prompt_tokens,
                "completion_tokens": prompt_tokens / 420 * 510, "cost_usd": cost_usd,
            }),
            "{what}"
        );
    }
}

#[tokio::test]
async fn without_an_llm_the_cost_is_zero() {
    let app = TestApp::embedded().await;
    assert_eq!(usage_of(&app).await["cost_usd"], json!(0.0));
    assert!(!app.get("/metrics").await.text().await.expect("metrics").contains("planner_llm_cost"));
}

#[tokio::test]
async fn uncounted_tokens_leave_the_cost_unknown() {
    for usage in [json!(null), json!({}), json!({"prompt_tokens": 420}), json!({"completion_tokens": 510})] {
        let llm = FakeLlm::start([plan_counted_as(&usage), plan_counted_as(&usage), plan()]).await;
        let app = TestApp::with_llm(&llm, &[]).await;
        assert_eq!(usage_of(&app).await["cost_usd"], Value::Null, "{usage}");
        let free = TempFile::new(
            "free.toml",
            "[[prices]]\nmodel = \"m\"\nprompt_usd_per_million = 0\ncompletion_usd_per_million = 0\n",
        );
        let settings = [("PLANNER_CONFIG_FILE", free.path.as_str()), ("PLANNER_LLM_MODEL", "m")];
        let app = TestApp::with_llm(&llm, &settings).await;
        assert_eq!(usage_of(&app).await["cost_usd"], json!(0.0), "free, however many: {usage}");
    }
}

#[tokio::test]
async fn tokens_and_cost_are_counted_by_model() {
    let file = TempFile::new(
        "planner.yaml",
        "prices:\n  - model: gpt-3.5-turbo\n    prompt_usd_per_million: 1\n    completion_usd_per_million: 2\n",
    );
    let llm = FakeLlm::start([no_plan(), Reply::Truncated("{".into()), Reply::status(500), no_plan()]).await;
    let settings = [("PLANNER_CONFIG_FILE", file.path.as_str()), ("PLANNER_LLM_FALLBACK_MODELS", "llama3.1")];
    let app = TestApp::with_llm(&llm, &settings).await;
    app.refused(&json!({"goal": "g"})).await;
    let answers = |model: &str| format!("planner_llm_calls_total{{model=\"{model}\",outcome=\"ok\"}}");
    for model in ["gpt-3.5-turbo", "llama3.1"] {
        let count = app.count(&answers(model)).await;
        assert_eq!(count, 3, "{model}");
        for (kind, tokens) in [("prompt", 420), ("completion", 510)] {
            let name = format!("planner_llm_tokens_total{{kind=\"{kind}\",model=\"{model}\"}}");
            assert_eq!(app.count(&name).await, count * tokens, "{name}");
        }
    }
    let cost = app.metric("planner_llm_cost_usd_total{model=\"gpt-3.5-turbo\"}").await;
    assert!((cost - 3.0 * 0.001_44).abs() < 1e-12, "{cost}");
    let metrics = app.get("/metrics").await.text().await.expect("metrics");
    assert_eq!(metrics.matches("planner_llm_cost_usd_total{").count(), 1, "none without a price");
}
