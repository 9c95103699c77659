//! The examples of `/openapi.json` and `/docs`: each call is made again, and answered as the example says.

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TestApp, json_of, repository_file};

const FILE: &str = "src/http/docs/examples.json";

async fn answer(example: &Value) -> (u16, Value) {
    // A valid plan passes through unchanged; of one that is planned again, the LLM says the new steps alone.
    let said = example.get("llm").unwrap_or(&example["response"]);
    let llm = FakeLlm::start([Reply::plan(said)]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let path = example["path"].as_str().expect("a path");
    let request = match example.get("request") {
        Some(body) => app.client.post(app.url(path)).json(body),
        None => app.client.get(app.url(path)),
    };
    let response = request.header("x-request-id", "example-1").send().await.expect("an answer");
    (response.status().as_u16(), json_of(response).await)
}

/// With `UPDATE_EXAMPLES` set, the answers in the file become the present ones.
#[tokio::test]
async fn every_example_is_what_the_service_answers() {
    let mut examples: Value = serde_json::from_str(&repository_file(FILE)).expect("JSON");
    let is_update = std::env::var_os("UPDATE_EXAMPLES").is_some();
    for example in examples.as_array_mut().expect("a list") {
        let (status, response) = answer(example).await;
        assert_eq!(json!(status), example["status"], "{}: {response}", example["name"]);
        if is_update {
            example["response"] = response;
        } else {
            assert_eq!(
                example["response"], response,
                "{}: UPDATE_EXAMPLES=1 writes the present answer",
                example["name"]
            );
        }
    }
    if is_update {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/docs/examples.json");
        let text = serde_json::to_string_pretty(&examples).expect("JSON");
        std::fs::write(path, text + "\n").expect("a writable file");
    }
}

#[tokio::test]
async fn the_description_has_each_example() {
    let app = TestApp::embedded().await;
    let api = json_of(app.get("/openapi.json").await).await;
    let examples: Value = serde_json::from_str(&repository_file(FILE)).expect("JSON");
    for example in examples.as_array().expect("a list") {
        let path = example["path"].as_str().and_then(|path| path.split('?').next()).expect("a path");
        let name = example["name"].as_str().expect("a name");
        let operation =
            api["paths"][path].as_object().expect("a path").values().next().expect("an operation");
        let status = example["status"].to_string();
        let media_type = if status == "200" { "application/json" } else { "application/problem+json" };
        let answer = &operation["responses"][&status]["content"][media_type]["examples"][name]["value"];
        assert_eq!(answer, &example["response"], "{name}");
        let request = &operation["requestBody"]["content"]["application/json"]["examples"][name]["value"];
        let wanted = if status == "200" { example.get("request") } else { None };
        assert_eq!(Some(request).filter(|request| !request.is_null()), wanted, "{name}");
    }
}
