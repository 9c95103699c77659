//! Limits that a caller sets for a plan.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

/// What a plan may take. Each limit is optional; a plan that breaks one is never returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Validate, ToSchema)]
pub struct Budget {
    /// Most seconds from the start to the end of the plan, along its critical path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, message = "must be a whole number above 0"))]
    #[schema(minimum = 1, nullable = false, example = 3600)]
    pub max_duration_seconds: Option<u64>,
    /// Highest cost tier of any step, 1 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 5, message = "must be a whole number from 1 to 5"))]
    #[schema(minimum = 1, maximum = 5, nullable = false, example = 3)]
    pub max_cost_tier: Option<u8>,
    /// Most steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, message = "must be a whole number above 0"))]
    #[schema(minimum = 1, nullable = false, example = 5)]
    pub max_steps: Option<u32>,
}
