//! What happens around every request: its id, its log line, its metrics, its problem document.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::HeaderValue;
use http::{Method, StatusCode};
use tracing::{Instrument, info, info_span};

use crate::app::App;
use crate::planner::Origin;

use super::problem::{ErrorCode, Problem, internal};
use super::request::{RequestContext, X_REQUEST_ID};

/// What a handler notes about a plan for the request's log line, as an extension of its response.
#[derive(Debug, Clone)]
pub struct PlanNotes {
    /// Who made the plan, or failed to.
    pub origin: Origin,
    /// Things that were changed in it.
    pub repairs: usize,
}

/// Gives each request its id, a log line at its end, and its place in the metrics; writes problems.
pub async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let span = info_span!("request", request_id = tracing::field::Empty);
    let context = span.in_scope(|| RequestContext::new(request.headers()));
    request.extensions_mut().insert(context.clone());
    let mut record = Record {
        route: request.extensions().get::<MatchedPath>().cloned(),
        method: known_method(request.method()),
        app,
        context,
        span: span.clone(),
        status: None,
        code: None,
        notes: None,
    };
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| finish(&mut record, &mut response));
    response
}

/// Completes `response` and takes down what is logged and counted of it.
fn finish(record: &mut Record, response: &mut Response) {
    record.code = complete(response, record.context.id());
    record.status = Some(response.status());
    record.notes = response.extensions_mut().remove::<PlanNotes>();
}

/// Writes the problem document of a `response` that is an error, and the request's id; gives the error's code.
pub(crate) fn complete(response: &mut Response, request_id: &str) -> Option<ErrorCode> {
    let status = response.status();
    let mut problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none()
        && (status.is_client_error() || status.is_server_error())
        && !is_ready_report(response)
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
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    problem.map(|problem| problem.code)
}

/// Whether this is `/ready` saying that it is not, which is no problem document.
fn is_ready_report(response: &Response) -> bool {
    response.extensions().get::<super::ops::NotReady>().is_some()
}

/// What is logged and counted when a request is over, also when its caller went away before.
struct Record {
    route: Option<MatchedPath>,
    method: &'static str,
    app: Arc<App>,
    context: RequestContext,
    span: tracing::Span,
    status: Option<StatusCode>,
    code: Option<ErrorCode>,
    notes: Option<PlanNotes>,
}

/// What nginx made usual for a caller that went away.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.context.arrived.elapsed();
        let gone = StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST);
        let status = self.status.unwrap_or(gone);
        let route = self.route.as_ref().map_or("unmatched", |path| metric_route(path.as_str()));
        self.app.metrics.http_request(route, self.method, status, took);

        let _entered = self.span.enter();
        let (method, status, ms) = (self.method, status.as_u16(), took.as_micros() as f64 / 1_000.0);
        if route != "/plan" || self.method != "POST" {
            info!(method, route, status, ms, "request");
            return;
        }
        let outcome = match (self.status, self.code) {
            (None, _) => "client_closed",
            (_, Some(code)) => code.as_str(),
            _ => "ok",
        };
        self.app.metrics.plan_ended(outcome, took);
        let origin = self.notes.as_ref().map(|notes| &notes.origin);
        if origin.is_some() {
            // Somebody was asked for a plan: what callers did wrong and what was shed is no experience.
            self.app.record(self.code.is_none(), took);
        }
        info!(
            method,
            route,
            status,
            ms,
            outcome,
            engine = origin.map(|origin| origin.engine.as_str()),
            model = origin.map(|origin| &*origin.model),
            attempts = origin.map(|origin| origin.tally.attempts),
            repairs = self.notes.as_ref().map(|notes| notes.repairs),
            "request"
        );
    }
}

/// The assets of the documentation are one route to the metrics.
fn metric_route(path: &str) -> &str {
    if path.starts_with("/docs") { "/docs" } else { path }
}

/// The method as a label of a closed set.
pub(crate) fn known_method(method: &Method) -> &'static str {
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
