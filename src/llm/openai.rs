//! One call to an OpenAI-compatible server, with what the model supports.
//!
//! How often to call is the business of [`fallback`](super::fallback), and how a call is sent that of `transport`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::capabilities::{ResponseFormat, ServerCapabilities, Streaming, TokenLimit};
use super::span::CallParameters;
use super::transport::{ServerSettings, Transport};
use super::{
    BoxFuture, CallError, CallFailure, CallObserver, ChatModel, Completion, Feature, Message, Prompt,
};
use crate::domain::ServerAddress;

/// How long after the first call other calls wait for it to find out what a model supports.
const PROBING_TIME: Duration = Duration::from_millis(300);

/// How to reach a server, and the parameters of calls to its models.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// How to reach the server.
    pub server: ServerSettings,
    /// Sampling temperature, 0.0 to 2.0.
    pub temperature: f64,
    /// Most tokens of one answer.
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
    capabilities: Mutex<ServerCapabilities>,
    /// Whether a call with these capabilities has been answered.
    is_probed: AtomicBool,
    /// Held by the call that probes.
    probe: Semaphore,
    /// When the first call began.
    first_call: OnceLock<Instant>,
}

impl OpenAiServer {
    /// Prepares the connection pool; nothing is sent.
    ///
    /// # Errors
    /// When the key cannot stand in a header or TLS cannot be set up.
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
            capabilities: Mutex::default(),
            is_probed: AtomicBool::new(false),
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
            let capabilities = *self.capabilities();
            let request = self.request(prompt, capabilities, observer.is_some());
            request.parameters(self.server.max_tokens).record();
            let observer = observer.filter(|_| request.streaming.is_on());
            let result = self.server.transport.send(&request, observer).await;
            match result {
                Ok(_) => self.is_probed.store(true, Ordering::Relaxed),
                Err(CallError { failure: CallFailure::Unsupported(feature), .. }) => {
                    return Err(self.downgrade(capabilities, feature));
                }
                Err(_) => {}
            }
            result
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
        ChatRequest {
            model: &self.name,
            messages: &prompt.messages,
            temperature: capabilities.temperature(self.server.temperature.max(prompt.least_temperature)),
            token_limit: capabilities.token_limit(self.server.max_tokens),
            response_format: capabilities.response_format(prompt),
            streaming: capabilities.streaming(is_observed),
        }
    }

    /// Until the model has answered once, one call at a time finds out what it supports. The others wait for that,
    /// but not for a whole answer, as refusals are quick.
    async fn probe_permit(&self) -> Option<SemaphorePermit<'_>> {
        if self.is_probed.load(Ordering::Relaxed) {
            return None;
        }
        let until = *self.first_call.get_or_init(Instant::now) + PROBING_TIME;
        timeout_at(until, self.probe.acquire()).await.ok()?.ok()
    }

    /// Remembers that the server refused `feature` in a call made with `used`.
    fn downgrade(&self, used: ServerCapabilities, feature: Feature) -> CallError {
        let mut capabilities = self.capabilities();
        // Of several calls that were refused at the same time, one downgrades.
        if *capabilities == used {
            match used.downgrade(feature) {
                Some(next) => *capabilities = next,
                None => return CallFailure::BadRequest.into(),
            }
        }
        CallFailure::Unsupported(feature).into()
    }

    fn capabilities(&self) -> MutexGuard<'_, ServerCapabilities> {
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    #[serde(flatten)]
    token_limit: TokenLimit,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(flatten)]
    streaming: Streaming,
}

impl ChatRequest<'_> {
    fn parameters(&self, max_tokens: u32) -> CallParameters {
        CallParameters {
            temperature: self.temperature,
            most_tokens: max_tokens,
            is_json: self.response_format.is_some(),
            is_stream: self.streaming.is_on(),
        }
    }
}
