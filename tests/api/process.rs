//! The service as a process: what it logs, and how it stops.

use std::mem::take;
use std::pin::pin;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::cli::{bare, binary, program};
use crate::support::{FakeLlm, Reply, good_plan, plain_client};

/// The service in a process of its own, its log read line by line.
pub struct Process {
    child: Child,
    log: Lines<BufReader<ChildStdout>>,
    lines: Vec<Value>,
    pub url: String,
}

impl Process {
    pub async fn start(variables: &[(&str, &str)]) -> Self {
        let mut all =
            vec![("PLANNER_HOST", "127.0.0.1"), ("PLANNER_PORT", "0"), ("PLANNER_LOG_FORMAT", "json")];
        all.extend_from_slice(variables);
        Self::of(&mut binary(&all)).await
    }

    /// The service as `command` starts it.
    pub async fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process");
        let log = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut process = Self { child, log, lines: Vec::new(), url: String::new() };
        let listening = process.line_with("message", "listening").await;
        process.url = format!("http://{}", listening["address"].as_str().expect("an address"));
        process
    }

    /// Reads the log up to a line with this field.
    pub async fn line_with(&mut self, field: &str, value: &str) -> Value {
        loop {
            let line = self.log.next_line().await.expect("a readable log").expect("another line");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            self.lines.push(line.clone());
            if line[field] == json!(value) {
                return line;
            }
        }
    }

    pub async fn terminate(&self) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs").success());
    }

    /// Sends SIGTERM and reads the log to its end: exit code and all lines.
    pub async fn stop(mut self) -> (Option<i32>, Vec<Value>) {
        let mut lines = take(&mut self.lines);
        let code = self.follow(std::future::ready(()), |line| lines.push(line)).await;
        (code, lines)
    }

    /// Shows each further line of the log to `sees`, and sends SIGTERM when `over` resolves: exit code.
    pub async fn follow(
        mut self,
        over: impl Future<Output = ()>,
        mut sees: impl FnMut(Value),
    ) -> Option<i32> {
        let mut over = pin!(over);
        let mut is_told = false;
        loop {
            tokio::select! {
                () = &mut over, if !is_told => {
                    self.terminate().await;
                    is_told = true;
                }
                line = self.log.next_line() => match line.expect("a readable log") {
                    Some(line) => sees(serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))),
                    None => return self.child.wait().await.expect("its end").code(),
                },
            }
        }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("a running process")
    }
}

pub fn client() -> reqwest::Client {
    plain_client().build().expect("a client")
}

#[tokio::test]
async fn every_request_has_one_log_line() {
    let mut broken = good_plan();
    broken["plan"][0]["required_arm"] = json!("Retriever");
    let llm = FakeLlm::start([Reply::status(500), Reply::plan(&broken)]).await;
    let variables = [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_SERVICE_NAME", "arm-7")];
    let mut process = Process::start(&variables).await;
    let url = format!("{}/plan", process.url);
    let body = json!({"goal": "g", "request_id": "of-the-body"});
    assert_eq!(client().post(&url).json(&body).send().await.expect("an answer").status(), 200);
    let line = process.line_with("message", "request").await;
    for (field, value) in [
        ("level", json!("INFO")),
        ("service", json!("arm-7")),
        ("request_id", json!("of-the-body")),
        ("method", json!("POST")),
        ("route", json!("/plan")),
        ("status", json!(200)),
        ("outcome", json!("ok")),
        ("engine", json!("openai")),
        ("model", json!("gpt-3.5-turbo")),
        ("attempts", json!(2)),
        ("repairs", json!(1)),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    assert!(line["ms"].is_number(), "{line}");
    let warning = process.lines.iter().find(|line| line["message"] == json!("LLM call failed"));
    assert_eq!(warning.expect("a warning")["request_id"], json!("of-the-body"));

    let capabilities = format!("{}/capabilities", process.url);
    client().get(capabilities).header("x-request-id", "of-the-head").send().await.expect("an answer");
    let line = process.line_with("route", "/capabilities").await;
    assert_eq!((&line["request_id"], &line["status"]), (&json!("of-the-head"), &json!(200)));
}

#[tokio::test]
async fn a_second_signal_ends_the_grace_time() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let mut process = Process::start(&[("PLANNER_LLM_BASE_URL", llm.base_url.as_str())]).await;
    let plan = client().post(format!("{}/plan", process.url)).json(&json!({"goal": "g"})).send();
    let plan = tokio::spawn(plan);
    llm.called(1).await;
    process.terminate().await;
    process.line_with("level", "INFO").await;
    let began = std::time::Instant::now();
    let (code, _) = process.stop().await;
    assert_eq!(code, Some(0));
    assert!(
        began.elapsed() < std::time::Duration::from_secs(8),
        "long before the LLM's 10 s and the grace's 15 s"
    );
    assert_eq!(plan.await.expect("no panic").expect("an answer").status(), 503);
}

#[tokio::test]
async fn a_failed_plan_leaves_its_reason_in_the_log() {
    let llm = FakeLlm::start([Reply::Text("no plan".into())]).await;
    let mut process = Process::start(&[("PLANNER_LLM_BASE_URL", llm.base_url.as_str())]).await;
    let plan =
        client().post(format!("{}/plan", process.url)).json(&json!({"goal": "g", "request_id": "mine"}));
    assert_eq!(plan.send().await.expect("an answer").status(), 500);
    let line = process.line_with("message", "no plan").await;
    assert_eq!(
        (&line["level"], &line["reason"], &line["request_id"]),
        (&json!("WARN"), &json!("unreadable"), &json!("mine"))
    );
}

#[tokio::test]
async fn sigterm_exits_with_0_and_every_log_line_is_json() {
    let process = Process::start(&[("PLANNER_ENGINE", "embedded")]).await;
    let plan = client().post(format!("{}/plan", process.url)).json(&json!({"goal": "g"}));
    assert_eq!(plan.send().await.expect("an answer").status(), 200);
    let (code, lines) = process.stop().await;
    assert_eq!(code, Some(0));
    let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(messages[0], "listening", "{messages:?}");
    assert_eq!(messages.last(), Some(&"stopped"), "{messages:?}");
}

#[tokio::test]
async fn open_services_and_unknown_variables_are_warned_about() {
    let variables = [
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_ENVIRONMENT", "production"),
        ("PLANNER_REDIS_URL", "redis://user:canary@localhost"),
        ("PLANNER_TIMEOUT", "3"),
    ];
    let (_, lines) = Process::start(&variables).await.stop().await;
    let warnings: Vec<String> =
        lines.iter().filter(|line| line["level"] == json!("WARN")).map(Value::to_string).collect();
    for part in ["no bearer token is required", "PLANNER_TIMEOUT (did you mean PLANNER_TIMEOUT_SECONDS?)"] {
        assert!(warnings.iter().any(|line| line.contains(part)), "{part} in {warnings:?}");
    }
    assert!(lines.iter().all(|line| !line.to_string().contains("canary")));
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised() {
    let mut command = bare("sh");
    command.args(["-c", "ulimit -Sn 64 && exec \"$0\"", &program()]);
    command.envs([("PLANNER_HOST", "127.0.0.1"), ("PLANNER_PORT", "0"), ("PLANNER_LOG_FORMAT", "json")]);
    let process = Process::of(&mut command).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).expect("limits");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("of files");
    let words: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(words[0], words[1], "{limits}");
    assert_ne!(words[0], "64", "{limits}");
}
