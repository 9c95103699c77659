//! Requests for the rest of a plan, and their rules.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use crate::text::is_blank;

use super::arms::ArmRegistry;
use super::faults::{Faults, json_object};
use super::request::{json_bytes, null_as_default};
use super::{InvalidRequest, PlanRequest, SubTask};

/// Maximum number of steps of a plan that is replanned: twice the maximum that settings allow.
pub const MAX_PLAN_SO_FAR: usize = 100;
/// Largest plan that is replanned, with its progress, in bytes of compact JSON.
const MAX_PLAN_BYTES: usize = 64 * 1024;
/// Longest reason and longest note, in characters.
const MAX_REASON_CHARS: u64 = 2_000;
/// Longest feedback, in characters.
const MAX_FEEDBACK_CHARS: usize = 2_000;

/// A plan with its progress, feedback or both, whose remaining steps are planned again.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = replan_example)]
pub struct ReplanRequest {
    /// What the plan is for, as in the request for it; goal, constraints and context may have changed since.
    #[serde(flatten)]
    pub request: PlanRequest,
    /// The steps of the plan so far, as you received them: 1 to 100, and together with `progress` at most
    /// 64 KiB as compact JSON.
    #[schema(min_items = 1, max_items = 100)]
    pub plan: Vec<SubTask>,
    /// The status of its steps; those not listed have not started. Together with `plan` at most 64 KiB
    /// as compact JSON. May be absent if there is feedback.
    #[schema(max_items = 100, required = false)]
    pub progress: Vec<Progress>,
    /// What a person wants changed: 1 to 2,000 characters, not blank. With it no step needs to have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 2_000,
        pattern = r"\S",
        example = "Add a rollback before the deployment"
    )]
    pub feedback: Option<String>,
}

/// The status of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[validate(schema(function = "reason_fits", skip_on_field_errors = false))]
pub struct Progress {
    /// The step's number.
    #[validate(range(min = 1, message = "must be a whole number above 0"))]
    #[schema(minimum = 1)]
    pub step: u32,
    /// Its status.
    pub status: StepStatus,
    /// Why it failed, 1 to 2,000 characters; required of a step that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = "MAX_REASON_CHARS", message = "must be at most 2,000 characters long"))]
    #[schema(min_length = 1, max_length = 2_000)]
    pub reason: Option<String>,
    /// What else the planner should know about it, such as its result; at most 2,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = "MAX_REASON_CHARS", message = "must be at most 2,000 characters long"))]
    #[schema(max_length = 2_000)]
    pub note: Option<String>,
}

/// The status of a step. Wait for a step that is still running, or report it as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Its acceptance criteria are met: it stays in the plan as it is.
    Done,
    /// It failed: another way is planned.
    Failed,
    /// It has not started: it is planned again.
    Pending,
}

impl StepStatus {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }
}

/// The part of a request that a request for a new plan does not have.
#[derive(Deserialize, Validate)]
struct PlanSoFar {
    #[validate(nested)]
    plan: Vec<SubTask>,
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(nested)]
    progress: Option<Vec<Progress>>,
    #[serde(default)]
    #[validate(custom(
        function = "feedback_fits",
        message = "must be 1 to 2,000 characters long and not blank"
    ))]
    feedback: Option<String>,
}

impl ReplanRequest {
    /// Reads a request from JSON for an installation with the arms of `registry`: an arm that did a step must be one of
    /// these, or one that the request defines.
    ///
    /// # Errors
    /// Everything that is wrong with it, types and rules alike.
    pub fn from_json(body: &[u8], registry: &ArmRegistry) -> Result<Self, InvalidRequest> {
        let mut json = json_object(body, "a goal, a plan, and its progress or feedback on it")?;
        let mut faults = Faults::default();
        for list in ["plan", "progress"] {
            faults.refuse_long_list(&mut json, list, MAX_PLAN_SO_FAR);
        }
        // Not flattened into one type: serde would hide the fields from the collector.
        let (request, so_far) = (faults.collect::<PlanRequest>(&json), faults.collect::<PlanSoFar>(&json));
        let (Some(mut request), Some(so_far)) = (request, so_far) else {
            return Err(faults.into_list().into());
        };
        let PlanSoFar { plan, feedback, .. } = &so_far;
        if so_far.progress.is_none() && feedback.is_none() {
            faults.add("progress", "is required, unless there is feedback");
        }
        let progress = so_far.progress.as_deref().unwrap_or_default();
        check_size(plan, progress, &mut faults);
        faults.check(&request);
        request.check_arms(Some(registry), &mut faults);
        let chosen = registry.chosen(request.arms.as_deref().unwrap_or_default());
        let is_arm =
            |id: &str| registry.get(id).or_else(|| chosen.get(id)).is_some() || registry.is_unavailable(id);
        faults.check(&so_far);
        check_plan(plan, &mut faults);
        check_progress(plan, progress, is_arm, &mut faults);
        let faults = faults.into_list();
        if !faults.is_empty() {
            return Err(InvalidRequest { faults, request_id: request.request_id });
        }
        request.define_arms(Some(registry));
        let PlanSoFar { plan, progress, feedback } = so_far;
        Ok(Self { request, plan, progress: progress.unwrap_or_default(), feedback })
    }
}

fn check_size(plan: &[SubTask], progress: &[Progress], faults: &mut Faults) {
    if plan.is_empty() {
        faults.add("plan", "must not be empty; use POST /plan to make a new plan");
    } else if json_bytes(&plan) + json_bytes(&progress) > MAX_PLAN_BYTES {
        let message = "must be at most 64 KiB as compact JSON, together with progress; shorten the notes";
        faults.add("plan", message);
    }
}

/// Notes what is wrong with steps as steps of one plan.
fn check_plan(plan: &[SubTask], faults: &mut Faults) {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (number, step) in (1..).zip(plan) {
        let mut fault = |field: &str, message: String| {
            faults.add_relation(format!("plan[{}].{field}", number - 1), message);
        };
        if step.step as usize != number {
            let rule = "steps are numbered from 1 in the order in which they run";
            fault("step", format!("must be {number}: {rule}"));
        }
        let is_earlier = step.depends_on.iter().all(|needed| (*needed as usize) < number);
        if !is_earlier || !step.depends_on.is_sorted_by(|a, b| a < b) {
            fault("depends_on", "must list earlier steps, in ascending order and each once".into());
        }
        if let Some(earlier) = first.get(step.action.trim()) {
            fault("action", format!("is the same as that of step {earlier}; say what is different"));
        }
        first.entry(step.action.trim()).or_insert(number);
    }
}

/// Notes what is wrong with the progress on the steps of `plan`.
fn check_progress(
    plan: &[SubTask],
    progress: &[Progress],
    is_arm: impl Fn(&str) -> bool,
    faults: &mut Faults,
) {
    let statuses = statuses(plan.len(), progress, faults);
    let is_done = |number: u32| statuses.get(&number) == Some(&StepStatus::Done);
    for (index, Progress { step: number, .. }) in progress.iter().enumerate() {
        let place = (*number as usize).wrapping_sub(1);
        let Some(step) = plan.get(place).filter(|_| is_done(*number)) else { continue };
        if let Some(needed) = step.depends_on.iter().find(|needed| **needed > 0 && !is_done(**needed)) {
            let message = format!("is done, but step {number} depends on step {needed}, which is not");
            faults.add_relation(format!("progress[{index}].status"), message);
        }
        if !is_arm(&step.required_arm) {
            let message = "is not an arm of this installation; a step that is done must keep its arm, so its arm must exist";
            faults.add_relation(format!("plan[{place}].required_arm"), message);
        }
    }
    if !plan.is_empty() && (1..).zip(plan).all(|(number, _)| is_done(number)) {
        faults.add_relation("progress", "says that every step is done; nothing is left to plan");
    }
}

/// The status of each step of a plan of `steps` steps; notes entries that name no step, or a step twice.
fn statuses(steps: usize, progress: &[Progress], faults: &mut Faults) -> HashMap<u32, StepStatus> {
    let mut statuses = HashMap::new();
    for (index, Progress { step, status, .. }) in progress.iter().enumerate() {
        let field = |name: &str| format!("progress[{index}].{name}");
        // A placeholder cannot be judged; and if the plan is empty, that is the fault to report.
        if steps == 0 || faults.concerns(&field("step")) || faults.concerns(&field("status")) {
            continue;
        }
        if !(1..=steps).contains(&(*step as usize)) {
            faults.add(field("step"), format!("must be the number of a step of the plan, 1 to {steps}"));
        } else if statuses.contains_key(step) {
            faults.add(field("step"), format!("names step {step} again; name each step once"));
        } else {
            statuses.insert(*step, *status);
        }
    }
    statuses
}

fn reason_fits(progress: &Progress) -> Result<(), ValidationError> {
    let has_reason = progress.reason.as_deref().is_some_and(|reason| !is_blank(reason));
    if progress.status != StepStatus::Failed || has_reason {
        return Ok(());
    }
    // The code of a struct's error names the field.
    let message = "is required for a failed step; say why it failed";
    Err(ValidationError::new("reason").with_message(message.into()))
}

fn feedback_fits(feedback: &str) -> Result<(), ValidationError> {
    let fits = !is_blank(feedback) && feedback.chars().count() <= MAX_FEEDBACK_CHARS;
    if fits { Ok(()) } else { Err(ValidationError::new("length")) }
}

fn replan_example() -> serde_json::Value {
    serde_json::json!({
        "goal": "Fix authentication bug and add tests",
        "plan": [
            {"step": 1, "action": "Find the code that checks the credentials", "required_arm": "retriever",
             "acceptance_criteria": ["The files are named"], "depends_on": [], "estimated_cost_tier": 1,
             "estimated_duration_seconds": 20},
            {"step": 2, "action": "Fix the check", "required_arm": "coder",
             "acceptance_criteria": ["The reported login works"], "depends_on": [1], "estimated_cost_tier": 4,
             "estimated_duration_seconds": 60},
            {"step": 3, "action": "Verify the result", "required_arm": "judge",
             "acceptance_criteria": ["All tests pass"], "depends_on": [2], "estimated_cost_tier": 2,
             "estimated_duration_seconds": 30}
        ],
        "progress": [
            {"step": 1, "status": "done", "note": "It is in auth.py"},
            {"step": 2, "status": "failed", "reason": "auth.py is generated from auth.proto"}
        ]
    })
}
