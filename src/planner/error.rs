//! Why no plan came out.

use std::fmt::{Display, Formatter};

use crate::domain::FieldError;
use crate::domain::arms::{Arm, ArmRegistry};
use crate::domain::problem::{ErrorCode, Problem};
use crate::llm::{CallFailure, LlmError};

/// A step of a proposal, as faults name it: by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepRef {
    /// Its place in the proposal, from 1.
    pub place: usize,
    /// Its number as whoever proposed it counts: as written, if each step has its own, else its place.
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

/// A fault of a proposed plan that has no one right repair.
///
/// No text of the proposal is in the messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PlanFault {
    /// Fewer steps than allowed.
    #[error("the plan has {} and needs at least {min}", steps(*.found))]
    TooFewSteps {
        /// Steps found.
        found: usize,
        /// Fewest allowed.
        min: usize,
    },
    /// More steps than allowed.
    #[error("the plan has {found} steps and may have at most {max}")]
    TooManySteps {
        /// Steps found.
        found: usize,
        /// Most allowed.
        max: usize,
    },
    /// As many steps as allowed or more, of which the last does not verify: there is no room to add one that does.
    #[error("the last step does not verify the result, and there is no room for one more than {max}")]
    Unverified {
        /// Most steps allowed.
        max: usize,
    },
    /// Steps that wait for each other.
    #[error("steps {} wait for each other", list(.steps))]
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
    /// A step that says nothing.
    #[error("step {step} has no action")]
    BlankAction {
        /// The step.
        step: StepRef,
    },
    /// A step whose end cannot be told.
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
    #[error("step {step} is step {failed} again, which failed, and nothing new comes before it")]
    RepeatsFailed {
        /// The step.
        step: StepRef,
        /// The number of the failed one.
        failed: u32,
    },
    /// A dependency on a number that both a finished step and a proposed one have.
    #[error("step {step} depends on {number}, which is the number of a finished step and of another")]
    AmbiguousNeed {
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
}

impl PlanFault {
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
            Self::AmbiguousNeed { .. } => "ambiguous_dependency",
            Self::UnknownArm { .. } => "unknown_arm",
        }
    }

    /// Where in the proposal it is, as `plan[2].action`.
    pub fn field(&self) -> String {
        let of_step = |at: &StepRef, field: &str| format!("plan[{}].{field}", at.place.saturating_sub(1));
        let last =
            |steps: &[StepRef], field| steps.last().map_or_else(|| "plan".into(), |at| of_step(at, field));
        match self {
            Self::TooFewSteps { .. } | Self::TooManySteps { .. } | Self::Unverified { .. } => "plan".into(),
            Self::Cycle { steps } => last(steps, "depends_on"),
            Self::RepeatedAction { steps } => last(steps, "action"),
            Self::AmbiguousNeed { step, .. } => of_step(step, "depends_on"),
            Self::BlankAction { step }
            | Self::RepeatsDone { step, .. }
            | Self::RepeatsFailed { step, .. } => of_step(step, "action"),
            Self::NoCriteria { step } => of_step(step, "acceptance_criteria"),
            Self::UnknownArm { step, .. } => of_step(step, "required_arm"),
        }
    }

    /// The fault as whoever wrote the plan reads it: where it is, and behind that what to do about it.
    pub(super) fn for_author(&self, registry: &ArmRegistry) -> FieldError {
        let message = match self {
            Self::TooFewSteps { found, min } => {
                format!("has {} and must have at least {min}; divide the work further", steps(*found))
            }
            Self::TooManySteps { found, max } => {
                format!("has {found} steps and may have at most {max}; put together what belongs together")
            }
            Self::Unverified { .. } => format!(
                "has no room for one more step, and its last does not verify the result; give that to {}",
                ids(registry.arms().iter().filter(|arm| arm.verifies()))
            ),
            Self::Cycle { steps } => {
                format!("lets steps {} wait for each other; take one of these dependencies out", list(steps))
            }
            Self::RepeatedAction { steps } => format!(
                "is the same as that of step {}; say what is different, or leave one of them out",
                list(&steps[..1])
            ),
            Self::BlankAction { .. } => "says nothing; say what is to be done".into(),
            Self::NoCriteria { .. } => "must have at least one that says how to tell that it is done".into(),
            Self::RepeatsDone { done, .. } => {
                format!(
                    "is the same as that of step {done}, which is done; leave it out, or say what is different"
                )
            }
            Self::RepeatsFailed { failed, .. } => format!(
                "is that of step {failed}, which failed; let a step before it remove the cause, or do something else"
            ),
            Self::AmbiguousNeed { number, .. } => {
                format!(
                    "names {number}, which is the number of two steps; give each step a number of its own"
                )
            }
            Self::UnknownArm { candidates, .. } if candidates.is_empty() => {
                format!("is no arm that exists here; name one of {}", ids(registry.arms().iter()))
            }
            Self::UnknownArm { candidates, .. } => {
                format!(
                    "is no arm that exists here{}; name one of {}",
                    perhaps(candidates),
                    ids(registry.arms().iter())
                )
            }
        };
        FieldError { field: self.field(), message }
    }
}

/// Asks whether one of the `candidates` is meant, in brackets; empty without any.
fn perhaps(candidates: &[String]) -> String {
    if candidates.is_empty() { String::new() } else { format!(" (did you mean {}?)", candidates.join(", ")) }
}

/// More arms than these are not named in one sentence.
const MOST_ARMS_NAMED: usize = 10;

/// The ids of `arms` as a list.
fn ids<'a>(arms: impl Iterator<Item = &'a Arm>) -> String {
    let mut names: Vec<&str> = arms.map(|arm| arm.id.as_str()).collect();
    if names.len() > MOST_ARMS_NAMED {
        names.truncate(MOST_ARMS_NAMED);
        names.push("…");
    }
    names.join(", ")
}

/// So many steps, in words.
pub(super) fn steps(count: usize) -> String {
    if count == 1 { "1 step".into() } else { format!("{count} steps") }
}

/// `steps` as people list them: `1, 2 and 3`.
pub(super) fn list(steps: &[impl Display]) -> String {
    let words: Vec<String> = steps.iter().map(ToString::to_string).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// Why an LLM's answer is no plan at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but white space.
    #[error("the answer is empty")]
    Empty,
    /// The answer ended at the token limit, or somewhere else before the end of its steps.
    #[error("the answer was cut off before its end; raise PLANNER_MAX_TOKENS")]
    Truncated,
    /// No JSON in it.
    #[error("the answer has no JSON in it that can be read")]
    NotJson,
    /// The example that the question gave.
    #[error("the answer is the example of the prompt")]
    Example,
    /// JSON, and no list of steps in it.
    #[error("the answer's JSON has no list of steps in it")]
    NoSteps,
}

impl ParseError {
    /// One word for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::NotJson => "not_json",
            Self::Example => "example",
            Self::NoSteps => "no_steps",
        }
    }

    /// The same about a plan that no LLM was asked for, as whoever wrote it reads it.
    pub(super) fn for_author(self) -> FieldError {
        FieldError::new(
            "body",
            match self {
                Self::Empty => "is empty; send a plan",
                Self::Truncated => "ends before its last step does; send the whole plan",
                Self::NotJson => {
                    "has a plan in it that cannot be read; send it as JSON, with every step whole"
                }
                Self::Example | Self::NoSteps => {
                    "has no list of steps in it; send an object with the steps under plan"
                }
            },
        )
    }
}

/// Why an LLM's answer did not become a plan: what it is told when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectedAnswer {
    /// It cannot be read as a plan.
    Parse(ParseError),
    /// Its plan is not sound and has no one right repair.
    Invalid(Vec<PlanFault>),
}

impl RejectedAnswer {
    /// Whether it names an arm that does not exist.
    pub fn has_unknown_arm(&self) -> bool {
        matches!(self, Self::Invalid(faults) if faults.iter().any(|fault| matches!(fault, PlanFault::UnknownArm { .. })))
    }

    /// One word for each kind of fault, for metrics.
    pub fn reasons(&self) -> Vec<&'static str> {
        match self {
            Self::Parse(error) => vec![error.reason()],
            Self::Invalid(faults) => {
                let mut reasons: Vec<_> = faults.iter().map(PlanFault::reason).collect();
                reasons.sort_unstable();
                reasons.dedup();
                reasons
            }
        }
    }
}

impl From<RejectedAnswer> for PlanError {
    fn from(rejected: RejectedAnswer) -> Self {
        match rejected {
            RejectedAnswer::Parse(error) => Self::Parse(error),
            RejectedAnswer::Invalid(faults) => Self::Invalid(faults),
        }
    }
}

/// Why no plan came out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlanError {
    /// No LLM gave an answer.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The LLM's answer cannot be read as a plan.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// The LLM's plan is not sound and has no one right repair.
    #[error("{}", sentences(.0))]
    Invalid(Vec<PlanFault>),
}

impl PlanError {
    /// Of two reasons the one that helps the caller more: an outage passes; what is wrong with an
    /// answer says more than that another model refused or had no time.
    #[must_use]
    pub fn best(first: Option<Self>, second: Self) -> Self {
        let Some(first) = first else { return second };
        match (first, second) {
            (Self::Llm(first), Self::Llm(second)) => Self::Llm(first.or_better(second)),
            (outage @ Self::Llm(LlmError::Unavailable { .. }), _) => outage,
            (answered, Self::Llm(LlmError::Refused(_) | LlmError::Deadline)) => answered,
            (_, second) => second,
        }
    }

    /// One word for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Llm(LlmError::Refused(failure)) => failure.as_str(),
            Self::Llm(LlmError::Unavailable { cause, .. }) => {
                cause.map_or("breaker_open", CallFailure::as_str)
            }
            Self::Llm(LlmError::Deadline) => "deadline",
            Self::Parse(_) => "unreadable",
            Self::Invalid(_) => "invalid",
        }
    }
}

fn sentences(faults: &[PlanFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        let said = error.to_string();
        match error {
            PlanError::Llm(LlmError::Refused(_)) => Self::new(ErrorCode::LlmFailed, sentence(&said)),
            PlanError::Llm(LlmError::Unavailable { retry_after, .. }) => {
                Self::new(ErrorCode::LlmUnavailable, sentence(&said)).retry_after(retry_after)
            }
            PlanError::Llm(LlmError::Deadline) => Self::new(
                ErrorCode::DeadlineExceeded,
                sentence(&format!("{said}; try again, or allow more with PLANNER_TIMEOUT_SECONDS")),
            ),
            PlanError::Parse(_) => {
                Self::new(ErrorCode::PlanInvalid, format!("The LLM answered, but not with a plan: {said}."))
            }
            PlanError::Invalid(faults) => {
                let errors = faults
                    .iter()
                    .map(|fault| FieldError { field: fault.field(), message: fault.to_string() })
                    .collect();
                let detail = format!("The LLM's plan is not sound: {said}.");
                Self::new(ErrorCode::PlanInvalid, detail).with_errors(errors)
            }
        }
    }
}

/// `text` with a capital at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}
