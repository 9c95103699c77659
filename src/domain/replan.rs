//! What a request for the rest of a plan may be, and everything that is wrong with one that is something else.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::says_nothing;

use super::fields::{FieldReader, MOST_FAULTS};
use super::request::json_bytes;
use super::{FieldError, InvalidRequest, MAX_STEP_SECONDS, PlanRequest, SubTask};

/// Most steps of a plan that is made anew: twice the most that settings allow.
pub const MAX_PLAN_SO_FAR: usize = 100;
/// Largest plan that is made anew, with what is said of its steps, in bytes of compact JSON.
const MAX_PLAN_BYTES: usize = 64 * 1024;
/// Longest reason and longest note, in characters.
const MAX_REASON_CHARS: usize = 2_000;

/// A plan that is under way, and how far it has come: what is left of it is planned anew.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = replan_example)]
pub struct ReplanRequest {
    /// What the plan is for, as in the request for it; goal, constraints and context may have changed since.
    #[serde(flatten)]
    pub request: PlanRequest,
    /// The steps of the plan so far, as they were sent: 1 to 100, together with `progress` at most 64 KiB
    /// serialised.
    #[schema(min_items = 1, max_items = 100)]
    pub plan: Vec<SubTask>,
    /// What has come of its steps; those that are not named have not begun. Together with `plan`
    /// at most 64 KiB serialised.
    #[schema(max_items = 100)]
    pub progress: Vec<Progress>,
}

/// What has come of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// The step's number.
    #[schema(minimum = 1)]
    pub step: u32,
    /// Where it stands.
    pub status: StepStatus,
    /// Why it failed, 1 to 2,000 characters; required of a step that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 2_000)]
    pub reason: Option<String>,
    /// What else the planner should know of it, such as its result; at most 2,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2_000)]
    pub note: Option<String>,
}

/// Where a step stands. One that is still under way is waited for, or given up as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Its acceptance criteria are met: it stays in the plan as it is.
    Done,
    /// It was tried, and did not succeed: another way is planned.
    Failed,
    /// It has not begun: it is planned anew.
    Pending,
}

impl StepStatus {
    const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::Pending];

    /// As it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }
}

impl ReplanRequest {
    /// Reads a request from JSON. `is_arm` tells whether an arm exists: one that did a step must.
    ///
    /// # Errors
    /// Everything that is wrong with it, types and rules alike.
    pub fn from_json(body: &[u8], is_arm: impl Fn(&str) -> bool) -> Result<Self, InvalidRequest> {
        let mut fields = FieldReader::of_body(body, "a goal, a plan and its progress")
            .map_err(|fault| InvalidRequest { faults: vec![fault], request_id: None })?;
        let request = PlanRequest::of_fields(&mut fields);
        let plan = fields.objects("plan", MAX_PLAN_SO_FAR, read_step);
        let progress = fields.objects("progress", MAX_PLAN_SO_FAR, read_progress);
        let mut faults = fields.faults;
        request.rule_faults(&mut faults);
        faults_of_plan(&plan, &progress, &mut faults);
        faults_of_progress(&plan, &progress, is_arm, &mut faults);
        if faults.is_empty() {
            // What could not be read would have been a fault.
            let (plan, progress) = (plan.into_iter().flatten(), progress.into_iter().flatten());
            return Ok(Self { request, plan: plan.collect(), progress: progress.collect() });
        }
        faults.truncate(MOST_FAULTS);
        Err(InvalidRequest::new(faults, request.request_id))
    }
}

/// What is wrong with the steps that could be read, as steps of one plan.
fn faults_of_plan(plan: &[Option<SubTask>], progress: &[Option<Progress>], faults: &mut Vec<FieldError>) {
    if plan.is_empty() {
        faults.push(FieldError::new("plan", "must not be empty; POST /plan makes a plan from the start"));
    } else if json_bytes(&plan) + json_bytes(&progress) > MAX_PLAN_BYTES {
        let message = "must be at most 64 KiB as compact JSON, together with progress; shorten the notes";
        faults.push(FieldError::new("plan", message));
    }
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (index, step) in plan.iter().enumerate().filter_map(|(index, step)| Some((index, step.as_ref()?))) {
        let mut fault = |field: &str, message: String| {
            faults.push(FieldError::new(format!("plan[{index}].{field}"), message));
        };
        let number = index as u32 + 1;
        if step.step != number {
            fault(
                "step",
                format!("must be {number}: steps are numbered from 1 in the order in which they run"),
            );
        }
        let is_earlier = step.depends_on.iter().all(|needed| *needed < number);
        if !is_earlier || !step.depends_on.is_sorted_by(|a, b| a < b) {
            fault("depends_on", "must name earlier steps, ascending and each once".into());
        }
        if let Some(earlier) = first.get(step.action.trim()) {
            fault("action", format!("is the same as that of step {}; say what is different", earlier + 1));
        }
        first.entry(step.action.trim()).or_insert(index);
    }
}

/// What is wrong with what is said of the steps of `plan`.
fn faults_of_progress(
    plan: &[Option<SubTask>],
    progress: &[Option<Progress>],
    is_arm: impl Fn(&str) -> bool,
    faults: &mut Vec<FieldError>,
) {
    let last = plan.len();
    let mut said: Vec<Option<StepStatus>> = vec![None; last];
    let said_of = |progress: &Progress| (progress.step as usize).checked_sub(1).filter(|place| *place < last);
    for (index, progress) in progress.iter().enumerate().filter_map(|(index, p)| Some((index, p.as_ref()?))) {
        let message = match said_of(progress) {
            // The plan has a fault of its own.
            None if last == 0 => continue,
            None => format!("must be the number of a step of the plan, 1 to {last}"),
            Some(place) if said[place].is_some() => {
                format!("names step {} again; name each step once", progress.step)
            }
            Some(place) => {
                said[place] = Some(progress.status);
                continue;
            }
        };
        faults.push(FieldError::new(format!("progress[{index}].step"), message));
    }
    let is_done = |place: usize| said.get(place) == Some(&Some(StepStatus::Done));
    for (index, progress) in progress.iter().enumerate().filter_map(|(index, p)| Some((index, p.as_ref()?))) {
        let Some(place) = said_of(progress).filter(|_| progress.status == StepStatus::Done) else { continue };
        let Some(step) = &plan[place] else { continue };
        if let Some(needed) = step.depends_on.iter().find(|needed| !is_done(**needed as usize - 1)) {
            faults.push(FieldError::new(
                format!("progress[{index}].status"),
                format!("is done, but step {} depends on step {needed}, which is not", progress.step),
            ));
        }
        if !is_arm(&step.required_arm) {
            faults.push(FieldError::new(
                format!("plan[{place}].required_arm"),
                "is no arm that exists here; a step that is done keeps its arm",
            ));
        }
    }
    if last > 0 && (0..last).all(is_done) {
        faults.push(FieldError::new("progress", "says that every step is done; nothing is left to plan"));
    }
}

fn read_step(fields: &mut FieldReader) -> Option<SubTask> {
    let step = fields.required_whole("step", 1, MAX_PLAN_SO_FAR as u32);
    let action = fields.required_text("action");
    let arm = fields.required_text("required_arm");
    let criteria = fields.texts("acceptance_criteria", usize::MAX);
    let depends_on = fields.wholes("depends_on");
    let tier = fields.required_whole("estimated_cost_tier", 1, 5);
    let seconds = fields.required_whole("estimated_duration_seconds", 1, MAX_STEP_SECONDS);
    if action.as_ref().is_some_and(|action| says_nothing(action)) {
        fields.fault("action", "must not be blank");
    }
    if criteria.is_empty() || criteria.iter().any(|text| says_nothing(text)) {
        fields.fault("acceptance_criteria", "must have at least one entry, and none that is blank");
    }
    Some(SubTask {
        step: step?,
        action: action?,
        required_arm: arm?,
        acceptance_criteria: criteria,
        depends_on: depends_on?,
        estimated_cost_tier: tier? as u8,
        estimated_duration_seconds: seconds?,
    })
}

fn read_progress(fields: &mut FieldReader) -> Option<Progress> {
    let step = fields.required_whole("step", 1, u32::MAX);
    let word = fields.required_text("status");
    let status =
        word.as_ref().and_then(|word| StepStatus::ALL.into_iter().find(|status| status.as_str() == word));
    if word.is_some() && status.is_none() {
        fields.fault("status", "must be one of done, failed, pending");
    }
    let has_reason = fields.has("reason");
    let reason = fields.text("reason");
    let note = fields.text("note");
    for (name, text) in [("reason", &reason), ("note", &note)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > MAX_REASON_CHARS) {
            fields.fault(name, "must be at most 2,000 characters long");
        }
    }
    if status == Some(StepStatus::Failed)
        && reason.as_ref().map_or(!has_reason, |reason| says_nothing(reason))
    {
        fields.fault("reason", "is required of a step that failed; say why it did");
    }
    Some(Progress { step: step?, status: status?, reason, note })
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
