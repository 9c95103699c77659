//! Sources that are started as child processes.

use serde_json::json;
use tokio::process::Command;

use super::{arms, arms_once, foreign, with_sources};
use crate::support::{TempFile, TestApp, settings, until};

/// A command that notes its process id in `file` and is an MCP server.
fn noted(file: &TempFile) -> Vec<String> {
    let script = format!("echo $$ > '{}'; exec '{}' mcp", file.path, env!("CARGO_BIN_EXE_planner-arm"));
    ["sh", "-c", &script].map(str::to_owned).to_vec()
}

/// The process id in `file`, once it is another than `former`.
async fn process(file: &TempFile, former: Option<u32>) -> u32 {
    until(async || {
        let id = std::fs::read_to_string(&file.path).ok().and_then(|text| text.trim().parse().ok());
        id.filter(|id| Some(*id) != former).ok_or("it is not started")
    })
    .await
}

/// Waits until a process is gone.
async fn gone(id: u32) {
    let is_gone = || !std::path::Path::new(&format!("/proc/{id}")).exists();
    until(async || is_gone().then_some(()).ok_or("it still runs")).await;
}

#[tokio::test]
async fn a_process_is_started_again_when_it_ends_and_ends_with_the_service() {
    let file = TempFile::new("pid", "");
    let source = json!({"mcp_command": noted(&file), "name": "own", "include": ["create_plan"]});
    let mut app = with_sources(&json!([source])).await;
    let list = arms_once(&app, |list| list["sources"][0]["available"] == true).await;
    assert_eq!(foreign(&list), [("create_plan", true)]);
    let first = process(&file, None).await;
    assert!(
        Command::new("kill").args(["-KILL", &first.to_string()]).status().await.expect("kill runs").success()
    );
    let second = process(&file, Some(first)).await;
    assert_eq!(foreign(&arms(&app).await), [("create_plan", true)], "its arms were kept");
    app.begin_stop();
    app.ended().await;
    gone(second).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_process_is_said() {
    let app = with_sources(&json!([
        {"mcp_command": ["/nowhere/at-all"], "name": "missing"},
        {"mcp_command": ["sh", "-c", "exit 3"], "name": "ends"},
        {"mcp_command": ["echo", "hello"], "name": "talks"},
    ]))
    .await;
    let list = arms_once(&app, |list| {
        list["sources"]
            .as_array()
            .expect("sources")
            .iter()
            .all(|source| source["error"] != "has not been read yet")
    })
    .await;
    for (place, part) in [(0, "cannot be started"), (1, "has ended (exit status: 3)"), (2, "has ended")] {
        let error = list["sources"][place]["error"].as_str().expect("a reason");
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn a_process_gets_the_variables_that_it_is_given_and_not_our_secrets() {
    let script = format!("env > \"$SEEN\"; exec '{}' mcp", env!("CARGO_BIN_EXE_planner-arm"));
    let seen = TempFile::new("seen", "");
    let settings_file = TempFile::new(
        "planner.yaml",
        &json!({"arm_sources": [{"mcp_command": ["sh", "-c", script], "env": ["SEEN"]}]}).to_string(),
    );
    let variables = [
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_CONFIG_FILE", settings_file.path.as_str()),
        ("SEEN", seen.path.as_str()),
        ("PLANNER_OPENAI_API_KEY", "sk-canary"),
    ];
    let (code, printed, log) = crate::cli::run(&variables, &["arms", "--format", "json"]).await;
    assert!(code == 0 && printed.contains("create_plan"), "{printed}{log}");
    let seen = std::fs::read_to_string(&seen.path).expect("what it has seen");
    assert!(seen.contains("SEEN=") && !seen.contains("canary"), "{seen}");
}

#[tokio::test]
async fn sources_are_checked_with_the_other_settings() {
    let file = TempFile::new(
        "planner.yaml",
        &json!({"arm_sources": [{"mcp": "https://a.example/mcp"}]}).to_string(),
    );
    let settings = settings(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_CONFIG_FILE", &file.path)]);
    assert_eq!(settings.expect("settings").arm_sources[0].name, "https://a.example/mcp");
    // Without sources nothing changes.
    let app = TestApp::embedded().await;
    assert_eq!(arms(&app).await["sources"], json!([]));
}
