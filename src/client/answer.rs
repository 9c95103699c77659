//! What the planner's answers mean.

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

use super::error::{CallError, ClientError, Outage, Rejection};

/// The largest answer that is read; a plan is a hundred times smaller.
const MOST_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// A longer explanation is cut.
const LONGEST_DETAIL: usize = 500;

/// Codes of a 500 that another try does not change.
const FOR_GOOD: [&str; 2] = ["llm_failed", "plan_invalid"];

/// An answer, read to its end.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Why an answer holds no plan.
#[derive(Debug)]
pub(super) enum NoPlan {
    /// Refused for good.
    Rejected(Box<Rejection>),
    /// Failed, and may succeed later.
    Failed(CallError),
}

/// The part of a problem document that is used here. Any part may be missing: gateways answer too.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    errors: Vec<FieldError>,
}

impl Answer {
    /// Sends `request` and reads what comes within `time`.
    pub(super) async fn within(time: Duration, request: reqwest::RequestBuilder) -> Result<Self, Outage> {
        timeout(time, Self::to(request)).await.unwrap_or(Err(Outage::Silent))
    }

    async fn to(request: reqwest::RequestBuilder) -> Result<Self, Outage> {
        let mut response = request.send().await.map_err(|_| Outage::Unreachable)?;
        let body = body_within(&mut response, MOST_ANSWER_BYTES).await.map_err(|_| Outage::Unreachable)?;
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: body.ok_or(Outage::Malformed)?,
        })
    }

    /// The plan in an answer to a call for one.
    pub(super) fn plan(self) -> Result<PlanResponse, NoPlan> {
        if self.status == StatusCode::OK {
            let plan = serde_json::from_slice(&self.body).ok().filter(is_in_order);
            return plan.ok_or_else(|| Outage::Malformed.into());
        }
        let problem = self.problem();
        let outage = match self.status {
            StatusCode::TOO_MANY_REQUESTS => Outage::RateLimited,
            StatusCode::BAD_GATEWAY => Outage::BadGateway,
            StatusCode::SERVICE_UNAVAILABLE => Outage::Unavailable,
            StatusCode::GATEWAY_TIMEOUT => Outage::GatewayTimeout,
            StatusCode::INTERNAL_SERVER_ERROR if FOR_GOOD.contains(&&*problem.code) => {
                return Err(NoPlan::Rejected(Box::new(problem.rejection(self.status))));
            }
            status if status.is_server_error() => Outage::Failed,
            // 2xx without a plan.
            status if status.is_success() => Outage::Malformed,
            status => return Err(NoPlan::Rejected(Box::new(problem.rejection(status)))),
        };
        let detail = if outage == Outage::Malformed { String::new() } else { problem.detail };
        Err(NoPlan::Failed(CallError { outage, detail, retry_after: retry_after(&self.headers) }))
    }

    /// What a service says of itself, be the status good or, as of one that is not ready, 503.
    pub(super) fn report<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        if self.status.is_success() || self.status == StatusCode::SERVICE_UNAVAILABLE {
            let report = serde_json::from_slice(&self.body);
            return report.map_err(|_| CallError::from(Outage::Malformed).last(None));
        }
        Err(ClientError::Rejected(Box::new(self.problem().rejection(self.status))))
    }

    fn problem(&self) -> Problem {
        let mut problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        for text in [&mut problem.code, &mut problem.detail] {
            // It goes on into logs and databases.
            text.retain(|c| !c.is_control());
            *text = shorten(text, LONGEST_DETAIL);
        }
        problem
    }
}

impl Problem {
    fn rejection(self, status: StatusCode) -> Rejection {
        let status = status.as_u16();
        let Self { mut code, mut detail, errors } = self;
        if code.is_empty() {
            code = format!("status_{status}");
        }
        if detail.is_empty() {
            detail = "it did not say why; check that its URL leads to a planner arm".into();
        }
        Rejection { status, code, detail, errors }
    }
}

/// Whether the steps are numbered from 1, which only a planner's are.
fn is_in_order(plan: &PlanResponse) -> bool {
    !plan.plan.is_empty() && plan.plan.iter().zip(1..).all(|(step, number)| step.step == number)
}

impl From<Outage> for NoPlan {
    fn from(outage: Outage) -> Self {
        Self::Failed(outage.into())
    }
}
