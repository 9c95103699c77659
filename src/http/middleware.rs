//! What happens around every request: its id, its log line, its metrics, its problem document.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt as _, StreamExt};
use http::header::{CONNECTION, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use tracing::field::Empty;
use tracing::{Instrument, info, info_span};

use crate::app::App;
use crate::cache::CacheUse;
use crate::lifecycle::Phase;
use crate::planner::Origin;
use crate::telemetry::traces;

use super::problem::{ErrorCode, Problem, internal};
use super::request::{RequestContext, X_REQUEST_ID};
use super::span;

/// What a handler notes about a plan for the request's log line, as an extension of its response.
#[derive(Debug, Clone)]
pub struct PlanNotes {
    /// Who made the plan, or failed to.
    pub origin: Origin,
    /// What the cache did for it.
    pub cache: CacheUse,
    /// Things that were changed in it; `None` where there is no plan.
    pub repairs: Option<usize>,
    /// Its steps, likewise.
    pub steps: Option<usize>,
}

/// Marks a response that is an error and has a document of its own: a report, or what another protocol says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnDocument;

/// How a streamed response ended, as an extension of it. Until that is said, its caller may go away.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamEnd(Arc<OnceLock<(Option<ErrorCode>, Option<PlanNotes>)>>);

impl StreamEnd {
    /// It ended with all that there was to say.
    pub(crate) fn is(&self, code: Option<ErrorCode>, notes: Option<PlanNotes>) {
        // It ends once.
        let _ = self.0.set((code, notes));
    }
}

/// What a service makes of a request that is over.
pub(crate) trait Observer: Send + Sync + 'static {
    /// The trace that the request's work is a part of, as an OpenTelemetry context.
    fn trace(&self, _path: Option<&MatchedPath>, _request: &Request) -> Option<Context> {
        None
    }

    /// Counts and logs it; the request's span is entered.
    fn ended(&self, request: &Ended);

    /// Whether each connection ends with its next response: a caller that kept it open would send another
    /// request at the very moment at which a leaving service closes it.
    fn closes_connections(&self) -> bool;
}

/// A request that is over, also when its caller went away before.
pub(crate) struct Ended {
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
    pub(crate) notes: Option<PlanNotes>,
    /// Its id and arrival.
    pub(super) context: RequestContext,
    /// The trace that it was a part of.
    trace: Option<Context>,
}

/// The routes that make plans.
pub(super) const PLANNING_ROUTES: [&str; 2] = ["/plan", "/replan"];

/// What nginx made usual for a caller that went away.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Ended {
    /// The route, one of a closed set.
    pub(crate) fn route(&self) -> &str {
        self.path.as_ref().map_or("unmatched", |path| metric_route(path.as_str()))
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
pub(crate) fn observe<O: Observer>(
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
    // Mapped, since an `async` block around it would have it twice.
    answering.map(move |mut response| {
        span.in_scope(|| {
            record.ended.code = complete(&mut response, context.id());
            record.ended.status = Some(response.status());
            record.ended.notes = response.extensions_mut().remove::<PlanNotes>();
        });
        if record.observer.closes_connections() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        record.stream = response.extensions_mut().remove::<StreamEnd>();
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
        && response.extensions().get::<OwnDocument>().is_none()
    {
        // A library answered, with a bare status.
        problem = Some(Problem::for_status(status));
    }
    if let Some(problem) = &problem {
        let body = serde_json::to_vec(&problem.document(request_id)).unwrap_or_default();
        *response.status_mut() = problem.code.status();
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        problem.headers(response.headers_mut());
        *response.body_mut() = body.into();
    }
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    problem.map(|problem| problem.code)
}

/// Shows a request to its observer when it is over, also when its caller goes away before.
struct Record<O: Observer> {
    observer: Arc<O>,
    span: tracing::Span,
    /// Where a stream says how it ended.
    stream: Option<StreamEnd>,
    ended: Ended,
}

impl<O: Observer> Record<O> {
    /// The body of a stream, with which the request is over.
    fn until_end_of(self, body: Body) -> Body {
        Body::from_stream(body.into_data_stream().map(move |bytes| {
            let _record = &self;
            bytes
        }))
    }
}

impl<O: Observer> Drop for Record<O> {
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

impl Observer for App {
    fn trace(&self, path: Option<&MatchedPath>, request: &Request) -> Option<Context> {
        let caller = traces::caller(request.headers());
        let is_planning = |route: &&&str| path.is_some_and(|path| path.as_str() == **route);
        match PLANNING_ROUTES.iter().find(is_planning) {
            Some(route) if request.method() == Method::POST => span::begin(&self.traces, caller, route),
            _ => caller,
        }
    }

    fn closes_connections(&self) -> bool {
        self.lifecycle.phase() > Phase::Serving
    }

    fn ended(&self, request: &Ended) {
        let (method, route, took) = (request.method, request.route(), request.took);
        self.metrics.http_request(route, method, request.shown_status(), took);
        let (status, ms) = (request.shown_status().as_u16(), request.ms());
        if !PLANNING_ROUTES.contains(&route) || method != "POST" {
            info!(method, route, status, ms, "request");
            return;
        }
        let outcome = outcome(request.status.is_some(), request.code);
        self.plan_ended(outcome, request.notes.as_ref(), took);
        if let Some(trace) = &request.trace {
            let (id, notes) = (request.context.id(), request.notes.as_ref());
            span::end(trace, outcome, request.code, request.status, id, notes);
        }
        let origin = request.notes.as_ref().map(|notes| &notes.origin);
        info!(
            method,
            route,
            status,
            ms,
            outcome,
            engine = origin.map(|origin| origin.engine.as_str()),
            model = origin.map(|origin| &*origin.model),
            cache = request.notes.as_ref().map(|notes| notes.cache.as_str()),
            attempts = origin.map(|origin| origin.tally.attempts),
            repairs = request.notes.as_ref().map(|notes| notes.repairs.unwrap_or_default()),
            "request"
        );
    }
}

/// What became of a request, in one word of a closed set: whether it was answered before its caller went away, and
/// the `code` of that where it was an error.
pub(crate) fn outcome(is_answered: bool, code: Option<ErrorCode>) -> &'static str {
    if is_answered { code.map_or("ok", ErrorCode::as_str) } else { "client_closed" }
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

/// What a panic in a handler becomes. The panic hook has logged where it was.
pub fn panic_response(app: &App, _: &(dyn Any + Send)) -> Response {
    app.metrics.panic_caught();
    internal().into_response()
}
