//! Why there is no plan.

use std::time::Duration;

use crate::domain::FieldError;

/// Why a client cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The URL is none.
    #[error("the planner arm's URL must be an http or https URL without user, password and query")]
    Url,
    /// The token cannot stand in a header.
    #[error("the planner arm's token must be of visible ASCII characters")]
    Token,
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The planner failed repeatedly and is being left alone; no call was made.
    #[error("the planner arm failed repeatedly and is being left alone for a while")]
    CircuitOpen {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The planner is down, busy or limits the rate; all retries failed.
    #[error("{}{}", .outage.sentence(), reason(.detail))]
    Unavailable {
        /// What the last call ended with.
        outage: Outage,
        /// What the planner said about it; empty where it said nothing.
        detail: String,
        /// When it is worth trying again, where that is known.
        retry_after: Option<Duration>,
    },
    /// The planner refused the request; the same request will be refused again.
    #[error("the planner arm refused the request ({}){}", .0.code, reason(&.0.detail))]
    Rejected(Box<Rejection>),
    /// The time that the caller gave ran out first.
    #[error("the time for planning ran out{}", .cause.map(|cause| format!(": {}", cause.sentence())).unwrap_or_default())]
    Deadline {
        /// What the last call ended with, if one ended.
        cause: Option<Outage>,
    },
}

/// What the planner said when it refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// The problem's code, as `invalid_request`; `status_` and the number where there was no problem document.
    pub code: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// Everything that is wrong, field by field.
    pub errors: Vec<FieldError>,
}

impl Rejection {
    /// Whether another request might be taken: not when the URL or the token is wrong.
    pub fn is_about_the_request(&self) -> bool {
        matches!(self.status, 400 | 413 | 422 | 500)
    }
}

/// How a call failed that may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// No connection, or one that broke.
    Unreachable,
    /// No answer in time.
    Silent,
    /// 429.
    RateLimited,
    /// 502.
    BadGateway,
    /// 503: the LLM is down, too many plans are being made, or the planner is stopping.
    Unavailable,
    /// 504: the planner, or a gateway before it, ran out of time.
    GatewayTimeout,
    /// A fault of the planner's or of a gateway's: 5xx, unless the planner says that it is for good.
    Failed,
    /// An answer that is no plan: something else listens there, or a proxy answered.
    Malformed,
}

impl Outage {
    pub(super) const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Silent,
        Self::RateLimited,
        Self::BadGateway,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::Failed,
        Self::Malformed,
    ];

    /// As it stands in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::RateLimited => "rate_limited",
            Self::BadGateway => "bad_gateway",
            Self::Unavailable => "unavailable",
            Self::GatewayTimeout => "gateway_timeout",
            Self::Failed => "failed",
            Self::Malformed => "malformed",
        }
    }

    /// What happened, as part of a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Unreachable => "the planner arm cannot be reached",
            Self::Silent => "the planner arm did not answer in time",
            Self::RateLimited => "the planner arm limits the rate of requests",
            Self::BadGateway => "the gateway before the planner arm failed",
            Self::Unavailable => "the planner arm is unavailable",
            Self::GatewayTimeout => "the planner arm ran out of time",
            Self::Failed => "the planner arm failed",
            Self::Malformed => "what answers in the planner arm's place does not send plans",
        }
    }
}

impl ClientError {
    /// When it is worth trying again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CircuitOpen { retry_after } => Some(*retry_after),
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Rejected(_) | Self::Deadline { .. } => None,
        }
    }

    /// As it stands in metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Unavailable { .. } => "unavailable",
            Self::Rejected(_) => "rejected",
            Self::Deadline { .. } => "deadline",
        }
    }
}

/// One call that failed and may succeed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallError {
    pub(super) outage: Outage,
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
}

impl CallError {
    /// The end of all calls, this one being the last. `retry_after` is what is known besides.
    pub(super) fn last(self, retry_after: Option<Duration>) -> ClientError {
        ClientError::Unavailable {
            outage: self.outage,
            detail: self.detail,
            retry_after: self.retry_after.max(retry_after),
        }
    }
}

impl From<Outage> for CallError {
    fn from(outage: Outage) -> Self {
        Self { outage, detail: String::new(), retry_after: None }
    }
}

fn reason(detail: &str) -> String {
    let detail = detail.trim_end_matches('.');
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}
