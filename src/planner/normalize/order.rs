//! Numbers and dependencies of proposed steps, beside those of finished ones.

use std::collections::HashSet;

use crate::domain::{Repair, RepairCode, SubTask};
use crate::planner::draft::DraftStep;
use crate::planner::error::PlanFault;

use super::Normalizer;

/// What each proposed step needs.
pub(super) struct Needs {
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
    fn is_done(&self, number: i64) -> bool {
        u32::try_from(number)
            .is_ok_and(|number| self.done.binary_search_by_key(&number, |step| step.step).is_ok())
    }

    pub(super) fn free_numbers(&self) -> impl Iterator<Item = u32> {
        free_numbers(self.done.iter().map(|step| step.step))
    }

    /// The steps' numbers as written if each has its own, else their places.
    pub(super) fn numbers(&mut self, steps: &[DraftStep]) -> Vec<i64> {
        let written: Vec<i64> = steps.iter().filter_map(|step| step.number).collect();
        let is_ascending = || written.windows(2).all(|pair| pair[0] < pair[1]);
        let is_distinct = || written.iter().collect::<HashSet<_>>().len() == written.len();
        if written.len() == steps.len() && (is_ascending() || is_distinct()) {
            return written;
        }
        self.record(
            RepairCode::StepsRenumbered,
            None,
            "Step numbers were missing or repeated; the steps are numbered by their places.",
        );
        (1..=steps.len() as i64).collect()
    }

    /// For each step those that it needs, without what can be no dependency.
    pub(super) fn dependencies(&mut self, steps: &[DraftStep], numbers: &[i64]) -> Needs {
        let mut index_of: Vec<(i64, usize)> = numbers.iter().enumerate().map(|(i, &n)| (n, i)).collect();
        index_of.sort_unstable();
        let index_of = |number: i64| {
            index_of.binary_search_by_key(&number, |&(number, _)| number).ok().map(|place| index_of[place].1)
        };
        // For each step the last one that was found to need it.
        let mut needed_by = vec![usize::MAX; steps.len()];
        let mut all = Needs { new: Vec::with_capacity(steps.len()), done: Vec::with_capacity(steps.len()) };
        for (index, step) in steps.iter().enumerate() {
            let mut new = Vec::with_capacity(step.depends_on.len().min(steps.len()));
            let mut done: Vec<u32> = Vec::new();
            for &number in &step.depends_on {
                let finished = number.filter(|&number| self.is_done(number)).map(|number| number as u32);
                let target = number.and_then(index_of);
                let why = match (target, finished) {
                    (Some(target), Some(number)) if target != index => {
                        self.faults.push(PlanFault::AmbiguousNeed { step: self.at(index), number });
                        continue;
                    }
                    (_, Some(number)) if !done.contains(&number) => {
                        done.push(number);
                        continue;
                    }
                    (None, None) => "A dependency on a step that does not exist was left out.",
                    (Some(target), None) if target == index => {
                        "A dependency of the step on itself was left out."
                    }
                    (Some(target), None) if needed_by[target] != index => {
                        needed_by[target] = index;
                        new.push(target);
                        continue;
                    }
                    _ => "A dependency named twice was left out once.",
                };
                self.record(RepairCode::DependencyDropped, Some(index), why);
            }
            all.new.push(new);
            all.done.push(done);
        }
        all
    }

    /// Puts the steps into `order`, gives them the free numbers and points dependencies and repairs to these.
    pub(super) fn order(&mut self, steps: &mut [SubTask], needs: &Needs, order: &[usize], numbers: &[i64]) {
        let mut number_of = vec![0_u32; order.len()];
        let mut as_written = true;
        for ((place, &index), number) in order.iter().enumerate().zip(self.free_numbers()) {
            number_of[index] = number;
            as_written &= place == index && numbers[index] == i64::from(number);
        }
        for repair in &mut self.repairs {
            repair.step = repair.step.map(|place| number_of[place as usize - 1]);
        }
        for (index, step) in steps.iter_mut().enumerate() {
            step.step = number_of[index];
            step.depends_on = needs.new[index].iter().map(|&needed| number_of[needed]).collect();
            step.depends_on.extend(needs.done[index].iter().filter(|&&needed| needed < step.step));
            step.depends_on.sort_unstable();
            for _ in needs.done[index].iter().filter(|&&needed| needed > step.step) {
                self.repairs.push(Repair {
                    code: RepairCode::DependencyDropped,
                    step: Some(step.step),
                    message: "A dependency on a step that is done and has a higher number was left out."
                        .into(),
                });
            }
        }
        steps.sort_by_key(|step| step.step);
        if !as_written {
            self.record(
                RepairCode::StepsRenumbered,
                None,
                if self.done.is_empty() {
                    "The steps are numbered from 1 in the order in which they can run."
                } else {
                    "The new steps have the numbers that the finished ones leave free, in the order in which they can run."
                },
            );
        }
    }
}
