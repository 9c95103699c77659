//! Calling LLMs: one attempt ([`openai`]), and how many of them against which models ([`chain`]).
//!
//! Nothing here knows what a plan is.

mod capabilities;
mod exchange;
pub mod fallback;
mod observer;
pub mod openai;
mod pieces;
mod plain;
mod reply;
mod span;

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

/// A boxed future, so that models can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an LLM is asked.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The conversation so far, the last of it the user's.
    pub messages: Vec<Message>,
    /// The form that the answer must have.
    pub schema: ResponseSchema,
    /// The answer is drawn at this sampling temperature at least, so that it may differ from the last one.
    pub least_temperature: f64,
}

impl Prompt {
    /// What it has in common with other questions, as JSON that was written once.
    fn shared(&self) -> impl Iterator<Item = &Arc<RawValue>> {
        let messages = self.messages.iter().filter_map(|message| message.written.as_ref());
        messages.chain([&self.schema.tight, &self.schema.plain])
    }
}

/// One message of a conversation.
#[derive(Debug, Clone)]
pub struct Message {
    /// Whose words they are.
    pub role: Role,
    /// The words.
    pub content: Arc<str>,
    /// The message as JSON, where it was written once for many calls.
    written: Option<Arc<RawValue>>,
}

impl Message {
    /// What is said once.
    pub fn new(role: Role, content: impl Into<Arc<str>>) -> Self {
        Self { role, content: content.into(), written: None }
    }

    /// What is said in many calls, so that it pays to write it as JSON once.
    pub fn constant(role: Role, content: impl Into<Arc<str>>) -> Self {
        let message = Self::new(role, content);
        let written = serde_json::value::to_raw_value(&message).expect("texts serialise");
        Self { written: Some(written.into()), ..message }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if let Some(written) = &self.written {
            return written.serialize(to);
        }
        let mut message = to.serialize_struct("Message", 2)?;
        message.serialize_field("role", &self.role)?;
        message.serialize_field("content", &*self.content)?;
        message.end()
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who says what the rules are.
    System,
    /// Who wants something.
    User,
    /// The LLM.
    Assistant,
}

/// A JSON Schema with a name, as structured output wants it, in two strengths.
#[derive(Debug, Clone)]
pub struct ResponseSchema {
    /// Letters, digits, dashes and underscores.
    pub name: &'static str,
    /// Everything that a schema can say, for servers that draw answers by it.
    pub tight: Arc<RawValue>,
    /// Types, required keys and enumerations, which every server takes that takes a schema.
    pub plain: Arc<RawValue>,
}

/// What one call gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The text of the answer.
    pub content: String,
    /// Whether it ended at the token limit.
    pub truncated: bool,
    /// Tokens of the question, as the server counted them; 0 when it did not say.
    pub prompt_tokens: u64,
    /// Tokens of the answer, likewise.
    pub completion_tokens: u64,
    /// Other texts that may hold the answer when `content` does not: further choices, or arguments of a tool.
    /// A model's reasoning stands in only where it said nothing else.
    pub alternatives: Vec<String>,
    /// What the server calls this answer.
    pub id: Option<String>,
    /// What the server calls the model that gave it.
    pub model: Option<String>,
    /// How it ended, in OpenAI's words, where it is one of them.
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

    /// One call, without any retry. Dropping the future cancels it. With an observer the answer is heard while it
    /// is written, as far as the model can do that.
    ///
    /// # Errors
    /// Why the call gave no text.
    fn call<'a>(
        &'a self,
        prompt: &'a Prompt,
        observer: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>>;
}

/// Why one call to an LLM gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .failure.sentence())]
pub struct CallError {
    /// What happened.
    pub failure: CallFailure,
    /// How long the server asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl From<CallFailure> for CallError {
    fn from(failure: CallFailure) -> Self {
        Self { failure, retry_after: None }
    }
}

/// The ways in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallFailure {
    /// No connection, or it broke.
    Connection,
    /// No answer in the time for this attempt.
    Timeout,
    /// 429.
    RateLimited,
    /// 5xx, 408, 409.
    ServerError,
    /// An answer that is not a chat completion.
    Malformed,
    /// The server does not take this part of the call; it is made without it from now on.
    NotTaken(Feature),
    /// 401 or 403.
    BadKey,
    /// 404, or the server says so.
    UnknownModel,
    /// The question is longer than the model's context.
    ContextTooLong,
    /// The answer or the question was filtered, or the model refused.
    ContentFilter,
    /// The account has no money left.
    QuotaExhausted,
    /// Any other 4xx.
    BadRequest,
}

/// Parts of a call that not every server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// A JSON Schema with all that it says.
    TightSchema,
    /// Any JSON Schema.
    JsonSchema,
    /// Any `response_format`.
    ResponseFormat,
    /// `max_tokens`, which some models call `max_completion_tokens`.
    MaxTokens,
    /// A sampling temperature.
    Temperature,
    /// `stream_options`, with which a stream ends in its count of tokens.
    StreamOptions,
    /// An answer that is sent while it is written.
    Stream,
}

impl Feature {
    /// As it stands in metrics and logs.
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
    /// As it stands in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Malformed => "malformed",
            Self::NotTaken(_) => "not_taken",
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
            Self::Connection | Self::Timeout | Self::RateLimited | Self::ServerError | Self::Malformed
        )
    }

    /// What happened and what to do, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Connection => {
                "the LLM server cannot be reached; check PLANNER_LLM_BASE_URL and the network"
            }
            Self::Timeout => "the LLM did not answer in time",
            Self::RateLimited => "the LLM server limits the rate of calls; try again later",
            Self::ServerError => "the LLM server failed; try again later",
            Self::Malformed => "the LLM server's answer is not a chat completion; check PLANNER_LLM_BASE_URL",
            Self::NotTaken(_) => "the LLM server takes no form of this call",
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
    /// A refusal that trying again does not change.
    #[error("{}", .0.sentence())]
    Refused(CallFailure),
    /// All models are down, limit the rate, or are being left alone after failures.
    #[error("{}", .cause.map_or("the LLM failed repeatedly and is being left alone for a while", CallFailure::sentence))]
    Unavailable {
        /// What the last call ended with; `None` when none was made.
        cause: Option<CallFailure>,
        /// When it is worth trying again.
        retry_after: Option<Duration>,
    },
    /// The time ran out first.
    #[error("the time for the request ran out while waiting for the LLM")]
    Deadline,
}

impl LlmError {
    /// Of two reasons the one that helps the caller more: an outage passes, a refusal does not; of two
    /// outages the one that says when. That the time ran out says least.
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
