//! The last step verifies.

use std::collections::HashSet;

use crate::domain::{Repair, RepairCode, SubTask};
use crate::planner::error::PlanFault;

use super::Normalizer;
use super::fields::UNSTATED_SECONDS;

impl Normalizer<'_> {
    /// Ends the plan with a step that verifies, unless it does already, with at most `max_steps` new ones.
    pub(super) fn end_with_verification(&mut self, steps: &mut Vec<SubTask>, max_steps: usize) {
        let Some(verifier) = self.registry.verifier() else { return };
        let last_done = self.done.last().map_or(0, |step| step.step);
        let ends_it = |last: &SubTask| last.step > last_done && self.registry.verifies(&last.required_arm);
        if steps.last().is_none_or(ends_it) {
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
            estimated_cost_tier: verifier.cost_tier,
            estimated_duration_seconds: UNSTATED_SECONDS,
        });
        self.repairs.push(Repair {
            code: RepairCode::VerificationAdded,
            step: Some(number),
            message: "The plan ended without verification; a verifying last step was added.".into(),
        });
    }
}
