//! What the planner says of itself: health, readiness, capabilities.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    pub status: String,
    /// Version of the service.
    pub version: String,
    /// The configured model.
    #[schema(example = "gpt-3.5-turbo")]
    pub model: String,
    /// If no model was configured: which one was found on this machine, or that none is connected and which settings
    /// connect one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub notice: Option<String>,
    /// The current time (RFC 3339).
    #[schema(format = DateTime)]
    pub timestamp: String,
}

/// Whether this replica should receive requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether the replica is ready.
    pub ready: bool,
    /// The checks behind it; `llm` counts only with `PLANNER_READY_REQUIRES_LLM`.
    #[schema(example = json!({"config": true, "llm": true, "serving": true}))]
    pub checks: BTreeMap<String, bool>,
    /// The current time (RFC 3339).
    #[schema(format = DateTime)]
    pub timestamp: String,
}

/// What this arm can do, for the orchestrator's registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Capabilities {
    /// Always `planner`.
    #[schema(example = "planner")]
    pub arm_id: String,
    /// Its abilities.
    pub capabilities: Vec<String>,
    /// Cost tier of a plan, 1 to 5.
    #[schema(minimum = 1, maximum = 5)]
    pub cost_tier: u8,
    /// Mean time to a plan in milliseconds; a nominal value until this process has made 20 plans.
    pub average_latency_ms: u64,
    /// Share of requests that got a plan, 0.0 to 1.0; a nominal value until this process has made 20 plans.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub success_rate: f64,
}
