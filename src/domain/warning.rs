//! What critics find in plans, and how it is handled.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A doubt about a valid plan, which does not make it invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// The kind of finding.
    pub code: WarningCode,
    /// The step, null if it concerns the whole plan.
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
    /// No step, criterion or rationale addresses a constraint.
    ConstraintUnaddressed,
    /// A duration does not fit what the step does.
    DurationImplausible,
    /// The LLM wrote something for which a plan has no place.
    FieldsIgnored,
    /// No step mentions a part of the goal.
    GoalUncovered,
    /// A policy of severity `warning` does not hold.
    Policy,
    /// The critical path is longer than a constraint allows.
    TimeLimit,
    /// An action does not say what to do.
    VagueAction,
    /// A criterion cannot be checked.
    VagueCriterion,
}

impl WarningCode {
    /// Every code, for metrics and documentation.
    pub const ALL: [Self; 9] = [
        Self::ArmGuessed,
        Self::ConstraintUnaddressed,
        Self::DurationImplausible,
        Self::FieldsIgnored,
        Self::GoalUncovered,
        Self::Policy,
        Self::TimeLimit,
        Self::VagueAction,
        Self::VagueCriterion,
    ];

    /// The code in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArmGuessed => "arm_guessed",
            Self::ConstraintUnaddressed => "constraint_unaddressed",
            Self::DurationImplausible => "duration_implausible",
            Self::FieldsIgnored => "fields_ignored",
            Self::GoalUncovered => "goal_uncovered",
            Self::Policy => "policy",
            Self::TimeLimit => "time_limit",
            Self::VagueAction => "vague_action",
            Self::VagueCriterion => "vague_criterion",
        }
    }
}

/// The kinds of findings, for metrics: a broken budget, or the code of a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingCode {
    /// The plan breaks the budget of its request.
    Budget,
    /// What a warning of this code says.
    Warning(WarningCode),
}

impl FindingCode {
    /// Every code.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Budget).chain(WarningCode::ALL.map(Self::Warning))
    }

    /// The code in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Warning(code) => code.as_str(),
        }
    }
}

impl From<WarningCode> for FindingCode {
    fn from(code: WarningCode) -> Self {
        Self::Warning(code)
    }
}

/// The outcome of a finding, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingOutcome {
    /// The LLM was asked again.
    AskedAgain,
    /// It became a warning about a plan.
    Warned,
}

impl FindingOutcome {
    /// Every outcome.
    pub const ALL: [Self; 2] = [Self::AskedAgain, Self::Warned];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AskedAgain => "asked_again",
            Self::Warned => "warned",
        }
    }
}

/// How soft findings are handled. Hard ones (budget, policies of severity `error`) count in every mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CriticsMode {
    /// They are not looked for.
    Off,
    /// They are warnings.
    Warn,
    /// The LLM is asked about them once; what remains is a warning.
    #[default]
    Enforce,
}

impl CriticsMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Off, Self::Warn, Self::Enforce];

    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}
