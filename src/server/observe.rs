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

use crate::domain::problem::{ErrorCode, Problem};
use crate::telemetry::traces;

use super::problem;
use super::request::{RequestContext, X_REQUEST_ID};

/// Marks a response that is an error and has a document of its own: a report, or what another protocol says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CustomErrorBody;

/// How a streamed response ended, as an extension of it. Unless that is set, its caller disconnected.
#[derive(Debug, Clone)]
pub(crate) struct StreamEnd<N>(Arc<OnceLock<(Option<ErrorCode>, Option<N>)>>);

impl<N> Default for StreamEnd<N> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<N> StreamEnd<N> {
    /// The stream was complete.
    pub(crate) fn set(&self, code: Option<ErrorCode>, notes: Option<N>) {
        // It ends once.
        let _ = self.0.set((code, notes));
    }
}

/// What a service makes of a request that is over.
pub(crate) trait RequestObserver: Send + Sync + 'static {
    /// What handlers note about a request, as an extension of the response.
    type Notes: Clone + Send + Sync + 'static;

    /// The trace that the request's work is a part of, as an OpenTelemetry context.
    fn trace(&self, _path: Option<&MatchedPath>, _request: &Request) -> Option<Context> {
        None
    }

    /// Counts and logs it; the request's span is entered.
    fn ended(&self, request: &Ended<Self::Notes>);

    /// Whether each connection ends with its next response: a caller that kept it open would send another
    /// request at the very moment at which a leaving service closes it.
    fn closes_connections(&self) -> bool;
}

/// A request that is over, also when its caller went away before.
pub(crate) struct Ended<N> {
    path: Option<MatchedPath>,
    /// One of a closed set.
    pub(crate) method: &'static str,
    /// What was answered; `None` when nobody was left to answer.
    pub(crate) status: Option<StatusCode>,
    /// From the head's arrival.
    pub(crate) took: Duration,
    /// The kind of error, where it was one.
    pub(crate) code: Option<ErrorCode>,
    /// What a handler noted.
    pub(crate) notes: Option<N>,
    /// Its id and arrival.
    pub(crate) context: RequestContext,
    /// The trace that it was a part of.
    pub(crate) trace: Option<Context>,
}

/// What nginx made usual for a caller that went away.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl<N> Ended<N> {
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
        let gone = StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST);
        self.status.unwrap_or(gone)
    }

    /// How long it took, in milliseconds.
    pub(crate) fn ms(&self) -> f64 {
        self.took.as_micros() as f64 / 1_000.0
    }
}

/// Gives each request its id, shows its end to the service, and writes problems.
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
    traces::name(&span, trace.as_ref());
    let mut record = Record {
        observer,
        span: span.clone(),
        stream: None,
        ended: Ended {
            path,
            method: known_method(request.method()),
            status: None,
            took: Duration::ZERO,
            code: None,
            notes: None,
            context: context.clone(),
            trace: trace.clone(),
        },
    };
    let answering = next.run(request).instrument(span.clone()).with_context(trace.unwrap_or_default());
    answering.map(move |mut response| {
        span.in_scope(|| {
            record.ended.code = complete(&mut response, context.id());
            record.ended.status = Some(response.status());
            record.ended.notes = response.extensions_mut().remove::<O::Notes>();
        });
        if record.observer.closes_connections() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        record.stream = response.extensions_mut().remove::<StreamEnd<O::Notes>>();
        if record.stream.is_some() { response.map(|body| record.until_end_of(body)) } else { response }
    })
}

/// Writes the problem document of a `response` that is an error, and what every response has: the request's id,
/// and that texts of LLMs and callers in it are not to be taken for a page. Gives the error's code.
fn complete(response: &mut Response, request_id: &str) -> Option<ErrorCode> {
    let status = response.status();
    let mut problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none()
        && (status.is_client_error() || status.is_server_error())
        && response.extensions().get::<CustomErrorBody>().is_none()
    {
        // A library answered, with a bare status.
        problem = Some(problem::of_status(status));
    }
    if let Some(problem) = &problem {
        let body = serde_json::to_vec(&problem.document(request_id)).unwrap_or_default();
        *response.status_mut() = problem.code.status();
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        problem::write_headers(problem, response.headers_mut());
        *response.body_mut() = body.into();
    }
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    problem.map(|problem| problem.code)
}

/// Shows a request to its observer when it is over, also when its caller goes away before.
struct Record<O: RequestObserver> {
    observer: Arc<O>,
    span: tracing::Span,
    /// Where a stream says how it ended.
    stream: Option<StreamEnd<O::Notes>>,
    ended: Ended<O::Notes>,
}

impl<O: RequestObserver> Record<O> {
    /// The body of a stream, with which the request is over.
    fn until_end_of(self, body: Body) -> Body {
        Body::from_stream(body.into_data_stream().map(move |bytes| {
            let _record = &self;
            bytes
        }))
    }
}

impl<O: RequestObserver> Drop for Record<O> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            match stream.0.get() {
                Some((code, notes)) => (self.ended.code, self.ended.notes) = (*code, notes.clone()),
                None => self.ended.status = None,
            }
        }
        self.ended.took = self.ended.context.arrived.elapsed();
        let _entered = self.span.enter();
        self.observer.ended(&self.ended);
    }
}

/// The assets of the documentation are one route to the metrics, and so are those of the page.
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
