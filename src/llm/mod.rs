//! Calling LLMs: one call ([`openai`]), and which models are called how often ([`fallback`]).
//!
//! Nothing here knows what a plan is.

mod capabilities;
pub mod fallback;
mod observer;
pub mod openai;
mod reply;
mod span;
mod transport;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::ServerAddress;

pub use fallback::FallbackChain;
pub use observer::{CallObserver, StreamObserver};
pub use transport::ServerSettings;

/// A boxed future, so that [`ChatModel`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request to an LLM.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The conversation so far; the last message is the user's.
    pub messages: Vec<Message>,
    /// The schema that the answer must match.
    pub schema: ResponseSchema,
    /// A lower bound of the sampling temperature, so that the answer may differ from the previous one.
    pub least_temperature: f64,
}

/// One message of a conversation.
#[derive(Debug, Clone)]
pub struct Message {
    /// The author.
    pub role: Role,
    /// The text.
    pub content: Arc<str>,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<Arc<str>>) -> Self {
        Self { role, content: content.into() }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut message = to.serialize_struct("Message", 2)?;
        message.serialize_field("role", &self.role)?;
        message.serialize_field("content", &*self.content)?;
        message.end()
    }
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The application.
    System,
    /// The user.
    User,
    /// The LLM.
    Assistant,
}

/// A named JSON Schema for structured output, in two strengths.
#[derive(Debug, Clone)]
pub struct ResponseSchema {
    /// Letters, digits, dashes and underscores.
    pub name: &'static str,
    /// With every constraint, for servers that generate by the schema.
    pub tight: Arc<RawValue>,
    /// With types, required keys and enumerations only, which every server with structured output supports.
    pub plain: Arc<RawValue>,
}

/// The answer of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The text of the answer.
    pub content: String,
    /// Whether it ended at the token limit.
    pub truncated: bool,
    /// Tokens of the prompt, as the server counted them; 0 if it did not report them.
    pub prompt_tokens: u64,
    /// Tokens of the answer, likewise.
    pub completion_tokens: u64,
    /// Other texts that may hold the answer when `content` does not: further choices, or arguments of a tool.
    /// A model's reasoning is among them only if there is nothing else.
    pub alternatives: Vec<String>,
    /// The server's id of this answer.
    pub id: Option<String>,
    /// The server's name of the model that answered.
    pub model: Option<String>,
    /// The finish reason, where it is one of OpenAI's.
    pub finish: Option<&'static str>,
}

/// One model that can be called once.
pub trait ChatModel: Send + Sync {
    /// Its name, for headers and metrics.
    fn name(&self) -> &Arc<str>;

    /// Where it is; `None` when it is in this process.
    fn server(&self) -> Option<&ServerAddress> {
        None
    }

    /// One call, without retries. Dropping the future cancels it. `observer` receives the answer as it arrives, if the
    /// model can stream.
    ///
    /// # Errors
    /// Why the call has no answer.
    fn call<'a>(
        &'a self,
        prompt: &'a Prompt,
        observer: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>>;
}

/// Why one call to an LLM has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .failure.sentence())]
pub struct CallError {
    /// What happened.
    pub failure: CallFailure,
    /// The wait that the server asked for.
    pub retry_after: Option<Duration>,
}

impl From<CallFailure> for CallError {
    fn from(failure: CallFailure) -> Self {
        Self { failure, retry_after: None }
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
    /// 5xx, 408, 409.
    ServerError,
    /// An answer that is not a chat completion.
    Malformed,
    /// The server does not support this part of the call; from now on, calls are made without it.
    Unsupported(Feature),
    /// 401 or 403.
    BadKey,
    /// 404, or the server says so.
    UnknownModel,
    /// The prompt is longer than the model's context.
    ContextTooLong,
    /// The answer or the prompt was filtered, or the model refused.
    ContentFilter,
    /// The account has no money left.
    QuotaExhausted,
    /// Any other 4xx.
    BadRequest,
}

/// Why TLS could not be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFailure {
    /// The certificate was issued by an authority that is not trusted.
    UnknownIssuer,
    /// The certificate has expired or is not valid yet.
    Expired,
    /// The certificate is for another host name.
    WrongName,
    /// The certificate is invalid for another reason.
    InvalidCertificate,
    /// The server does not speak TLS.
    NotSpoken,
    /// The server speaks nothing but TLS, and was called without it.
    Required,
    /// The handshake failed for another reason.
    Handshake,
}

impl TlsFailure {
    fn as_str(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::Expired => "tls_expired",
            Self::WrongName => "tls_wrong_name",
            Self::InvalidCertificate => "tls_invalid_certificate",
            Self::NotSpoken => "tls_not_spoken",
            Self::Required => "tls_required",
            Self::Handshake => "tls_handshake",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "the LLM server's certificate was issued by an authority that is not trusted; add the authority to the PEM file in PLANNER_LLM_CA_FILE"
            }
            Self::Expired => {
                "the certificate of the LLM server at PLANNER_LLM_BASE_URL has expired or is not valid yet; renew it, or correct this machine's clock"
            }
            Self::WrongName => {
                "the LLM server's certificate is for another host name; check the host in PLANNER_LLM_BASE_URL"
            }
            Self::InvalidCertificate => {
                "the certificate of the LLM server at PLANNER_LLM_BASE_URL is invalid; replace it, and check the authorities in PLANNER_LLM_CA_FILE"
            }
            Self::NotSpoken => {
                "the LLM server does not speak TLS; PLANNER_LLM_BASE_URL must begin with http:// or name its TLS port"
            }
            Self::Required => "the LLM server requires TLS; PLANNER_LLM_BASE_URL must begin with https://",
            Self::Handshake => {
                "the TLS handshake with the LLM server failed; check PLANNER_LLM_BASE_URL, and that the server supports TLS 1.2 or 1.3 and needs no client certificate"
            }
        }
    }
}

/// Parts of a call that not every server supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// A JSON Schema with every constraint.
    TightSchema,
    /// Any JSON Schema.
    JsonSchema,
    /// Any `response_format`.
    ResponseFormat,
    /// `max_tokens`, which some models call `max_completion_tokens`.
    MaxTokens,
    /// A sampling temperature.
    Temperature,
    /// `stream_options`, with which a stream ends with the token counts.
    StreamOptions,
    /// An answer that is sent while it is generated.
    Stream,
}

impl Feature {
    /// Its label in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TightSchema => "tight_schema",
            Self::JsonSchema => "json_schema",
            Self::ResponseFormat => "response_format",
            Self::MaxTokens => "max_tokens",
            Self::Temperature => "temperature",
            Self::StreamOptions => "stream_options",
            Self::Stream => "stream",
        }
    }
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
            Self::Unsupported(_) => "unsupported",
            Self::BadKey => "bad_key",
            Self::UnknownModel => "unknown_model",
            Self::ContextTooLong => "context_too_long",
            Self::ContentFilter => "content_filter",
            Self::QuotaExhausted => "quota_exhausted",
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
        )
    }

    /// What happened and what to do, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Connection => {
                "the LLM server cannot be reached; check PLANNER_LLM_BASE_URL and the network"
            }
            Self::Tls(failure) => failure.sentence(),
            Self::NotHttp => {
                "the LLM server's answer is not HTTP; check scheme and port in PLANNER_LLM_BASE_URL (a server with TLS needs https://)"
            }
            Self::Timeout => "the LLM did not answer in time",
            Self::RateLimited => "the LLM server limits the rate of calls; retry later",
            Self::ServerError => "the LLM server failed; retry later",
            Self::Malformed => "the LLM server's answer is not a chat completion; check PLANNER_LLM_BASE_URL",
            Self::Unsupported(_) => "the LLM server supports no form of this call",
            Self::BadKey => "the LLM server refused the key; check PLANNER_OPENAI_API_KEY",
            Self::UnknownModel => {
                "the LLM server does not know the model; check PLANNER_LLM_MODEL and PLANNER_LLM_BASE_URL"
            }
            Self::ContextTooLong => "the request is longer than the model's context; shorten goal or context",
            Self::ContentFilter => "the LLM refused to answer; word the goal differently",
            Self::QuotaExhausted => "the account at the LLM server has no quota left; check its billing",
            Self::BadRequest => {
                "the LLM server refused the call; check PLANNER_MAX_TOKENS and that the model takes chat completions"
            }
        }
    }
}

/// Why no model answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// A refusal that a retry does not change.
    #[error("{}", .0.sentence())]
    Refused(CallFailure),
    /// All models are down, limit the rate, or have an open circuit breaker.
    #[error("{}", .cause.map_or("the LLM failed repeatedly; its circuit breaker is open", CallFailure::sentence))]
    Unavailable {
        /// The failure of the last call; `None` when none was made.
        cause: Option<CallFailure>,
        /// When a retry may succeed.
        retry_after: Option<Duration>,
    },
    /// The time ran out first.
    #[error("the time for the request ran out while waiting for the LLM")]
    Deadline,
}

impl LlmError {
    /// Of two reasons the one that is more useful to the caller: an outage rather than a refusal, since it passes; of
    /// two outages one with a time for the retry; the deadline last.
    #[must_use]
    pub fn or_better(self, other: Self) -> Self {
        match (self, other) {
            (first @ Self::Unavailable { .. }, Self::Refused(_) | Self::Deadline)
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
}
