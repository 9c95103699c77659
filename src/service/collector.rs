//! How spans travel to the collector: over the HTTP client that everything else uses.

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

/// The longest answer that is read; a usual one is empty.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// Posts what the SDK hands over. The SDK does so on a thread of its own, which has no runtime: the service's own sends it.
#[derive(Clone)]
pub(super) struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    headers: HeaderMap,
    timeout: Duration,
    /// Whether it took the last batch, so that the log says when that changes and no more.
    takes: Arc<AtomicBool>,
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
            takes: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Sends it once; what went wrong, in words that quote nothing.
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        request.headers_mut().extend(self.headers.clone());
        let request = request.try_into().map_err(|_| "its URL is bad")?;
        let mut response = self.http.execute(request).await.map_err(|_| "it cannot be reached")?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body =
            body_within(&mut response, MOST_ANSWER_BYTES).await.map_err(|_| "its answer breaks off")?;
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
        match (fault, self.takes.load(Ordering::Relaxed)) {
            (Some(why), true) => {
                self.takes.store(false, Ordering::Relaxed);
                warn!(why, "the collector does not take traces; they are left out until it does");
            }
            (None, false) => {
                self.takes.store(true, Ordering::Relaxed);
                info!("the collector takes traces again");
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
        // It is not sent where the runtime has ended.
        Box::pin(async move { Ok(sent.await??) })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}
