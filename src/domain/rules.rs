//! What every plan of an installation must keep to.

/// What a plan must be like in this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRules {
    /// Minimum number of steps, at least 1.
    pub min_steps: usize,
    /// Maximum number of steps.
    pub max_steps: usize,
    /// Whether the last step must verify.
    pub require_verification: bool,
}

impl Default for PlanRules {
    fn default() -> Self {
        Self { min_steps: 3, max_steps: 7, require_verification: true }
    }
}
