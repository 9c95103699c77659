//! Numbers and dependencies of proposed steps, given those of finished ones.

use std::collections::HashSet;

use crate::domain::{Repair, RepairCode, SubTask, Warning, WarningCode};
use crate::planner::draft::DraftStep;
use crate::planner::error::PlanFault;

use super::{Normalizer, Strictness};

/// What each proposed step needs.
pub(super) struct Dependencies {
    /// The places of other proposed steps.
    pub(super) new: Vec<Vec<usize>>,
    /// The numbers of finished steps.
    pub(super) done: Vec<Vec<u32>>,
}

/// The numbers that `done`, ascending, leave to others, in order.
pub(in crate::planner) fn free_numbers(done: impl IntoIterator<Item = u32>) -> impl Iterator<Item = u32> {
    let mut done = done.into_iter().peekable();
    (1..).filter(move |number| done.next_if_eq(number).is_none())
}

impl Normalizer<'_> {
    pub(super) fn is_done(&self, number: i64) -> bool {
        u32::try_from(number)
            .is_ok_and(|number| self.done.binary_search_by_key(&number, |step| step.step).is_ok())
    }

    pub(super) fn free_numbers(&self) -> impl Iterator<Item = u32> {
        free_numbers(self.done.iter().map(|step| step.step))
    }

    /// Gives each step the number by which others refer to it, and lists the places without one.
    pub(super) fn number(&mut self, steps: &[DraftStep], nulls: Vec<usize>) {
        self.numbers = self.numbers_of(steps);
        self.nulls = nulls;
        if !self.nulls.is_empty() {
            self.record(RepairCode::StepDropped, None, "A `null` in the list of steps was left out.");
        }
    }

    /// The steps' numbers as written if each has its own, else their places.
    fn numbers_of(&mut self, steps: &[DraftStep]) -> Vec<i64> {
        let written: Vec<i64> = steps.iter().filter_map(|step| step.number).collect();
        let is_ascending = || written.windows(2).all(|pair| pair[0] < pair[1]);
        let is_distinct = || written.iter().collect::<HashSet<_>>().len() == written.len();
        if written.len() == steps.len() && (is_ascending() || is_distinct()) {
            return written;
        }
        self.record(
            RepairCode::StepsRenumbered,
            None,
            "Step numbers were missing or repeated; the steps are numbered by position.",
        );
        (1..=steps.len() as i64).collect()
    }

    /// For each step those that it needs, without what can be no dependency.
    pub(super) fn dependencies(&mut self, steps: &[DraftStep]) -> Dependencies {
        let mut index_of: Vec<(i64, usize)> = self.numbers.iter().enumerate().map(|(i, &n)| (n, i)).collect();
        index_of.sort_unstable();
        let index_of = |number: i64| {
            index_of.binary_search_by_key(&number, |&(number, _)| number).ok().map(|place| index_of[place].1)
        };
        // For each step the last one that was found to need it.
        let mut needed_by = vec![usize::MAX; steps.len()];
        let mut all =
            Dependencies { new: Vec::with_capacity(steps.len()), done: Vec::with_capacity(steps.len()) };
        // `[0]`, if no step is number 0, means that there are no dependencies, unless the first step says so otherwise.
        let is_zero = |step: &DraftStep| step.depends_on == [Some(0)] && index_of(0).is_none();
        let zero_is_none = steps.first().is_none_or(is_zero);
        for (index, step) in steps.iter().enumerate() {
            let mut new = Vec::with_capacity(step.depends_on.len().min(steps.len()));
            let mut done: Vec<u32> = Vec::new();
            let is_none = is_zero(step) && (index == 0 || zero_is_none);
            for &number in step.depends_on.iter().filter(|_| !is_none) {
                let finished = number.filter(|&number| self.is_done(number)).map(|number| number as u32);
                let target = number.and_then(index_of);
                let why = match (target, finished) {
                    (Some(target), Some(number)) if target != index => {
                        self.faults.push(PlanFault::AmbiguousDependency { step: self.at(index), number });
                        continue;
                    }
                    (_, Some(number)) if !done.contains(&number) => {
                        done.push(number);
                        continue;
                    }
                    (None, None) => match number {
                        Some(number) => {
                            format!("The dependency on step {number}, which does not exist, was left out.")
                        }
                        None => "A dependency that names no step was left out.".to_owned(),
                    },
                    (Some(target), None) if target == index => {
                        "The dependency of the step on itself was left out.".to_owned()
                    }
                    (Some(target), None) if needed_by[target] != index => {
                        needed_by[target] = index;
                        new.push(target);
                        continue;
                    }
                    _ => format!(
                        "The repeated dependency on step {} was left out.",
                        number.unwrap_or_default()
                    ),
                };
                self.record(RepairCode::DependencyDropped, Some(index), why);
            }
            let loses_all = !is_none && !step.depends_on.is_empty() && new.is_empty() && done.is_empty();
            if loses_all && index > 0 {
                self.loses_its_dependencies(index);
            }
            all.new.push(new);
            all.done.push(done);
        }
        all
    }

    /// None of what a step waits for exists: it would start at once. Where steps are missing, those are asked for.
    fn loses_its_dependencies(&mut self, index: usize) {
        let has_gap = self.faults.iter().any(|fault| matches!(fault, PlanFault::MissingSteps { .. }));
        match self.strictness {
            Strictness::Strict if has_gap => {}
            Strictness::Strict => self.faults.push(PlanFault::UnclearDependency { step: self.at(index) }),
            Strictness::Lenient => self.has_assumed = true,
        }
    }

    /// Puts the steps into `order`, gives them the free numbers and points dependencies and repairs to these.
    pub(super) fn arrange(&mut self, steps: &mut [SubTask], needs: &Dependencies, order: &[usize]) {
        let mut final_number = vec![0_u32; order.len()];
        let mut as_written = true;
        for ((place, &index), number) in order.iter().enumerate().zip(self.free_numbers()) {
            final_number[index] = number;
            as_written &= place == index && self.numbers[index] == i64::from(number);
        }
        for (code, index, message) in std::mem::take(&mut self.early_repairs) {
            self.repairs.push(Repair { code, step: index.map(|index| final_number[index]), message });
        }
        self.warnings.extend(self.guessed_arms.iter().map(|&index| Warning {
            code: WarningCode::ArmGuessed,
            step: Some(final_number[index]),
            message: format!(
                "The LLM insisted on an arm that does not exist; `{}` is the best match.",
                steps[index].required_arm
            ),
        }));
        for (index, step) in steps.iter_mut().enumerate() {
            step.step = final_number[index];
            step.depends_on = needs.new[index].iter().map(|&needed| final_number[needed]).collect();
            self.add_done(step, &needs.done[index]);
            step.depends_on.sort_unstable();
        }
        steps.sort_by_key(|step| step.step);
        if !as_written {
            self.record_for_plan(
                RepairCode::StepsRenumbered,
                if self.done.is_empty() {
                    "The steps are numbered from 1 in the order in which they can run."
                } else {
                    "The new steps have the numbers that the finished ones leave free, in the order in which they can run."
                },
            );
        }
    }

    /// Adds dependencies on finished steps, as far as these have lower numbers.
    fn add_done(&mut self, step: &mut SubTask, done: &[u32]) {
        for &needed in done {
            if needed < step.step {
                step.depends_on.push(needed);
                continue;
            }
            self.repairs.push(Repair {
                code: RepairCode::DependencyDropped,
                step: Some(step.step),
                message: format!(
                    "The dependency on step {needed}, which is done and has a higher number, was left out."
                ),
            });
        }
    }
}
