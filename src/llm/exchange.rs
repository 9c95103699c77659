//! How a call travels: it goes out once, its answer is read within bounds, and whatever is not a success
//! becomes a [`CallError`].
//!
//! A server that is spoken to in plain HTTP, with no proxy on the way, is spoken to [directly](super::plain): a plan
//! that waits for it holds half as much. All others are reached through async-openai and reqwest, with TLS, HTTP/2
//! and proxies.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Response, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::proxy::matcher::Matcher;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tower::Service;

use crate::http_client::{self, bearer, http_client};
use crate::telemetry::traces;

use super::pieces::Pieces;
use super::plain::Plain;
use super::reply::{Incoming, completion, normalised, refusal};
use super::{BoxFuture, CallError, CallFailure, CallObserver, Completion};

/// The largest answer that is read; a plan is a thousand times smaller.
const MOST_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// How long the end of a body is waited for whose stream has said all: with it the connection can be used again.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// The way to the chat completions of one server.
#[derive(Clone)]
pub(super) enum Exchange {
    /// Plain HTTP/1.1.
    Plain(Box<Plain>),
    /// Everything else.
    Crate { client: async_openai::Client<Endpoint>, http: reqwest::Client },
}

impl Exchange {
    /// Prepares the connection pool; nothing is sent.
    ///
    /// # Errors
    /// When the key cannot stand in a header or TLS cannot be set up.
    pub(super) fn new(base_url: String, api_key: Option<SecretString>) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &api_key {
            let value = bearer(key).ok_or("the LLM key has a character that cannot stand in a header")?;
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(plain) = plain_uri(&base_url).and_then(|uri| Plain::new(uri, headers.clone())) {
            return Ok(Self::Plain(Box::new(plain)));
        }
        let http = http_client(&base_url)?;
        let endpoint = Endpoint { base_url, headers, api_key: api_key.unwrap_or_default() };
        let once = OneExchange { http: http.clone(), observer: None };
        let client = async_openai::Client::build(http.clone(), endpoint).with_http_service(once);
        Ok(Self::Crate { client, http })
    }

    /// Sends `request` once; it has the `shared` values in common with other requests. What the answer says is
    /// heard by `observer` while it comes.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn send<'a>(
        &self,
        request: &impl Serialize,
        shared: impl Iterator<Item = &'a Arc<RawValue>>,
        observer: Option<CallObserver>,
    ) -> Result<Completion, CallError> {
        let reply: Result<Box<RawValue>, OpenAIError> = match (self, observer) {
            (Self::Plain(plain), observer) => {
                return completion(&plain.send(Pieces::of(request, shared), observer).await?);
            }
            // In places of their own: they are large, and calls in plain HTTP have no use for them.
            (Self::Crate { client, .. }, None) => Box::pin(client.chat().create_byot(request)).await,
            (Self::Crate { client, http }, observer) => {
                let once = OneExchange { http: http.clone(), observer };
                let client = client.clone().with_http_service(once);
                Box::pin(client.chat().create_byot(request)).await
            }
        };
        completion(reply.map_err(call_error)?.get().as_bytes())
    }
}

/// Where the chat completions are, if they can be asked for in plain HTTP without a proxy.
fn plain_uri(base_url: &str) -> Option<Uri> {
    let uri: Uri = format!("{base_url}/chat/completions").parse().ok()?;
    let is_direct =
        || http_client::is_on_this_machine(base_url) || Matcher::from_env().intercept(&uri).is_none();
    (uri.scheme_str() == Some("http") && is_direct()).then_some(uri)
}

/// The body of a success as JSON, heard by `observer` while it comes.
pub(super) async fn read<B>(
    response: &mut Response<B>,
    observer: Option<CallObserver>,
) -> Result<Bytes, CallError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let is_success = response.status().is_success();
    let mut body = Limited::new(response.body_mut(), MOST_ANSWER_BYTES);
    if let Some(observer) = observer.filter(|_| is_success) {
        return heard(&mut body, &observer).await;
    }
    let body = body.collect().await.map_err(|error| body_error(&*error))?.to_bytes();
    if is_success {
        return Ok(normalised(&body));
    }
    Err(refusal(response.status(), response.headers(), &body))
}

async fn heard<B>(body: &mut Limited<B>, observer: &CallObserver) -> Result<Bytes, CallError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut incoming = Incoming::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|error| body_error(&*error))?.into_data() else { continue };
        observer.on_delta(&incoming.push(&bytes));
        if incoming.is_over() {
            let _ = timeout(LAST_WORDS, body.frame()).await;
            break;
        }
    }
    Ok(incoming.into_json())
}

fn body_error(error: &(dyn Error + Send + Sync + 'static)) -> CallError {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) => transport_error(error),
        None if error.is::<LengthLimitError>() => CallFailure::Malformed.into(),
        None => CallFailure::Connection.into(),
    }
}

/// Where the server is; the crate's own configuration would read the process environment.
#[derive(Clone)]
pub(super) struct Endpoint {
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

/// What async-openai sends calls through, in the place of its own retries.
#[derive(Clone)]
struct OneExchange {
    http: reqwest::Client,
    /// What hears the answer while it comes.
    observer: Option<CallObserver>,
}

impl Service<HttpRequestFactory> for OneExchange {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = BoxFuture<'static, Result<reqwest::Response, OpenAIError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        let Self { http, observer } = self.clone();
        Box::pin(async move {
            let mut request = request.build().await?;
            traces::pass_on(request.headers_mut());
            let answer = match http.execute(request).await {
                Ok(response) => read(&mut Response::from(response), observer).await,
                Err(error) => Err(transport_error(&error)),
            };
            match answer {
                Ok(body) => Ok(Response::new(body).into()),
                Err(error) => Err(OpenAIError::Boxed(Box::new(error))),
            }
        })
    }
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
