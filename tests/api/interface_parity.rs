//! The same goal gets the same plan, whichever way it is asked for. That the page shows it too is for `tests/browser`.

use serde_json::{Value, json};

use crate::cli::run;
use crate::mcp::{self, stdio};
use crate::stream::events::Events;
use crate::support::{FakeLlm, Reply, TestApp, good_plan, json_of};

/// A plan without its extras, which not every interface gives.
fn comparable(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().expect("an object");
    for extra in ["schedule", "repairs", "usage", "warnings"] {
        fields.remove(extra);
    }
    answer
}

#[tokio::test]
async fn each_interface_gives_the_same_plan() {
    // One repair, so that the confidence is not just what the LLM says.
    let mut answer = good_plan();
    answer["plan"][0]["required_arm"] = json!("Retriever");
    let llm = FakeLlm::start([Reply::plan(&answer)]).await;
    for (engine, settings) in [
        ("an LLM", vec![("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_CACHE_TTL_SECONDS", "0")]),
        ("rules", vec![("PLANNER_ENGINE", "embedded")]),
    ] {
        let app = TestApp::start(&settings).await;
        let wanted = json!({"goal": "Debug the login and add tests", "constraints": ["Use Python only"]});
        let plan = json_of(app.plan(&wanted).await).await;

        let (steps, _, streamed) = Events::of(&app, "/plan", &wanted).await.rest().await;
        assert_eq!((&streamed, &json!(steps)), (&plan, &plan["plan"]), "events, {engine}");

        assert_eq!(
            comparable(mcp::planned(&app, "create_plan", &wanted).await),
            plan,
            "MCP over HTTP, {engine}"
        );
        assert_eq!(comparable(stdio::planned(&settings, &wanted).await), plan, "MCP on stdio, {engine}");

        let arguments =
            ["plan", "Debug the login and add tests", "-c", "Use Python only", "--format", "json"];
        let (code, printed, log) = run(&settings, &arguments).await;
        assert_eq!(code, 0, "{log}");
        assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), plan, "terminal, {engine}");

        let checked = app.client.post(app.url("/validate")).json(&plan).send().await.expect("an answer");
        assert_eq!(comparable(json_of(checked).await), plan, "what was planned is valid, {engine}");
    }
}
