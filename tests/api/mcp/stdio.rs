//! `planner-arm mcp`, run as a host runs it.

use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::cli::{binary, run};
use crate::support::{FakeLlm, Reply, TestApp, good_plan};

use super::{call, initialize, request, tool_result};

/// A server of one's own, spoken to line by line.
struct Host {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Host {
    /// A server that has been greeted.
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut host = Self::silent(variables);
        host.send(&initialize()).await;
        assert_eq!(host.next().await["result"]["serverInfo"]["name"], "planner-arm");
        host.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        host
    }

    fn silent(variables: &[(&str, &str)]) -> Self {
        let mut command = binary(variables);
        command.arg("mcp").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { input: child.stdin.take(), child, output }
    }

    async fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open still");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }

    async fn send(&mut self, message: &Value) {
        self.write(&message.to_string()).await;
    }

    /// The next message; anything else on the line would be invalid.
    async fn next(&mut self) -> Value {
        let line = self.output.next_line().await.expect("a readable output").expect("another line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
    }

    async fn terminate(&self) {
        let id = self.child.id().expect("a running process").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs").success());
    }

    /// Its end: exit code, what it had to say still, and its log.
    async fn end(mut self) -> (Option<i32>, Vec<Value>, String) {
        let mut rest = Vec::new();
        while let Some(line) = self.output.next_line().await.expect("a readable output") {
            rest.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}")));
        }
        let mut log = String::new();
        self.child.stderr.take().expect("its log").read_to_string(&mut log).await.expect("UTF-8");
        (self.child.wait().await.expect("an end").code(), rest, log)
    }
}

/// Asks a server with these settings for a plan, and lets it end.
pub async fn planned_to_the_end(variables: &[(&str, &str)], wanted: &Value) {
    let mut host = Host::start(variables).await;
    host.send(&call("create_plan", wanted)).await;
    host.next().await;
    drop(host.input.take());
    assert_eq!(host.end().await.0, Some(0));
}

/// The plan that a server with these settings gives.
pub async fn planned(variables: &[(&str, &str)], wanted: &Value) -> Value {
    let mut host = Host::start(variables).await;
    host.send(&call("create_plan", wanted)).await;
    let (plan, is_error) = tool_result(&host.next().await);
    assert!(!is_error, "{plan}");
    plan
}

#[tokio::test]
async fn plans_go_to_stdout_and_the_log_to_stderr() {
    let mut host = Host::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_LOG_FORMAT", "json")]).await;
    let wanted = json!({"goal": "Debug the login and add tests", "constraints": ["Use Python only"]});
    host.send(&call("create_plan", &wanted)).await;
    let (plan, is_error) = tool_result(&host.next().await);
    assert!(!is_error, "{plan}");
    assert_eq!(super::planned(&TestApp::embedded().await, "create_plan", &wanted).await, plan);
    host.send(&call("validate_plan", &plan)).await;
    assert_eq!(tool_result(&host.next().await).0["plan"], plan["plan"]);
    host.send(&call("create_plan", &json!({}))).await;
    assert_eq!(tool_result(&host.next().await).0["code"], "invalid_request");

    drop(host.input.take());
    let (code, rest, log) = host.end().await;
    assert_eq!((code, rest.len()), (Some(0), 0));
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let calls: Vec<&Value> = lines.iter().filter(|line| line["message"] == "tool call").collect();
    assert_eq!(
        calls.iter().map(|line| &line["outcome"]).collect::<Vec<_>>(),
        ["ok", "ok", "invalid_request"]
    );
    assert_eq!((&calls[0]["engine"], &calls[0]["tool"]), (&json!("embedded"), &json!("create_plan")));
    assert!(
        calls.iter().all(|line| line["request_id"].as_str().is_some_and(|id| id.len() == 36)),
        "{calls:?}"
    );
    assert!(!log.contains("login"), "{log}");
    assert_eq!(lines.last().map(|line| &line["message"]), Some(&json!("stopped")));
}

#[tokio::test]
async fn invalid_messages_do_no_harm() {
    let mut host = Host::start(&[("PLANNER_ENGINE", "embedded")]).await;
    for garbage in ["", "garbage", "{\"jsonrpc\":", "\u{1f980}", "{\"jsonrpc\": \"2.0\", \"id\": 1"] {
        host.write(garbage).await;
    }
    host.send(&request("tools/list", &json!({}))).await;
    assert_eq!(host.next().await["result"]["tools"].as_array().map(Vec::len), Some(4));
    // JSON that is no message is answered.
    host.write("{\"hello\": 1}").await;
    assert_eq!(host.next().await["error"]["code"], -32600);
    host.send(&call("make_coffee", &json!({}))).await;
    assert_eq!(host.next().await["error"]["code"], -32602);
    drop(host.input.take());
    assert_eq!(host.end().await.0, Some(0));
}

#[tokio::test]
async fn a_batch_or_a_message_on_several_lines_is_refused_and_the_process_lives() {
    let pretty = serde_json::to_string_pretty(&initialize()).expect("JSON");
    let batch = json!([initialize(), request("tools/list", &json!({}))]).to_string();
    for first in [batch, pretty] {
        let mut host = Host::silent(&[("PLANNER_ENGINE", "embedded")]);
        host.write(&first).await;
        assert_eq!(host.next().await["error"]["code"], -32600, "{first}");
        host.send(&initialize()).await;
        loop {
            // Lines of a message can be JSON of their own, each with its refusal.
            let answer = host.next().await;
            if answer["error"].is_null() {
                assert_eq!(answer["result"]["serverInfo"]["name"], "planner-arm");
                break;
            }
        }
        drop(host.input.take());
        assert_eq!(host.end().await.0, Some(0));
    }
}

#[tokio::test]
async fn calls_before_the_end_of_the_input_are_answered() {
    let slow = Reply::plan(&good_plan()).after(Duration::from_millis(300));
    let llm = FakeLlm::start([slow]).await;
    let mut host = Host::start(&[("PLANNER_LLM_BASE_URL", &llm.base_url)]).await;
    let mut message = call("create_plan", &json!({"goal": "g"}));
    message["params"]["_meta"] = json!({"progressToken": 1});
    host.send(&message).await;
    drop(host.input.take());
    let (code, rest, _) = host.end().await;
    assert_eq!(code, Some(0));
    let (plan, is_error) = tool_result(rest.last().expect("an answer"));
    assert!(!is_error, "{plan}");
}

#[tokio::test]
async fn it_ends_when_a_silent_host_closes_its_input() {
    for variables in [&[("PLANNER_ENGINE", "embedded")][..], &[]] {
        let mut host = Host::silent(variables);
        drop(host.input.take());
        let (code, rest, _) = host.end().await;
        assert_eq!((code, rest.len()), (Some(0), 0));
    }
}

#[tokio::test]
async fn what_comes_before_the_first_request_is_skipped() {
    let mut host = Host::silent(&[("PLANNER_ENGINE", "embedded")]);
    for early in [
        "{\"jsonrpc\": \"2.0\", \"method\": \"notifications/secret-canary\"}",
        "{\"jsonrpc\": \"2.0\", \"id\": 9, \"result\": {}}",
    ] {
        host.write(early).await;
    }
    host.send(&initialize()).await;
    assert_eq!(host.next().await["result"]["serverInfo"]["name"], "planner-arm");
    drop(host.input.take());
    let (code, _, log) = host.end().await;
    assert_eq!(code, Some(0));
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn steps_are_notified_and_a_call_can_be_cancelled() {
    let llm = FakeLlm::start([Reply::Never, Reply::plan(&good_plan())]).await;
    let variables = [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_MAX_CONCURRENT_PLANS", "1")];
    let mut host = Host::start(&variables).await;
    host.send(&call("create_plan", &json!({"goal": "g"}))).await;
    llm.called(1).await;
    let reason = json!({"requestId": 7, "reason": "changed my mind"});
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": reason})).await;
    // The only permit is free again once the call to the LLM has been cancelled, and the first call is not answered.
    llm.left(0).await;
    let mut message = call("create_plan", &json!({"goal": "g"}));
    message["id"] = json!("second");
    message["params"]["_meta"] = json!({"progressToken": "p"});
    host.send(&message).await;
    for step in 1..=5 {
        let told = host.next().await;
        assert_eq!(told["params"]["progress"].as_f64(), Some(f64::from(step)), "{told}");
    }
    let answer = host.next().await;
    assert_eq!(answer["id"], "second");
    assert!(!tool_result(&answer).1, "{answer}");
    drop(host.input.take());
    assert!(host.end().await.2.contains("client_closed"));
}

#[tokio::test]
async fn sigterm_ends_it_and_calls_in_flight_get_an_error() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let mut host = Host::start(&[("PLANNER_LLM_BASE_URL", &llm.base_url)]).await;
    host.send(&call("create_plan", &json!({"goal": "g"}))).await;
    llm.called(1).await;
    host.terminate().await;
    assert_eq!(tool_result(&host.next().await).0["code"], "shutting_down");
    assert_eq!(host.end().await.0, Some(0));
}

#[tokio::test]
async fn sigterm_ends_the_program_without_a_pipe() {
    let (own, theirs) = UnixStream::pair().expect("sockets");
    let mut command = binary(&[("PLANNER_ENGINE", "embedded")]);
    command.arg("mcp").stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("a process");
    std::io::Write::write_all(&mut &own, format!("{}\n", initialize()).as_bytes()).expect("it reads");
    let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(
        output.next_line().await.expect("a readable output").is_some_and(|line| line.contains("planner-arm"))
    );
    let id = child.id().expect("a running process").to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs").success());
    let end = timeout(Duration::from_secs(20), child.wait()).await.expect("it does not wait for a line");
    assert_eq!(end.expect("an end").code(), Some(0));
    drop(own);
}

#[tokio::test]
async fn bad_settings_and_help_are_as_with_any_command() {
    let (code, out, err) = run(&[("PLANNER_PORT", "none"), ("PLANNER_MAX_TOKENS", "-1")], &["mcp"]).await;
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.contains("PLANNER_PORT") && err.contains("PLANNER_MAX_TOKENS"), "{err}");
    let (code, out, _) = run(&[], &["mcp", "--help"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("create_plan") && out.contains("standard error"), "{out}");
}
