//! The service on a port of its own, a fake LLM, and what many tests need.

pub mod fake_llm;
pub mod mcp_server;
mod plans;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::{FileFormat, Format};
use planner_arm::app;
use planner_arm::config::Settings;
use planner_arm::domain::PlanResponse;
use planner_arm::service::PlannerService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use fake_llm::{FakeLlm, Reply};
pub use plans::{assert_valid, assert_valid_by_default, good_plan, planner_answer, planner_problem, step};

/// The longest wait for something that has to happen, on a busy machine.
const WAIT_TIME: Duration = Duration::from_secs(60);
/// How often it is looked whether it has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

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
        let mut variables = llm.settings();
        variables.extend_from_slice(more);
        Self::start(&variables).await
    }

    pub async fn start(variables: &[(&str, &str)]) -> Self {
        // Without a cache, so that each request is answered by itself, unless a test is about it.
        let variables = [&[("PLANNER_CACHE_TTL_SECONDS", "0")], variables].concat();
        Self::start_with(&settings(&variables).unwrap_or_else(|error| panic!("{error}"))).await
    }

    pub async fn start_with(settings: &Settings) -> Self {
        let app = PlannerService::from_settings(settings).expect("an application");
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
        metric_in(&self.get("/metrics").await.text().await.expect("metrics"), name_and_labels)
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

/// What a mutex holds, also after a panic of somebody who held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A header of a response; empty when it is not there.
pub fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

/// The value in `metrics`, in Prometheus's text format, of a metric without labels or with exactly these; 0 without it.
pub fn metric_in(metrics: &str, name_and_labels: &str) -> f64 {
    let value = |line: &str| line.strip_prefix(name_and_labels)?.strip_prefix(' ')?.parse().ok();
    metrics.lines().find_map(value).unwrap_or(0.0)
}

/// The body of a response as JSON.
pub async fn json_of(response: reqwest::Response) -> Value {
    response.json().await.expect("JSON")
}

/// The value that `poll` returns once it is `Ok`, asked every few milliseconds.
///
/// # Panics
/// With the last error when that takes too long.
pub async fn until<T, E: std::fmt::Debug>(mut poll: impl AsyncFnMut() -> Result<T, E>) -> T {
    let give_up = tokio::time::Instant::now() + WAIT_TIME;
    loop {
        match poll().await {
            Ok(value) => return value,
            Err(seen) => {
                assert!(tokio::time::Instant::now() < give_up, "waited in vain; last seen: {seen:?}");
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
