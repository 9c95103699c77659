//! What the service keeps to itself, whatever goes wrong: keys, tokens, goals, answers.

use http::Method;
use planner_arm::domain::problem::ErrorCode;
use serde_json::{Value, json};

use crate::cli::{bare, outcome, run};
use crate::process::{Process, client};
use crate::support::{FakeLlm, Reply, good_plan};

/// Requests whose every part is a canary, at every place at which one can fail: what they end in, and the
/// process that they are sent to.
struct Canaries {
    process: Process,
    seen: Vec<String>,
}

impl Canaries {
    async fn start(llm: &FakeLlm, level: &str, more: &[(&str, &str)]) -> Self {
        let mut variables = vec![
            ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
            ("PLANNER_OPENAI_API_KEY", "sk-canary"),
            ("PLANNER_AUTH_TOKENS", "token-canary,other-canary"),
            // Nobody is there.
            ("PLANNER_REDIS_URL", "redis://canary-user:canary@127.0.0.1:1/0"),
            ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
            ("PLANNER_LOG_LEVEL", level),
            ("PLANNER_CACHE_TTL_SECONDS", "0"),
        ];
        variables.extend_from_slice(more);
        Self { process: Process::start(&variables).await, seen: Vec::new() }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        client().request(method, format!("{}{path}", self.process.url)).bearer_auth("token-canary")
    }

    fn plan(&self) -> reqwest::RequestBuilder {
        let context = json!({"canary-key": "canary-value"});
        let body = json!({"goal": "canary-goal", "constraints": ["canary-constraint"], "context": context});
        self.request(Method::POST, "/plan").json(&body)
    }

    /// Sends it, and notes what it ended in; only a plan may quote its request.
    async fn send(&mut self, request: reqwest::RequestBuilder) {
        let answer = answered(request).await;
        self.seen.push(answer);
    }

    /// Plans that are being made.
    async fn count_in_flight(&self) -> usize {
        let metrics = client().get(format!("{}/metrics", self.process.url)).send().await.expect("metrics");
        let text = metrics.text().await.expect("metrics");
        let count = text.lines().find_map(|line| line.strip_prefix("planner_plans_in_flight "));
        count.expect("the metric").parse().expect("a number")
    }

    /// Ends the process: what was seen, and its log.
    async fn end(self) -> (Vec<String>, Vec<Value>) {
        let metrics = client().get(format!("{}/metrics", self.process.url)).send().await.expect("metrics");
        assert!(!metrics.text().await.expect("metrics").contains("canary"));
        let (code, lines) = self.process.stop().await;
        assert_eq!(code, Some(0));
        (self.seen, lines)
    }
}

/// The code that a request ends in, `ok` for a plan; nothing else may have a canary in it.
async fn answered(request: reqwest::RequestBuilder) -> String {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), format!("{:?}", response.headers()));
    let text = response.text().await.expect("a body");
    assert!(!headers.contains("canary"), "{headers}");
    if status == 200 {
        return "ok".into();
    }
    assert!(!text.contains("canary"), "{status} {text}");
    let document: Value = serde_json::from_str(&text).expect("a problem");
    // `/mcp` refuses in JSON-RPC, with the problem as its data.
    let code = document.get("code").unwrap_or(&document["error"]["data"]["code"]);
    code.as_str().expect("a code").to_owned()
}

/// Whatever a caller or an LLM can do wrong.
async fn everything_goes_wrong(level: &str) -> (Vec<String>, Vec<Value>) {
    let secret_plan = json!({"plan": [{"action": "canary-answer"}], "rationale": "canary-answer"});
    let llm = FakeLlm::start([
        Reply::Text(format!("canary-answer {secret_plan}")),
        Reply::Text("canary-answer, and no plan".into()),
        Reply::Truncated("{\"plan\": [\"canary-answer".into()),
        Reply::Body("text/html", "<html>canary-answer</html>".into()),
        Reply::Status(500, vec![], json!({"error": {"message": "canary-answer"}})),
        Reply::Status(400, vec![], json!({"error": {"message": "canary-answer"}})),
        Reply::Status(401, vec![], json!({"error": {"message": "sk-canary is wrong"}})),
        Reply::plan(&good_plan()),
    ])
    .await;
    let mut canaries = Canaries::start(&llm, level, &[("PLANNER_RATE_LIMIT_PER_MINUTE", "12")]).await;
    for _ in 0..9 {
        canaries.send(canaries.plan()).await;
    }
    let json = "application/json";
    let posted = |body: String, media_type: &str| {
        canaries.request(Method::POST, "/plan").header("content-type", media_type).body(body)
    };
    let called =
        json!({"name": "create_plan", "arguments": {"goal": "canary-goal", "context": {"canary": "canary"}}});
    let called = json!({"jsonrpc": "2.0", "id": "canary", "method": "tools/call", "params": called});
    let call = || {
        let accept = "application/json, text/event-stream";
        canaries.request(Method::POST, "/mcp").header("accept", accept).json(&called)
    };
    let requests = [
        canaries.plan().header("accept", "text/event-stream"),
        call(),
        call().header("origin", "https://canary.example"),
        client().post(format!("{}/plan", canaries.process.url)).bearer_auth("canary-wrong"),
        canaries.request(Method::GET, "/canary-path?canary=canary"),
        canaries.request(Method::DELETE, "/plan"),
        canaries.request(Method::POST, "/plan?include=none").header("content-type", json).body("{}"),
        posted(json!({"goal": ["canary-goal"], "canary": 1, "context": "canary"}).to_string(), json),
        posted("canary-goal".into(), json),
        posted("canary-goal ".repeat(100_000), json),
        posted("canary-goal".into(), "text/canary"),
    ];
    for request in requests {
        canaries.send(request).await;
    }
    for _ in 0..10 {
        canaries.send(canaries.plan()).await;
    }
    canaries.end().await
}

/// Whatever can be wrong with the time or the places.
async fn no_time_and_no_place(level: &str) -> (Vec<String>, Vec<Value>) {
    let llm = FakeLlm::start([Reply::Never]).await;
    let mut canaries = Canaries::start(&llm, level, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    canaries.send(canaries.plan().header("x-request-timeout-ms", "100")).await;
    let in_flight = tokio::spawn(answered(canaries.plan()));
    while canaries.count_in_flight().await != 1 {
        tokio::task::yield_now().await;
    }
    canaries.send(canaries.plan()).await;
    canaries.process.terminate().await;
    let ready = format!("{}/ready", canaries.process.url);
    while client().get(&ready).send().await.expect("an answer").status() == 200 {
        tokio::task::yield_now().await;
    }
    canaries.send(canaries.plan()).await;
    // The second signal ends what is in flight.
    let (_, lines) = canaries.process.stop().await;
    canaries.seen.push(in_flight.await.expect("no panic"));
    (canaries.seen, lines)
}

/// One plan that costs more than the budget for LLM calls, and one that it has nothing left for.
async fn no_money(level: &str) -> (Vec<String>, Vec<Value>) {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let mut canaries = Canaries::start(&llm, level, &[("PLANNER_LLM_BUDGET_USD_PER_DAY", "0.0001")]).await;
    for _ in 0..2 {
        canaries.send(canaries.plan()).await;
    }
    canaries.end().await
}

#[tokio::test]
async fn no_goal_constraint_context_answer_token_or_key_is_logged_or_answered() {
    // The levels above write less of the same.
    tokio::join!(keeps_secrets_at("info"), keeps_secrets_at("debug"), keeps_secrets_at("trace"));
}

async fn keeps_secrets_at(level: &str) {
    let (wrong, no_time, no_money) =
        tokio::join!(everything_goes_wrong(level), no_time_and_no_place(level), no_money(level));
    let (mut seen, mut lines) = (Vec::new(), Vec::new());
    for (more_seen, more_lines) in [wrong, no_time, no_money] {
        seen.extend(more_seen);
        lines.extend(more_lines);
    }
    for code in ErrorCode::ALL.map(ErrorCode::as_str) {
        // That one takes a fault of ours: see the tests of panics.
        assert!(code == "internal_error" || seen.iter().any(|seen| seen == code), "{code} in {seen:?}");
    }
    assert!(seen.iter().any(|seen| seen == "ok"), "{seen:?}");
    assert!(lines.len() > 20, "{lines:?}");
    let quoted = lines.iter().filter(|line| line.to_string().contains("canary-goal")).count();
    assert_eq!(quoted > 0, level == "trace", "goals are for the trace level alone: {lines:?}");
    for line in lines {
        let line = line.to_string().replace("canary-goal", "");
        assert!(!line.contains("canary"), "{level}: {line}");
    }
}

/// Runs this one test in a process of its own, whose output is given.
async fn itself(test: &str) -> String {
    let mut command = bare(std::env::current_exe().expect("a path").to_str().expect("UTF-8"));
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    let (_, out, err) = outcome(&mut command).await;
    out + &err
}

#[tokio::test]
async fn a_panic_says_where_it_was_and_not_what_it_quotes() {
    for test in
        ["secrets::panics::a_thread_of_the_service_panics", "secrets::panics::a_thread_of_a_command_panics"]
    {
        let output = itself(test).await;
        assert!(output.contains("panicked") && output.contains("secrets.rs"), "{test}: {output}");
        assert!(!output.contains("canary"), "{test}: {output}");
    }
}

/// What [`itself`] runs in a process of its own, where a thread panics.
mod panics {
    use planner_arm::config::{LogFormat, LogLevel};
    use planner_arm::telemetry;

    fn panic() {
        let _ = std::thread::spawn(|| panic!("canary")).join();
    }

    #[test]
    #[ignore = "sets up the log of its process; run by the test above"]
    fn a_thread_of_the_service_panics() {
        let _log = telemetry::init(LogLevel::Error, LogFormat::Json, "arm");
        panic();
    }

    #[test]
    #[ignore = "sets up the log of its process; run by the test above"]
    fn a_thread_of_a_command_panics() {
        telemetry::init_for_command(LogLevel::Error, false, std::io::stderr);
        panic();
    }
}

#[tokio::test]
async fn no_command_prints_a_secret() {
    let good = [
        ("PLANNER_OPENAI_API_KEY", "sk-canary"),
        ("OPENAI_API_KEY", "sk-canary"),
        ("PLANNER_AUTH_TOKENS", "token-canary,canary"),
        ("PLANNER_REDIS_URL", "redis://canary-user:canary@127.0.0.1:1/0?canary=1"),
        ("PLANNER_LLM_BASE_URL", "http://127.0.0.1:1/v1"),
        ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
        ("PLANNER_LOG_LEVEL", "debug"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/?canary=1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary"),
    ];
    let bad = [
        ("PLANNER_OPENAI_API_KEY", "sk canary"),
        ("PLANNER_AUTH_TOKENS", "token canary,c\u{e4}nary canary"),
        ("PLANNER_REDIS_URL", "http://canary-user:canary@127.0.0.1"),
        ("PLANNER_LLM_BASE_URL", "http://canary:canary@127.0.0.1/v1?key=canary"),
        ("PLANNER_CORS_ALLOWED_ORIGINS", "https://canary:canary@app.example.com"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://canary:canary@127.0.0.1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
    ];
    let commands: [&[&str]; 4] =
        [&["config"], &["plan", "canary"], &["eval", "no-such-file"], &["healthcheck"]];
    for arguments in commands {
        let (code, out, err) = run(&good, arguments).await;
        assert_eq!(code == 0, arguments == ["config"], "{arguments:?} {out} {err}");
        assert!(!(out + &err).contains("canary"), "{arguments:?}");
        let (code, out, err) = run(&bad, arguments).await;
        assert_eq!(code, 78, "{arguments:?} {err}");
        for (name, _) in bad {
            assert!(err.contains(name), "{name} in {err}");
        }
        assert!(!(out + &err).contains("canary"), "{arguments:?}");
    }
}
