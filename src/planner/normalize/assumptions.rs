//! What a proposal leaves open: a fault if the LLM can be asked again, else an assumption.

use std::collections::HashSet;

use crate::domain::{RepairCode, Warning, WarningCode};
use crate::planner::draft::DraftStep;
use crate::planner::error::{PlanFault, list};
use crate::planner::parse::Doubt;
use crate::text::{shorten, without_controls};

use super::{Normalizer, Strictness};

/// Missing numbers that are named.
const MAX_NUMBERS_NAMED: usize = 10;
/// Keys without a place in the plan that are named, and how much of each, in characters.
const MAX_KEYS_NAMED: usize = 5;
const MAX_KEY_LENGTH: usize = 40;

impl Normalizer<'_> {
    /// Makes faults or assumptions of what was left open when the proposal was read.
    pub(super) fn resolve_doubts(&mut self, doubts: Vec<Doubt>) {
        for doubt in doubts {
            match self.strictness {
                Strictness::Strict => self.faults.push(self.fault_of(doubt)),
                Strictness::Lenient => self.assume(doubt),
            }
        }
    }

    fn fault_of(&self, doubt: Doubt) -> PlanFault {
        match doubt {
            Doubt::NoDependencies => PlanFault::NoDependencies,
            Doubt::UnclearEdges => PlanFault::UnclearEdges,
            Doubt::UnusedSteps => PlanFault::UnusedSteps,
            Doubt::UnclearDependency(index) => PlanFault::UnclearDependency { step: self.at(index) },
            Doubt::UnplacedReference(index) => PlanFault::UnplacedReference { step: self.at(index) },
            Doubt::NestedSteps(index) => PlanFault::NestedSteps { step: self.at(index) },
        }
    }

    fn assume(&mut self, doubt: Doubt) {
        self.has_assumed = true;
        let (code, index, message) = match doubt {
            Doubt::NoDependencies => (
                RepairCode::DependenciesAssumed,
                None,
                "No step said what it depends on; each is assumed to depend on the one before it.",
            ),
            Doubt::UnclearEdges => (
                RepairCode::DependenciesAssumed,
                None,
                "Some dependencies were ambiguous; the most likely reading is assumed.",
            ),
            Doubt::UnusedSteps => {
                (RepairCode::StepDropped, None, "Steps outside the list of steps were left out.")
            }
            Doubt::UnclearDependency(index) => {
                (RepairCode::DependencyDropped, Some(index), "An unclear dependency was left out.")
            }
            Doubt::UnplacedReference(index) => (
                RepairCode::DependencyDropped,
                Some(index),
                "The step mentions another one and is assumed not to depend on it.",
            ),
            Doubt::NestedSteps(index) => {
                (RepairCode::StepsMerged, Some(index), "The steps inside this one became part of its action.")
            }
        };
        self.record(code, index, message);
    }

    /// Warns of what was written and has no place in the plan, so that it is not lost unnoticed.
    pub(super) fn warn_of_unused(&mut self, mut keys: Vec<String>) {
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return;
        }
        let quoted = |key: &String| format!("“{}”", shorten(&without_controls(key.clone()), MAX_KEY_LENGTH));
        let mut named: Vec<String> = keys.iter().take(MAX_KEYS_NAMED).map(quoted).collect();
        if keys.len() > MAX_KEYS_NAMED {
            named.push("others".into());
        }
        let (verb, them) = if keys.len() == 1 { ("was", "it") } else { ("were", "them") };
        let message = format!("{} {verb} ignored: a plan has no place for {them}.", list(&named));
        self.warnings.push(Warning { code: WarningCode::FieldsIgnored, step: None, message });
    }

    /// Checks that no number is left out between the steps: where one is, a step may be missing.
    pub(super) fn check_gaps(&mut self, steps: &[DraftStep], max_steps: usize) {
        if self.free_numbers().zip(steps).all(|(number, step)| step.number == Some(number.into())) {
            return;
        }
        let written = numbers_as_written(steps);
        let mut missing = missing_numbers(&written, |number| self.is_done(number), max_steps);
        if missing.is_empty() && !written.is_empty() && written.len() < steps.len() {
            missing =
                (1..).zip(steps).filter(|(_, step)| step.number.is_none()).map(|(place, _)| place).collect();
            missing.truncate(MAX_NUMBERS_NAMED);
        }
        // Beside finished steps, new ones may begin anywhere.
        let missing: Vec<i64> = match written.iter().min() {
            Some(first) if !self.done.is_empty() => {
                missing.into_iter().filter(|number| number > first).collect()
            }
            _ => missing,
        };
        let has_gap = self.nulls.is_empty() && !missing.is_empty();
        match self.strictness {
            _ if !has_gap => {}
            Strictness::Strict => self.faults.push(PlanFault::MissingSteps { numbers: missing }),
            // That the steps are renumbered is recorded with their order.
            Strictness::Lenient => self.has_assumed = true,
        }
    }
}

/// The numbers that steps have, as far as they do not repeat each other. Where some steps have none, the numbers
/// that these would have are left out, too: they may be what is left of two.
fn numbers_as_written(steps: &[DraftStep]) -> Vec<i64> {
    let numbers: Vec<i64> = steps.iter().filter_map(|step| step.number).collect();
    let is_distinct = numbers.iter().collect::<HashSet<_>>().len() == numbers.len();
    if is_distinct { numbers } else { Vec::new() }
}

/// The numbers that are left out of a count from 1 (or 0) to the highest. Numbers that count otherwise (in tens) or
/// are not a count (ids) leave none out.
fn missing_numbers(numbers: &[i64], is_done: impl Fn(i64) -> bool, max_steps: usize) -> Vec<i64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    if first < 0 || sorted.len() < 2 {
        return Vec::new();
    }
    let distance = sorted[1].saturating_sub(first);
    let is_even = distance > 1 && sorted.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) == distance);
    let counts_otherwise = is_even && (first == distance || first == 0);
    let count = last.saturating_sub(first.min(1)).saturating_add(1);
    let left_out = count.saturating_sub_unsigned(sorted.len() as u64);
    if counts_otherwise || left_out <= 0 || left_out > max_steps as i64 {
        return Vec::new();
    }
    (first.min(1)..last)
        .filter(|number| sorted.binary_search(number).is_err() && !is_done(*number))
        .take(MAX_NUMBERS_NAMED)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_with_a_gap_leaves_numbers_out_and_others_do_not() {
        for (numbers, missing) in [
            (vec![1, 2, 3], vec![]),
            (vec![0, 1, 2], vec![]),
            (vec![3, 1, 2], vec![]),
            (vec![10, 20, 30], vec![]),
            (vec![2, 4, 6], vec![]),
            (vec![101, 102, 103], vec![]),
            (vec![7, 19, 4_000], vec![]),
            (vec![-3, 5], vec![]),
            (vec![5], vec![]),
            (vec![i64::MIN, i64::MAX], vec![]),
            (vec![0, i64::MAX], vec![]),
            (vec![1, 2, 4, 5], vec![3]),
            (vec![2, 3, 4], vec![1]),
            (vec![0, 2, 3], vec![1]),
            (vec![1, 5, 2], vec![3, 4]),
        ] {
            assert_eq!(missing_numbers(&numbers, |_| false, 7), missing, "{numbers:?}");
        }
        assert_eq!(missing_numbers(&[2, 4], |number| number == 1 || number == 3, 7), Vec::<i64>::new());
    }
}
