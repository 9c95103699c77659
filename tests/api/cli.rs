//! The command line, run as a user runs it.

mod help;

use std::process::{Output, Stdio};

use planner_arm::domain::PlanResponse;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{FakeLlm, Reply, TempFile, TestApp, assert_valid_by_default, good_plan};

/// The program: the one that was built for the tests, or `PLANNER_TEST_BINARY`.
pub fn program() -> String {
    std::env::var("PLANNER_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_planner-arm").to_owned())
}

/// The engine that needs no model, chosen.
pub const EMBEDDED: (&str, &str) = ("PLANNER_ENGINE", "embedded");

/// It with these settings alone.
pub fn binary(variables: &[(&str, &str)]) -> Command {
    let mut command = bare(&program());
    // Whatever runs on this machine.
    command.env("PLANNER_DETECT_LOCAL_LLM", "false").envs(variables.iter().copied());
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
    parts_of(command.output().await.expect("the binary runs"))
}

fn parts_of(output: Output) -> (i32, String, String) {
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// As [`run`], with something on standard input.
pub async fn run_with_input(input: &[u8], arguments: &[&str]) -> (i32, String, String) {
    let mut command = binary(&[EMBEDDED]);
    let piped = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It reads no more than it needs, and then nobody is there.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    parts_of(child.wait_with_output().await.expect("the binary runs"))
}

#[tokio::test]
async fn a_plan_is_printed_as_a_table() {
    let (code, out, err) =
        run(&[], &["plan", "Debug the login and add tests", "--constraint", "Use Python only"]).await;
    assert_eq!(code, 0, "{err}");
    let words: String = out.split(|c: char| !c.is_alphanumeric()).collect::<Vec<_>>().join(" ");
    assert!(words.contains("Constraint met"), "{out}");
    for part in ["Arm", "Done when", "judge", "Python", "critical path", "by the embedded planner"] {
        assert!(out.contains(part), "{part}\n{out}");
    }
}

#[tokio::test]
async fn a_plan_is_printed_as_json_like_that_of_the_api() {
    let (code, out, _) = run(&[], &["plan", "Debug the login and add tests", "--format", "json"]).await;
    assert_eq!(code, 0);
    let printed: PlanResponse = serde_json::from_str(&out).expect("a plan");
    assert_valid_by_default(&printed);
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
async fn a_plan_is_drawn_as_a_tree_as_documented() {
    let (code, out, err) =
        run(&[EMBEDDED], &["plan", "Build and deploy a REST API with tests", "-f", "tree"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.starts_with(
            "● 1 retriever · 10 min · tier 1
│   Look up"
        ),
        "{out}"
    );
    assert!(
        crate::readme::page("docs/command-line.md").contains(&format!(
            "```text
{out}```"
        )),
        "{out}"
    );
}

#[tokio::test]
async fn several_words_are_one_goal() {
    let quoted = run(&[], &["plan", "fix the bug", "-f", "json"]).await;
    assert_eq!(quoted.0, 0, "{}", quoted.2);
    assert_eq!(run(&[], &["plan", "fix", "the", "bug", "-f", "json"]).await, quoted);
    assert_eq!(run(&[], &["plan", "-f", "json", "fix", "the", "bug"]).await, quoted);
}

#[tokio::test]
async fn a_goal_can_come_on_standard_input() {
    let goal = "Debug the login and add tests";
    let (_, wanted, _) = run(&[], &["plan", goal, "-f", "json"]).await;
    for arguments in [&["plan", "-f", "json"][..], &["plan", "-", "-f", "json"]] {
        for end in ["", "\n", "\r\n"] {
            let (code, out, err) = run_with_input(format!("{goal}{end}").as_bytes(), arguments).await;
            assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
            assert_eq!(out, wanted, "{arguments:?} {end:?}");
        }
    }
    let longest = "🚀".repeat(9_999) + "x\r\n";
    assert_eq!(run_with_input(longest.as_bytes(), &["plan"]).await.0, 0, "10,000 characters");
    // Arguments take precedence over standard input.
    assert_eq!(run_with_input(b"\xff", &["plan", goal, "-f", "json"]).await.1, wanted);
}

#[tokio::test]
async fn an_invalid_goal_on_standard_input_is_reported() {
    let endless = vec![b'x'; 1 << 20];
    for (input, said) in [
        (&b""[..], "no goal: give one as an argument or on standard input"),
        (b" \n", "goal must be 1 to 10,000 characters long and not blank"),
        (&[b'x'; 10_001], "goal must be 1 to 10,000 characters long and not blank"),
        (&endless, "The goal on standard input is longer than 10,000 characters."),
        (b"Write \xff", "The goal on standard input is not UTF-8"),
    ] {
        let (code, out, err) = run_with_input(input, &["plan"]).await;
        assert_eq!((code, out.as_str()), (1, ""), "{said}");
        assert!(err.contains(said), "{err}");
    }
}

#[tokio::test]
async fn arms_are_coloured_as_options_and_environment_say() {
    let (no, force) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"));
    for format in ["table", "tree"] {
        for (variables, color, is_coloured) in [
            (&[][..], "auto", false),
            (&[force], "auto", true),
            (&[force, no], "auto", false),
            (&[("NO_COLOR", ""), force], "auto", true),
            (&[force], "never", false),
            (&[no], "always", true),
        ] {
            let arguments = ["plan", "Build a REST API", "-f", format, "--color", color];
            let variables = [&[EMBEDDED], variables].concat();
            let (code, out, err) = run(&variables, &arguments).await;
            assert_eq!((code, err.as_str()), (0, ""));
            let coloured = out.contains("\u{1b}[38;5;32m");
            assert_eq!(coloured, is_coloured, "{format} {variables:?} {color}\n{out}");
            assert!(out.contains("retriever") && (is_coloured || !out.contains('\u{1b}')), "{out}");
        }
    }
    // What programs read has none in any case.
    for format in ["json", "mermaid"] {
        let (_, out, _) = run(&[], &["plan", "Debug the login", "-f", format, "--color", "always"]).await;
        assert!(!out.is_empty() && !out.contains('\u{1b}'), "{out}");
    }
}

#[tokio::test]
async fn a_reader_that_stops_early_is_no_error() {
    for arguments in [&["plan", "Debug the login"][..], &["completions", "bash"], &["man"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = binary(&[EMBEDDED]);
        let output = command.args(arguments).stdout(writer).stderr(Stdio::piped()).spawn().expect("it runs");
        let output = output.wait_with_output().await.expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn nothing_is_drawn_or_streamed_without_a_terminal() {
    let llm = FakeLlm::start([Reply::status(500), Reply::plan(&good_plan())]).await;
    let variables = [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("TERM", "xterm-256color")];
    let (code, out, err) = run(&variables, &["plan", "Ship it", "--color", "never"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("Write the change"), "{out}");
    assert_eq!(err, "", "neither a drawing nor log lines");
    assert_eq!(llm.bodies()[1].get("stream"), None, "and so nothing is streamed");
}

#[tokio::test]
async fn a_plan_can_come_from_a_model() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let url = ("PLANNER_LLM_BASE_URL", llm.base_url.as_str());
    let context = r#"{"repository": "https://example.com/repo"}"#;
    let (code, out, err) = run(&[url], &["plan", "Ship it", "--context", context]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("by openai (gpt-3.5-turbo)\n930 tokens, $0.000975\n"), "{out}");
    assert!(
        llm.bodies()[0]["messages"][1]["content"]
            .as_str()
            .is_some_and(|text| text.contains("example.com/repo"))
    );
}

#[tokio::test]
async fn an_invalid_goal_or_context_is_reported() {
    for (arguments, said) in [
        (&["plan", "  "][..], "goal must be 1 to 10,000 characters long and not blank"),
        (&["plan", "g", "--context", "{\"k\": "], "--context must be a JSON object"),
        (&["plan", "g", "--context", "[1]"], "--context must be a JSON object, not an array"),
        (&["plan", "g", "--context", "17"], "--context must be a JSON object, not a number"),
        (&["plan", "g", "--context", "/nowhere.json"], "--context: cannot read the file \"/nowhere.json\""),
    ] {
        let (code, out, err) = run(&[], arguments).await;
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert!(err.contains(said), "{err}");
    }
}

#[tokio::test]
async fn the_failure_of_an_llm_is_one_message_without_log_lines() {
    let llm = FakeLlm::start([Reply::status(401)]).await;
    let url = ("PLANNER_LLM_BASE_URL", llm.base_url.as_str());
    let (code, out, err) = run(&[url], &["plan", "g"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("planner-arm: ") && err.lines().count() == 1, "{err}");
    assert!(err.contains("The LLM server refused the key; check PLANNER_OPENAI_API_KEY."), "{err}");
    let (_, _, err) = run(&[url, ("PLANNER_LOG_LEVEL", "debug")], &["plan", "g"]).await;
    assert!(err.contains("WARN planner_arm::llm"), "{err}");
}

#[tokio::test]
async fn the_servers_own_words_are_printed_without_what_was_sent() {
    let goal = "Move the customer database to Oslo";
    let message = format!("Model is under maintenance until Friday (key sk-canary, prompt: {goal})");
    let body = json!({"error": {"message": message, "code": "maintenance"}});
    let llm = FakeLlm::start([Reply::Status(400, Vec::new(), body)]).await;
    let variables =
        [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_OPENAI_API_KEY", "sk-canary")];
    let (code, out, err) = run(&variables, &["plan", goal]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("Model is under maintenance until Friday"), "{err}");
    assert!(!err.contains("canary") && !err.contains("customer database"), "{err}");
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
async fn a_port_in_use_is_reported_in_one_sentence() {
    let app = TestApp::embedded().await;
    let port = app.address.port().to_string();
    let (code, _, err) = run(&[("PLANNER_HOST", "127.0.0.1"), ("PLANNER_PORT", &port)], &["serve"]).await;
    assert_eq!(code, 1);
    assert!(err.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{err}");
}

#[tokio::test]
async fn cost_tiers_are_numbers_and_never_read_as_money() {
    for arguments in [&["arms"][..], &["plan", "Ship it"], &["plan", "Ship it", "-f", "tree"]] {
        let (code, out, _) = run(&[EMBEDDED], arguments).await;
        assert_eq!(code, 0);
        assert!(!out.contains('$') && (out.contains("1-5") || out.contains("tier")), "{out}");
    }
}

#[tokio::test]
async fn an_unknown_variable_is_reported_with_the_nearest_name() {
    let url = TestApp::embedded().await.url("/health");
    for (arguments, ends_with) in [
        (&["config"][..], 0),
        (&["plan", "Ship it"], 0),
        (&["arms"], 0),
        (&["man"], 0),
        (&["completions", "bash"], 0),
        (&["healthcheck", &url], 1),
        (&["eval", "/nowhere.toml"], 1),
    ] {
        let (code, _, err) = run(&[("PLANNER_MODEL", "x")], arguments).await;
        assert_eq!(code, ends_with, "{err}");
        let said = "planner-arm: unknown setting PLANNER_MODEL (did you mean PLANNER_LLM_MODEL?)";
        assert!(err.lines().any(|line| line == said), "{arguments:?}: {err}");
    }
}

#[tokio::test]
async fn unknown_variables_are_reported_with_invalid_ones() {
    for arguments in [&["serve"][..], &["mcp"], &["config"]] {
        let variables = [("PLANNER_MODEL", "x"), ("PLANNER_PORT", "x")];
        let (code, _, err) = run(&variables, arguments).await;
        assert_eq!(code, 78, "{err}");
        assert_eq!(err.matches("(did you mean PLANNER_LLM_MODEL?)").count(), 1, "{err}");
    }
}

#[tokio::test]
async fn without_a_model_the_settings_that_connect_one_are_named() {
    let said = "No language model is connected: plans come from the embedded planner. To connect one, set \
                PLANNER_OPENAI_API_KEY (OpenAI) or PLANNER_LLM_BASE_URL (any OpenAI-compatible server).";
    for format in ["table", "json"] {
        let (code, out, err) = run(&[], &["plan", "Ship it", "-f", format]).await;
        assert_eq!((code, err), (0, format!("planner-arm: {said}\n")), "{format}");
        assert!(!out.contains("No language model is connected"), "programs read it");
    }
    assert!(run(&[], &["config"]).await.1.starts_with(&format!("# {said}\n")));
    // Who chose it knows.
    for arguments in [&["plan", "Ship it"][..], &["config"]] {
        let (_, out, err) = run(&[EMBEDDED], arguments).await;
        assert!(err.is_empty() && !out.contains("language model is connected"), "{out}");
    }
}

#[tokio::test]
async fn a_settings_file_can_be_an_option_of_any_command() {
    let file = TempFile::new("settings.toml", "port = 9100\n");
    for arguments in [["config", "--config", &file.path], ["--config", &file.path, "config"]] {
        let (code, out, err) = run(&[("PLANNER_CONFIG_FILE", "/nowhere.toml")], &arguments).await;
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        assert!(out.contains("PLANNER_PORT=9100\n"), "{out}");
    }
    let (code, _, err) = run(&[], &["config", "--config", "/nowhere.toml"]).await;
    assert_eq!(code, 78);
    assert!(err.contains("\"/nowhere.toml\""), "{err}");
}

#[tokio::test]
async fn an_invalid_file_of_arms_is_reported_with_the_place_in_it() {
    for (name, text, fault) in [
        ("arms.yaml", "arms:\n  - {id: a\n  - {id: b}\n", "is invalid: line 2, column 5: unclosed bracket"),
        ("arms.toml", "[[arms]]\nid = = 3\n", "is invalid: line 2, column 6: "),
        (
            "arms.json",
            "[{\"id\": \"a\"},\n {\"id\": }]",
            "is invalid: line 2, column 9: it is not valid JSON",
        ),
        ("arms.yaml", "tools: []\n", "has no list of arms; write "),
        ("arms.json", "{\"arms\": 1}", "has no list of arms; write "),
    ] {
        let file = TempFile::new(name, text);
        let (code, _, err) = run(&[EMBEDDED], &["plan", "Ship it", "--arms", &file.path]).await;
        assert_eq!(code, 1, "{err}");
        assert!(err.contains(&format!("{name}\" {fault}")) && err.lines().count() == 1, "{err}");
    }
    let file = TempFile::new("arms.json", r#"["codr", {"name": "x"}]"#);
    for (path, faults) in [
        ("/nowhere.json", &["the file \"/nowhere.json\" cannot be read"][..]),
        (
            &file.path,
            &[
                "is invalid:\n  - arms[0] is not an arm of this installation (did you mean `coder`?)",
                "\n  - arms[1] has no id",
            ],
        ),
    ] {
        let (code, _, err) = run(&[EMBEDDED], &["plan", "Ship it", "--arms", path]).await;
        assert_eq!(code, 1, "{err}");
        assert!(faults.iter().all(|fault| err.contains(fault)), "{err}");
    }
}

#[tokio::test]
async fn several_words_are_one_goal_or_get_a_hint_on_quotes() {
    let quoted = run(&[EMBEDDED], &["playbooks", "--test", "fix the bug"]).await;
    assert_eq!(run(&[EMBEDDED], &["playbooks", "--test", "fix", "the", "bug"]).await, quoted);
    assert!(quoted.1.contains("bug-fix guides the plan"), "{}", quoted.1);
    for option in ["--goal", "--feedback"] {
        let (code, _, err) =
            run(&[EMBEDDED], &["replan", "plan.json", option, "make", "it", "shorter"]).await;
        assert_eq!(code, 2);
        assert!(err.contains("tip: put a text of several words in quotes"), "{err}");
    }
    let (_, _, err) = run(&[EMBEDDED], &["replan", "plan.json", "--gaol", "make"]).await;
    assert!(!err.contains("quotes") && err.contains("--goal"), "{err}");
    for option in ["--goal", "-g"] {
        let (code, _, err) = run(&[EMBEDDED], &["plan", option, "fix the bug"]).await;
        assert_eq!(code, 2);
        assert!(err.contains("tip: write the goal without an option"), "{err}");
    }
}

#[tokio::test]
async fn invalid_numbers_and_plans_are_explained_in_words() {
    for (arguments, fault) in [
        (&["plan", "x", "--max-steps", "two"][..], "it must be a whole number above 0"),
        (&["plan", "x", "--max-duration", "5min"], "it must be a whole number of seconds above 0"),
        (&["validate", "--max-cost-tier", "6", "-"], "it must be a whole number from 1 to 5"),
        (&["replan", "plan.json", "--done", "1,x"], "it must be a whole number above 0"),
        (&["eval", "--concurrency", "0"], "it must be a whole number above 0"),
    ] {
        let (code, _, err) = run(&[EMBEDDED], arguments).await;
        assert!(code == 2 && err.contains(fault), "{arguments:?}: {err}");
    }
    let (code, _, err) = run_with_input(b"no plan at all", &["validate", "-"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("standard input is not a valid plan:\n  - it contains "), "{err}");
}
