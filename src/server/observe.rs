//! What happens around every request: its id, its log line, its metrics, its problem document.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{FutureExt as _, StreamExt};
use http::header::{CONNECTION, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use crate::domain::problem::ErrorCode;
use crate::telemetry::traces;

use super::problem;
use super::request::{RequestContext, X_REQUEST_ID};

/// Marks an error response whose body is made already: a readiness report, or an error of another protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CustomErrorBody;

/// How a streamed response ended, as an extension of it. While it is not set, the caller has disconnected.
#[derive(Debug, Clone)]
pub(crate) struct StreamOutcome<M>(Arc<OnceLock<(Option<ErrorCode>, Option<M>)>>);

impl<M> Default for StreamOutcome<M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<M> StreamOutcome<M> {
    /// Records the end of the stream; the first call counts.
    pub(crate) fn set(&self, code: Option<ErrorCode>, metadata: Option<M>) {
        let _ = self.0.set((code, metadata));
    }
}

/// What a service does with each completed request.
pub(crate) trait RequestObserver: Send + Sync + 'static {
    /// What handlers record about a request, as an extension of the response.
    type Metadata: Clone + Send + Sync + 'static;

    /// The trace that the request's work is a part of, as an OpenTelemetry context.
    fn trace(&self, _path: Option<&MatchedPath>, _request: &Request) -> Option<Context> {
        None
    }

    /// Counts and logs `request`; its span is entered.
    fn completed(&self, request: &CompletedRequest<Self::Metadata>);

    /// Whether each connection is closed after its next response. While a service shuts down, a caller that keeps a
    /// connection open could send a request at the moment at which the service closes it.
    fn closes_connections(&self) -> bool;
}

/// A request that was answered, or whose caller disconnected before.
pub(crate) struct CompletedRequest<M> {
    path: Option<MatchedPath>,
    /// One of a closed set.
    pub(crate) method: &'static str,
    /// The status of the response; `None` when the caller disconnected before.
    pub(crate) status: Option<StatusCode>,
    /// Since the arrival of the request's head.
    pub(crate) took: Duration,
    /// The code of the error, if it ended in one.
    pub(crate) code: Option<ErrorCode>,
    /// What a handler recorded.
    pub(crate) metadata: Option<M>,
    /// Its id and arrival.
    pub(crate) context: RequestContext,
    /// The trace that it belongs to.
    pub(crate) trace: Option<Context>,
}

/// nginx's status for a caller that disconnected.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl<M> CompletedRequest<M> {
    /// The route, one of a closed set.
    pub(crate) fn route(&self) -> &str {
        self.path.as_ref().map_or("unmatched", |path| metric_route(path.as_str()))
    }

    /// Whether it is one that orchestration and monitoring send every few seconds.
    pub(crate) fn is_probe(&self) -> bool {
        matches!(self.route(), "/health" | "/ready" | "/metrics")
    }

    /// The status for metrics and logs.
    pub(crate) fn shown_status(&self) -> StatusCode {
        let disconnected = StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST);
        self.status.unwrap_or(disconnected)
    }

    /// How long it took, in milliseconds.
    pub(crate) fn ms(&self) -> f64 {
        self.took.as_micros() as f64 / 1_000.0
    }
}

/// Gives each request its id, reports its completion to the observer, and writes problem documents.
pub(crate) fn observe<O: RequestObserver>(
    State(observer): State<Arc<O>>,
    mut request: Request,
    next: Next,
) -> impl Future<Output = Response> {
    let span = info_span!("request", request_id = Empty, trace_id = Empty);
    let context = span.in_scope(|| RequestContext::new(request.headers()));
    request.extensions_mut().insert(context.clone());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let trace = observer.trace(path.as_ref(), &request);
    traces::record_id(&span, trace.as_ref());
    let mut guard = CompletionGuard {
        observer,
        span: span.clone(),
        stream: None,
        request: CompletedRequest {
            path,
            method: known_method(request.method()),
            status: None,
            took: Duration::ZERO,
            code: None,
            metadata: None,
            context: context.clone(),
            trace: trace.clone(),
        },
    };
    let answering = next.run(request).instrument(span.clone()).with_context(trace.unwrap_or_default());
    answering.map(move |mut response| {
        span.in_scope(|| {
            guard.request.code = complete(&mut response, context.id());
            guard.request.status = Some(response.status());
            guard.request.metadata = response.extensions_mut().remove::<O::Metadata>();
        });
        if guard.observer.closes_connections() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        guard.stream = response.extensions_mut().remove::<StreamOutcome<O::Metadata>>();
        if guard.stream.is_some() { response.map(|body| guard.until_end_of(body)) } else { response }
    })
}

/// Writes the problem document of a `response` that is an error, and the headers of every response: the request's
/// id, and `nosniff`, since texts of LLMs and callers must not be rendered as a page. Returns the error's code.
fn complete(response: &mut Response, request_id: &str) -> Option<ErrorCode> {
    let problem = problem::of_response(response);
    if let Some(problem) = &problem {
        problem::write(problem, response, request_id);
    }
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    problem.map(|problem| problem.code)
}

/// Reports a request to its observer when dropped: once answered, or when the caller disconnects.
struct CompletionGuard<O: RequestObserver> {
    observer: Arc<O>,
    span: tracing::Span,
    /// Set for a stream: how it ended.
    stream: Option<StreamOutcome<O::Metadata>>,
    request: CompletedRequest<O::Metadata>,
}

impl<O: RequestObserver> CompletionGuard<O> {
    /// The `body` of a stream; the request is completed when it ends.
    fn until_end_of(self, body: Body) -> Body {
        Body::from_stream(body.into_data_stream().map(move |bytes| {
            let _guard = &self;
            bytes
        }))
    }
}

impl<O: RequestObserver> Drop for CompletionGuard<O> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            match stream.0.get() {
                Some((code, metadata)) => {
                    (self.request.code, self.request.metadata) = (*code, metadata.clone());
                }
                None => self.request.status = None,
            }
        }
        self.request.took = self.request.context.arrived.elapsed();
        let _entered = self.span.enter();
        self.observer.completed(&self.request);
    }
}

/// To the metrics the assets of the documentation are one route, and so are those of the page.
fn metric_route(path: &str) -> &str {
    match path {
        _ if path.starts_with("/docs") => "/docs",
        "/page/{name}" => "/",
        _ => path,
    }
}

/// The method as a label of a closed set.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
