//! One call to an OpenAI-compatible server, with what the model supports.
//!
//! Retries are in [`fallback`](super::fallback), and sending is in `transport`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::capabilities::{ResponseFormat, ServerCapabilities, Streaming, TokenLimit};
use super::learned::LearnedCapabilities;
use super::redact::redact;
use super::span::CallParameters;
use super::token_limit::limit_in_message;
use super::transport::{ServerSettings, Transport};
use super::{
    BoxFuture, CallError, CallFailure, CallObserver, ChatModel, Completion, Feature, Message, Prompt, Role,
    UpstreamError,
};
use crate::domain::ServerAddress;
use crate::domain::problem::Upstream;
use crate::text::{shorten, without_controls};

/// How long after the first call other calls wait for it to find out what a model supports.
const PROBING_TIME: Duration = Duration::from_millis(300);
/// The longest message of a server that is kept, in characters.
const MAX_MESSAGE_LENGTH: usize = 300;

/// How to reach a server, and the parameters of calls to its models.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// How to reach the server.
    pub server: ServerSettings,
    /// Sampling temperature, 0.0 to 2.0.
    pub temperature: f64,
    /// Maximum number of tokens of one answer.
    pub max_tokens: u32,
}

/// A connection pool to one server, from which its models are made.
#[derive(Clone)]
pub struct OpenAiServer {
    transport: Transport,
    address: Option<Arc<ServerAddress>>,
    temperature: f64,
    max_tokens: u32,
}

/// One model of a server.
pub struct OpenAiModel {
    server: OpenAiServer,
    name: Arc<str>,
    /// What the server has not refused for this model.
    capabilities: LearnedCapabilities,
    /// Held by the call that probes.
    probe: Semaphore,
    /// When the first call began.
    first_call: OnceLock<Instant>,
}

impl OpenAiServer {
    /// Prepares the connection pool; nothing is sent.
    ///
    /// # Errors
    /// If the key cannot be a header value or TLS cannot be set up.
    pub fn new(settings: OpenAiSettings) -> Result<Self, String> {
        Ok(Self {
            address: address(&settings.server.base_url).map(Arc::new),
            transport: Transport::new(settings.server)?,
            temperature: settings.temperature,
            max_tokens: settings.max_tokens,
        })
    }

    /// A model of this server.
    pub fn model(&self, name: &str) -> OpenAiModel {
        OpenAiModel {
            server: self.clone(),
            name: name.into(),
            capabilities: LearnedCapabilities::default(),
            probe: Semaphore::new(1),
            first_call: OnceLock::new(),
        }
    }
}

impl ChatModel for OpenAiModel {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn server(&self) -> Option<&ServerAddress> {
        self.server.address.as_deref()
    }

    fn call<'a>(
        &'a self,
        prompt: &'a Prompt,
        observer: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        Box::pin(async move {
            let _probe = self.probe_permit().await;
            let used = self.capabilities.current();
            let request = self.request(prompt, used, observer.is_some());
            request.parameters().record();
            let observer = observer.filter(|_| request.streaming.is_on());
            match self.server.transport.send(&request, observer).await {
                Ok(completion) => {
                    self.capabilities.confirm(used);
                    Ok(completion)
                }
                Err(error) => Err(self.presentable(self.learn(error, used, &request), prompt)),
            }
        })
    }
}

impl OpenAiModel {
    fn request<'a>(
        &'a self,
        prompt: &'a Prompt,
        capabilities: ServerCapabilities,
        is_observed: bool,
    ) -> ChatRequest<'a> {
        let max_tokens = capabilities.longest_answer(self.server.max_tokens, length_of(&prompt.messages));
        ChatRequest {
            model: &self.name,
            messages: &prompt.messages,
            temperature: capabilities.temperature(self.server.temperature.max(prompt.min_temperature)),
            max_tokens,
            token_limit: capabilities.token_limit(max_tokens),
            response_format: capabilities.response_format(prompt),
            streaming: capabilities.streaming(is_observed),
        }
    }

    /// Until the model has answered once, one call at a time finds out what it supports. The others wait for that,
    /// but not for a whole answer, as refusals are quick.
    async fn probe_permit(&self) -> Option<SemaphorePermit<'_>> {
        if self.capabilities.is_confirmed() {
            return None;
        }
        let until = *self.first_call.get_or_init(Instant::now) + PROBING_TIME;
        timeout_at(until, self.probe.acquire()).await.ok()?.ok()
    }

    /// Remembers what an error says about the capabilities that `request` used. An error that makes the next call a
    /// different one becomes [`CallFailure::Unsupported`].
    fn learn(&self, error: CallError, used: ServerCapabilities, request: &ChatRequest<'_>) -> CallError {
        let failure = match error.failure {
            CallFailure::Unsupported(refused) => {
                // If a call without a stream is refused with a message about streams, a stream has to be requested.
                let is_whole = refused == Feature::Stream && !request.streaming.is_on();
                let refused = if is_whole { Feature::WholeAnswer } else { refused };
                if self.capabilities.refused(used, refused) {
                    CallFailure::Unsupported(refused)
                } else {
                    // It names what the call does not have (any more).
                    self.guess_or(CallFailure::BadRequest, used)
                }
            }
            CallFailure::MaxTokensTooLarge => {
                let message = error.upstream.as_ref().map_or("", |upstream| &upstream.answer.message);
                match limit_in_message(message, request.max_tokens, length_of(request.messages)) {
                    Some(limit) if self.capabilities.limited(used, limit) => {
                        CallFailure::Unsupported(Feature::AnswerLength)
                    }
                    _ if is_out_of_credit(&error) => CallFailure::QuotaExhausted,
                    _ => CallFailure::MaxTokensTooLarge,
                }
            }
            failure @ (CallFailure::BadRequest | CallFailure::NotFound) => self.guess_or(failure, used),
            CallFailure::ServerError if is_perhaps_a_refusal(&error) => {
                self.capabilities.guess(used, true);
                CallFailure::ServerError
            }
            failure => failure,
        };
        CallError { failure, ..error }
    }

    /// What a refusal without a reason becomes: it may be because of the form of the answer.
    fn guess_or(&self, failure: CallFailure, used: ServerCapabilities) -> CallFailure {
        self.capabilities.guess(used, false).map_or(failure, CallFailure::Unsupported)
    }

    /// `error` without anything that was sent, and with the model's name.
    fn presentable(&self, mut error: CallError, prompt: &Prompt) -> CallError {
        if let Some(upstream) = &mut error.upstream {
            let sent = prompt.messages.iter().filter(|message| message.role != Role::System);
            let sent: Vec<&str> = sent.map(|message| &*message.content).collect();
            let secrets = self.server.transport.secrets();
            let is_clean = |text: &String| redact(text, &sent, &secrets) == *text;
            let Upstream { status, code, message } = upstream.answer.clone();
            let message = shorten(&without_controls(redact(&message, &sent, &secrets)), MAX_MESSAGE_LENGTH);
            let answer = Upstream { status, code: code.filter(is_clean), message };
            *upstream = Arc::new(UpstreamError { answer, model: self.name.clone() });
        }
        error
    }
}

/// Whether a server failed with a status that some have for calls that they do not support.
fn is_perhaps_a_refusal(error: &CallError) -> bool {
    error.upstream.as_ref().is_some_and(|upstream| matches!(upstream.answer.status, 500 | 501))
}

/// Whether the credit pays for no answer of any use.
fn is_out_of_credit(error: &CallError) -> bool {
    error.upstream.as_ref().is_some_and(|upstream| upstream.answer.status == 402)
}

fn length_of(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.content.len()).sum()
}

/// Host and port of the server.
fn address(base_url: &str) -> Option<ServerAddress> {
    let url = url::Url::parse(base_url).ok()?;
    let host = match url.host()? {
        url::Host::Domain(name) => name.to_owned(),
        url::Host::Ipv4(address) => address.to_string(),
        url::Host::Ipv6(address) => address.to_string(),
    };
    Some(ServerAddress { host, port: url.port_or_known_default()? })
}

#[derive(Serialize)]
struct ChatRequest<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip)]
    max_tokens: u32,
    #[serde(flatten)]
    token_limit: TokenLimit,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(flatten)]
    streaming: Streaming,
}

impl ChatRequest<'_> {
    fn parameters(&self) -> CallParameters {
        CallParameters {
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            is_json: self.response_format.is_some(),
            is_stream: self.streaming.is_on(),
        }
    }
}
