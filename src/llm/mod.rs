//! Calling LLMs: one call ([`openai`]), and which models are called how often ([`fallback`]).
//!
//! Nothing here knows what a plan is.

mod capabilities;
mod error;
pub mod fallback;
mod learned;
pub mod local;
mod observer;
pub mod openai;
mod redact;
mod reply;
mod span;
pub mod spend;
mod tls_failure;
mod token_limit;
mod transport;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::ServerAddress;

pub use capabilities::Feature;
pub use error::{CallError, CallFailure, LlmError, UpstreamError};
pub use fallback::FallbackChain;
pub use observer::{CallObserver, StreamObserver};
pub use tls_failure::TlsFailure;
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
    pub min_temperature: f64,
}

/// One message of a conversation.
#[derive(Debug, Clone)]
pub struct Message {
    /// The author.
    pub role: Role,
    /// The text.
    pub content: Arc<str>,
    /// The text as JSON, in a message that many prompts have.
    json: Option<Arc<RawValue>>,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<Arc<str>>) -> Self {
        Self { role, content: content.into(), json: None }
    }

    /// The same message for many prompts: its text is escaped once, not for each call.
    #[must_use]
    pub fn shared(self) -> Self {
        let json = to_raw_value(&*self.content).expect("a text serialises");
        Self { json: Some(json.into()), ..self }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut message = to.serialize_struct("Message", 2)?;
        message.serialize_field("role", &self.role)?;
        match &self.json {
            Some(json) => message.serialize_field("content", &**json)?,
            None => message.serialize_field("content", &*self.content)?,
        }
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
