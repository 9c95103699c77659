//! The service on a port of its own, and a fake LLM that does as it is told.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use config::{FileFormat, Format};
use planner_arm::app;
use planner_arm::config::Settings;
use planner_arm::domain::PlanResponse;
use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::service::PlannerService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What the fake LLM does with one call.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A chat completion with this text.
    Text(String),
    /// A chat completion with this text that ended at the token limit.
    Truncated(String),
    /// Another status, with headers and a body.
    Status(u16, Vec<(&'static str, String)>, Value),
    /// Status 200 and just this body.
    Body(&'static str, String),
    /// This reply after a while.
    After(Duration, Box<Reply>),
    /// None at all.
    Never,
}

impl Reply {
    pub fn plan(plan: &Value) -> Self {
        Self::Text(plan.to_string())
    }

    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), json!({ "error": { "message": "as told" } }))
    }

    pub fn after(self, wait: Duration) -> Self {
        Self::After(wait, Box::new(self))
    }
}

/// An OpenAI-compatible server with a script, whose last reply is repeated; or a planner.
pub struct FakeLlm {
    /// Where chat completions are.
    pub base_url: String,
    /// Where the planner is.
    pub origin: String,
    state: Arc<FakeState>,
    server: JoinHandle<()>,
}

struct FakeState {
    script: Mutex<VecDeque<Reply>>,
    /// Headers and body of each call.
    calls: Mutex<Vec<(http::HeaderMap, Value)>>,
}

impl FakeLlm {
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let state =
            Arc::new(FakeState { script: Mutex::new(script.into_iter().collect()), calls: Mutex::default() });
        let router = Router::new()
            .route("/v1/chat/completions", post(answer))
            .route("/plan", post(answer))
            // A planner is asked how it is; that is no part of the script.
            .route(
                "/ready",
                get(|| async { axum::Json(json!({ "ready": true, "checks": {}, "timestamp": "" })) }),
            )
            .with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the fake LLM runs");
        });
        Self { base_url: format!("http://{address}/v1"), origin: format!("http://{address}"), state, server }
    }

    /// The bodies of the calls so far.
    pub fn calls(&self) -> Vec<Value> {
        lock(&self.state.calls).iter().map(|(_, body)| body.clone()).collect()
    }

    /// Resolves when it has been called.
    pub async fn called(&self) {
        self.called_more_than(0).await;
    }

    /// Resolves when it has been called more than so many times.
    pub async fn called_more_than(&self, times: usize) {
        while self.number_of_calls() <= times {
            tokio::task::yield_now().await;
        }
    }

    pub fn number_of_calls(&self) -> usize {
        lock(&self.state.calls).len()
    }

    /// A header of the first call.
    pub fn first_header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next().flatten()
    }

    /// A header of each call.
    pub fn headers(&self, name: &str) -> Vec<Option<String>> {
        let value = |(headers, _): &(http::HeaderMap, Value)| {
            headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        lock(&self.state.calls).iter().map(value).collect()
    }
}

impl Drop for FakeLlm {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(state): State<Arc<FakeState>>, headers: http::HeaderMap, body: Bytes) -> Response {
    let call = serde_json::from_slice(&body).expect("JSON");
    lock(&state.calls).push((headers, call));
    let reply = {
        let mut script = lock(&state.script);
        if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
    };
    perform(reply.expect("a script")).await
}

async fn perform(mut reply: Reply) -> Response {
    while let Reply::After(wait, then) = reply {
        tokio::time::sleep(wait).await;
        reply = *then;
    }
    match reply {
        Reply::Text(text) => completion(&text, "stop"),
        Reply::Truncated(text) => completion(&text, "length"),
        Reply::Body(content_type, body) => ([("content-type", content_type)], body).into_response(),
        Reply::Status(status, headers, body) => {
            let mut response = axum::Json(body).into_response();
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("a header"));
            }
            response
        }
        Reply::Never => std::future::pending().await,
        Reply::After(..) => unreachable!("the loop above ends at another reply"),
    }
}

fn completion(text: &str, finish: &str) -> Response {
    axum::Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": finish }],
        "usage": { "prompt_tokens": 420, "completion_tokens": 510, "total_tokens": 930 },
    }))
    .into_response()
}

/// The service on a port of its own.
pub struct TestApp {
    pub address: SocketAddr,
    pub client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl TestApp {
    /// With the embedded planner.
    pub async fn embedded() -> Self {
        Self::start(&[("PLANNER_ENGINE", "embedded")]).await
    }

    /// With a fake LLM, and more settings.
    pub async fn with_llm(llm: &FakeLlm, more: &[(&str, &str)]) -> Self {
        let mut variables = vec![("PLANNER_LLM_BASE_URL", llm.base_url.as_str())];
        variables.extend_from_slice(more);
        Self::start(&variables).await
    }

    pub async fn start(variables: &[(&str, &str)]) -> Self {
        // Without a cache, so that each request is answered by itself, unless a test is about it.
        let variables = [&[("PLANNER_CACHE_TTL_SECONDS", "0")], variables].concat();
        let settings = settings(&variables).unwrap_or_else(|error| panic!("{error}"));
        let app = PlannerService::from_settings(&settings).expect("an application");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(app::serve(listener, app, settings.shutdown_grace, async {
            let _ = stopped.await;
        }));
        let client = plain_client().build().expect("a client");
        let app = Self { address, client, stop: Some(stop), server: Some(server) };
        while app.get("/ready").await.status() != 200 {
            tokio::task::yield_now().await;
        }
        app
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.expect("an answer")
    }

    /// Posts `body` to `/plan`.
    pub async fn plan(&self, body: &Value) -> reqwest::Response {
        self.plan_at("/plan", body).await
    }

    pub async fn plan_at(&self, path: &str, body: &Value) -> reqwest::Response {
        self.client.post(self.url(path)).json(body).send().await.expect("an answer")
    }

    /// Posts `body` to `/plan`, which must succeed.
    pub async fn planned(&self, body: &Value) -> PlanResponse {
        let response = self.plan(body).await;
        let status = response.status();
        let text = response.text().await.expect("a body");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).expect("a plan")
    }

    /// Posts a goal to `/plan`, which must fail: status and problem.
    pub async fn refused(&self, body: &Value) -> (u16, Value) {
        problem(self.plan(body).await).await
    }

    /// The value of a metric without labels, or with exactly these.
    pub async fn metric(&self, name_and_labels: &str) -> f64 {
        let text = self.get("/metrics").await.text().await.expect("metrics");
        text.lines()
            .find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or(0.0)
    }

    /// The value of a metric that counts.
    pub async fn count(&self, name_and_labels: &str) -> u64 {
        self.metric(name_and_labels).await as u64
    }

    /// Tells the service to stop, without waiting.
    pub fn begin_stop(&mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
    }

    /// Waits for the service to end.
    pub async fn ended(&mut self) {
        self.server.take().expect("ended once").await.expect("no panic");
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// A client for services on this machine. It does not read the system's certificates, which takes 20 ms.
pub fn plain_client() -> reqwest::ClientBuilder {
    // Fails when the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([])
}

/// Status and document of a response that must be a problem with its id in body and header.
pub async fn problem(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().expect("ASCII").to_owned());
    let (content_type, id) = (header("content-type"), header("x-request-id"));
    let text = response.text().await.expect("a body");
    assert_eq!(content_type.as_deref(), Some("application/problem+json"), "{status} {text}");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["status"], json!(status), "{document}");
    assert_eq!(document["request_id"].as_str(), id.as_deref(), "{document}");
    for key in ["type", "title", "detail", "code"] {
        assert!(document[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {document}");
    }
    (status, document)
}

/// Settings from these variables alone.
pub fn settings(variables: &[(&str, &str)]) -> Result<Settings, planner_arm::config::SettingsError> {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::load(&variables)
}

/// A file of this repository.
pub fn repository_file(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A YAML file of this repository.
pub fn repository_yaml(path: &str) -> Value {
    yaml(&repository_file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// YAML as JSON.
pub fn yaml(text: &str) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let table = FileFormat::Yaml.parse(None, text)?;
    Ok(config::Value::from(table).try_deserialize()?)
}

/// A file of one test, in a folder of its own that goes with the value.
pub struct TempFile {
    folder: PathBuf,
    pub path: String,
}

impl TempFile {
    pub fn new(name: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("planner-arm-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        Self { path: path.to_str().expect("UTF-8").to_owned(), folder }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A clean five-step answer, as a good LLM gives it.
pub fn good_plan() -> Value {
    json!({
        "plan": [
            step(1, "retriever", "Search the codebase for what the goal touches", &[], 1, 20),
            step(2, "coder", "Write the change", &[1], 3, 60),
            step(3, "coder", "Write tests for the change", &[1], 3, 45),
            step(4, "executor", "Run the full test suite", &[2, 3], 2, 90),
            step(5, "judge", "Verify the result against every constraint", &[4], 2, 30),
        ],
        "rationale": "Gather context, change, test, run, verify.",
        "confidence": 0.88,
    })
}

/// What a planner answers when its plan is the good one.
pub fn planner_answer() -> Value {
    let mut answer = good_plan();
    answer["total_estimated_duration"] = json!(245);
    answer["complexity_score"] = json!(0.5);
    answer
}

/// A problem as a planner answers with it.
pub fn planner_problem(status: u16, code: &str, detail: &str) -> Reply {
    Reply::Status(status, Vec::new(), json!({ "code": code, "detail": detail, "status": status }))
}

pub fn step(number: i64, arm: &str, action: &str, needs: &[i64], tier: i64, seconds: i64) -> Value {
    json!({
        "step": number, "action": action, "required_arm": arm,
        "acceptance_criteria": [format!("{action}: done"), "Nothing else changed"],
        "depends_on": needs, "estimated_cost_tier": tier, "estimated_duration_seconds": seconds,
    })
}

/// Fails unless the plan keeps every promise of the API.
pub fn assert_sound(plan: &PlanResponse, rules: &PlanRules, registry: &ArmRegistry) {
    assert_eq!(broken_promise(plan, rules, registry), None, "{plan:?}");
}

/// The first promise of the API that the plan breaks.
pub fn broken_promise(plan: &PlanResponse, rules: &PlanRules, registry: &ArmRegistry) -> Option<String> {
    let steps = &plan.plan;
    if !(rules.min_steps..=rules.max_steps).contains(&steps.len()) {
        return Some(format!("{} steps", steps.len()));
    }
    for (index, step) in steps.iter().enumerate() {
        let number = index as u32 + 1;
        let criteria = &step.acceptance_criteria;
        let promises = [
            ("number", step.step == number),
            ("action", !step.action.trim().is_empty()),
            ("arm", registry.get(&step.required_arm).is_some()),
            ("criteria", !criteria.is_empty() && criteria.iter().all(|text| !text.trim().is_empty())),
            ("order of dependencies", step.depends_on.is_sorted_by(|a, b| a < b)),
            ("dependencies", step.depends_on.iter().all(|&needed| (1..number).contains(&needed))),
            ("cost tier", (1..=5).contains(&step.estimated_cost_tier)),
            ("duration", (1..=31_536_000).contains(&step.estimated_duration_seconds)),
            ("another action", steps[..index].iter().all(|earlier| earlier.action != step.action)),
        ];
        if let Some((promise, _)) = promises.iter().find(|(_, is_kept)| !is_kept) {
            return Some(format!("{promise} of step {number}"));
        }
    }
    let sum: u64 = steps.iter().map(|step| u64::from(step.estimated_duration_seconds)).sum();
    let verifies = steps.last().is_some_and(|last| registry.verifies(&last.required_arm));
    let promises = [
        ("verification", verifies || !rules.require_verification),
        ("confidence", (0.0..=1.0).contains(&plan.confidence)),
        ("complexity", (0.0..=1.0).contains(&plan.complexity_score)),
        ("total duration", plan.total_estimated_duration == sum),
    ];
    promises.iter().find(|(_, is_kept)| !is_kept).map(|(promise, _)| (*promise).to_owned())
}

/// As [`assert_sound`] with the usual rules and arms.
pub fn assert_usually_sound(plan: &PlanResponse) {
    assert_sound(plan, &PlanRules::default(), &ArmRegistry::default());
}

/// What a mutex holds, also after a panic of somebody who held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A header of a response; empty when it is not there.
pub fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

/// The body of a response as JSON.
pub async fn json_of(response: reqwest::Response) -> Value {
    response.json().await.expect("JSON")
}
