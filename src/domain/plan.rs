//! Plans as the API returns them: steps, schedule, usage, repairs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use crate::text::is_blank;

use super::faults::check_entries;
use super::request::null_as_default;
use super::warning::Warning;

/// Longest duration of one step, in seconds (one year).
pub const MAX_STEP_SECONDS: u32 = 31_536_000;

/// One step of a plan. Its rules are for the steps that callers send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
pub struct SubTask {
    /// Number of the step, from 1 in execution order.
    #[validate(range(min = 1, max = 100, message = "must be a whole number from 1 to 100"))]
    #[schema(minimum = 1)]
    pub step: u32,
    /// What to do, as an imperative sentence.
    #[validate(custom(function = "not_blank", message = "must not be blank"))]
    #[schema(min_length = 1)]
    pub action: String,
    /// Id of the arm that carries it out.
    #[schema(example = "coder")]
    pub required_arm: String,
    /// How to tell that the step is done; at least one.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(custom(function = "none_blank", message = "must have at least one entry and no blank ones"))]
    #[schema(min_items = 1, required = true)]
    pub acceptance_criteria: Vec<String>,
    /// Earlier steps whose results this one needs, ascending.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(custom(function = "above_zero", message = "must be a whole number above 0"))]
    #[schema(required = true)]
    pub depends_on: Vec<u32>,
    /// Relative cost, 1 (cheap) to 5.
    #[validate(range(min = 1, max = 5, message = "must be a whole number from 1 to 5"))]
    #[schema(minimum = 1, maximum = 5)]
    pub estimated_cost_tier: u8,
    /// Expected duration in seconds, 1 to 31,536,000 (one year).
    #[validate(range(
        min = 1,
        max = "MAX_STEP_SECONDS",
        message = "must be a whole number from 1 to 31,536,000"
    ))]
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub estimated_duration_seconds: u32,
}

fn not_blank(text: &str) -> Result<(), ValidationError> {
    if is_blank(text) { Err(ValidationError::new("blank")) } else { Ok(()) }
}

fn none_blank(texts: &[String]) -> Result<(), ValidationError> {
    let is_good = !texts.is_empty() && !texts.iter().any(|text| is_blank(text));
    if is_good { Ok(()) } else { Err(ValidationError::new("blank")) }
}

fn above_zero(numbers: &[u32]) -> Result<(), ValidationError> {
    check_entries(numbers, |number| *number > 0)
}

/// A valid plan, with the extras that `include` asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanResponse {
    /// The steps, in order of execution.
    pub plan: Vec<SubTask>,
    /// Why the goal was broken down this way.
    pub rationale: String,
    /// How sure the planner is, 0.0 to 1.0; each repair lowers it.
    #[schema(minimum = 0.0, maximum = 1.0, example = 0.88)]
    pub confidence: f64,
    /// Sum of all durations, in seconds.
    pub total_estimated_duration: u64,
    /// How complex the plan is, 0.0 to 1.0, computed from its shape.
    #[schema(minimum = 0.0, maximum = 1.0, example = 0.47)]
    pub complexity_score: f64,
    /// With `include=id`: a unique id of this plan, `plan_` and letters and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub plan_id: Option<String>,
    /// With `include=schedule`: which steps can run in parallel, and the critical path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub schedule: Option<Schedule>,
    /// With `include=usage`: LLM calls, tokens and cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<Usage>,
    /// With `include=repairs`: each change to the LLM's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub repairs: Option<Vec<Repair>>,
    /// With `include=warnings`: the doubts of critics about the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub warnings: Option<Vec<Warning>>,
    /// With `include=questions`: up to 3 questions whose answers would change the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_items = 3)]
    pub open_questions: Option<Vec<String>>,
}

/// The schedule of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Steps by level: those in one level can run in parallel.
    pub levels: Vec<Vec<u32>>,
    /// The chain of dependencies that takes longest.
    pub critical_path: Vec<u32>,
    /// Duration of that chain, in seconds.
    pub critical_path_seconds: u64,
}

/// The LLM calls that the plan took, and their cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// The model whose answer became the plan.
    pub model: String,
    /// Number of LLM calls, failed ones included.
    pub attempts: u32,
    /// Prompt tokens of all calls, as the LLM counted them.
    pub prompt_tokens: u64,
    /// Completion tokens of all calls, as the LLM counted them.
    pub completion_tokens: u64,
    /// Cost of all answered calls in US dollars, each at its own model's price; null if one of these
    /// prices is unknown, 0 if no LLM was called.
    pub cost_usd: Option<f64>,
}

/// One change to the LLM's answer that made the plan valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repair {
    /// The kind of change.
    pub code: RepairCode,
    /// The step (as numbered in the finished plan), null if it concerns the whole plan.
    pub step: Option<u32>,
    /// What was changed, in one sentence.
    pub message: String,
}

/// The kinds of repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairCode {
    /// The arm was named by alias, in another spelling or by what it does.
    ArmMapped,
    /// A number was out of its range.
    Clamped,
    /// A blank or repeated acceptance criterion was left out.
    CriterionDropped,
    /// A step that had no dependency got one on the nearest step that produces what it needs.
    DependencyAdded,
    /// Dependencies were missing or unclear, and the most likely reading is assumed.
    DependenciesAssumed,
    /// A dependency on itself, on no step, on a finished step with a higher number, on a step that produces nothing
    /// of what is needed, or named twice was left out.
    DependencyDropped,
    /// An optional field was missing and got its usual value.
    FieldFilled,
    /// A step that only repeated a finished one, was `null`, or was outside the list was left out.
    StepDropped,
    /// Steps inside of another step became part of its action.
    StepsMerged,
    /// Steps were not numbered in execution order.
    StepsRenumbered,
    /// The plan ended without verification.
    VerificationAdded,
    /// The verifying step did not wait for every other step.
    VerificationWaits,
}

impl RepairCode {
    /// Every code, for metrics and documentation.
    pub const ALL: [Self; 12] = [
        Self::ArmMapped,
        Self::Clamped,
        Self::CriterionDropped,
        Self::DependencyAdded,
        Self::DependenciesAssumed,
        Self::DependencyDropped,
        Self::FieldFilled,
        Self::StepDropped,
        Self::StepsMerged,
        Self::StepsRenumbered,
        Self::VerificationAdded,
        Self::VerificationWaits,
    ];

    /// The code in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArmMapped => "arm_mapped",
            Self::Clamped => "clamped",
            Self::CriterionDropped => "criterion_dropped",
            Self::DependencyAdded => "dependency_added",
            Self::DependenciesAssumed => "dependencies_assumed",
            Self::DependencyDropped => "dependency_dropped",
            Self::FieldFilled => "field_filled",
            Self::StepDropped => "step_dropped",
            Self::StepsMerged => "steps_merged",
            Self::StepsRenumbered => "steps_renumbered",
            Self::VerificationAdded => "verification_added",
            Self::VerificationWaits => "verification_waits",
        }
    }
}
