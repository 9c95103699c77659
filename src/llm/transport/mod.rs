//! How a call reaches the LLM server: async-openai over reqwest, with one send that counts for each call. Everything that is not
//! a success becomes a [`CallError`]. Retries that count are the business of [`fallback`](super::fallback).

mod failure;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use http::{Extensions, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::connect::HttpInfo;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use tower::Service;

use crate::http_client::{CertificateFile, bearer, trusting_http_client};
use crate::telemetry::traces;

use super::reply::{IncomingBody, completion, error_response, failed_generation};
use super::{BoxFuture, CallError, CallFailure, CallObserver, Completion};
use failure::{closed_connection, transport_failure, was_not_started};

/// The largest answer that is read; a plan is a thousand times smaller.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// How long to wait for the end of the body after the last event of a stream. A body that was read to its end
/// leaves a connection that can be used again.
const END_OF_BODY_WAIT: Duration = Duration::from_millis(20);
/// A connection that closes this soon after a send was closed by the server while it was idle. Later, the server has
/// begun to work on the request, which is not sent again.
const IDLE_CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How often a call is sent again that an HTTP/2 server did not begin to work on, as reqwest does by itself for bodies
/// that it keeps.
const MAX_REFUSALS: u32 = 2;
/// Azure OpenAI's own header for the key, which replaces `Authorization`.
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Where an LLM server is, and how to authenticate.
#[derive(Debug, Clone, Default)]
pub struct ServerSettings {
    /// Base URL without a slash at the end of its path; its query is part of every call.
    pub base_url: String,
    /// The key; local servers need none.
    pub api_key: Option<SecretString>,
    /// Further headers of every call; `authorization` and `api-key` replace the header made of the key.
    pub headers: HeaderMap,
    /// Certificate authorities to trust in addition to those of the system.
    pub authorities: Option<CertificateFile>,
}

/// The connections to one LLM server.
#[derive(Clone)]
pub(super) struct Transport {
    client: async_openai::Client<Arc<dyn Config>>,
    sender: Sender,
    /// What must not be in any message: the key, and the values of headers and query.
    secrets: Arc<[SecretString]>,
}

impl Transport {
    /// Prepares the connection pool; nothing is sent.
    ///
    /// # Errors
    /// If the key cannot be a header value or TLS cannot be set up.
    pub(super) fn new(settings: ServerSettings) -> Result<Self, String> {
        let mut headers = settings.headers;
        if let Some(key) = settings.api_key.as_ref()
            && !headers.contains_key(AUTHORIZATION)
            && !headers.contains_key(API_KEY)
        {
            let value = bearer(key).ok_or("the LLM key has a character that is not allowed in a header")?;
            headers.insert(AUTHORIZATION, value);
        }
        let http = trusting_http_client(&settings.base_url, settings.authorities.as_ref())?;
        let (base_url, query) = split_query(&settings.base_url);
        let secrets = secrets(settings.api_key.as_ref(), &headers, &query).collect();
        let api_key = settings.api_key.unwrap_or_default();
        let endpoint: Arc<dyn Config> = Arc::new(Endpoint { base_url, query, headers, api_key });
        let sender = Sender { http: http.clone(), answered: Arc::default(), observer: None };
        let client = async_openai::Client::build(http, endpoint).with_http_service(sender.clone());
        Ok(Self { client, sender, secrets })
    }

    /// What must not be in any message.
    pub(super) fn secrets(&self) -> Vec<&str> {
        self.secrets.iter().map(ExposeSecret::expose_secret).collect()
    }

    /// Sends `request`. `observer` receives the text of the answer as it arrives.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn send(
        &self,
        request: &impl Serialize,
        observer: Option<CallObserver>,
    ) -> Result<Completion, CallError> {
        let mut client = self.client.clone();
        if observer.is_some() {
            client = client.with_http_service(Sender { observer, ..self.sender.clone() });
        }
        let mut refusals = 0;
        let body = loop {
            let sent: Result<Box<RawValue>, OpenAIError> = client.chat().create_byot(request).await;
            match sent.as_ref().map_err(not_started) {
                Err(Some(NotStarted { was_refused, .. })) if !was_refused || refusals < MAX_REFUSALS => {
                    refusals += u32::from(*was_refused);
                }
                _ => break sent.map_err(call_error)?,
            }
        };
        completion(body.get().as_bytes())
    }
}

/// The key, and the values of headers and of the query, which some servers take keys in.
fn secrets(
    key: Option<&SecretString>,
    headers: &HeaderMap,
    query: &str,
) -> impl Iterator<Item = SecretString> {
    let of_headers = headers.values().filter_map(|value| value.to_str().ok()).flat_map(str::split_whitespace);
    let of_query = url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
    let of_query = of_query.map(|(_, value)| SecretString::from(value.into_owned()));
    of_headers.map(SecretString::from).chain(of_query).chain(key.cloned()).collect::<Vec<_>>().into_iter()
}

/// A URL without its query, and the query with the question mark in front.
fn split_query(url: &str) -> (String, String) {
    match url.find('?') {
        Some(at) => (url[..at].to_owned(), url[at..].to_owned()),
        None => (url.to_owned(), String::new()),
    }
}

/// What async-openai needs to know of the server. The crate's own configuration would read the process environment.
struct Endpoint {
    base_url: String,
    /// Kept exactly as written, and therefore not passed to the crate as pairs.
    query: String,
    headers: HeaderMap,
    api_key: SecretString,
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}{}", self.base_url, self.query)
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

/// What async-openai sends calls through instead of its own retries.
#[derive(Clone)]
struct Sender {
    http: reqwest::Client,
    answered: Arc<AnsweredConnections>,
    observer: Option<CallObserver>,
}

impl Service<HttpRequestFactory> for Sender {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = BoxFuture<'static, Result<reqwest::Response, OpenAIError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        let sender = self.clone();
        Box::pin(async move {
            let response = sender.response(request).await?;
            match read_json(&mut response.into(), sender.observer).await {
                Ok(body) => Ok(Response::new(body).into()),
                Err(error) => Err(OpenAIError::Boxed(Box::new(error))),
            }
        })
    }
}

impl Sender {
    /// The head of the answer.
    async fn response(&self, factory: HttpRequestFactory) -> Result<reqwest::Response, OpenAIError> {
        let mut request = factory.build().await?;
        // It would keep the body, 12 KiB, until the answer arrives.
        drop(factory);
        let body = request.body().and_then(reqwest::Body::as_bytes).map(Bytes::copy_from_slice);
        // As a stream, or reqwest would keep it too, for retries of its own.
        *request.body_mut() = body.map(|body| reqwest::Body::wrap(Full::new(body)));
        traces::inject(request.headers_mut());
        let began = Instant::now();
        match self.http.execute(request).await {
            Ok(response) => {
                self.answered.insert(response.extensions());
                Ok(response)
            }
            Err(error) => {
                let was_refused = was_not_started(&error);
                let was_idle = || closed_connection(&error).is_some_and(|info| self.answered.remove(&info));
                if was_refused || was_idle() && began.elapsed() < IDLE_CLOSE_WITHIN {
                    return Err(OpenAIError::Boxed(Box::new(NotStarted { was_refused, error })));
                }
                Err(OpenAIError::Reqwest(error))
            }
        }
    }
}

/// A call that the server did not begin to work on: it refused it, or it had closed the connection while that was idle.
/// It is sent again on another connection, for which its body is made again. That ends at a fresh connection at the
/// latest, as each send takes a closed one out of the pool. (hyper sends again only if it knows that nothing of the
/// request was written.)
#[derive(Debug, thiserror::Error)]
#[error("the server did not begin to work on the call")]
struct NotStarted {
    was_refused: bool,
    #[source]
    error: reqwest::Error,
}

/// The connections that have answered before, by their two addresses: reqwest does not say of a failed send whether
/// its connection was a fresh one. There are at most as many entries as ports; one that is out of date costs a send.
#[derive(Default)]
struct AnsweredConnections(Mutex<HashSet<(SocketAddr, SocketAddr)>>);

impl AnsweredConnections {
    fn insert(&self, response: &Extensions) {
        if let Some(info) = response.get::<HttpInfo>() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(addresses(info));
        }
    }

    /// Forgets a connection; whether it had answered.
    fn remove(&self, info: &HttpInfo) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&addresses(info))
    }
}

fn addresses(info: &HttpInfo) -> (SocketAddr, SocketAddr) {
    (info.local_addr(), info.remote_addr())
}

/// The body of a success as JSON. `observer` receives its text as it arrives.
async fn read_json(
    response: &mut Response<reqwest::Body>,
    observer: Option<CallObserver>,
) -> Result<Bytes, CallError> {
    let is_success = response.status().is_success();
    let mut body = Limited::new(response.body_mut(), MAX_ANSWER_BYTES);
    if is_success {
        return read_success(&mut body, observer.as_ref()).await;
    }
    let body = body.collect().await.map_err(|error| body_error(&*error))?.to_bytes();
    if let Some(text) = failed_generation(&body) {
        let choice = json!({ "message": { "content": text }, "finish_reason": "stop" });
        return Ok(json!({ "choices": [choice] }).to_string().into());
    }
    Err(error_response(response.status(), response.headers(), &body))
}

async fn read_success(
    body: &mut Limited<&mut reqwest::Body>,
    observer: Option<&CallObserver>,
) -> Result<Bytes, CallError> {
    let mut incoming = IncomingBody::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|error| body_error(&*error))?.into_data() else { continue };
        let delta = incoming.push(&bytes);
        if let Some(observer) = observer {
            observer.on_delta(&delta);
        }
        if incoming.is_complete() {
            let _ = timeout(END_OF_BODY_WAIT, body.frame()).await;
            break;
        }
    }
    incoming.into_json()
}

fn body_error(error: &(dyn Error + Send + Sync + 'static)) -> CallError {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) => transport_failure(error).into(),
        None if error.is::<LengthLimitError>() => CallFailure::Malformed.into(),
        None => CallFailure::Connection.into(),
    }
}

fn not_started(error: &OpenAIError) -> Option<&NotStarted> {
    match error {
        OpenAIError::Boxed(error) => error.downcast_ref(),
        _ => None,
    }
}

fn call_error(error: OpenAIError) -> CallError {
    match error {
        OpenAIError::Boxed(inner) => match inner.downcast::<CallError>() {
            Ok(error) => *error,
            Err(inner) => {
                let failure = inner.downcast_ref().map(|NotStarted { error, .. }| transport_failure(error));
                failure.unwrap_or(CallFailure::Connection).into()
            }
        },
        OpenAIError::Reqwest(error) => transport_failure(&error).into(),
        _ => CallFailure::Malformed.into(),
    }
}
