//! Limits that a caller sets for a plan.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{FieldError, MAX_STEP_SECONDS, PlanRules};

/// Longest duration that a budget can state, in seconds: what callers read as a 64-bit number.
const MAX_DURATION: u64 = i64::MAX as u64;

/// Limits that a plan must keep. Each is optional; a plan that breaks one is never returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Validate, ToSchema)]
pub struct Budget {
    /// Maximum duration of the plan in seconds, along its critical path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(
        min = 1,
        max = "MAX_DURATION",
        message = "must be a whole number from 1 to 9,223,372,036,854,775,807"
    ))]
    #[schema(minimum = 1, example = 3600)]
    pub max_duration_seconds: Option<u64>,
    /// Maximum cost tier of any step, 1 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 5, message = "must be a whole number from 1 to 5"))]
    #[schema(minimum = 1, maximum = 5, example = 3)]
    pub max_cost_tier: Option<u8>,
    /// Maximum number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, message = "must be a whole number above 0"))]
    #[schema(format = Int64, minimum = 1, maximum = 4_294_967_295_i64, example = 5)]
    pub max_steps: Option<u32>,
}

impl Budget {
    /// `rules` with no more steps than the budget allows, where it allows enough.
    pub fn within(&self, rules: &PlanRules) -> PlanRules {
        let most = self.max_steps.map_or(usize::MAX, |most| most as usize);
        PlanRules { max_steps: rules.max_steps.min(most).max(rules.min_steps), ..rules.clone() }
    }

    /// What no plan under `rules` can keep.
    pub(crate) fn fault_under(&self, rules: &PlanRules) -> Option<FieldError> {
        let PlanRules { min_steps, max_steps, .. } = rules;
        self.max_steps.filter(|most| (*most as usize) < *min_steps).map(|_| {
            let message =
                format!("must be at least {min_steps}: plans here have {min_steps} to {max_steps} steps");
            FieldError::new("budget.max_steps", message)
        })
    }

    /// The highest cost tier of a step.
    pub(crate) fn max_tier(&self) -> u8 {
        self.max_cost_tier.unwrap_or(5)
    }

    /// The longest duration of a step, in seconds.
    pub(crate) fn max_seconds(&self) -> u32 {
        let most = self.max_duration_seconds.unwrap_or(u64::MAX).min(MAX_STEP_SECONDS.into());
        u32::try_from(most).unwrap_or(MAX_STEP_SECONDS)
    }
}
