//! What is worth knowing of a plan that is valid.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One finding about a valid plan, which was let pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// What kind of finding.
    pub code: WarningCode,
    /// The step, null when the whole plan is meant.
    pub step: Option<u32>,
    /// What was found, in one sentence.
    pub message: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The LLM insisted on an arm that does not exist; the best match was taken.
    ArmGuessed,
    /// No step, criterion or rationale takes a constraint up.
    ConstraintUnaddressed,
    /// A duration does not fit what the step does.
    DurationImplausible,
    /// No step mentions a part of the goal.
    GoalUncovered,
    /// A policy of severity `warning` does not hold.
    Policy,
    /// The critical path is longer than a constraint allows.
    TimeLimit,
    /// An action does not say what is to be done.
    VagueAction,
    /// A criterion cannot be checked.
    VagueCriterion,
}

impl WarningCode {
    /// Every code, for metrics and documentation.
    pub const ALL: [Self; 8] = [
        Self::ArmGuessed,
        Self::ConstraintUnaddressed,
        Self::DurationImplausible,
        Self::GoalUncovered,
        Self::Policy,
        Self::TimeLimit,
        Self::VagueAction,
        Self::VagueCriterion,
    ];

    /// The code as it stands in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArmGuessed => "arm_guessed",
            Self::ConstraintUnaddressed => "constraint_unaddressed",
            Self::DurationImplausible => "duration_implausible",
            Self::GoalUncovered => "goal_uncovered",
            Self::Policy => "policy",
            Self::TimeLimit => "time_limit",
            Self::VagueAction => "vague_action",
            Self::VagueCriterion => "vague_criterion",
        }
    }
}
