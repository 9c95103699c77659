//! What the planner's responses mean.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::domain::{FieldError, PlanResponse};
use crate::http_client::body_within;
use crate::resilience::retry_after;
use crate::text::shorten;

use super::error::{AttemptError, ClientError, Outage, Rejection, TransientError};

/// The largest body that is read; a plan is a hundred times smaller.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// A longer explanation is cut.
const MAX_DETAIL_CHARS: usize = 500;

/// Codes of a 500 that a retry does not change.
const FINAL_CODES: [&str; 2] = ["llm_failed", "plan_invalid"];

/// A response, its body read to the end.
pub(super) struct PlannerResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The part of a problem document that is used here. Any part may be missing: gateways answer too.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ProblemBody {
    code: String,
    detail: String,
    errors: Vec<FieldError>,
}

impl PlannerResponse {
    /// Sends `request` and reads the response, both within `time`.
    pub(super) async fn within(time: Duration, request: reqwest::RequestBuilder) -> Result<Self, Outage> {
        timeout(time, Self::send(request)).await.unwrap_or(Err(Outage::TimedOut))
    }

    async fn send(request: reqwest::RequestBuilder) -> Result<Self, Outage> {
        let mut response = request.send().await.map_err(|_| Outage::Unreachable)?;
        let body = body_within(&mut response, MAX_BODY_BYTES).await.map_err(|_| Outage::Unreachable)?;
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: body.ok_or(Outage::Malformed)?,
        })
    }

    /// The plan in a response.
    pub(super) fn plan(self) -> Result<PlanResponse, AttemptError> {
        if self.status == StatusCode::OK {
            let plan = serde_json::from_slice(&self.body).ok().filter(is_numbered);
            return plan.ok_or_else(|| Outage::Malformed.into());
        }
        Err(self.failure())
    }

    /// The JSON of a response.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, AttemptError> {
        if self.status == StatusCode::OK {
            return serde_json::from_slice(&self.body).map_err(|_| Outage::Malformed.into());
        }
        Err(self.failure())
    }

    /// How a call failed, from its response.
    fn failure(self) -> AttemptError {
        let problem = self.problem();
        let outage = match self.status {
            StatusCode::TOO_MANY_REQUESTS => Outage::RateLimited,
            StatusCode::BAD_GATEWAY => Outage::BadGateway,
            StatusCode::SERVICE_UNAVAILABLE => match problem.code.as_str() {
                "overloaded" => Outage::Overloaded,
                "shutting_down" => Outage::ShuttingDown,
                _ => Outage::Unavailable,
            },
            StatusCode::GATEWAY_TIMEOUT => Outage::GatewayTimeout,
            StatusCode::INTERNAL_SERVER_ERROR if FINAL_CODES.contains(&&*problem.code) => {
                return AttemptError::Rejected(Box::new(problem.rejection(self.status)));
            }
            status if status.is_server_error() => Outage::Failed,
            // 2xx without a plan.
            status if status.is_success() => Outage::Malformed,
            status => return AttemptError::Rejected(Box::new(problem.rejection(status))),
        };
        let detail = if outage == Outage::Malformed { String::new() } else { problem.detail };
        TransientError { outage, detail, retry_after: retry_after(&self.headers) }.into()
    }

    /// The body of `/health` or `/ready`, whose status may be 503 when the planner is not ready.
    pub(super) fn report<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        if self.status.is_success() || self.status == StatusCode::SERVICE_UNAVAILABLE {
            let report = serde_json::from_slice(&self.body);
            return report.map_err(|_| TransientError::from(Outage::Malformed).into_client_error(None));
        }
        Err(ClientError::Rejected(Box::new(self.problem().rejection(self.status))))
    }

    fn problem(&self) -> ProblemBody {
        let mut problem: ProblemBody = serde_json::from_slice(&self.body).unwrap_or_default();
        for text in [&mut problem.code, &mut problem.detail] {
            // Callers put it into logs and databases.
            text.retain(|c| !c.is_control());
            *text = shorten(text, MAX_DETAIL_CHARS);
        }
        problem
    }
}

impl ProblemBody {
    fn rejection(self, status: StatusCode) -> Rejection {
        let status = status.as_u16();
        let Self { mut code, mut detail, errors } = self;
        if code.is_empty() {
            code = format!("status_{status}");
        }
        if detail.is_empty() {
            detail = "it gave no reason; check that the URL is that of a planner arm".into();
        }
        Rejection { status, code, detail, errors }
    }
}

/// Whether the steps are numbered from 1, which only a planner's are.
fn is_numbered(plan: &PlanResponse) -> bool {
    !plan.plan.is_empty() && plan.plan.iter().zip(1..).all(|(step, number)| step.step == number)
}
