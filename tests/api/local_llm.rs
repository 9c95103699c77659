//! `PLANNER_DETECT_LOCAL_LLM`: a language model on this machine is found and used, and only where nobody chose one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use planner_arm::config::{LocalLlm, LocalModel, Settings};
use planner_arm::domain::EngineKind;
use planner_arm::service::detect_local_llm;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of, settings};

async fn detected(variables: &[(&str, &str)], addresses: &[SocketAddr]) -> Settings {
    let settings = settings(variables).unwrap_or_else(|error| panic!("{error}"));
    detect_local_llm(settings, addresses).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn offering(models: &[&str]) -> FakeLlm {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    llm.offer(models);
    llm
}

/// A server that answers `/v1/models` so.
async fn answering(body: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().route("/v1/models", get(move || async move { body }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn shown<'a>(settings: &'a Settings, name: &str) -> &'a str {
    let found = settings.shown().iter().find(|(shown, _)| *shown == name);
    &found.unwrap_or_else(|| panic!("{name}")).1
}

#[tokio::test]
async fn the_first_model_that_is_found_makes_the_plans_and_it_is_said() {
    let (other, second, third) = (
        offering(&[]).await,
        offering(&["nomic-embed-text", "tiny:latest", "large"]).await,
        offering(&["third"]).await,
    );
    let settings = detected(
        &[("PLANNER_CACHE_TTL_SECONDS", "0")],
        &[other.address(), second.address(), third.address()],
    )
    .await;
    let notice = settings.model_notice().expect("a notice");
    for part in
        ["the model tiny:latest", &second.base_url, "found on this machine", "PLANNER_DETECT_LOCAL_LLM=false"]
    {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    assert_eq!(settings.timeout, Duration::from_secs(120));
    for (name, value) in [
        ("ENGINE", "openai"),
        ("LLM_BASE_URL", &second.base_url),
        ("LLM_MODEL", "tiny:latest"),
        ("TIMEOUT_SECONDS", "120"),
        ("DETECT_LOCAL_LLM", "true"),
    ] {
        assert_eq!(shown(&settings, name), value, "{name}");
    }

    let app = TestApp::start_with(&settings).await;
    let health = json_of(app.get("/health").await).await;
    assert_eq!((&health["model"], &health["notice"]), (&json!("tiny:latest"), &json!(notice)));
    let response = app.plan(&json!({"goal": "Ship it"})).await;
    assert_eq!(
        ["engine", "model"].map(|name| header(&response, &format!("x-planner-{name}"))),
        ["openai", "tiny:latest"]
    );
    assert_eq!(response.status(), 200);
    assert_eq!(second.calls()[0].model(), "tiny:latest");
}

#[tokio::test]
async fn a_model_and_a_timeout_that_are_set_are_kept() {
    let (first, second) = (offering(&["tiny:latest"]).await, offering(&["large:latest"]).await);
    let addresses = [first.address(), second.address()];
    let variables = [("PLANNER_LLM_MODEL", "large"), ("PLANNER_TIMEOUT_SECONDS", "30")];
    let settings = detected(&variables, &addresses).await;
    let found = LocalModel { base_url: second.base_url.clone(), name: "large:latest".into() };
    assert_eq!((&settings.local_llm, settings.timeout), (&LocalLlm::Found(found), Duration::from_secs(30)));
    let settings = detected(&[("PLANNER_LLM_MODEL", "gpt-4o")], &addresses).await;
    assert_eq!((&settings.local_llm, settings.engine), (&LocalLlm::NotFound, EngineKind::Embedded));
}

#[tokio::test]
async fn nothing_is_looked_for_where_a_model_or_engine_is_chosen_or_outside_development() {
    for variables in [
        &[("PLANNER_ENGINE", "embedded")][..],
        &[("PLANNER_LLM_BASE_URL", "http://localhost:9/v1")],
        &[("OPENAI_API_KEY", "sk-1")],
        &[("PLANNER_DETECT_LOCAL_LLM", "false")],
        &[("PLANNER_ENVIRONMENT", "production"), ("PLANNER_OPENAI_API_KEY", "sk-1")],
    ] {
        let settings = settings(variables).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.local_llm, LocalLlm::Off, "{variables:?}");
    }
    let production = settings(&[("PLANNER_ENVIRONMENT", "production")]).expect_err("a key is needed");
    assert!(production.to_string().contains("PLANNER_OPENAI_API_KEY is not set"), "{production}");
}

#[tokio::test]
async fn what_lists_no_models_is_not_used() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = offering(&["gone"]).await;
    gone.refuse().await;
    let started = Instant::now();
    let addresses = [
        answering("<html>Jenkins</html>".into()).await,
        answering(json!({"data": []}).to_string()).await,
        answering(json!({"data": [{"id": 7}]}).to_string()).await,
        answering(json!({"data": [{"id": "a\u{1b}[2J"}, {"id": "all-embeddings"}]}).to_string()).await,
        answering(json!({"data": [{"id": "x"}], "padding": "x".repeat(300_000)}).to_string()).await,
        offering(&[]).await.address(),
        silent.local_addr().expect("an address"),
        gone.address(),
    ];
    let settings = detected(&[], &addresses).await;
    assert_eq!((&settings.local_llm, settings.engine), (&LocalLlm::NotFound, EngineKind::Embedded));
    assert!(started.elapsed() < Duration::from_secs(5), "one that is silent is not waited for");
    let notice = settings.model_notice().expect("a notice");
    for part in
        ["No language model is connected", "PLANNER_OPENAI_API_KEY", "PLANNER_LLM_BASE_URL", "start Ollama"]
    {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    let app = TestApp::start_with(&settings).await;
    assert_eq!(json_of(app.get("/health").await).await["notice"], json!(notice));
    // Who chose the embedded planner, or a model, is told nothing.
    assert!(json_of(TestApp::embedded().await.get("/health").await).await.get("notice").is_none());
}

#[tokio::test]
async fn outside_development_a_model_must_be_found_where_it_is_asked_for() {
    let variables = [("PLANNER_ENVIRONMENT", "staging"), ("PLANNER_DETECT_LOCAL_LLM", "true")];
    let llm = offering(&["tiny"]).await;
    assert_eq!(shown(&detected(&variables, &[llm.address()]).await, "LLM_MODEL"), "tiny");
    let error = detect_local_llm(settings(&variables).expect("settings"), &[]).await.expect_err("no model");
    assert!(error.to_string().contains("no language model was found on this machine"), "{error}");
}
