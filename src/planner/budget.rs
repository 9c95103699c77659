//! Budgets: those that no new plan of the rest can keep, and plans of the embedded planner that are made to fit.

use crate::domain::{Budget, FieldError, SubTask};
use crate::text::duration;

use super::draft::{Draft, DraftStep};
use super::graph;
use super::replan::PlanProgress;

/// The limits of `budget` that no new plan of the rest can keep, after what is done in `progress`.
pub(super) fn replan_budget_faults(
    budget: &Budget,
    progress: &PlanProgress,
    least: usize,
) -> Vec<FieldError> {
    let done = progress.done();
    let mut faults = Vec::new();
    let count = done.len() + least;
    if budget.max_steps.is_some_and(|most| (most as usize) < count) {
        let message =
            format!("must be at least {count}: {} are done, and {least} more are needed", done.len());
        faults.push(FieldError::new("budget.max_steps", message));
    }
    let tier = done.iter().map(|step| step.estimated_cost_tier).max().unwrap_or_default();
    if tier > budget.max_tier() {
        let message = format!("must be at least {tier}, the cost tier of a step that is done");
        faults.push(FieldError::new("budget.max_cost_tier", message));
    }
    let taken = Finish::of(done, &[], 1.0).last;
    if budget.max_duration_seconds.is_some_and(|most| most <= taken) {
        let message = format!("must be above {taken}, the critical path of the steps that are done");
        faults.push(FieldError::new("budget.max_duration_seconds", message));
    }
    faults
}

/// When steps are done, in seconds from the start.
struct Finish {
    by_number: Vec<(i64, u64)>,
    last: u64,
}

impl Finish {
    /// Of `done` steps and of new ones whose durations are scaled, each a second at least.
    fn of(done: &[SubTask], steps: &[DraftStep], scale: f64) -> Self {
        let mut finish = Self { by_number: Vec::with_capacity(done.len() + steps.len()), last: 0 };
        for step in done {
            let needs = step.depends_on.iter().map(|needed| i64::from(*needed));
            finish.add(step.step.into(), needs, step.estimated_duration_seconds.into());
        }
        for (place, step) in (1..).zip(steps) {
            let needs = step.depends_on.iter().flatten().copied();
            finish.add(step.number.unwrap_or(place), needs, scaled(step, scale) as u64);
        }
        finish
    }

    fn add(&mut self, number: i64, needs: impl Iterator<Item = i64>, seconds: u64) {
        let of =
            |needed: i64| self.by_number.iter().find(|(number, _)| *number == needed).map(|(_, end)| *end);
        let end = needs.filter_map(of).max().unwrap_or_default() + seconds;
        self.by_number.push((number, end));
        self.last = self.last.max(end);
    }
}

/// Scaled durations are round, as people state them.
fn scaled(step: &DraftStep, scale: f64) -> f64 {
    let seconds = (step.seconds.unwrap_or_default() * scale).floor().max(1.0);
    let unit = match seconds {
        _ if scale >= 1.0 => 1.0,
        ..600.0 => 1.0,
        ..3_600.0 => 300.0,
        ..86_400.0 => 900.0,
        _ => 3_600.0,
    };
    (seconds / unit).floor() * unit
}

/// Scales the estimates of a draft with `done` steps to the budget as far as possible, and below the `limit` in seconds
/// that the request sets in words; the rationale says so.
///
/// The steps of the draft must come after those that they need.
pub(super) fn fit(draft: &mut Draft, budget: &Budget, limit: Option<u32>, done: &[SubTask]) {
    let mut notes = String::new();
    for step in &mut draft.steps {
        let most = f64::from(budget.max_tier());
        if let Some(tier) = step.cost_tier.as_mut().filter(|tier| **tier > most) {
            *tier = most;
            notes = format!(" Cost tiers are lowered to the budget of {most}.");
        }
    }
    let given = budget.max_duration_seconds.unwrap_or(u64::MAX);
    let stated = limit.map_or(u64::MAX, u64::from);
    let most = given.min(stated.saturating_sub(1).max(1));
    if Finish::of(done, &draft.steps, 1.0).last > most {
        // The largest scale that fits, to a millionth; 0 makes each step a second.
        let (mut fits, mut exceeds) = (0_u32, 1_000_000_u32);
        while exceeds - fits > 1 {
            let middle = fits.midpoint(exceeds);
            let fits_budget = Finish::of(done, &draft.steps, f64::from(middle) / 1e6).last <= most;
            if fits_budget { fits = middle } else { exceeds = middle }
        }
        for step in &mut draft.steps {
            step.seconds = Some(scaled(step, f64::from(fits) / 1e6));
        }
        notes = format!("{notes} Durations are scaled to the limit of {}.", duration(given.min(stated)));
    }
    if let Some(rationale) = &mut draft.rationale {
        rationale.push_str(&notes);
    }
}

/// How long the added step may take at the end of `steps`, in seconds.
pub(super) fn seconds_left(budget: &Budget, steps: &[SubTask], usual: u32) -> u32 {
    let Some(most) = budget.max_duration_seconds else { return usual };
    let (_, taken) = graph::critical_path(steps);
    u32::try_from(most.saturating_sub(taken)).unwrap_or(usual).min(usual).max(1)
}
