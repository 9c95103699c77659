//! One call to an OpenAI-compatible server, through async-openai with types that forgive.
//!
//! The crate's own retries are replaced by `OneExchange`, which sends once and turns whatever is not
//! a success into a [`CallError`]; how often to call is the ladder's business.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap};
use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use crate::outbound::{bearer, body_within, http_client};

use super::dialect::{Dialect, ResponseFormat, Streaming, TokenLimit};
use super::reply::{Incoming, Reply, normalised, refusal};
use super::{BoxFuture, CallError, CallFailure, ChatModel, Completion, Ear, Feature, Message, Question};

/// The largest answer that is read; a plan is a thousand times smaller.
const MOST_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// How long after the first call others wait for it to find out what a model takes.
const FIRST_WORDS: Duration = Duration::from_millis(300);
/// How long the end of a body is waited for whose stream has said all: with it the connection can be used again.
const LAST_WORDS: Duration = Duration::from_millis(20);

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
    http: reqwest::Client,
    client: async_openai::Client<Endpoint>,
    temperature: f64,
    max_tokens: u32,
}

/// One model of a server.
pub struct OpenAiModel {
    server: OpenAiServer,
    name: Arc<str>,
    /// What this model has not refused.
    dialect: Mutex<Dialect>,
    /// Whether it has answered in its dialect.
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
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.api_key {
            let value = bearer(key).ok_or("the LLM key has a character that cannot stand in a header")?;
            headers.insert(AUTHORIZATION, value);
        }
        let http = http_client(&settings.base_url)?;
        let endpoint =
            Endpoint { base_url: settings.base_url, headers, api_key: settings.api_key.unwrap_or_default() };
        let exchange = OneExchange { client: http.clone(), ear: None };
        Ok(Self {
            client: async_openai::Client::build(http.clone(), endpoint).with_http_service(exchange),
            http,
            temperature: settings.temperature,
            max_tokens: settings.max_tokens,
        })
    }

    /// A client for one call, whose answer `ear` hears.
    fn heard_by(&self, ear: Ear) -> async_openai::Client<Endpoint> {
        self.client.clone().with_http_service(OneExchange { client: self.http.clone(), ear: Some(ear) })
    }

    /// A model of this server.
    pub fn model(&self, name: &str) -> OpenAiModel {
        OpenAiModel {
            server: self.clone(),
            name: name.into(),
            dialect: Mutex::default(),
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

    fn call<'a>(
        &'a self,
        question: &'a Question,
        ear: Option<Ear>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        Box::pin(async move {
            let _first = self.first_words().await;
            let dialect = *self.dialect();
            let streaming = dialect.streaming(ear.is_some());
            let request = ChatRequest {
                model: &self.name,
                messages: &question.messages,
                temperature: dialect.temperature(self.server.temperature.max(question.least_temperature)),
                token_limit: dialect.token_limit(self.server.max_tokens),
                response_format: dialect.response_format(question),
                streaming,
            };
            let reply: Result<Reply, OpenAIError> = match ear.filter(|_| streaming.is_on()) {
                None => self.server.client.chat().create_byot(&request).await,
                Some(ear) => self.server.heard_by(ear).chat().create_byot(&request).await,
            };
            let result = reply.map_err(call_error).and_then(Reply::into_completion);
            match result {
                Ok(_) => self.understood.store(true, Ordering::Relaxed),
                Err(CallError { failure: CallFailure::NotTaken(feature), .. }) => {
                    return Err(self.step_down(dialect, feature));
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
    fn step_down(&self, spoken: Dialect, refused: Feature) -> CallError {
        let mut dialect = self.dialect();
        // Of several calls that were refused at once, one steps down.
        if *dialect == spoken {
            match spoken.without(refused) {
                Some(next) => *dialect = next,
                None => return CallFailure::BadRequest.into(),
            }
        }
        CallFailure::NotTaken(refused).into()
    }

    fn dialect(&self) -> MutexGuard<'_, Dialect> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Where the server is; the crate's own configuration would read the process environment.
#[derive(Clone)]
struct Endpoint {
    base_url: String,
    headers: HeaderMap,
    api_key: SecretString,
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base_url
    }

    fn api_key(&self) -> &SecretString {
        &self.api_key
    }
}

/// Sends a request once, reads the answer within bounds, and types whatever is not a success.
#[derive(Clone)]
struct OneExchange {
    client: reqwest::Client,
    /// What hears the answer while it comes.
    ear: Option<Ear>,
}

impl tower::Service<HttpRequestFactory> for OneExchange {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = BoxFuture<'static, Result<reqwest::Response, OpenAIError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        let Self { client, ear } = self.clone();
        Box::pin(async move {
            let request = request.build().await?;
            let exchange = exchange(&client, request, ear).await;
            exchange.map_err(|error| OpenAIError::Boxed(Box::new(error)))
        })
    }
}

async fn exchange(
    client: &reqwest::Client,
    request: reqwest::Request,
    ear: Option<Ear>,
) -> Result<reqwest::Response, CallError> {
    let mut response = client.execute(request).await.map_err(|error| transport_error(&error))?;
    if let Some(ear) = ear.filter(|_| response.status().is_success()) {
        return Ok(http::Response::new(heard_body(&mut response, &ear).await?).into());
    }
    let body =
        body_within(&mut response, MOST_ANSWER_BYTES).await.map_err(|error| transport_error(&error))?;
    let body = body.ok_or(CallFailure::Malformed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(http::Response::new(normalised(&body)).into());
    }
    Err(refusal(status, response.headers(), &body))
}

/// The body as JSON, its answer heard while it comes.
async fn heard_body(response: &mut reqwest::Response, ear: &Ear) -> Result<Bytes, CallError> {
    let (mut body, mut length) = (Incoming::new(), 0);
    while let Some(bytes) = response.chunk().await.map_err(|error| transport_error(&error))? {
        length += bytes.len();
        if length > MOST_ANSWER_BYTES {
            return Err(CallFailure::Malformed.into());
        }
        ear.hears(&body.push(&bytes));
        if body.is_over() {
            let _ = timeout(LAST_WORDS, response.chunk()).await;
            break;
        }
    }
    Ok(body.into_json())
}

fn transport_error(error: &reqwest::Error) -> CallError {
    if error.is_timeout() { CallFailure::Timeout } else { CallFailure::Connection }.into()
}

fn call_error(error: OpenAIError) -> CallError {
    match error {
        OpenAIError::Boxed(inner) => match inner.downcast::<CallError>() {
            Ok(error) => *error,
            Err(_) => CallFailure::Connection.into(),
        },
        OpenAIError::Reqwest(error) => transport_error(&error),
        _ => CallFailure::Malformed.into(),
    }
}
