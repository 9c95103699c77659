//! Why there is no plan.

use std::time::Duration;

use crate::domain::FieldError;

/// Why a client cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The URL is invalid.
    #[error("the planner arm's URL must be an http or https URL without user, password and query")]
    Url,
    /// The token cannot be sent in a header.
    #[error("the planner arm's token must consist of visible ASCII characters")]
    Token,
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The planner failed repeatedly and its circuit breaker is open; no call was made.
    #[error("the planner arm failed repeatedly; its circuit breaker is open")]
    CircuitOpen {
        /// How long until a retry may succeed.
        retry_after: Duration,
    },
    /// The planner is down, busy or limits the rate; all retries failed.
    #[error("{}{}", .outage.sentence(), reason(.detail))]
    Unavailable {
        /// How the last call failed.
        outage: Outage,
        /// The planner's own words about it; empty where it gave none.
        detail: String,
        /// How long until a retry may succeed, where that is known.
        retry_after: Option<Duration>,
    },
    /// The planner refused the request; the same request will be refused again.
    #[error("the planner arm refused the request ({}){}", .0.code, reason(&.0.detail))]
    Rejected(Box<Rejection>),
    /// The caller's time ran out first.
    #[error("the time for planning ran out{}", .cause.map(|cause| format!(": {}", cause.sentence())).unwrap_or_default())]
    Deadline {
        /// How the last call failed, if one did.
        cause: Option<Outage>,
    },
}

/// The planner's refusal of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// The problem's code, such as `invalid_request`, or `status_` and the number if there was no problem document.
    pub code: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// Everything that is wrong, field by field.
    pub errors: Vec<FieldError>,
}

impl Rejection {
    /// Whether another request might be accepted: not when the URL or the token is wrong.
    pub fn is_about_the_request(&self) -> bool {
        matches!(self.status, 400 | 413 | 422 | 500)
    }
}

/// How a call failed that may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// No connection, or one that broke.
    Unreachable,
    /// No response in time.
    TimedOut,
    /// 429.
    RateLimited,
    /// 502.
    BadGateway,
    /// 503: the LLM is unavailable, or a gateway has no planner to send to.
    Unavailable,
    /// 503 `overloaded`: too many plans are in flight.
    Overloaded,
    /// 503 `shutting_down`: this replica is stopping.
    ShuttingDown,
    /// 504: the planner, or a gateway before it, ran out of time.
    GatewayTimeout,
    /// Another 5xx of the planner or a gateway, unless its code says that it is final.
    Failed,
    /// A response that is not what was asked for: something else listens there, or a proxy answered.
    Malformed,
}

impl Outage {
    pub(super) const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::RateLimited,
        Self::BadGateway,
        Self::Unavailable,
        Self::Overloaded,
        Self::ShuttingDown,
        Self::GatewayTimeout,
        Self::Failed,
        Self::Malformed,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::RateLimited => "rate_limited",
            Self::BadGateway => "bad_gateway",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::GatewayTimeout => "gateway_timeout",
            Self::Failed => "failed",
            Self::Malformed => "malformed",
        }
    }

    /// What happened, as part of a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Unreachable => "the planner arm cannot be reached",
            Self::TimedOut => "the planner arm did not respond in time",
            Self::RateLimited => "the planner arm limits the rate of requests",
            Self::BadGateway => "the gateway in front of the planner arm failed",
            Self::Unavailable => "the planner arm is unavailable",
            Self::Overloaded => "the planner arm is overloaded",
            Self::ShuttingDown => "the planner arm is shutting down",
            Self::GatewayTimeout => "the planner arm ran out of time",
            Self::Failed => "the planner arm failed",
            Self::Malformed => {
                "the response is not one of a planner arm; something else may answer at the planner arm's URL"
            }
        }
    }
}

impl ClientError {
    /// How long until a retry may succeed, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CircuitOpen { retry_after } => Some(*retry_after),
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Rejected(_) | Self::Deadline { .. } => None,
        }
    }

    /// The name in metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Unavailable { .. } => "unavailable",
            Self::Rejected(_) => "rejected",
            Self::Deadline { .. } => "deadline",
        }
    }
}

/// Why one call brought no plan.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// Refused; a retry is refused again.
    Rejected(Box<Rejection>),
    /// Failed; a retry may succeed.
    Transient(TransientError),
}

/// How a call failed, if a retry may succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransientError {
    pub(super) outage: Outage,
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
}

impl TransientError {
    /// The error for the caller after the last attempt. `retry_after` is what the breaker knows.
    pub(super) fn into_client_error(self, retry_after: Option<Duration>) -> ClientError {
        ClientError::Unavailable {
            outage: self.outage,
            detail: self.detail,
            retry_after: self.retry_after.max(retry_after),
        }
    }
}

impl From<TransientError> for AttemptError {
    fn from(error: TransientError) -> Self {
        Self::Transient(error)
    }
}

impl From<Outage> for AttemptError {
    fn from(outage: Outage) -> Self {
        TransientError::from(outage).into()
    }
}

impl From<Outage> for TransientError {
    fn from(outage: Outage) -> Self {
        Self { outage, detail: String::new(), retry_after: None }
    }
}

fn reason(detail: &str) -> String {
    let detail = detail.trim_end_matches('.');
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}
