//! Errors as callers see them: `application/problem+json` (RFC 9457).
//!
//! The only place where an error becomes a status.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::FieldError;

/// Media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Maximum number of errors in the sentence; `errors` has them all.
const MAX_IN_DETAIL: usize = 5;

/// A stable name of the error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The body is not JSON or breaks a rule.
    InvalidRequest,
    /// A word in `include` does not exist.
    UnknownInclude,
    /// The bearer token is missing or wrong.
    Unauthorized,
    /// Pages of this origin may not call.
    OriginNotAllowed,
    /// No such path.
    NotFound,
    /// The path does not support this method.
    MethodNotAllowed,
    /// The body is over 1 MiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The caller's own limit is used up.
    RateLimited,
    /// The LLM server rejected the request permanently.
    LlmFailed,
    /// No valid plan could be made from the LLM's answers.
    PlanInvalid,
    /// A bug in this service.
    InternalError,
    /// The LLM is unavailable, limits the rate, or its circuit breaker is open.
    LlmUnavailable,
    /// The budget for LLM calls is used up.
    BudgetExhausted,
    /// Too many plans in flight.
    Overloaded,
    /// The service is stopping.
    ShuttingDown,
    /// The time for the request ran out.
    DeadlineExceeded,
    /// The orchestrator's database is unavailable.
    #[cfg(feature = "orchestrator")]
    DatabaseUnavailable,
    /// The orchestrator's task has ended and cannot be cancelled.
    #[cfg(feature = "orchestrator")]
    TaskEnded,
}

impl ErrorCode {
    /// Every code of the planner, for documentation.
    pub const ALL: [Self; 17] = [
        Self::InvalidRequest,
        Self::UnknownInclude,
        Self::Unauthorized,
        Self::OriginNotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::LlmFailed,
        Self::PlanInvalid,
        Self::InternalError,
        Self::LlmUnavailable,
        Self::BudgetExhausted,
        Self::Overloaded,
        Self::ShuttingDown,
        Self::DeadlineExceeded,
    ];

    /// The HTTP status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnknownInclude => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::OriginNotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::LlmFailed | Self::PlanInvalid | Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::LlmUnavailable | Self::BudgetExhausted | Self::Overloaded | Self::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            #[cfg(feature = "orchestrator")]
            Self::DatabaseUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            #[cfg(feature = "orchestrator")]
            Self::TaskEnded => StatusCode::CONFLICT,
        }
    }

    /// The name in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnknownInclude => "unknown_include",
            Self::Unauthorized => "unauthorized",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::LlmFailed => "llm_failed",
            Self::PlanInvalid => "plan_invalid",
            Self::InternalError => "internal_error",
            Self::LlmUnavailable => "llm_unavailable",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::DeadlineExceeded => "deadline_exceeded",
            #[cfg(feature = "orchestrator")]
            Self::DatabaseUnavailable => "database_unavailable",
            #[cfg(feature = "orchestrator")]
            Self::TaskEnded => "task_ended",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "Invalid request",
            Self::UnknownInclude => "Unknown include",
            Self::Unauthorized => "Unauthorized",
            Self::OriginNotAllowed => "Origin not allowed",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::PayloadTooLarge => "Payload too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::RateLimited => "Rate limited",
            Self::LlmFailed => "The LLM failed",
            Self::PlanInvalid => "No valid plan",
            Self::InternalError => "Internal error",
            Self::LlmUnavailable => "The LLM is unavailable",
            Self::BudgetExhausted => "Budget exhausted",
            Self::Overloaded => "Overloaded",
            Self::ShuttingDown => "Shutting down",
            Self::DeadlineExceeded => "Deadline exceeded",
            #[cfg(feature = "orchestrator")]
            Self::DatabaseUnavailable => "The database is unavailable",
            #[cfg(feature = "orchestrator")]
            Self::TaskEnded => "The task has ended",
        }
    }
}

/// An error on its way to the caller. Front ends add the request's id and present it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind it is.
    pub code: ErrorCode,
    /// One plain sentence: what is wrong and what to do.
    pub detail: String,
    /// Everything that is wrong, field by field.
    pub errors: Vec<FieldError>,
    /// How long until a retry may succeed.
    pub retry_after: Option<Duration>,
    /// What the LLM server answered with.
    pub upstream: Option<Box<Upstream>>,
}

/// The error that an LLM server answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Upstream {
    /// The HTTP status, or the one in its error.
    #[schema(example = 401)]
    pub status: u16,
    /// Its code for the error, if it gave one.
    #[schema(example = "invalid_api_key", max_length = 64)]
    pub code: Option<String>,
    /// Its own words, without anything that was sent to it, for the operator of the service; may be empty.
    #[serde(skip)]
    pub message: String,
}

impl Upstream {
    /// What the server said, if it said anything.
    pub fn message(&self) -> Option<&str> {
        Some(self.message.as_str()).filter(|message| !message.is_empty())
    }
}

impl Problem {
    /// A problem without particulars.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after: None, upstream: None }
    }

    /// The problem for a fault of this service.
    pub fn internal() -> Self {
        let detail =
            "The service failed to handle this request; its log has the cause under the id of the request.";
        Self::new(ErrorCode::InternalError, detail)
    }

    /// With everything that is wrong, field by field.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// With the time until a retry.
    #[must_use]
    pub fn retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.retry_after = wait.into();
        self
    }

    /// With what an LLM server answered.
    #[must_use]
    pub fn with_upstream(mut self, upstream: Option<Upstream>) -> Self {
        self.upstream = upstream.map(Box::new);
        self
    }

    /// The document, for the request of this id.
    pub fn document<'a>(&'a self, request_id: &'a str) -> ProblemDocument<'a> {
        ProblemDocument {
            kind: format!("urn:octollm:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: (!self.errors.is_empty()).then_some(&self.errors),
            retry_after_seconds: self.retry_after.map(whole_seconds),
            upstream: self.upstream.as_deref(),
        }
    }
}

/// `wait` in seconds, rounded up; at least 1.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs_f64().ceil() as u64).max(1)
}

impl From<Vec<FieldError>> for Problem {
    fn from(errors: Vec<FieldError>) -> Self {
        // What is wrong in several places is said once.
        let mut faults: Vec<(&str, Vec<&str>)> = Vec::new();
        for FieldError { field, message } in &errors {
            match faults.iter_mut().find(|(known, _)| known == message) {
                Some((_, fields)) => fields.push(field),
                None => faults.push((message, vec![field])),
            }
        }
        let (named, others) = faults.split_at(faults.len().min(MAX_IN_DETAIL));
        let describe = |(message, fields): &(&str, Vec<&str>)| match &fields[..] {
            [field] => format!("{field} {message}"),
            fields if fields.len() > MAX_IN_DETAIL => {
                let more = fields.len() - MAX_IN_DETAIL;
                format!("{} and {more} more: {message}", fields[..MAX_IN_DETAIL].join(", "))
            }
            fields => format!("{}: {message}", fields.join(", ")),
        };
        let mut what: Vec<String> = named.iter().map(describe).collect();
        if !others.is_empty() {
            let count: usize = others.iter().map(|(_, fields)| fields.len()).sum();
            what.push(format!("and {count} more"));
        }
        Self::new(ErrorCode::InvalidRequest, format!("The request is invalid: {}.", what.join("; ")))
            .with_errors(errors)
    }
}

/// A problem document as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// A name for this kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:octollm:problem:invalid_request")]
    kind: String,
    /// The kind in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do, in one sentence.
    detail: &'a str,
    /// A stable name of the kind of problem, for programs.
    code: ErrorCode,
    /// The id of the request.
    request_id: &'a str,
    /// Everything that is wrong, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<&'a Vec<FieldError>>,
    /// How long until a retry may succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after_seconds: Option<u64>,
    /// What the LLM server answered with, if it is the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    upstream: Option<&'a Upstream>,
}
