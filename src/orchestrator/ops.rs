//! What operators ask: health, readiness, metrics. And what is logged of each request.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tokio::time::timeout;
use tracing::{debug, info};
use utoipa::ToSchema;

use crate::domain::Readiness;
use crate::domain::problem::ErrorCode;
use crate::server::lifecycle::Phase;
use crate::server::observe::{CompletedRequest, RequestObserver};
use crate::server::readiness::{now, readiness};

use super::Orchestrator;

/// How long the database may take when this service is probed: probes have short timeouts.
const DATABASE_TIME: Duration = Duration::from_millis(800);
/// How long the planner may take to answer `/ready`.
const PLANNER_TIME: Duration = Duration::from_millis(400);

type Shared = State<Arc<Orchestrator>>;

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// Version of the service.
    version: &'static str,
    /// The current time (RFC 3339).
    #[schema(format = DateTime)]
    timestamp: String,
}

/// Returns 200 while the process lives.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operations",
    operation_id = "health",
    responses((status = 200, description = "The process is alive", body = Health)),
)]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "healthy", version: env!("CARGO_PKG_VERSION"), timestamp: now() })
}

/// Returns 200 while tasks can be accepted.
///
/// The planner arm does not count: tasks wait for it.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "operations",
    operation_id = "ready",
    responses(
        (status = 200, description = "Tasks can be accepted", body = Readiness),
        (status = 503, description = "Tasks cannot be accepted", body = Readiness),
    ),
)]
pub(super) async fn ready(State(orchestrator): Shared) -> Response {
    let database = timeout(DATABASE_TIME, orchestrator.store.ping());
    let planner = timeout(PLANNER_TIME, orchestrator.planner.ready());
    let (database, planner) = tokio::join!(database, planner);
    let database = matches!(database, Ok(Ok(())));
    let serving = orchestrator.lifecycle.phase() == Phase::Serving;
    let ready = serving && database;
    let planner = planner.is_ok_and(|report| report.is_ok_and(|report| report.ready));
    readiness(ready, [("database", database), ("planner_arm", planner), ("serving", serving)])
}

/// Returns the metrics in Prometheus's text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    operation_id = "metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(orchestrator): Shared) -> Response {
    let waiting = timeout(DATABASE_TIME, orchestrator.store.waiting()).await;
    orchestrator.metrics.waiting(waiting.ok().and_then(Result::ok));
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], orchestrator.metrics.render()).into_response()
}

impl RequestObserver for Orchestrator {
    type Metadata = ();

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
