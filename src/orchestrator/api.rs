//! The orchestrator's HTTP API.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{debug, info};
use uuid::Uuid;

use crate::domain::problem::{ErrorCode, Problem};
use crate::server::body::{
    body_layers, has_media_type, read_body, require_known_encoding, unsupported_media_type,
};
use crate::server::lifecycle::Phase;
use crate::server::observe::{CompletedRequest, RequestObserver, observe};
use crate::server::readiness::{now, readiness};
use crate::server::request::RequestContext;

use super::Orchestrator;
use super::metrics::Operation;
use super::models::{Submission, Task, TaskStatus};
use super::store::StoreError;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long a task may wait for a permit to be read and stored.
const PERMIT_TIME: Duration = Duration::from_secs(10);
/// How long the database may take when this service is probed: probes have short timeouts.
const DATABASE_TIME: Duration = Duration::from_millis(800);
/// How long the planner may take to answer `/ready`.
const PLANNER_TIME: Duration = Duration::from_millis(400);
/// When a submit should be retried while the database is unavailable.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(5);

type Shared = State<Arc<Orchestrator>>;

/// All routes and what surrounds them. Binds nothing: the server and every test use it.
pub fn router(orchestrator: Arc<Orchestrator>) -> Router {
    Router::new()
        .route("/submit", post(submit).layer(body_layers()))
        .route("/tasks/{id}", get(task))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || not_found("There is nothing at this path."))
        // Inside of what observes, so that a panic has its id, its log line and its place in the metrics.
        .layer(CatchPanicLayer::custom(|_| Problem::internal().into_response()))
        // Outermost, so that whatever happens further in is observed and every response has its id.
        .layer(from_fn_with_state(orchestrator.clone(), observe::<Orchestrator>))
        .with_state(orchestrator)
}

/// Stores a task; once it is, and not before, it is accepted.
async fn submit(
    State(orchestrator): Shared,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    if !may_be_json(&head.headers) {
        return Err(unsupported_media_type());
    }
    require_known_encoding(&head.headers)?;
    let body = read_body(body, context.arrived + BODY_TIME).await?;
    let permit = timeout(PERMIT_TIME, orchestrator.submissions.acquire()).await;
    let _permit = permit.map_err(|_| overloaded())?;
    let task = Submission::from_json(&body)?;
    let id = Uuid::new_v4();
    let stored = orchestrator.store.insert(id, &task).await;
    orchestrator.record(Operation::Insert, stored)?;
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
async fn task(
    State(orchestrator): Shared,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Task>, Problem> {
    let none = || not_found("There is no task of this id.");
    let id = id.ok().and_then(|Path(id)| Uuid::parse_str(&id).ok()).ok_or_else(none)?;
    let found = orchestrator.store.find(id).await;
    orchestrator.record(Operation::Find, found)?.map(Json).ok_or_else(none)
}

/// Whether the process lives.
async fn health() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({ "status": "healthy", "version": version, "timestamp": now() })).into_response()
}

/// Whether tasks can be accepted. They can without the planner arm: they wait for it.
async fn ready(State(orchestrator): Shared) -> Response {
    let database = timeout(DATABASE_TIME, orchestrator.store.ping());
    let planner = timeout(PLANNER_TIME, orchestrator.planner.ready());
    let (database, planner) = tokio::join!(database, planner);
    let database = matches!(database, Ok(Ok(())));
    let serving = orchestrator.lifecycle.phase() == Phase::Serving;
    let ready = serving && database;
    let planner = planner.is_ok_and(|report| report.is_ok_and(|report| report.ready));
    readiness(ready, [("database", database), ("planner_arm", planner), ("serving", serving)])
}

/// The metrics, in Prometheus's text format.
async fn metrics(State(orchestrator): Shared) -> Response {
    let waiting = timeout(DATABASE_TIME, orchestrator.store.waiting()).await;
    orchestrator.metrics.waiting(waiting.ok().and_then(Result::ok));
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], orchestrator.metrics.render()).into_response()
}

impl RequestObserver for Orchestrator {
    type Notes = ();

    fn closes_connections(&self) -> bool {
        self.lifecycle.phase() > Phase::Serving
    }

    fn completed(&self, request: &CompletedRequest<()>) {
        let (method, route, status) = (request.method, request.route(), request.shown_status());
        self.metrics.http.record(route, method, status, request.took);
        let (status, ms, code) = (status.as_u16(), request.ms(), request.code.map(ErrorCode::as_str));
        if request.is_probe() {
            debug!(method, route, status, ms, code, "request");
        } else {
            info!(method, route, status, ms, code, "request");
        }
    }
}

fn not_found(detail: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, detail)
}

fn overloaded() -> Problem {
    let detail = "Too many tasks are being submitted at the moment; retry shortly.";
    Problem::new(ErrorCode::Overloaded, detail).retry_after(STORE_RETRY_AFTER)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                let detail = "The database does not answer; retry later.";
                Self::new(ErrorCode::DatabaseUnavailable, detail).retry_after(STORE_RETRY_AFTER)
            }
            StoreError::InvalidData(_) => Problem::internal(),
        }
    }
}
