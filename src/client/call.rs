//! One call of the planner until it is answered: retries, the circuit breaker, the deadline.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderValue};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::domain::PlanResponse;
use crate::resilience::Backoff;
use crate::resilience::breaker::Permit;
use crate::telemetry::traces;

use super::error::{AttemptError, ClientError, Outage, TransientError};
use super::response::PlannerResponse;
use super::{MAX_TIME, MAX_WAIT, PlannerClient, to_json};

/// With less time left than this, no further call is started.
const MIN_CALL_TIME: Duration = Duration::from_millis(10);
/// The first wait is drawn from zero to this.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A call, to be made as often as it takes.
pub(super) struct Call<T> {
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
    /// What a response means.
    read: fn(PlannerResponse) -> Result<T, AttemptError>,
    /// Whether it makes a plan: then the breaker guards it, and the metrics count it.
    makes_plan: bool,
}

impl PlannerClient {
    /// Asks the planner for a plan with `body`.
    pub(super) async fn request_plan(
        &self,
        time: Duration,
        task_id: &str,
        path: &'static str,
        body: &impl Serialize,
    ) -> Result<PlanResponse, ClientError> {
        let began = Instant::now();
        let mut call = self.call(task_id, Method::POST, path, to_json(body), PlannerResponse::plan);
        call.makes_plan = true;
        let result = self.answer(&call, began + time.min(MAX_TIME)).await;
        self.metrics.plan_ended(&result, began.elapsed());
        result
    }

    /// A call that makes no plan.
    pub(super) fn call<T>(
        &self,
        task_id: &str,
        method: Method,
        path: &'static str,
        body: Bytes,
        read: fn(PlannerResponse) -> Result<T, AttemptError>,
    ) -> Call<T> {
        let mut headers = self.headers.clone();
        if let Some(id) = HeaderValue::try_from(task_id).ok().filter(|id| !id.is_empty()) {
            headers.insert("x-request-id", id);
        }
        traces::inject(&mut headers);
        Call { method, path, headers, body, read, makes_plan: false }
    }

    /// Makes `call` until it is answered, it is refused, the retries are used up, or the time is.
    pub(super) async fn answer<T>(&self, call: &Call<T>, deadline: Instant) -> Result<T, ClientError> {
        let mut backoff = Backoff::new(FIRST_WAIT, MAX_WAIT);
        let mut retries_left = self.options.max_retries;
        let mut failed: Option<TransientError> = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left < MIN_CALL_TIME {
                return Err(ClientError::Deadline { cause: failed.map(|error| error.outage) });
            }
            let permit = match (call.makes_plan.then(|| self.breaker.acquire()).transpose(), failed) {
                (Ok(permit), _) => permit,
                (Err(retry_after), Some(error)) => return Err(error.into_client_error(Some(retry_after))),
                (Err(retry_after), None) => return Err(ClientError::CircuitOpen { retry_after }),
            };
            let error = match self.attempt(call, permit, left).await {
                Ok(answer) => return Ok(answer),
                Err(AttemptError::Rejected(why)) => return Err(ClientError::Rejected(why)),
                Err(AttemptError::Transient(error)) => error,
            };
            let wait = backoff.next_wait().max(error.retry_after.unwrap_or_default());
            if retries_left == 0 || wait > MAX_WAIT {
                return Err(error.into_client_error(None));
            }
            if Instant::now() + wait >= deadline {
                return Err(ClientError::Deadline { cause: Some(error.outage) });
            }
            retries_left -= 1;
            if call.makes_plan {
                self.metrics.retried(error.outage);
            }
            failed = Some(error);
            sleep(wait).await;
        }
    }

    /// Makes `call` once, with `left` until the deadline; its outcome is reported to the breaker that gave `permit`.
    async fn attempt<T>(
        &self,
        call: &Call<T>,
        permit: Option<Permit<'_>>,
        left: Duration,
    ) -> Result<T, AttemptError> {
        let began = Instant::now();
        let time = left.min(self.options.timeout);
        let request = self
            .http
            .request(call.method.clone(), format!("{}{}", self.base_url, call.path))
            .headers(call.headers.clone())
            .header("x-request-timeout-ms", time_to_pass_on(time).as_millis().max(1).to_string())
            .body(call.body.clone());
        let response = PlannerResponse::within(time, request).await;
        let result = response.map_err(AttemptError::from).and_then(call.read);
        if let Some(permit) = permit {
            self.metrics.called(&result, began.elapsed());
            self.report(permit, result.as_ref().err(), time);
        }
        result
    }

    /// Reports to the breaker how a call ended that had `time`.
    fn report(&self, permit: Permit<'_>, error: Option<&AttemptError>, time: Duration) {
        let Some(AttemptError::Transient(error)) = error else { return permit.succeed() };
        debug!(outage = error.outage.as_str(), "call to the planner arm failed");
        match error.outage {
            // It works, and limits this caller.
            Outage::RateLimited => permit.succeed(),
            // It works, and failed on this request.
            Outage::Failed if !error.detail.is_empty() => permit.succeed(),
            // Another replica, or this one a little later, may take the call.
            Outage::Overloaded | Outage::ShuttingDown => drop(permit),
            // A short deadline of the caller is not a failure of the planner.
            Outage::TimedOut | Outage::GatewayTimeout if time < self.options.timeout / 4 => drop(permit),
            _ => permit.fail(),
        }
    }
}

/// The time limit sent to the planner: a little less than the caller's, so that its error can arrive in time.
fn time_to_pass_on(time: Duration) -> Duration {
    time.saturating_sub((time / 10).min(Duration::from_millis(100)))
}
