//! Steps that do what another one does, or what was tried before.

use std::collections::HashMap;

use crate::domain::SubTask;
use crate::planner::error::PlanFault;
use crate::text::is_blank;

use super::Normalizer;
use super::order::Dependencies;

impl Normalizer<'_> {
    pub(super) fn check_repeated_actions(&mut self, steps: &[SubTask]) {
        let says_something = |(_, step): &(usize, &SubTask)| !is_blank(&step.action);
        let actions = || steps.iter().enumerate().filter(says_something);
        for (first, later) in repeated(actions().map(|(index, step)| (step.action.as_str(), index))) {
            self.faults.push(PlanFault::RepeatedAction { steps: vec![self.at(first), self.at(later)] });
        }
        let done = self.done.iter();
        let done: HashMap<&str, u32> = done.map(|step| (step.action.trim(), step.step)).collect();
        for (index, step) in actions() {
            if let Some(&done) = done.get(step.action.as_str()) {
                self.faults.push(PlanFault::RepeatsDone { step: self.at(index), done });
            }
        }
    }

    /// A step after a new one may do what failed again, since something has changed by then.
    pub(super) fn check_repeated_attempts(
        &mut self,
        steps: &[SubTask],
        needs: &Dependencies,
        failed: &[&SubTask],
    ) {
        let without_new = |(index, _): &(usize, &SubTask)| needs.new[*index].is_empty();
        for (index, step) in steps.iter().enumerate().filter(without_new) {
            let again = failed.iter().find(|failed| {
                failed.action.trim() == step.action && failed.required_arm == step.required_arm
            });
            if let Some(failed) = again {
                self.faults.push(PlanFault::RepeatsFailed { step: self.at(index), failed: failed.step });
            }
        }
    }
}

/// The places of repeated texts, each with the place of the first occurrence.
pub(super) fn repeated<'a>(texts: impl Iterator<Item = (&'a str, usize)>) -> Vec<(usize, usize)> {
    let mut sorted: Vec<(&str, usize)> = texts.collect();
    sorted.sort_unstable();
    let mut repeated = Vec::new();
    let mut first = 0;
    for (at, &(text, place)) in sorted.iter().enumerate().skip(1) {
        if text == sorted[first].0 {
            repeated.push((sorted[first].1, place));
        } else {
            first = at;
        }
    }
    repeated
}
