//! The last step verifies.

use std::collections::HashSet;

use crate::domain::{Budget, Repair, RepairCode, SubTask};
use crate::planner::budget;
use crate::planner::error::{PlanFault, list};

use super::Normalizer;
use super::fields::UNSTATED_SECONDS;

impl Normalizer<'_> {
    /// Ends the plan with a step that verifies, unless it does already, with at most `max_steps` new ones.
    /// It waits for every other step, and takes no more than the `budget` leaves where it is added.
    pub(super) fn end_with_verification(
        &mut self,
        steps: &mut Vec<SubTask>,
        max_steps: usize,
        budget: &Budget,
    ) {
        let Some(verifier) = self.registry.verifier() else { return };
        let last_done = self.done.last().map_or(0, |step| step.step);
        let ends_it = |last: &SubTask| last.step > last_done && self.registry.verifies(&last.required_arm);
        if steps.last().is_none_or(ends_it) {
            self.wait_for_all(steps);
            return;
        }
        if steps.len() >= max_steps {
            self.faults.push(PlanFault::Unverified { max: max_steps });
            return;
        }
        let Some(number) = self.free_numbers().nth(steps.len()) else { return };
        let all = || steps.iter().chain(self.done);
        let needed: HashSet<u32> = all().flat_map(|step| step.depends_on.iter().copied()).collect();
        let verify = "Verify that the results of all steps together reach the goal";
        let (mut action, mut attempt) = (verify.to_owned(), 1);
        while all().any(|step| step.action == action) {
            attempt += 1;
            action = format!("{verify} (attempt {attempt})");
        }
        let mut depends_on: Vec<u32> =
            all().map(|step| step.step).filter(|step| *step < number && !needed.contains(step)).collect();
        depends_on.sort_unstable();
        steps.push(SubTask {
            step: number,
            action,
            required_arm: verifier.id.clone(),
            acceptance_criteria: vec![
                "Every acceptance criterion of the earlier steps is met".into(),
                "Every constraint of the request is respected".into(),
            ],
            depends_on,
            estimated_cost_tier: verifier.cost_tier.min(budget.max_tier()),
            estimated_duration_seconds: self.seconds_left(steps, budget),
        });
        self.repairs.push(Repair {
            code: RepairCode::VerificationAdded,
            step: Some(number),
            message: "The plan ended without verification; a verifying last step was added.".into(),
        });
    }

    /// How long a step after all `steps` may take.
    fn seconds_left(&self, steps: &[SubTask], budget: &Budget) -> u32 {
        let mut all = [steps, self.done].concat();
        all.sort_by_key(|step| step.step);
        // Without a whole count there is a fault, and no plan.
        let is_whole = (1..).zip(&all).all(|(number, step)| step.step == number);
        if is_whole { budget::seconds_left(budget, &all, UNSTATED_SECONDS) } else { UNSTATED_SECONDS }
    }

    /// Lets the last step wait, directly or through others, for every other one.
    fn wait_for_all(&mut self, steps: &mut [SubTask]) {
        let Some((last, others)) = steps.split_last_mut() else { return };
        let mut all: Vec<&SubTask> = others.iter().chain(self.done).collect();
        all.sort_unstable_by_key(|step| std::cmp::Reverse(step.step));
        let mut waited: HashSet<u32> = last.depends_on.iter().copied().collect();
        let mut missing = Vec::new();
        // From the last to the first: what a step waits for is waited for as well.
        for step in all {
            if waited.insert(step.step) {
                missing.push(step.step);
            }
            waited.extend(&step.depends_on);
        }
        if missing.is_empty() {
            return;
        }
        missing.reverse();
        let old = match last.depends_on.as_slice() {
            [] => "on no step".to_owned(),
            [one] => format!("on step {one}"),
            several => format!("on steps {}", list(several)),
        };
        self.repairs.push(Repair {
            code: RepairCode::VerificationWaits,
            step: Some(last.step),
            message: format!(
                "The verifying step depended {old}; it now waits for {} {} as well.",
                if missing.len() == 1 { "step" } else { "steps" },
                list(&missing)
            ),
        });
        last.depends_on.extend(missing);
        last.depends_on.sort_unstable();
    }
}
