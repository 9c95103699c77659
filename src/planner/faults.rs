//! What can be wrong with a proposed plan, in the words of each reader.

use std::fmt::{Display, Formatter};

use crate::domain::FieldError;
use crate::domain::arms::{Arm, ArmRegistry};

use super::critics::Finding;

/// A step of a proposal, as faults name it: by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepRef {
    /// Its place in the proposal, from 1.
    pub place: usize,
    /// Its number in the proposal: as written if the numbers are unique, else its position.
    pub number: i64,
}

impl Display for StepRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

/// The step at a place that is its number.
impl From<usize> for StepRef {
    fn from(place: usize) -> Self {
        Self { place, number: place as i64 }
    }
}

/// A fault of a proposed plan that nothing repairs in one right way.
///
/// No text of the proposal is in the messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PlanFault {
    /// Fewer steps than allowed.
    #[error("the plan has {} and needs at least {min}", steps(*.found))]
    TooFewSteps {
        /// Steps found.
        found: usize,
        /// Minimum allowed.
        min: usize,
    },
    /// More steps than allowed.
    #[error("the plan has {found} steps and may have at most {max}")]
    TooManySteps {
        /// Steps found.
        found: usize,
        /// Maximum allowed.
        max: usize,
    },
    /// As many steps as allowed or more, without a verifying last step: there is no room to add one.
    #[error("the last step does not verify the result, and there is no room for another one (at most {max})")]
    Unverified {
        /// Maximum number of steps allowed.
        max: usize,
    },
    /// Steps that depend on each other.
    #[error("{}", cycle(.steps))]
    Cycle {
        /// The steps on the cycles.
        steps: Vec<StepRef>,
    },
    /// Two steps that say the same.
    #[error("steps {} have the same action", list(.steps))]
    RepeatedAction {
        /// The earlier and the later step.
        steps: Vec<StepRef>,
    },
    /// A step without an action.
    #[error("step {step} has no action")]
    BlankAction {
        /// The step.
        step: StepRef,
    },
    /// A step whose end is unknown.
    #[error("step {step} has no acceptance criterion")]
    NoCriteria {
        /// The step.
        step: StepRef,
    },
    /// A step that does what a finished one has done.
    #[error("step {step} has the same action as step {done}, which is done")]
    RepeatsDone {
        /// The step.
        step: StepRef,
        /// The number of the finished one.
        done: u32,
    },
    /// A step that is a failed one again, with the same arm and nothing new before it.
    #[error("step {step} repeats step {failed}, which failed, with nothing new before it")]
    RepeatsFailed {
        /// The step.
        step: StepRef,
        /// The number of the failed one.
        failed: u32,
    },
    /// A dependency on a number that both a finished step and a proposed one have.
    #[error("step {step} depends on {number}, which is the number of a finished step and of another")]
    AmbiguousDependency {
        /// The step.
        step: StepRef,
        /// The number.
        number: u32,
    },
    /// A step for an arm that does not exist, where it is not clear which one is meant.
    #[error("step {step} names an arm that does not exist{}", perhaps(.candidates))]
    UnknownArm {
        /// The step.
        step: StepRef,
        /// The ids of the arms that may be meant, the likeliest first; at most three.
        candidates: Vec<String>,
    },
    /// Several steps, none with dependencies.
    #[error("no step says which steps it depends on")]
    NoDependencies,
    /// Numbers between the steps that no step has.
    #[error("the steps are numbered as if {} were missing", missing(.numbers))]
    MissingSteps {
        /// The first of them.
        numbers: Vec<i64>,
    },
    /// Edges whose ends or direction are not clear.
    #[error("which steps depend on which is not clear")]
    UnclearEdges,
    /// Steps outside the list of steps.
    #[error("there are steps outside the list of steps")]
    UnusedSteps,
    /// A dependency that means steps, if not clearly which.
    #[error("step {step} has an unclear dependency")]
    UnclearDependency {
        /// The step.
        step: StepRef,
    },
    /// A step that speaks of another one and does not depend on it.
    #[error("step {step} mentions a step that it does not depend on")]
    UnplacedReference {
        /// The step.
        step: StepRef,
    },
    /// A step with steps inside.
    #[error("step {step} has substeps")]
    NestedSteps {
        /// The step.
        step: StepRef,
    },
    /// A critic's hard finding about a plan that is valid otherwise.
    #[error("{}", .0.to_caller)]
    Criticized(Box<Finding>),
}

impl PlanFault {
    /// Whether there is a likeliest reading, which can be assumed.
    pub(super) fn is_doubt(&self) -> bool {
        matches!(
            self,
            Self::NoDependencies
                | Self::MissingSteps { .. }
                | Self::UnclearEdges
                | Self::UnusedSteps
                | Self::UnclearDependency { .. }
                | Self::UnplacedReference { .. }
                | Self::NestedSteps { .. }
        )
    }

    /// One word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooFewSteps { .. } => "too_few_steps",
            Self::TooManySteps { .. } => "too_many_steps",
            Self::Unverified { .. } => "unverified",
            Self::Cycle { .. } => "cycle",
            Self::RepeatedAction { .. } => "repeated_action",
            Self::BlankAction { .. } => "blank_action",
            Self::NoCriteria { .. } => "no_criteria",
            Self::RepeatsDone { .. } => "repeats_done",
            Self::RepeatsFailed { .. } => "repeats_failed",
            Self::AmbiguousDependency { .. } => "ambiguous_dependency",
            Self::UnknownArm { .. } => "unknown_arm",
            Self::NoDependencies => "no_dependencies",
            Self::MissingSteps { .. } => "missing_steps",
            Self::UnclearEdges => "unclear_edges",
            Self::UnusedSteps => "unused_steps",
            Self::UnclearDependency { .. } => "unclear_dependency",
            Self::UnplacedReference { .. } => "unplaced_reference",
            Self::NestedSteps { .. } => "nested_steps",
            Self::Criticized(finding) => finding.code.as_str(),
        }
    }

    /// Where in the proposal it is, such as `plan[2].action`.
    pub fn field(&self) -> String {
        let of_step = |at: &StepRef, field: &str| format!("plan[{}].{field}", at.place.saturating_sub(1));
        let last =
            |steps: &[StepRef], field| steps.last().map_or_else(|| "plan".into(), |at| of_step(at, field));
        match self {
            Self::TooFewSteps { .. }
            | Self::TooManySteps { .. }
            | Self::Unverified { .. }
            | Self::NoDependencies
            | Self::MissingSteps { .. }
            | Self::UnclearEdges
            | Self::UnusedSteps => "plan".into(),
            Self::Cycle { steps } => last(steps, "depends_on"),
            Self::RepeatedAction { steps } => last(steps, "action"),
            Self::AmbiguousDependency { step, .. }
            | Self::UnclearDependency { step }
            | Self::UnplacedReference { step } => of_step(step, "depends_on"),
            Self::BlankAction { step }
            | Self::NestedSteps { step }
            | Self::RepeatsDone { step, .. }
            | Self::RepeatsFailed { step, .. } => of_step(step, "action"),
            Self::NoCriteria { step } => of_step(step, "acceptance_criteria"),
            Self::UnknownArm { step, .. } => of_step(step, "required_arm"),
            Self::Criticized(finding) => finding.place(),
        }
    }

    /// The fault worded for the plan's author: the field, and what to do about it.
    pub(super) fn for_author(&self, registry: &ArmRegistry) -> FieldError {
        let message = match self {
            Self::TooFewSteps { found, min } => {
                format!("has {} and must have at least {min}; divide the work further", steps(*found))
            }
            Self::TooManySteps { found, max } => {
                format!("has {found} steps and may have at most {max}; combine steps that belong together")
            }
            Self::Unverified { .. } => format!(
                "has no room for another step, and its last does not verify the result; assign it to {}",
                ids(registry.arms().iter().filter(|arm| arm.verifies()))
            ),
            Self::Cycle { steps } => match steps.len() {
                2 => format!("makes {}; remove one of the two dependencies", cycle(steps)),
                _ => format!("makes {}; remove one of these dependencies", cycle(steps)),
            },
            Self::RepeatedAction { steps } => format!(
                "is the same as that of step {}; say what is different, or remove one of them",
                list(&steps[..1])
            ),
            Self::BlankAction { .. } => "is blank; say what to do".into(),
            Self::NoCriteria { .. } => {
                "must have at least one entry that says how to tell that the step is done".into()
            }
            Self::RepeatsDone { done, .. } => {
                format!(
                    "is the same as that of step {done}, which is done; remove it, or say what is different"
                )
            }
            Self::RepeatsFailed { failed, .. } => format!(
                "is the same as that of step {failed}, which failed; add a step before it that removes the cause, or choose another action"
            ),
            Self::AmbiguousDependency { number, .. } => {
                format!("names {number}, which is the number of two steps; give each step its own number")
            }
            Self::UnknownArm { candidates, .. } => {
                format!(
                    "must be one of {}{}",
                    ids(registry.arms().iter()),
                    perhaps(candidates)
                )
            }
            Self::NoDependencies => {
                "does not say for any step what it depends on; give each a `depends_on`, `[]` if it depends on none"
                    .into()
            }
            Self::MissingSteps { numbers } => {
                format!(
                    "is numbered as if {} were missing; send the whole plan, numbered from 1",
                    missing(numbers)
                )
            }
            Self::UnclearEdges => {
                "does not say clearly which steps depend on which; use the `depends_on` of each step".into()
            }
            Self::UnusedSteps => {
                "has further steps outside the list of steps; put all steps into one list".into()
            }
            Self::UnclearDependency { .. } => {
                "has an entry that is not a step number; use step numbers only".into()
            }
            Self::UnplacedReference { .. } => {
                "lacks a step that this step mentions; add it, or do not mention it".into()
            }
            Self::NestedSteps { .. } => "has substeps; make each of them a step of the plan".into(),
            Self::Criticized(finding) => finding.to_caller.clone(),
        };
        FieldError { field: self.field(), message }
    }
}

/// Asks whether one of the `candidates` is meant, in brackets; empty without any.
fn perhaps(candidates: &[String]) -> String {
    if candidates.is_empty() { String::new() } else { format!(" (did you mean {}?)", candidates.join(", ")) }
}

/// More arms than these are not named in one sentence.
const MAX_ARMS_NAMED: usize = 10;

/// The ids of `arms` as a list.
fn ids<'a>(arms: impl Iterator<Item = &'a Arm>) -> String {
    let mut names: Vec<&str> = arms.map(|arm| arm.id.as_str()).collect();
    if names.len() > MAX_ARMS_NAMED {
        names.truncate(MAX_ARMS_NAMED);
        names.push("…");
    }
    names.join(", ")
}

/// So many steps, in words.
pub(super) fn steps(count: usize) -> String {
    if count == 1 { "1 step".into() } else { format!("{count} steps") }
}

/// Says which steps form a cycle.
fn cycle(steps: &[StepRef]) -> String {
    match steps.len() {
        2 => format!("steps {} depend on each other", list(steps)),
        _ => format!("steps {} depend on each other in a cycle", list(steps)),
    }
}

/// The steps of these numbers, in words.
pub(super) fn missing(numbers: &[i64]) -> String {
    format!("{} {}", if numbers.len() == 1 { "step" } else { "steps" }, list(numbers))
}

/// `steps` as people list them: `1, 2 and 3`.
pub(super) fn list(steps: &[impl Display]) -> String {
    let words: Vec<String> = steps.iter().map(ToString::to_string).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
