//! The command line, run as a user runs it.

use std::process::{Output, Stdio};

use planner_arm::models::PlanResponse;
use tokio::process::Command;

use crate::support::{FakeLlm, Reply, TestApp, assert_usually_sound, good_plan};

/// The binary with these settings alone, and whatever finds it its libraries.
pub fn binary(variables: &[(&str, &str)]) -> Command {
    let mut command = bare(env!("CARGO_BIN_EXE_planner-arm"));
    command.envs(variables.iter().copied());
    command
}

/// A program without any setting, which ends with the test.
pub fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the binary: exit code, standard output, standard error.
pub async fn run(variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    outcome(binary(variables).args(arguments)).await
}

/// Runs a command: exit code, standard output, standard error.
pub async fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().await.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

#[tokio::test]
async fn a_plan_is_printed_as_a_table() {
    let (code, out, err) =
        run(&[], &["plan", "Debug the login and add tests", "--constraint", "Use Python only"]).await;
    assert_eq!(code, 0, "{err}");
    let words: String = out.split(|c: char| !c.is_alphanumeric()).collect::<Vec<_>>().join(" ");
    assert!(words.contains("Constraint respected"), "{out}");
    for part in ["Arm", "Done when", "judge", "Python", "critical path", "by embedded (embedded)"] {
        assert!(out.contains(part), "{part}\n{out}");
    }
}

#[tokio::test]
async fn a_plan_is_printed_as_json_like_that_of_the_api() {
    let (code, out, _) = run(&[], &["plan", "Debug the login and add tests", "--format", "json"]).await;
    assert_eq!(code, 0);
    let printed: PlanResponse = serde_json::from_str(&out).expect("a plan");
    assert_usually_sound(&printed);
    let body = serde_json::json!({"goal": "Debug the login and add tests"});
    assert_eq!(TestApp::embedded().await.planned(&body).await, printed);
}

#[tokio::test]
async fn a_plan_is_drawn_for_mermaid() {
    let (code, out, _) = run(&[], &["plan", "Debug the login and add tests", "-f", "mermaid"]).await;
    assert_eq!(code, 0);
    assert!(out.starts_with("flowchart LR\n    s1[\"1. ") && out.contains(" --> "), "{out}");
}

#[tokio::test]
async fn a_plan_can_come_from_a_model() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let url = ("PLANNER_LLM_BASE_URL", llm.base_url.as_str());
    let context = r#"{"repository": "https://example.com/repo"}"#;
    let (code, out, err) = run(&[url], &["plan", "Ship it", "--context", context]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("by openai (gpt-3.5-turbo)"), "{out}");
    assert!(
        llm.calls()[0]["messages"][1]["content"]
            .as_str()
            .is_some_and(|text| text.contains("example.com/repo"))
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_goal_or_a_context_is_said_in_a_sentence() {
    for (arguments, said) in [
        (&["plan", "  "][..], "goal must be 1 to 10,000 characters long and not blank"),
        (&["plan", "g", "--context", "{\"k\": "], "--context must be a JSON object"),
        (&["plan", "g", "--context", "/nowhere.json"], "\"/nowhere.json\" cannot be read"),
    ] {
        let (code, out, err) = run(&[], arguments).await;
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert!(err.contains(said), "{err}");
    }
}

#[tokio::test]
async fn a_model_that_fails_is_said_in_a_sentence() {
    let llm = FakeLlm::start([Reply::status(401)]).await;
    let (code, out, err) = run(&[("PLANNER_LLM_BASE_URL", &llm.base_url)], &["plan", "g"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("The LLM server refused the key; check PLANNER_OPENAI_API_KEY."), "{err}");
}

#[tokio::test]
async fn bad_settings_stop_every_command_with_78_and_one_message() {
    for command in ["serve", "plan", "config"] {
        let arguments: &[&str] = if command == "plan" { &["plan", "g"] } else { &[command] };
        let variables = [("PLANNER_PORT", "x"), ("PLANNER_TIMEOUT_SECONDS", "0")];
        let (code, out, err) = run(&variables, arguments).await;
        assert_eq!((code, out.as_str()), (78, ""), "{command}");
        assert!(err.contains("PLANNER_PORT") && err.contains("PLANNER_TIMEOUT_SECONDS"), "{err}");
    }
}

#[tokio::test]
async fn the_settings_in_force_are_printed_with_secrets_masked() {
    let variables = [("OPENAI_API_KEY", "sk-canary"), ("PLANNER_PORT", "9000")];
    let (code, out, _) = run(&variables, &["config"]).await;
    assert_eq!(code, 0);
    assert!(
        out.contains("PLANNER_PORT=9000\n") && out.contains("PLANNER_OPENAI_API_KEY=********\n"),
        "{out}"
    );
    assert!(!out.contains("canary"));
}

#[tokio::test]
async fn a_health_check_ends_with_0_or_1() {
    let app = TestApp::embedded().await;
    let url = app.url("/health");
    assert_eq!(run(&[], &["healthcheck", &url]).await.0, 0);
    let port = app.address.port().to_string();
    assert_eq!(run(&[("PLANNER_PORT", &port)], &["healthcheck"]).await.0, 0, "found by its settings");
    let (code, _, err) = run(&[], &["healthcheck", &app.url("/nothing")]).await;
    assert_eq!(code, 1);
    assert!(err.contains("404"), "{err}");
    assert_eq!(run(&[], &["healthcheck", "http://127.0.0.1:9/health"]).await.0, 1);
    assert_eq!(run(&[("PLANNER_PORT", "x")], &["healthcheck", &url]).await.0, 0, "whatever the settings");
}

#[tokio::test]
async fn every_command_explains_itself() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["plan", "--help"],
        &["eval", "--help"],
        &["healthcheck", "--help"],
        &["config", "--help"],
    ] {
        let (code, out, _) = run(&[], arguments).await;
        assert_eq!(code, 0, "{arguments:?}");
        assert!(out.contains("Usage: planner-arm"), "{out}");
    }
    assert!(run(&[], &["--version"]).await.1.contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_in_a_sentence() {
    let app = TestApp::embedded().await;
    let port = app.address.port().to_string();
    let (code, _, err) = run(&[("PLANNER_HOST", "127.0.0.1"), ("PLANNER_PORT", &port)], &["serve"]).await;
    assert_eq!(code, 1);
    assert!(err.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{err}");
}
