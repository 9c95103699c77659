//! What a plan costs at least with the same crates: axum in front, async-openai and reqwest behind, and nothing in
//! between but the JSON of the request and of the answer. A process of its own, which is this benchmark again.

use std::net::SocketAddr;

use async_openai::config::OpenAIConfig;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Client = async_openai::Client<OpenAIConfig>;

/// What makes its calls as long as planner-arm's, 12.7 kB: instructions, a playbook and a schema.
const PROMPT_BYTES: usize = 12_400;

/// Serves `POST /plan` with the LLM at `llm`, for as long as the process lives. The first line of the output is the
/// address.
///
/// # Errors
/// When it cannot listen.
#[expect(clippy::print_stdout, reason = "the address, for the process that started this one")]
pub(crate) async fn serve(llm: SocketAddr) -> std::io::Result<()> {
    let config = OpenAIConfig::new().with_api_base(format!("http://{llm}/v1")).with_api_key("bench-key");
    // reqwest is built without a cryptography of its own; this fails when the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Without this a proxy of the environment would be on the way.
    let http = reqwest::Client::builder().no_proxy().build().map_err(std::io::Error::other)?;
    let client = async_openai::Client::build(http, config);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/plan", post(plan)).with_state(client)).await
}

async fn plan(State(client): State<Client>, Json(request): Json<Value>) -> Result<Json<Value>, StatusCode> {
    let call = json!({
        "model": "gpt-3.5-turbo", "temperature": 0.3, "max_tokens": 2_000,
        "messages": [
            { "role": "system", "content": "Plan. ".repeat(PROMPT_BYTES / 6) },
            { "role": "user", "content": request["goal"] },
        ],
    });
    let answer: Value = client.chat().create_byot(call).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    serde_json::from_str(content).map(Json).map_err(|_| StatusCode::BAD_GATEWAY)
}
