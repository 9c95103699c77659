//! Open questions: what the LLM would have to know for a better plan, for callers who ask for them.

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of};

fn plan_with(questions: &Value) -> Reply {
    let mut plan = good_plan();
    plan["open_questions"] = questions.clone();
    Reply::plan(&plan)
}

fn goal() -> Value {
    json!({ "goal": "Change the login" })
}

#[tokio::test]
async fn questions_are_asked_for_and_shown_only_when_they_are_included() {
    let llm = FakeLlm::start([plan_with(&json!(["Which login?"]))]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let plain = json_of(app.plan(&goal()).await).await;
    assert_eq!(plain.get("open_questions"), None);
    let included = json_of(app.plan_at("/plan?include=questions", &goal()).await).await;
    assert_eq!(included["open_questions"], json!(["Which login?"]));
    assert_eq!(included["confidence"], json!(0.88), "questions are no repair");
    let asked: Vec<bool> =
        llm.bodies().iter().map(|body| body.to_string().contains("open_questions")).collect();
    assert_eq!(asked, [false, true]);
}

#[tokio::test]
async fn questions_are_few_short_clean_and_never_block_a_plan() {
    for (written, shown) in [
        (json!(["a\u{7}?", " ", "b?", "b?", "c?", "d?"]), json!(["a?", "b?", "c?"])),
        (json!(["x".repeat(500)]), json!([format!("{}…", "x".repeat(199))])),
        (json!([]), json!([])),
        (json!(null), json!([])),
        (json!("Why?"), json!(["Why?"])),
        (json!([1, { "text": "Why?" }]), json!(["1", "Why?"])),
    ] {
        let llm = FakeLlm::start([plan_with(&written)]).await;
        let app = TestApp::with_llm(&llm, &[]).await;
        let response = app.plan_at("/plan?include=questions", &goal()).await;
        assert_eq!(response.status(), 200, "{written}");
        assert_eq!(json_of(response).await["open_questions"], shown, "{written}");
        assert_eq!(llm.number_of_calls(), 1, "{written}");
    }
}

#[tokio::test]
async fn streams_end_with_the_questions_and_the_embedded_planner_has_none() {
    let llm = FakeLlm::start([plan_with(&json!(["Which login?"]))]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let request = app.client.post(app.url("/plan?include=questions")).header("accept", "text/event-stream");
    let events = request.json(&goal()).send().await.expect("an answer").text().await.expect("events");
    assert!(events.contains(r#""open_questions":["Which login?"]"#), "{events}");
    let app = TestApp::embedded().await;
    let plan = json_of(app.plan_at("/plan?include=questions", &goal()).await).await;
    assert_eq!(plan["open_questions"], json!([]));
}

#[tokio::test]
async fn a_plan_without_questions_in_the_cache_is_not_taken_for_one_with_questions() {
    let llm = FakeLlm::start([plan_with(&json!(["Which login?"]))]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_CACHE_TTL_SECONDS", "60")]).await;
    for (path, cache) in [
        ("/plan", "miss"),
        ("/plan?include=questions", "miss"),
        ("/plan?include=questions", "hit"),
        ("/plan?include=usage", "hit"),
    ] {
        let response = app.plan_at(path, &goal()).await;
        assert_eq!(header(&response, "x-planner-cache"), cache, "{path}");
        let questions = json_of(response).await["open_questions"].take();
        let expected = if path.ends_with("questions") { json!(["Which login?"]) } else { Value::Null };
        assert_eq!(questions, expected, "{path}");
    }
}
