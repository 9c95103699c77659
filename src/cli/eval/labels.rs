//! Labelled plans: how similar a plan is to one that a person wrote for the same goal.
//!
//! *Node F1* compares the arms of the steps as multisets, *link F1* the dependencies, each as the pair of arms of the
//! step that is needed and of the one that needs it (as in the `TaskBench` paper of 2024). F1 is twice what both have in
//! common, divided by what both have together: 1 when they are equal, also when both are empty.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use crate::domain::SubTask;

/// A step of a labelled plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedStep {
    /// The id of its arm.
    pub(super) arm: String,
    /// The numbers of the steps that it needs, counted from 1.
    #[serde(default)]
    pub(super) depends_on: Vec<usize>,
}

/// How much a plan is like the labelled one, or the mean of that over several plans; each 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Similarity {
    /// Of the arms.
    pub(super) node_f1: f64,
    /// Of the dependencies.
    pub(super) link_f1: f64,
}

impl Similarity {
    /// Of `steps`, none where there is no plan, to those that are `expected`; `None` if the scenario has no labelled plan.
    pub(super) fn of(expected: &[ExpectedStep], steps: &[SubTask]) -> Option<Self> {
        if expected.is_empty() {
            return None;
        }
        if steps.is_empty() {
            return Some(Self { node_f1: 0.0, link_f1: 0.0 });
        }
        let arms = expected.iter().map(|step| step.arm.as_str());
        let links = expected.iter().flat_map(|step| {
            step.depends_on.iter().map(|needed| (expected[needed - 1].arm.as_str(), step.arm.as_str()))
        });
        let arm_of = |number: &u32| steps[*number as usize - 1].required_arm.as_str();
        let found_links = steps.iter().flat_map(|step| {
            step.depends_on.iter().map(move |needed| (arm_of(needed), step.required_arm.as_str()))
        });
        Some(Self {
            node_f1: f1(arms, steps.iter().map(|step| step.required_arm.as_str())),
            link_f1: f1(links, found_links),
        })
    }

    /// The mean of `all`, without scenarios that have no labelled plan; `None` if there are none.
    pub(super) fn mean(all: impl Iterator<Item = Option<Self>>) -> Option<Self> {
        let all: Vec<Self> = all.flatten().collect();
        let mean = |figure: fn(&Self) -> f64| {
            (all.iter().map(figure).sum::<f64>() / all.len() as f64 * 10_000.0).round() / 10_000.0
        };
        let mean = || Self { node_f1: mean(|one| one.node_f1), link_f1: mean(|one| one.link_f1) };
        (!all.is_empty()).then(mean)
    }
}

/// What is wrong with a labelled plan, apart from arms that do not exist: each step needs earlier ones, each once.
pub(super) fn faults(steps: &[ExpectedStep]) -> Vec<String> {
    let invalid = |(place, step): &(usize, &ExpectedStep)| {
        let is_earlier = |needed: &usize| (1..=*place).contains(needed);
        !step.depends_on.iter().all(is_earlier) || !step.depends_on.is_sorted_by(|a, b| a < b)
    };
    let fault = |(place, _): (usize, &ExpectedStep)| {
        format!(
            "steps[{place}].depends_on must list earlier steps (numbered from 1) in ascending order, each once"
        )
    };
    steps.iter().enumerate().filter(invalid).map(fault).collect()
}

fn f1<T: Eq + Hash>(expected: impl Iterator<Item = T>, found: impl Iterator<Item = T>) -> f64 {
    let mut left: HashMap<T, usize> = HashMap::new();
    let (mut total, mut common) = (0_usize, 0_usize);
    for one in expected {
        *left.entry(one).or_default() += 1;
        total += 1;
    }
    for one in found {
        total += 1;
        if let Some(count) = left.get_mut(&one).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    if total == 0 { 1.0 } else { 2.0 * common as f64 / total as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::promises::valid_plan;

    fn expected(steps: &[(&str, &[usize])]) -> Vec<ExpectedStep> {
        let step =
            |(arm, needs): &(&str, &[usize])| ExpectedStep { arm: (*arm).into(), depends_on: needs.to_vec() };
        steps.iter().map(step).collect()
    }

    /// Node and link F1 of the plan of a coder, an executor and a judge, each of whom needs all before.
    fn similarity(steps: &[(&str, &[usize])]) -> (f64, f64) {
        let found = Similarity::of(&expected(steps), &valid_plan().plan).expect("a labelled plan");
        ((found.node_f1 * 1_000.0).round(), (found.link_f1 * 1_000.0).round())
    }

    #[test]
    fn arms_and_dependencies_are_compared_as_multisets() {
        assert_eq!(similarity(&[("coder", &[]), ("executor", &[1]), ("judge", &[1, 2])]), (1_000.0, 1_000.0));
        // The order of steps does not matter, their number does: 2·2/(2+3), and 2·1/(1+3).
        assert_eq!(similarity(&[("executor", &[]), ("judge", &[1])]), (800.0, 500.0));
        // One of two coders is found: 2·2/(3+3); coder → judge once: 2·1/(2+3).
        assert_eq!(similarity(&[("coder", &[]), ("coder", &[1]), ("judge", &[2])]), (667.0, 400.0));
        assert_eq!(similarity(&[("guardian", &[])]), (0.0, 0.0));
    }

    #[test]
    fn without_a_plan_nothing_is_alike_and_without_a_label_nothing_is_compared() {
        let steps = expected(&[("coder", &[])]);
        assert_eq!(Similarity::of(&steps, &[]), Some(Similarity { node_f1: 0.0, link_f1: 0.0 }));
        assert_eq!(Similarity::of(&[], &valid_plan().plan), None);
        let half = Similarity { node_f1: 0.5, link_f1: 1.0 };
        let none = Similarity { node_f1: 0.0, link_f1: 0.0 };
        assert_eq!(
            Similarity::mean([Some(half), None, Some(none)].into_iter()),
            Some(Similarity { node_f1: 0.25, link_f1: 0.5 })
        );
        assert_eq!(Similarity::mean([None].into_iter()), None);
    }

    #[test]
    fn two_plans_without_dependencies_have_the_same_ones() {
        let mut plan = valid_plan().plan;
        for step in &mut plan {
            step.depends_on.clear();
        }
        let found = Similarity::of(&expected(&[("coder", &[])]), &plan).expect("a labelled plan");
        assert!((found.link_f1 - 1.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn dependencies_of_labels_are_earlier_steps() {
        let steps = expected(&[("coder", &[1]), ("coder", &[0]), ("coder", &[2, 1]), ("coder", &[1, 3])]);
        let places: Vec<bool> = (0..4)
            .map(|place| faults(&steps).iter().any(|fault| fault.starts_with(&format!("steps[{place}]"))))
            .collect();
        assert_eq!(places, [true, true, true, false]);
    }
}
