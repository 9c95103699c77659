//! Replanning: finished steps stay as they are, with their numbers, and the remaining ones are planned again.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::arms::ArmRegistry;
use crate::domain::{
    FieldError, InvalidRequest, MAX_PLAN_SO_FAR, PlanRequest, Progress, Repair, RepairCode, ReplanRequest,
    StepStatus, SubTask,
};

use super::budget::replan_budget_faults;
use super::critics::Finding;
use super::draft::{Draft, DraftStep};
use super::error::PlanFault;
use super::normalize::{Plan, ProposalContext, free_numbers, normalize_in_context};
use super::{PlanJob, PlannerArm};
use crate::domain::PlanRules;

/// A plan in progress: some of its steps are done, at least one is not.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanProgress {
    steps: Vec<StepProgress>,
    done: Vec<SubTask>,
    feedback: Option<String>,
    /// Maximum number of steps of the whole plan.
    max_steps: Option<u32>,
}

impl PlannerArm {
    /// Reads a request for the rest of a plan from JSON.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read_replan(&self, body: &[u8]) -> Result<PlanJob, InvalidRequest> {
        let registry = self.registry();
        let ReplanRequest { request, plan, progress, feedback } = ReplanRequest::from_json(body, &registry)?;
        let budget = request.budget.unwrap_or_default();
        let progress =
            PlanProgress::new(plan, progress).with_feedback(feedback).with_max_steps(budget.max_steps);
        let chosen = request.arms.as_ref().map(|choices| registry.chosen(choices));
        let registry = chosen.as_ref().unwrap_or(&registry);
        let least = progress.rules(self.rules(), registry).min_steps;
        let mut faults = replan_budget_faults(&budget, &progress, least);
        faults.extend(self.finished_step_faults(&request, &progress, registry));
        if !progress.fits(self.rules(), registry) {
            let message = "has no room within 100 steps for what is left and its verification; plan that with POST /plan";
            faults.push(FieldError::new("plan", message));
        }
        if !faults.is_empty() {
            return Err(InvalidRequest { faults, request_id: request.request_id });
        }
        Ok(PlanJob { progress: Some(Arc::new(progress)), ..PlanJob::from(request) })
    }

    /// What makes every plan with the finished steps of `progress` invalid, so that no LLM is called for one.
    fn finished_step_faults(
        &self,
        request: &PlanRequest,
        progress: &PlanProgress,
        registry: &ArmRegistry,
    ) -> Vec<FieldError> {
        let steps: Vec<SubTask> = progress.steps().iter().map(|entry| entry.step.clone()).collect();
        let findings = self.arms.shared.critics.review_done(request, &steps, progress.done(), registry);
        let fault = |finding: Finding| {
            let message = format!(
                "is done, and because of it {}; report the step as failed so that it is planned again, or change the policy",
                finding.to_caller
            );
            FieldError::new(finding.place(), message)
        };
        findings.into_iter().map(fault).collect()
    }
}

/// A step of it, and its status.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepProgress {
    /// The step itself.
    #[serde(flatten)]
    pub step: SubTask,
    /// Its status.
    pub status: StepStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What else is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl PlanProgress {
    /// The steps of a valid plan and their status, as
    /// [`ReplanRequest`] has checked it.
    pub fn new(plan: Vec<SubTask>, progress: Vec<Progress>) -> Self {
        let mut by_step: HashMap<u32, Progress> =
            progress.into_iter().map(|progress| (progress.step, progress)).collect();
        let steps: Vec<StepProgress> = plan
            .into_iter()
            .map(|step| match by_step.remove(&step.step) {
                Some(Progress { status, reason, note, .. }) => StepProgress { step, status, reason, note },
                None => StepProgress { step, status: StepStatus::Pending, reason: None, note: None },
            })
            .collect();
        let is_done = |entry: &&StepProgress| entry.status == StepStatus::Done;
        let done = steps.iter().filter(is_done).map(|entry| entry.step.clone()).collect();
        Self { steps, done, feedback: None, max_steps: None }
    }

    /// The same with feedback.
    #[must_use]
    pub fn with_feedback(self, feedback: Option<String>) -> Self {
        Self { feedback, ..self }
    }

    /// The same for a whole plan of at most this many steps.
    #[must_use]
    pub fn with_max_steps(self, max_steps: Option<u32>) -> Self {
        Self { max_steps, ..self }
    }

    /// The feedback, if any.
    pub fn feedback(&self) -> Option<&str> {
        self.feedback.as_deref()
    }

    /// All steps, in order.
    pub fn steps(&self) -> &[StepProgress] {
        &self.steps
    }

    /// The steps that are done, ascending.
    pub fn done(&self) -> &[SubTask] {
        &self.done
    }

    /// The steps that are not done, in order.
    pub fn left(&self) -> impl DoubleEndedIterator<Item = &StepProgress> {
        self.steps.iter().filter(|entry| entry.status != StepStatus::Done)
    }

    /// The steps that failed, in order.
    pub fn failed(&self) -> impl Iterator<Item = &SubTask> {
        self.steps.iter().filter(|entry| entry.status == StepStatus::Failed).map(|entry| &entry.step)
    }

    /// The numbers of new steps, in order: those that the finished ones leave free.
    pub fn free_numbers(&self) -> impl Iterator<Item = u32> {
        free_numbers(self.done.iter().map(|step| step.step))
    }

    /// What the new steps must be like where plans must be like `rules`.
    ///
    /// There are enough of them that no number below a finished step's stays free, that something behind it
    /// verifies, and that the whole plan is long enough. There may be as many as in a plan from the start,
    /// whatever is done already, and always as many as were left; if these fit, no more than leave a plan that can be
    /// replanned once more.
    pub fn rules(&self, rules: &PlanRules, registry: &ArmRegistry) -> PlanRules {
        let must_verify = rules.require_verification && registry.verifier().is_some();
        let last_done = self.done.last().map_or(0, |step| step.step as usize);
        let gaps = last_done - self.done.len();
        let verifies = |entry: &StepProgress| {
            entry.status != StepStatus::Done && registry.verifies(&entry.step.required_arm)
        };
        let is_verified = self.steps.last().is_some_and(verifies);
        let as_left = self.left().count() + usize::from(must_verify && !is_verified);
        let min = (gaps + usize::from(must_verify && gaps > 0))
            .max(rules.min_steps.saturating_sub(self.done.len()))
            .max(1);
        let room = MAX_PLAN_SO_FAR.saturating_sub(self.done.len());
        let allowed =
            self.max_steps.map_or(usize::MAX, |most| (most as usize).saturating_sub(self.done.len()));
        let max = rules.max_steps.min(room).max(as_left).min(allowed).max(min);
        PlanRules { min_steps: min, max_steps: max, ..rules.clone() }
    }

    /// Whether all that may be left leaves a plan that can be replanned once more.
    pub fn fits(&self, rules: &PlanRules, registry: &ArmRegistry) -> bool {
        self.done.len() + self.rules(rules, registry).max_steps <= MAX_PLAN_SO_FAR
    }
}

/// Makes the whole plan of what is done in `progress` and of a proposal for the rest, of which nobody can be asked
/// again, where plans from the start must be like `rules`.
///
/// # Errors
/// All faults that have no one right repair.
pub fn normalize_remaining(
    draft: Draft,
    progress: &PlanProgress,
    registry: &ArmRegistry,
    rules: &PlanRules,
) -> Result<Plan, Vec<PlanFault>> {
    normalize_remaining_steps(ProposalContext::default(), draft, progress, registry, rules)
}

/// Makes the whole plan of what is done in `progress` and of a proposal for the rest, where plans from the start
/// must be like `rules`. `context` has what was left open in the proposal.
///
/// # Errors
/// All faults that have no one right repair.
pub(super) fn normalize_remaining_steps(
    context: ProposalContext<'_>,
    mut draft: Draft,
    progress: &PlanProgress,
    registry: &ArmRegistry,
    rules: &PlanRules,
) -> Result<Plan, Vec<PlanFault>> {
    let repairs = drop_repeats(&mut draft, progress.done());
    let failed: Vec<&SubTask> = progress.failed().collect();
    let context = ProposalContext { done: progress.done(), failed: &failed, repairs, ..context };
    normalize_in_context(context, draft, registry, &progress.rules(rules, registry))
}

/// Takes out the steps that say what a finished one has done and need nothing new; who needs them needs the
/// finished one. A step that does the same again after a new one is meant so, and stays.
fn drop_repeats(draft: &mut Draft, done: &[SubTask]) -> Vec<Repair> {
    let done_by_action: HashMap<&str, u32> =
        done.iter().map(|step| (step.action.trim(), step.step)).collect();
    let repeats = |step: &DraftStep| done_by_action.get(step.action.trim()).copied();
    if !draft.steps.iter().any(|step| repeats(step).is_some()) {
        return Vec::new();
    }
    for (place, step) in (1..).zip(&mut draft.steps) {
        step.number.get_or_insert(place);
    }
    let mut left_out: HashMap<i64, u32> = HashMap::new();
    draft.steps.retain(|step| {
        let is_old = |needed: &i64| {
            left_out.contains_key(needed) || done.iter().any(|step| i64::from(step.step) == *needed)
        };
        let Some(number) = repeats(step).filter(|_| step.depends_on.iter().flatten().all(is_old)) else {
            return true;
        };
        left_out.extend(step.number.map(|written| (written, number)));
        false
    });
    for needed in draft.steps.iter_mut().flat_map(|step| step.depends_on.iter_mut().flatten()) {
        if let Some(number) = left_out.get(needed) {
            *needed = (*number).into();
        }
    }
    let mut numbers: Vec<u32> = left_out.into_values().collect();
    numbers.sort_unstable();
    let repair = |number| Repair {
        code: RepairCode::StepDropped,
        step: Some(number),
        message: "A step that repeats this one, which is done, was left out.".into(),
    };
    numbers.into_iter().map(repair).collect()
}
