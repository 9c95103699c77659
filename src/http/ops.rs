//! What operators and orchestrators ask: health, readiness, metrics, capabilities.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::lifecycle::Phase;

/// That the process lives.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: String,
    /// Version of the service.
    version: String,
    /// The model that answers when all is well.
    #[schema(example = "gpt-3.5-turbo")]
    model: String,
    /// Now, RFC 3339.
    #[schema(format = DateTime)]
    timestamp: String,
}

/// Whether this replica should get requests.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether it should.
    ready: bool,
    /// What that was concluded from; `llm` counts only with `PLANNER_READY_REQUIRES_LLM`.
    #[schema(example = json!({"config": true, "llm": true, "serving": true}))]
    checks: BTreeMap<String, bool>,
    /// Now, RFC 3339.
    #[schema(format = DateTime)]
    timestamp: String,
}

/// What this arm can do, for the orchestrator's registry.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Capabilities {
    /// Always `planner`.
    #[schema(example = "planner")]
    arm_id: String,
    /// Its abilities.
    #[expect(clippy::struct_field_names, reason = "the orchestrator's own word")]
    capabilities: Vec<String>,
    /// What a plan costs, 1 to 5.
    #[schema(minimum = 1, maximum = 5)]
    cost_tier: u8,
    /// Mean time to a plan in milliseconds; this process's own after 20 plans.
    average_latency_ms: u64,
    /// Share of requests that got a plan, 0.0 to 1.0; this process's own after 20 plans.
    #[schema(minimum = 0.0, maximum = 1.0)]
    success_rate: f64,
}

/// Marks the response of a replica that is not ready, which is a report and no problem.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotReady;

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
    let checks = [("config", true), ("llm", llm), ("serving", serving)];
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
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.planner.report();
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

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
