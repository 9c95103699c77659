//! The orchestrator's HTTP API.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use serde::Serialize;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, info, info_span};
use uuid::Uuid;

use crate::app::MAX_BODY_BYTES;
use crate::http::problem::{ErrorCode, Problem, internal};
use crate::http::{
    NotReady, RequestContext, complete, has_media_type, known_method, now, read_body, unsupported_media_type,
};
use crate::lifecycle::Phase;
use crate::models::Readiness;

use super::Orchestrator;
use super::metrics::StoreTask;
use super::models::{Submission, Task, TaskStatus};
use super::store::StoreError;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// When a submit is worth trying again while the database is away.
const STORE_WAIT: Duration = Duration::from_secs(5);

type Shared = State<Arc<Orchestrator>>;

/// All routes and what surrounds them. Binds nothing: the server and every test use it.
pub fn router(orchestrator: Arc<Orchestrator>) -> Router {
    Router::new()
        .route("/submit", post(submit))
        .route("/tasks/{id}", get(task))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || not_found("There is nothing at this path."))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // Inside of what observes, so that a panic has its id, its log line and its place in the metrics.
        .layer(CatchPanicLayer::custom(|_| internal().into_response()))
        // Outermost, so that whatever happens further in is observed and every response has its id.
        .layer(from_fn_with_state(orchestrator.clone(), observe))
        .with_state(orchestrator)
}

/// Stores a task; once it is, and not before, it is accepted.
async fn submit(
    State(orchestrator): Shared,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Problem> {
    if !may_be_json(request.headers()) {
        return Err(unsupported_media_type());
    }
    let body = read_body(request, context.arrived + BODY_TIME).await?;
    let task = Submission::from_json(&body)?;
    let id = Uuid::new_v4();
    let stored = orchestrator.store.insert(id, &task).await;
    let fault = stored.as_ref().err().map(problem);
    if let (None, Some(fault)) = (orchestrator.noted(StoreTask::Insert, stored), fault) {
        return Err(fault);
    }
    orchestrator.metrics.submitted();
    info!(task_id = %id, "task accepted");
    let message = match &task.assigned_arm {
        None => {
            orchestrator.submitted.notify_one();
            format!("The task is stored and will be planned; follow it at /tasks/{id}.")
        }
        Some(arm) => format!("The task is stored for the arm {arm}; it is not planned."),
    };
    let answer = Accepted { task_id: id.to_string(), status: TaskStatus::Pending, message };
    Ok((StatusCode::ACCEPTED, [(LOCATION, format!("/tasks/{id}"))], Json(answer)).into_response())
}

/// A task that was stored.
#[derive(Serialize)]
struct Accepted {
    task_id: String,
    status: TaskStatus,
    message: String,
}

/// Whether a body is declared as JSON, as nothing, or as what curl declares it unasked.
fn may_be_json(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_TYPE)
        || ["application/json", "application/x-www-form-urlencoded"]
            .iter()
            .any(|media_type| has_media_type(headers, media_type))
}

/// Where a task is on its way, and its plan.
async fn task(State(orchestrator): Shared, Path(id): Path<String>) -> Result<Json<Task>, Problem> {
    let none = || not_found("There is no task of this id.");
    let id = Uuid::parse_str(&id).map_err(|_| none())?;
    let found = orchestrator.store.find(id).await;
    let fault = found.as_ref().err().map(problem);
    match (orchestrator.noted(StoreTask::Find, found), fault) {
        (Some(task), _) => task.map(Json).ok_or_else(none),
        (None, fault) => Err(fault.unwrap_or_else(internal)),
    }
}

/// Whether the process lives.
async fn health() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({ "status": "healthy", "version": version, "timestamp": now() })).into_response()
}

/// Whether tasks can be accepted. They can without the planner arm: they wait for it.
async fn ready(State(orchestrator): Shared) -> Response {
    let (database, planner) = tokio::join!(orchestrator.store.ping(), orchestrator.planner.ready());
    let serving = orchestrator.lifecycle.phase() == Phase::Serving;
    let ready = serving && database.is_ok();
    let planner = planner.is_ok_and(|planner| planner.ready);
    let checks = [("database", database.is_ok()), ("planner_arm", planner), ("serving", serving)];
    let checks = checks.into_iter().map(|(name, well)| (name.to_owned(), well)).collect();
    let report = Json(Readiness { ready, checks, timestamp: now() });
    if ready {
        return report.into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, report).into_response();
    response.extensions_mut().insert(NotReady);
    response
}

/// The metrics, in Prometheus's text format.
async fn metrics(State(orchestrator): Shared) -> Response {
    orchestrator.metrics.waiting(orchestrator.store.waiting().await.ok());
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], orchestrator.metrics.render()).into_response()
}

/// Gives each request its id, a log line at its end, and its place in the metrics; writes problems.
async fn observe(State(orchestrator): Shared, mut request: Request, next: Next) -> Response {
    let span = info_span!("request", request_id = tracing::field::Empty);
    let context = span.in_scope(|| RequestContext::new(request.headers()));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = known_method(request.method());
    request.extensions_mut().insert(context.clone());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| {
        let code = complete(&mut response, context.id());
        let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let (status, took) = (response.status(), context.arrived.elapsed());
        orchestrator.metrics.http_request(route, method, status, took);
        let ms = took.as_micros() as f64 / 1_000.0;
        info!(method, route, status = status.as_u16(), ms, code = code.map(ErrorCode::as_str), "request");
    });
    response
}

fn not_found(detail: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, detail)
}

fn problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => {
            let detail = "The database does not answer; send the request again later.";
            Problem::new(ErrorCode::DatabaseUnavailable, detail).retry_after(STORE_WAIT)
        }
        StoreError::Misfit(_) => internal(),
    }
}
