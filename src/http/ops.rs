//! Endpoints for operators and orchestrators: health, readiness, metrics, capabilities.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::domain::{Capabilities, Health, Readiness};
use crate::server::lifecycle::Phase;
use crate::server::readiness::{now, readiness};
use crate::service::PlannerService;

/// Reports that the process is alive, regardless of the LLM's state.
#[utoipa::path(get, path = "/health", tag = "operations", operation_id = "health",
    responses((status = 200, description = "The process is alive", body = Health)))]
pub(super) async fn health(State(service): State<Arc<PlannerService>>) -> Json<Health> {
    Json(Health {
        status: "healthy".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        model: service.planner.model().to_string(),
        notice: service.model_notice.clone(),
        timestamp: now(),
    })
}

/// Reports whether this replica should receive requests.
#[utoipa::path(get, path = "/ready", tag = "operations", operation_id = "ready",
    responses(
        (status = 200, description = "Ready for requests", body = Readiness),
        (status = 503, description = "Not ready: starting, shutting down, or the LLM is required and unavailable", body = Readiness),
    ))]
pub(super) async fn ready(State(service): State<Arc<PlannerService>>) -> Response {
    let serving = service.lifecycle.phase() == Phase::Serving;
    let llm = service.planner.is_healthy();
    let ready = serving && (llm || !service.ready_requires_llm);
    let redis = service.redis.as_ref().map(|redis| ("redis", redis.is_available()));
    readiness(ready, [("config", true), ("llm", llm), ("serving", serving)].into_iter().chain(redis))
}

/// Returns the metrics in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(service): State<Arc<PlannerService>>) -> Response {
    service.update_gauges();
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], service.metrics.render()).into_response()
}

/// Describes what this arm can do.
#[utoipa::path(get, path = "/capabilities", tag = "operations", operation_id = "capabilities",
    responses((status = 200, description = "The arm's capabilities, cost and track record", body = Capabilities)))]
pub(super) async fn capabilities(State(service): State<Arc<PlannerService>>) -> Json<Capabilities> {
    let record = service.track_record();
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
