//! The arms that proposed steps name, and what these can pass to each other.

use crate::domain::arms::{Arm, ArmQuery, MatchedBy, Resolution};
use crate::domain::{RepairCode, SubTask};
use crate::planner::draft::DraftStep;
use crate::planner::error::PlanFault;
use crate::text::shorten;

use super::Normalizer;
use super::order::Dependencies;

/// The arms before and after a step, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Neighbours<'a> {
    producers: Vec<&'a Arm>,
    consumers: Vec<&'a Arm>,
}

/// Proposed steps, by their places from 0, where arms have types.
struct TypedSteps<'a> {
    arms: Vec<Option<&'a Arm>>,
    /// Their final numbers.
    numbers: Vec<u32>,
}

/// Of more steps in one proposal than twice the most that settings allow, unknown arms are not looked up.
const MAX_LOOKED_UP: usize = 100;
/// Longest piece of an unknown name that is quoted, in characters.
const QUOTED_NAME: usize = 100;

impl<'a> Normalizer<'a> {
    /// The neighbours of each step; none if each step names an arm exactly, as no name needs them then.
    pub(super) fn neighbours(&self, drafts: &[DraftStep], needs: &Dependencies) -> Vec<Neighbours<'a>> {
        let mut all: Vec<Neighbours<'a>> = drafts.iter().map(|_| Neighbours::default()).collect();
        if drafts.len() > MAX_LOOKED_UP || drafts.iter().all(|draft| self.registry.get(&draft.arm).is_some())
        {
            return all;
        }
        let known: Vec<Option<&Arm>> = drafts.iter().map(|draft| self.registry.named(&draft.arm)).collect();
        for (index, needs) in needs.new.iter().enumerate() {
            for &needed in needs {
                all[index].producers.extend(known[needed]);
                all[needed].consumers.extend(known[index]);
            }
        }
        all
    }

    /// The id and the usual cost tier of the arm that is meant.
    pub(super) fn arm(
        &mut self,
        index: usize,
        name: String,
        action: &str,
        neighbours: &Neighbours<'_>,
    ) -> (String, u8) {
        if index >= MAX_LOOKED_UP && self.registry.get(&name).is_none() {
            self.faults.push(PlanFault::UnknownArm { step: self.at(index), candidates: Vec::new() });
            return (name, 1);
        }
        let Neighbours { producers, consumers } = neighbours;
        let query = ArmQuery { name: &name, action, producers, consumers };
        let (arm, how) = match self.registry.resolve(&query) {
            Resolution::Exact(arm) => return (name, arm.cost_tier),
            Resolution::Found(arm, how) => (arm, found_by(how)),
            Resolution::Unclear(candidates) => match candidates.first() {
                Some(&best) if self.guesses_arms => {
                    self.guessed_arms.push(index);
                    (best, "is the best match, though not a clear one")
                }
                _ => {
                    let candidates = candidates.iter().map(|arm| arm.id.clone()).collect();
                    self.faults.push(PlanFault::UnknownArm { step: self.at(index), candidates });
                    return (name, 1);
                }
            },
        };
        let id = arm.id.clone();
        let old = shorten(&crate::text::without_controls(name.clone()), QUOTED_NAME);
        self.record(
            RepairCode::ArmMapped,
            Some(index),
            format!("The arm “{old}” does not exist; `{id}` {how}."),
        );
        (id, arm.cost_tier)
    }

    /// Leaves out dependencies that cannot carry anything, and lets a step without any wait for the nearest one
    /// before it, in `order`, that produces what it needs.
    pub(super) fn connect_by_types(&mut self, steps: &[SubTask], needs: &mut Dependencies, order: &[usize]) {
        if !self.registry.has_types() {
            return;
        }
        let registry = self.registry;
        let arms: Vec<Option<&Arm>> = steps.iter().map(|step| registry.get(&step.required_arm)).collect();
        let mut numbers = vec![0; order.len()];
        for (&index, number) in order.iter().zip(self.free_numbers()) {
            numbers[index] = number;
        }
        let typed = TypedSteps { arms, numbers };
        for (place, &index) in order.iter().enumerate() {
            // A verifying step looks at everything.
            let Some(arm) = typed.arms[index].filter(|arm| !arm.inputs.is_empty() && !arm.verifies()) else {
                continue;
            };
            self.drop_useless_dependencies(index, arm, &typed, needs);
            if needs.new[index].is_empty() && needs.done[index].is_empty() {
                self.depend_on_nearest_producer(index, arm, &typed, &order[..place], needs);
            }
        }
    }

    /// Leaves out the dependencies of the step at `index` on steps that produce nothing that its `arm` takes.
    fn drop_useless_dependencies(
        &mut self,
        index: usize,
        arm: &Arm,
        steps: &TypedSteps<'a>,
        needs: &mut Dependencies,
    ) {
        let (registry, done) = (self.registry, self.done);
        let done_arm = |number: u32| {
            done.iter().find(|step| step.step == number).and_then(|step| registry.get(&step.required_arm))
        };
        let mut dropped: Vec<(u32, &Arm)> = Vec::new();
        let mut keeps = |number: u32, producer: Option<&'a Arm>| {
            let useless = producer.filter(|producer| !producer.can_feed(arm));
            dropped.extend(useless.map(|producer| (number, producer)));
            useless.is_none()
        };
        needs.new[index].retain(|&needed| keeps(steps.numbers[needed], steps.arms[needed]));
        needs.done[index].retain(|&number| keeps(number, done_arm(number)));
        for (number, producer) in dropped {
            let message = format!(
                "The dependency on step {number} was removed: `{}` produces {}, and `{}` needs {}.",
                producer.id,
                producer.outputs.join(", "),
                arm.id,
                arm.inputs.join(", ")
            );
            self.record(RepairCode::DependencyDropped, Some(index), message);
        }
    }

    /// Lets the step at `index` depend on the nearest of the `earlier` ones, else of the finished ones, that produces
    /// something that its `arm` takes, if there is any.
    fn depend_on_nearest_producer(
        &mut self,
        index: usize,
        arm: &Arm,
        steps: &TypedSteps<'_>,
        earlier: &[usize],
        needs: &mut Dependencies,
    ) {
        let new = earlier.iter().rev().find_map(|&step| {
            steps.arms[step].filter(|producer| producer.feeds(arm)).map(|producer| (step, producer))
        });
        let (number, producer) = if let Some((step, producer)) = new {
            needs.new[index].push(step);
            (steps.numbers[step], producer)
        } else {
            let mut done = self.done.iter().rev().filter(|done| done.step < steps.numbers[index]);
            let found = done.find_map(|done| {
                let producer = self.registry.get(&done.required_arm)?;
                producer.feeds(arm).then_some((done.step, producer))
            });
            let Some((number, producer)) = found else { return };
            needs.done[index].push(number);
            (number, producer)
        };
        let message = format!(
            "A dependency was added on step {number}, the nearest one that produces what `{}` needs: its arm is `{}`.",
            arm.id, producer.id
        );
        self.record(RepairCode::DependencyAdded, Some(index), message);
    }
}

/// How an arm was found, as it follows the arm's id.
fn found_by(how: MatchedBy) -> &'static str {
    match how {
        MatchedBy::Id => "is the same name in another spelling",
        MatchedBy::Alias => "has it as an alias",
        MatchedBy::Capability => "has it as a capability",
        MatchedBy::Spelling => "differs by a typo",
        MatchedBy::Part => "matches a part of the name",
        MatchedBy::Relevance => "matches by what it does",
    }
}
