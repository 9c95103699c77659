//! Why one call, or a whole chain of them, has no answer.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::problem::Upstream;

use super::{Feature, TlsFailure};

/// Why one call to an LLM has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// What happened.
    pub failure: CallFailure,
    /// The wait that the server asked for.
    pub retry_after: Option<Duration>,
    /// What the server answered with, if it answered.
    pub upstream: Option<Arc<UpstreamError>>,
}

/// An error that an LLM server answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamError {
    /// What the server answered.
    pub answer: Upstream,
    /// The model that was called.
    pub model: Arc<str>,
}

impl From<CallFailure> for CallError {
    fn from(failure: CallFailure) -> Self {
        Self { failure, retry_after: None, upstream: None }
    }
}

impl std::error::Error for CallError {}

/// What happened and what to do, in one sentence.
impl Display for CallError {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let model = self.upstream.as_ref().map(|upstream| &*upstream.model).filter(|name| !name.is_empty());
        match (self.failure, model) {
            (CallFailure::UnknownModel, Some(model)) => write!(
                f,
                "the LLM server does not know the model {model}; check PLANNER_LLM_MODEL and PLANNER_LLM_BASE_URL"
            ),
            (CallFailure::NoAccess, Some(model)) => write!(
                f,
                "PLANNER_OPENAI_API_KEY has no access to the model {model}; grant it, or choose another with PLANNER_LLM_MODEL"
            ),
            (CallFailure::NotFound, Some(model)) => write!(
                f,
                "the LLM server found nothing at this URL: check PLANNER_LLM_BASE_URL, and that the model {model} exists"
            ),
            _ => f.write_str(self.failure.sentence()),
        }
    }
}

/// The ways in which a call can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallFailure {
    /// No connection, or it broke.
    Connection,
    /// TLS could not be set up.
    Tls(TlsFailure),
    /// The answer is not HTTP.
    NotHttp,
    /// No answer in the time for this attempt.
    Timeout,
    /// 429.
    RateLimited,
    /// 5xx, 408, 409, 424, 425, 498, 499.
    ServerError,
    /// An answer that is not a chat completion.
    Malformed,
    /// A stream that ended early or has a damaged event.
    BrokenStream,
    /// The server does not support this part of the call; from now on, calls are made without it.
    Unsupported(Feature),
    /// 401, or a 403 about the key.
    BadKey,
    /// The key is valid, but not for this model.
    NoAccess,
    /// 403 for another reason.
    Forbidden,
    /// The server does not serve the caller's country.
    Region,
    /// The server says that the model does not exist.
    UnknownModel,
    /// 404 without a reason: the model or the URL.
    NotFound,
    /// 3xx.
    Redirect,
    /// The prompt is longer than the model's context.
    ContextTooLong,
    /// `max_tokens` is more than the model can write, or than the prompt leaves of its context.
    MaxTokensTooLarge,
    /// The answer or the prompt was filtered, or the model refused.
    ContentFilter,
    /// The account has no money left.
    QuotaExhausted,
    /// A parameter that every call has is invalid.
    InvalidParameter,
    /// Any other 4xx.
    BadRequest,
}

impl CallFailure {
    /// Its label in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Tls(failure) => failure.as_str(),
            Self::NotHttp => "not_http",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Malformed => "malformed",
            Self::BrokenStream => "broken_stream",
            Self::Unsupported(_) => "unsupported",
            Self::BadKey => "bad_key",
            Self::NoAccess => "no_access",
            Self::Forbidden => "forbidden",
            Self::Region => "region",
            Self::UnknownModel => "unknown_model",
            Self::NotFound => "not_found",
            Self::Redirect => "redirect",
            Self::ContextTooLong => "context_too_long",
            Self::MaxTokensTooLarge => "max_tokens_too_large",
            Self::ContentFilter => "content_filter",
            Self::QuotaExhausted => "quota_exhausted",
            Self::InvalidParameter => "invalid_parameter",
            Self::BadRequest => "bad_request",
        }
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::NotHttp
                | Self::Timeout
                | Self::RateLimited
                | Self::ServerError
                | Self::Malformed
                | Self::BrokenStream
        )
    }

    /// What happened and what to do, in one sentence.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Connection => {
                "the LLM server cannot be reached; check PLANNER_LLM_BASE_URL and the network"
            }
            Self::Tls(failure) => failure.sentence(),
            Self::NotHttp => {
                "the LLM server's answer is not HTTP; check the scheme and the port in PLANNER_LLM_BASE_URL (a server with TLS needs https://)"
            }
            Self::Timeout => "the LLM did not answer in time",
            Self::RateLimited => "the LLM server limits the rate of calls; retry later",
            Self::ServerError => "the LLM server failed; retry later",
            Self::Malformed => "the LLM server's answer is not a chat completion; check PLANNER_LLM_BASE_URL",
            Self::BrokenStream => "the LLM server's stream is incomplete or damaged; retry later",
            Self::Unsupported(_) => "the LLM server supports no form of this call",
            Self::BadKey => "the LLM server refused the key; check PLANNER_OPENAI_API_KEY",
            Self::NoAccess => {
                "PLANNER_OPENAI_API_KEY has no access to the model; grant it, or choose another with PLANNER_LLM_MODEL"
            }
            Self::Forbidden => {
                "the LLM server forbids the call; check the permissions of PLANNER_OPENAI_API_KEY, and PLANNER_LLM_BASE_URL"
            }
            Self::Region => {
                "the LLM server does not serve this country or region; choose another server with PLANNER_LLM_BASE_URL"
            }
            Self::UnknownModel => {
                "the LLM server does not know the model; check PLANNER_LLM_MODEL and PLANNER_LLM_BASE_URL"
            }
            Self::NotFound => {
                "the LLM server found nothing at this URL: check PLANNER_LLM_BASE_URL and PLANNER_LLM_MODEL"
            }
            Self::Redirect => {
                "the LLM server redirects to another URL; set PLANNER_LLM_BASE_URL to the final one"
            }
            Self::ContextTooLong => {
                "the request is longer than the model's context; shorten the goal or the context"
            }
            Self::MaxTokensTooLarge => {
                "the model cannot write as many tokens as requested; lower PLANNER_MAX_TOKENS"
            }
            Self::ContentFilter => "the LLM refused to answer; rephrase the goal",
            Self::QuotaExhausted => "the account at the LLM server has no quota left; check its billing",
            Self::InvalidParameter => {
                "the LLM server refused a parameter of the call; check PLANNER_LLM_MODEL, and that it supports chat completions"
            }
            Self::BadRequest => {
                "the LLM server refused the call; check PLANNER_MAX_TOKENS and that the model supports chat completions"
            }
        }
    }
}

/// Why no model answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// A refusal that a retry does not change.
    #[error("{0}")]
    Refused(CallError),
    /// All models are down, limit the rate, or have an open circuit breaker.
    #[error("{}", .cause.as_ref().map_or("the LLM failed repeatedly; its circuit breaker is open".to_owned(), CallError::to_string))]
    Unavailable {
        /// The failure of the last call; `None` when none was made.
        cause: Option<CallError>,
        /// When a retry may succeed.
        retry_after: Option<Duration>,
    },
    /// What calls may cost in 24 hours is used up.
    #[error("the budget for LLM calls is used up; raise PLANNER_LLM_BUDGET_USD_PER_DAY, or retry later")]
    BudgetExhausted {
        /// When enough of it is available again.
        retry_after: Duration,
    },
    /// The time ran out first.
    #[error("the time for the request ran out while waiting for the LLM")]
    Deadline,
}

impl LlmError {
    /// Of two reasons the one that is more useful to the caller: an outage rather than a refusal, since it passes; of
    /// two outages one with a time for the retry; the deadline last. A budget that is used up is so for all models.
    #[must_use]
    pub fn or_better(self, other: Self) -> Self {
        match (self, other) {
            (first @ Self::BudgetExhausted { .. }, _)
            | (first @ Self::Unavailable { .. }, Self::Refused(_) | Self::Deadline)
            | (first @ Self::Refused(_), Self::Deadline) => first,
            (
                Self::Unavailable { cause: a, retry_after: Some(first) },
                Self::Unavailable { cause: b, retry_after },
            ) => Self::Unavailable {
                cause: b.or(a),
                retry_after: Some(retry_after.map_or(first, |second| second.min(first))),
            },
            (_, second) => second,
        }
    }

    /// What the server answered with, if it answered.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        match self {
            Self::Refused(error) | Self::Unavailable { cause: Some(error), .. } => error.upstream.as_deref(),
            Self::Unavailable { cause: None, .. } | Self::BudgetExhausted { .. } | Self::Deadline => None,
        }
    }
}
