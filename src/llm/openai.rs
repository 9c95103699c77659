//! One call to an OpenAI-compatible server: what it says, in the words that the model takes.
//!
//! How often to call is the chain's business, and how a call travels that of `exchange`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::capabilities::{ResponseFormat, ServerCapabilities, Streaming, TokenLimit};
use super::exchange::Exchange;
use super::span::Asked;
use super::{
    BoxFuture, CallError, CallFailure, CallObserver, ChatModel, Completion, Feature, Message, Prompt,
};
use crate::domain::ServerAddress;

/// How long after the first call others wait for it to find out what a model takes.
const FIRST_WORDS: Duration = Duration::from_millis(300);

/// How to reach a server and what to ask of its models.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// Base URL up to and with the version path, without a slash at its end.
    pub base_url: String,
    /// The key; local servers need none.
    pub api_key: Option<SecretString>,
    /// Sampling temperature, 0.0 to 2.0.
    pub temperature: f64,
    /// Most tokens of one answer.
    pub max_tokens: u32,
}

/// A connection pool to one server, from which its models are made.
#[derive(Clone)]
pub struct OpenAiServer {
    exchange: Exchange,
    address: Option<Arc<ServerAddress>>,
    temperature: f64,
    max_tokens: u32,
}

/// One model of a server.
pub struct OpenAiModel {
    server: OpenAiServer,
    name: Arc<str>,
    /// What this model has not refused.
    capabilities: Mutex<ServerCapabilities>,
    /// Whether it has answered in its capabilities.
    understood: AtomicBool,
    /// Who finds out, while it is not known.
    first_words: Semaphore,
    /// When that began.
    first_call: OnceLock<Instant>,
}

impl OpenAiServer {
    /// Prepares the connection pool; nothing is sent.
    ///
    /// # Errors
    /// When the key cannot stand in a header or TLS cannot be set up.
    pub fn new(settings: OpenAiSettings) -> Result<Self, String> {
        Ok(Self {
            address: address(&settings.base_url).map(Arc::new),
            exchange: Exchange::new(settings.base_url, settings.api_key)?,
            temperature: settings.temperature,
            max_tokens: settings.max_tokens,
        })
    }

    /// A model of this server.
    pub fn model(&self, name: &str) -> OpenAiModel {
        OpenAiModel {
            server: self.clone(),
            name: name.into(),
            capabilities: Mutex::default(),
            understood: AtomicBool::new(false),
            first_words: Semaphore::new(1),
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
            let _first = self.first_words().await;
            let capabilities = *self.capabilities();
            let streaming = capabilities.streaming(observer.is_some());
            let request = ChatRequest {
                model: &self.name,
                messages: &prompt.messages,
                temperature: capabilities.temperature(self.server.temperature.max(prompt.least_temperature)),
                token_limit: capabilities.token_limit(self.server.max_tokens),
                response_format: capabilities.response_format(prompt),
                streaming,
            };
            Asked {
                temperature: request.temperature,
                most_tokens: self.server.max_tokens,
                is_json: request.response_format.is_some(),
                is_stream: streaming.is_on(),
            }
            .note();
            let observer = observer.filter(|_| streaming.is_on());
            let result = self.server.exchange.send(&request, prompt.shared(), observer).await;
            match result {
                Ok(_) => self.understood.store(true, Ordering::Relaxed),
                Err(CallError { failure: CallFailure::NotTaken(feature), .. }) => {
                    return Err(self.downgrade(capabilities, feature));
                }
                Err(_) => {}
            }
            result
        })
    }
}

impl OpenAiModel {
    /// Until the model has answered once, one caller at a time finds out what it takes. The others wait for
    /// that, but not for a whole answer: refusals come at once.
    async fn first_words(&self) -> Option<SemaphorePermit<'_>> {
        if self.understood.load(Ordering::Relaxed) {
            return None;
        }
        let until = *self.first_call.get_or_init(Instant::now) + FIRST_WORDS;
        timeout_at(until, self.first_words.acquire()).await.ok()?.ok()
    }

    /// Remembers that the model refused a part of a call in `spoken`.
    fn downgrade(&self, spoken: ServerCapabilities, refused: Feature) -> CallError {
        let mut capabilities = self.capabilities();
        // Of several calls that were refused at once, one steps down.
        if *capabilities == spoken {
            match spoken.without(refused) {
                Some(next) => *capabilities = next,
                None => return CallFailure::BadRequest.into(),
            }
        }
        CallFailure::NotTaken(refused).into()
    }

    fn capabilities(&self) -> MutexGuard<'_, ServerCapabilities> {
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the server is.
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
    #[serde(flatten)]
    token_limit: TokenLimit,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(flatten)]
    streaming: Streaming,
}
