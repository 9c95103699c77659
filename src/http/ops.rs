//! What operators and orchestrators ask: health, readiness, metrics, capabilities.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::app::App;
use crate::lifecycle::Phase;
use crate::models::{Capabilities, Health, Readiness};

use super::middleware::OwnDocument;

/// Whether the process lives, whatever the LLM does.
#[utoipa::path(get, path = "/health", tag = "operations", operation_id = "health",
    responses((status = 200, description = "The process lives", body = Health)))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    Json(Health {
        status: "healthy".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        model: app.planner.model().to_string(),
        timestamp: now(),
    })
}

/// Whether this replica should get requests.
#[utoipa::path(get, path = "/ready", tag = "operations", operation_id = "ready",
    responses(
        (status = 200, description = "Send requests", body = Readiness),
        (status = 503, description = "Send none: starting, stopping, or the LLM is required and down", body = Readiness),
    ))]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let serving = app.lifecycle.phase() == Phase::Serving;
    let llm = app.planner.is_well();
    let ready = serving && (llm || !app.ready_requires_llm);
    let redis = app.redis.as_ref().map(|redis| ("redis", redis.is_there()));
    readiness(ready, [("config", true), ("llm", llm), ("serving", serving)].into_iter().chain(redis))
}

/// The report of a service that is ready or not, and what that was concluded from.
pub(crate) fn readiness<'a>(ready: bool, checks: impl IntoIterator<Item = (&'a str, bool)>) -> Response {
    let checks = checks.into_iter().map(|(name, well)| (name.to_owned(), well)).collect();
    let report = Json(Readiness { ready, checks, timestamp: now() });
    if ready {
        return report.into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, report).into_response();
    response.extensions_mut().insert(OwnDocument);
    response
}

/// The metrics, in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.report();
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], app.metrics.render()).into_response()
}

/// What this arm can do.
#[utoipa::path(get, path = "/capabilities", tag = "operations", operation_id = "capabilities",
    responses((status = 200, description = "What this arm can do", body = Capabilities)))]
pub(super) async fn capabilities(State(app): State<Arc<App>>) -> Json<Capabilities> {
    let record = app.track_record();
    Json(Capabilities {
        arm_id: "planner".into(),
        capabilities: ["planning", "task_decomposition", "dependency_resolution", "arm_selection"]
            .map(str::to_owned)
            .into(),
        cost_tier: 2,
        average_latency_ms: record.average_latency_ms,
        success_rate: record.success_rate,
    })
}

/// Now, RFC 3339.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
