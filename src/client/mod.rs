//! The caller's side: what a Rust orchestrator links against.
//!
//! Plans and replans ([`plan`](PlannerClient::plan), [`replan`](PlannerClient::replan)) are retried behind a
//! circuit breaker. [`validate`](PlannerClient::validate) and [`arms`](PlannerClient::arms) need no LLM: they are retried
//! too, but they ignore the breaker and do not change it.
//!
//! ```no_run
//! use planner_arm::client::{ClientError, ClientOptions, PlannerClient};
//! use serde_json::{Map, json};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let planner = PlannerClient::new("http://planner-arm:8001", ClientOptions::default())?;
//! let constraints = ["Use Python only".to_owned()];
//! let context = Map::from_iter([("repository".to_owned(), json!("https://example.com/repo"))]);
//! match planner.create_plan("task-17", "Fix the login", &constraints, &context).await {
//!     Ok(plan) => println!("{} steps, {} s", plan.plan.len(), plan.total_estimated_duration),
//!     Err(ClientError::Rejected(why)) => println!("refused: {}", why.detail),
//!     Err(later) => println!("{later}; retry in {:?}", later.retry_after()),
//! }
//! # Ok(())
//! # }
//! ```

mod call;
mod error;
mod metrics;
mod response;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::domain::arms::ArmList;
use crate::domain::{Health, PlanRequest, PlanResponse, Readiness, ReplanRequest};
use crate::http_client::{bearer, has_no_credentials_or_query, http_client};
use crate::resilience::Breaker;
use crate::resilience::breaker::BreakerState;

pub use error::{ClientError, Outage, Rejection, SetupError};

use error::TransientError;
use metrics::ClientMetrics;
use response::PlannerResponse;

/// Longer waits that the planner asks for are passed on to the caller instead.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// A longer time for one plan counts as this one.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 3_600);
/// An open breaker first waits this long for its probe; most outages are restarts.
const FIRST_RESET: Duration = Duration::from_secs(5);
/// How long a planner may take to answer `/health` and `/ready`.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// How patient a [`PlannerClient`] is, and how it identifies itself.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Longest time for one call, 10 s.
    pub timeout: Duration,
    /// Maximum number of retries of a failed call, 3.
    pub max_retries: u32,
    /// Failed calls in a row that open the circuit breaker, 5. Responses with the codes `overloaded` and
    /// `shutting_down` do not count.
    pub breaker_threshold: u32,
    /// Longest time that an open breaker waits before it lets one probe through, 60 s; it starts at 5 s and
    /// doubles with each failed probe.
    pub breaker_reset: Duration,
    /// One of the planner's `PLANNER_AUTH_TOKENS`, where it has any.
    pub token: Option<SecretString>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            max_retries: 3,
            breaker_threshold: 5,
            breaker_reset: Duration::from_secs(60),
            token: None,
        }
    }
}

/// Calls a planner arm, with retries, a circuit breaker, and a deadline that is passed on to the planner.
#[derive(Debug)]
pub struct PlannerClient {
    http: reqwest::Client,
    base_url: String,
    /// What every call carries.
    headers: HeaderMap,
    options: ClientOptions,
    breaker: Arc<Breaker>,
    metrics: Arc<ClientMetrics>,
}

/// The body of a call for a plan.
#[derive(Serialize)]
struct PlanCall<'a> {
    goal: &'a str,
    constraints: &'a [String],
    context: &'a Map<String, Value>,
}

impl PlannerClient {
    /// A client of the planner at `base_url` (without a path of the API). Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL or the token cannot be used.
    pub fn new(base_url: &str, options: ClientOptions) -> Result<Self, SetupError> {
        let url = url::Url::parse(base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        // The token has its own field; everything in the URL is shown in messages.
        if !url.as_ref().is_some_and(has_no_credentials_or_query) {
            return Err(SetupError::Url);
        }
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some(token) = &options.token {
            headers.insert(AUTHORIZATION, bearer(token).ok_or(SetupError::Token)?);
        }
        let breaker = Arc::new(Breaker::growing(
            options.breaker_threshold,
            FIRST_RESET.min(options.breaker_reset),
            options.breaker_reset,
        ));
        Ok(Self {
            http: http_client(base_url).map_err(SetupError::Tls)?,
            base_url: base_url.trim_end_matches('/').to_owned(),
            headers,
            metrics: Arc::new(ClientMetrics::new(breaker.clone())),
            options,
            breaker,
        })
    }

    /// Adds this client's metrics, `planner_client_…`, to `registry`.
    ///
    /// # Errors
    /// When another client's metrics are in it.
    pub fn register(&self, registry: &prometheus::Registry) -> prometheus::Result<()> {
        registry.register(Box::new(metrics::Collected(self.metrics.clone())))
    }

    /// Asks for a plan, for as long as the options allow.
    ///
    /// `task_id` becomes the request's id (`X-Request-ID`), in the planner's log and in its problems. The rules for
    /// goal, constraints and context are those of [`PlanRequest`]. The plan is part of the trace of the caller's current
    /// OpenTelemetry context, if it has one (`traceparent`).
    ///
    /// # Errors
    /// Why there is no plan, after all retries.
    pub async fn create_plan(
        &self,
        task_id: &str,
        goal: &str,
        constraints: &[String],
        context: &Map<String, Value>,
    ) -> Result<PlanResponse, ClientError> {
        self.create_plan_within(self.longest_time(), task_id, goal, constraints, context).await
    }

    /// As [`create_plan`](Self::create_plan), but for `time` at most, retries and waits included. The planner
    /// is told how long it has (`X-Request-Timeout-Ms`).
    ///
    /// # Errors
    /// As [`create_plan`](Self::create_plan).
    pub async fn create_plan_within(
        &self,
        time: Duration,
        task_id: &str,
        goal: &str,
        constraints: &[String],
        context: &Map<String, Value>,
    ) -> Result<PlanResponse, ClientError> {
        self.request_plan(time, task_id, "/plan", &PlanCall { goal, constraints, context }).await
    }

    /// As [`create_plan`](Self::create_plan), with every field that a request can have: also `arms`, `budget` and
    /// `playbook`.
    ///
    /// # Errors
    /// As [`create_plan`](Self::create_plan).
    pub async fn plan(&self, task_id: &str, request: &PlanRequest) -> Result<PlanResponse, ClientError> {
        self.plan_within(self.longest_time(), task_id, request).await
    }

    /// As [`plan`](Self::plan), but for `time` at most.
    ///
    /// # Errors
    /// As [`create_plan`](Self::create_plan).
    pub async fn plan_within(
        &self,
        time: Duration,
        task_id: &str,
        request: &PlanRequest,
    ) -> Result<PlanResponse, ClientError> {
        self.request_plan(time, task_id, "/plan", request).await
    }

    /// Asks for a new plan of the remaining steps; steps that are done come back unchanged.
    ///
    /// # Errors
    /// As [`create_plan`](Self::create_plan).
    pub async fn replan(&self, task_id: &str, request: &ReplanRequest) -> Result<PlanResponse, ClientError> {
        self.replan_within(self.longest_time(), task_id, request).await
    }

    /// As [`replan`](Self::replan), but for `time` at most.
    ///
    /// # Errors
    /// As [`create_plan`](Self::create_plan).
    pub async fn replan_within(
        &self,
        time: Duration,
        task_id: &str,
        request: &ReplanRequest,
    ) -> Result<PlanResponse, ClientError> {
        self.request_plan(time, task_id, "/replan", request).await
    }

    /// Checks and repairs a plan, without an LLM. `plan` is a [`PlanResponse`], or JSON in any form in which LLMs
    /// write plans. The valid plan comes with its schedule and all repairs.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] with every fault of a plan that cannot be repaired; else why it was not checked.
    pub async fn validate(&self, task_id: &str, plan: &impl Serialize) -> Result<PlanResponse, ClientError> {
        let call = self.call(task_id, Method::POST, "/validate", to_json(plan), PlannerResponse::plan);
        self.answer(&call, Instant::now() + self.longest_time()).await
    }

    /// Lists the arms and their sources.
    ///
    /// # Errors
    /// Why that is not known, after all retries.
    pub async fn arms(&self) -> Result<ArmList, ClientError> {
        let call = self.call("", Method::GET, "/arms", Bytes::new(), PlannerResponse::json);
        self.answer(&call, Instant::now() + self.longest_time()).await
    }

    /// Asks `/health`: whether the planner's process lives.
    ///
    /// # Errors
    /// When there is no such response.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.probe("/health").await
    }

    /// Asks `/ready`: whether the planner takes requests. A planner that is not ready is not an error.
    ///
    /// # Errors
    /// When there is no such response.
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        self.probe("/ready").await
    }

    /// The circuit breaker's state: while it is open, every call fails at once.
    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Whether a call would be made now: not while the breaker is open or its probe is in flight.
    pub fn would_call(&self) -> bool {
        self.breaker.would_admit()
    }

    /// The longest time that calls and waits can take together.
    fn longest_time(&self) -> Duration {
        let calls = self.options.max_retries.saturating_add(1);
        let longest = self.options.timeout.saturating_add(MAX_WAIT).saturating_mul(calls);
        longest.min(MAX_TIME)
    }

    async fn probe<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.http.get(format!("{}{path}", self.base_url)).headers(self.headers.clone());
        let response = PlannerResponse::within(PROBE_TIME.min(self.options.timeout), request).await;
        response.map_err(|outage| TransientError::from(outage).into_client_error(None))?.report()
    }
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("strings and JSON values serialise").into()
}
