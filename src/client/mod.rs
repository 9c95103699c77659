//! The caller's side: what a Rust orchestrator links against.
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

mod error;
mod metrics;
mod response;

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::domain::{Health, PlanResponse, Readiness};
use crate::http_client::{bearer, http_client, is_bare};
use crate::resilience::breaker::{BreakerState, Permit};
use crate::resilience::{Backoff, Breaker};
use crate::telemetry::traces;

pub use error::{ClientError, Outage, Rejection, SetupError};

use error::{AttemptError, TransientError};
use metrics::ClientMetrics;
use response::PlannerResponse;

/// With less time left than this, another call is not begun.
const WORTH_A_CALL: Duration = Duration::from_millis(10);
/// The first wait is drawn from zero to this.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longer waits that the planner asks for are not made here: the caller learns how long they are.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A longer time for one plan counts as this one.
const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 3_600);
/// An open breaker first waits this long for its probe; most outages are restarts.
const FIRST_RESET: Duration = Duration::from_secs(5);
/// How long a planner may take to answer `/health` and `/ready`.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// How patient a [`PlannerClient`] is, and how it identifies itself.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Longest time for one call, 10 s.
    pub timeout: Duration,
    /// Most retries of a failed call, 3.
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

/// Calls a planner arm, with retries, a circuit breaker, and a deadline that the planner is told.
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
        // The token has its own place, and whatever stands in the URL is shown.
        if !url.as_ref().is_some_and(is_bare) {
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
    /// goal, constraints and context are those of [`PlanRequest`](crate::domain::PlanRequest). The plan is part of the
    /// trace of the caller's current OpenTelemetry context, if it has one (`traceparent`).
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
        let calls = self.options.max_retries.saturating_add(1);
        let longest = self.options.timeout.saturating_add(LONGEST_WAIT).saturating_mul(calls);
        self.create_plan_within(longest, task_id, goal, constraints, context).await
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
        let began = Instant::now();
        let body = serde_json::to_vec(&PlanCall { goal, constraints, context })
            .expect("texts and JSON values serialise");
        let mut headers = self.headers.clone();
        if let Ok(id) = HeaderValue::try_from(task_id) {
            headers.insert("x-request-id", id);
        }
        traces::pass_on(&mut headers);
        let deadline = began + time.min(LONGEST_TIME);
        let result = self.call_until_planned(&body.into(), &headers, deadline).await;
        self.metrics.plan_ended(&result, began.elapsed());
        result
    }

    /// Asks `/health`: whether the planner's process lives.
    ///
    /// # Errors
    /// When there is no such response.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.probe("/health").await
    }

    /// Asks `/ready`: whether the planner takes requests. That it does not is no error.
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

    /// Whether a call would be made now: not while the breaker is open or its probe is under way.
    pub fn would_call(&self) -> bool {
        self.breaker.would_admit()
    }

    async fn call_until_planned(
        &self,
        body: &bytes::Bytes,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<PlanResponse, ClientError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut retries_left = self.options.max_retries;
        let mut failed: Option<TransientError> = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left < WORTH_A_CALL {
                return Err(ClientError::Deadline { cause: failed.map(|error| error.outage) });
            }
            let permit = match (self.breaker.acquire(), failed) {
                (Ok(permit), _) => permit,
                (Err(retry_after), Some(error)) => return Err(error.into_client_error(Some(retry_after))),
                (Err(retry_after), None) => return Err(ClientError::CircuitOpen { retry_after }),
            };
            let error = match self.call(permit, body.clone(), headers, left).await {
                Ok(plan) => return Ok(plan),
                Err(AttemptError::Rejected(why)) => return Err(ClientError::Rejected(why)),
                Err(AttemptError::Transient(error)) => error,
            };
            let wait = backoff.next_wait().max(error.retry_after.unwrap_or_default());
            if retries_left == 0 || wait > LONGEST_WAIT {
                return Err(error.into_client_error(None));
            }
            if Instant::now() + wait >= deadline {
                return Err(ClientError::Deadline { cause: Some(error.outage) });
            }
            retries_left -= 1;
            self.metrics.retried(error.outage);
            failed = Some(error);
            sleep(wait).await;
        }
    }

    /// One call for a plan, with `left` until the deadline; its outcome is reported to the breaker.
    async fn call(
        &self,
        permit: Permit<'_>,
        body: bytes::Bytes,
        headers: &HeaderMap,
        left: Duration,
    ) -> Result<PlanResponse, AttemptError> {
        let began = Instant::now();
        let time = left.min(self.options.timeout);
        let request = self
            .http
            .post(format!("{}/plan", self.base_url))
            .headers(headers.clone())
            .header("x-request-timeout-ms", time_to_pass_on(time).as_millis().max(1).to_string())
            .body(body);
        let response = PlannerResponse::within(time, request).await;
        let result = response.map_err(AttemptError::from).and_then(PlannerResponse::plan);
        self.metrics.called(&result, began.elapsed());
        match &result {
            Ok(_) | Err(AttemptError::Rejected(_)) => permit.succeed(),
            Err(AttemptError::Transient(error)) => {
                debug!(outage = error.outage.as_str(), "call to the planner arm failed");
                match error.outage {
                    // It works, and limits this caller.
                    Outage::RateLimited => permit.succeed(),
                    // It works, and failed on this request.
                    Outage::Failed if !error.detail.is_empty() => permit.succeed(),
                    // Another replica, or this one a little later, may take the call.
                    Outage::Overloaded | Outage::ShuttingDown => drop(permit),
                    // A short deadline of the caller is no failure of the planner.
                    Outage::TimedOut | Outage::GatewayTimeout if time < self.options.timeout / 4 => {
                        drop(permit);
                    }
                    _ => permit.fail(),
                }
            }
        }
        result
    }

    async fn probe<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.http.get(format!("{}{path}", self.base_url)).headers(self.headers.clone());
        let response = PlannerResponse::within(PROBE_TIME.min(self.options.timeout), request).await;
        response.map_err(|outage| TransientError::from(outage).into_client_error(None))?.report()
    }
}

/// The time for a call that the planner is told: a little less, so that its own error can arrive in time.
fn time_to_pass_on(time: Duration) -> Duration {
    time.saturating_sub((time / 10).min(Duration::from_millis(100)))
}
