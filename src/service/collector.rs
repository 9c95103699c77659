//! Sends spans to the collector, over the HTTP client that everything else uses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::http_client::{body_within, http_client};
use crate::telemetry::settings::TraceSettings;

/// The longest answer that is read; usual ones are empty.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Posts the spans of the SDK. The SDK calls it on a thread of its own without a runtime, so the service's sends them.
#[derive(Clone)]
pub(super) struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    headers: HeaderMap,
    timeout: Duration,
    /// Whether the last batch was accepted: only changes are logged.
    is_accepting: Arc<AtomicBool>,
}

impl Collector {
    /// The collector that `settings` name. Nothing is sent yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(settings: &TraceSettings) -> Result<Self, String> {
        Ok(Self {
            http: http_client(settings.endpoint.as_str())?,
            runtime: Handle::current(),
            headers: settings.headers.clone(),
            timeout: settings.timeout,
            is_accepting: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Sends `request` once. Errors quote nothing of it.
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        request.headers_mut().extend(self.headers.clone());
        let request = request.try_into().map_err(|_| "its URL is invalid")?;
        let mut response = self.http.execute(request).await.map_err(|_| "it cannot be reached")?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body =
            body_within(&mut response, MAX_ANSWER_BYTES).await.map_err(|_| "its response is incomplete")?;
        let mut answer = Response::new(body.unwrap_or_default());
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }

    async fn send_in_time(self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let answer = timeout(self.timeout, self.send(request)).await;
        let answer = answer.unwrap_or_else(|_| Err("it does not answer in time".to_owned()));
        let fault = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers with status {}", answer.status().as_u16())),
            Err(why) => Some(why.clone()),
        };
        match (fault, self.is_accepting.load(Ordering::Relaxed)) {
            (Some(why), true) => {
                self.is_accepting.store(false, Ordering::Relaxed);
                warn!(why, "the collector accepts no traces; they are dropped until it does");
            }
            (None, false) => {
                self.is_accepting.store(true, Ordering::Relaxed);
                info!("the collector accepts traces again");
            }
            _ => {}
        }
        answer
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sent = self.runtime.spawn(self.clone().send_in_time(request));
        // Fails when the runtime has ended.
        Box::pin(async move { Ok(sent.await??) })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}
