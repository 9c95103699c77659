//! Why there is no plan.

use std::collections::HashSet;

use crate::domain::FieldError;
use crate::domain::problem::{ErrorCode, Problem};
use crate::llm::LlmError;
use crate::text::sentence;

pub use super::faults::{PlanFault, StepRef};
pub(super) use super::faults::{list, missing, steps};

/// Why an LLM's answer is not a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but white space.
    #[error("the answer is empty")]
    Empty,
    /// The answer ended at the token limit, or somewhere else before the end of its steps.
    #[error("the answer was cut off before its end; raise PLANNER_MAX_TOKENS")]
    Truncated,
    /// Steps whose beginning (the first ones, or part of the first one) is missing.
    #[error("the beginning of the answer is missing")]
    NoBeginning,
    /// No JSON in it.
    #[error("the answer contains no JSON that can be parsed")]
    NotJson,
    /// The example that the prompt gave.
    #[error("the answer is the example of the prompt")]
    Example,
    /// JSON, and no list of steps in it.
    #[error("the answer's JSON contains no list of steps")]
    NoSteps,
}

impl ParseError {
    /// One word for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::NoBeginning => "no_beginning",
            Self::NotJson => "not_json",
            Self::Example => "example",
            Self::NoSteps => "no_steps",
        }
    }

    /// The same about a plan submitted as `text`, worded for its author.
    pub(super) fn for_author(self, text: &str) -> FieldError {
        let fault = || json_fault(text).map(|fault| format!(" ({fault})")).unwrap_or_default();
        FieldError::new(
            "body",
            match self {
                Self::Empty => "is empty; send a plan".to_owned(),
                Self::Truncated => {
                    format!("ends before its last step does{}; send the whole plan", fault())
                }
                Self::NoBeginning => "begins in the middle of a plan; send the whole plan".to_owned(),
                Self::NotJson => format!(
                    "contains a plan that cannot be parsed{}; send it as JSON, with every step complete",
                    fault()
                ),
                Self::Example | Self::NoSteps => {
                    "contains no list of steps; send an object with the steps under `plan`".to_owned()
                }
            },
        )
    }
}

/// The first thing that is wrong with the first JSON in `text`: `line 3, column 7: expected value`. Nothing of the text
/// is in it.
fn json_fault(text: &str) -> Option<String> {
    // A plan may be submitted as a JSON string.
    let unquoted = serde_json::from_str::<String>(text).ok();
    let text = unquoted.as_deref().unwrap_or(text);
    let (before, json) = text.split_at(text.find(['{', '['])?);
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<serde::de::IgnoredAny>();
    let error = values.next()?.err()?;
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let indent = if error.line() == 1 { before[line_start..].chars().count() } else { 0 };
    let (line, column) = (before.matches('\n').count() + error.line(), indent + error.column());
    let said = error.to_string();
    let what = said.split_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    Some(format!("line {line}, column {column}: {what}"))
}

/// Why an LLM's answer did not become a plan: what the LLM is told when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectedAnswer {
    /// It cannot be read as a plan.
    Parse(ParseError),
    /// Its plan is invalid, and nothing repairs it in one right way.
    Invalid(Vec<PlanFault>),
}

impl RejectedAnswer {
    /// Whether it names an arm that does not exist.
    pub fn has_unknown_arm(&self) -> bool {
        matches!(self, Self::Invalid(faults) if faults.iter().any(|fault| matches!(fault, PlanFault::UnknownArm { .. })))
    }

    /// Whether the LLM will be asked about something that could also be assumed.
    pub(super) fn is_about_doubts(&self) -> bool {
        matches!(self, Self::Invalid(faults) if faults.iter().any(PlanFault::is_doubt))
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

/// Why there is no plan.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PlanError {
    /// No LLM gave an answer.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The LLM's answer cannot be read as a plan.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// The LLM's plan is invalid, and nothing repairs it in one right way.
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
            Self::Llm(LlmError::Refused(error)) => error.failure.as_str(),
            Self::Llm(LlmError::Unavailable { cause, .. }) => {
                cause.as_ref().map_or("breaker_open", |error| error.failure.as_str())
            }
            Self::Llm(LlmError::BudgetExhausted { .. }) => "budget_exhausted",
            Self::Llm(LlmError::Deadline) => "deadline",
            Self::Parse(_) => "unreadable",
            Self::Invalid(_) => "invalid",
        }
    }
}

/// All of them, each once: several steps may break one policy.
fn sentences(faults: &[PlanFault]) -> String {
    let mut sentences: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let mut known = HashSet::new();
    sentences.retain(|sentence| known.insert(sentence.clone()));
    sentences.join("; ")
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        let message = error.to_string();
        let upstream = match &error {
            PlanError::Llm(error) => error.upstream().map(|upstream| upstream.answer.clone()),
            PlanError::Parse(_) | PlanError::Invalid(_) => None,
        };
        Self::of(error, &message).with_upstream(upstream)
    }
}

impl Problem {
    fn of(error: PlanError, message: &str) -> Self {
        match error {
            PlanError::Llm(LlmError::Refused(_)) => Self::new(ErrorCode::LlmFailed, sentence(message)),
            PlanError::Llm(LlmError::Unavailable { retry_after, .. }) => {
                Self::new(ErrorCode::LlmUnavailable, sentence(message)).retry_after(retry_after)
            }
            PlanError::Llm(LlmError::BudgetExhausted { retry_after }) => {
                Self::new(ErrorCode::BudgetExhausted, sentence(message)).retry_after(retry_after)
            }
            PlanError::Llm(LlmError::Deadline) => Self::new(
                ErrorCode::DeadlineExceeded,
                sentence(&format!("{message}; retry, or allow more time with PLANNER_TIMEOUT_SECONDS")),
            ),
            PlanError::Parse(_) => Self::new(
                ErrorCode::PlanInvalid,
                format!("The LLM answered, but not with a plan: {message}."),
            ),
            PlanError::Invalid(faults) => {
                let errors = faults
                    .iter()
                    .map(|fault| FieldError { field: fault.field(), message: fault.to_string() })
                    .collect();
                let detail = format!("The LLM's plan is invalid: {message}.");
                Self::new(ErrorCode::PlanInvalid, detail).with_errors(errors)
            }
        }
    }
}
