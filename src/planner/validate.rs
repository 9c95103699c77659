//! From what an LLM said to a plan: read, mended and checked.

use std::sync::Arc;

use crate::domain::FieldError;
use crate::domain::arms::ArmRegistry;
use crate::domain::faults::MOST_FAULTS;
use crate::llm::Completion;
use crate::telemetry::metrics::Metrics;

use super::draft::Draft;
use super::error::{ParseError, PlanFault, RejectedAnswer};
use super::normalize::{Plan, normalize};
use super::parse::{self, Reading};
use super::prompts::Prompts;
use super::replan::{PlanProgress, normalize_remaining};
use crate::domain::PlanRules;

/// What a plan must be like, and what an answer is compared with.
pub(super) struct PlanValidator {
    pub(super) registry: Arc<ArmRegistry>,
    pub(super) rules: PlanRules,
    pub(super) prompts: Arc<Prompts>,
    pub(super) metrics: Arc<Metrics>,
}

impl PlanValidator {
    /// The plan in an answer.
    pub(super) fn plan_in(
        &self,
        completion: &Completion,
        progress: Option<&PlanProgress>,
    ) -> Result<Plan, RejectedAnswer> {
        let read = read(completion);
        self.metrics.record_parse(match &read {
            Ok(reading) if reading.is_strict => "strict",
            Ok(_) => "tolerant",
            Err(_) => "failed",
        });
        let draft = read.map_err(RejectedAnswer::Parse)?.draft;
        if self.prompts.is_example(&draft) {
            return Err(RejectedAnswer::Parse(ParseError::Example));
        }
        self.normalize(draft, progress).map_err(RejectedAnswer::Invalid)
    }

    /// The plan in what somebody wrote down, or everything that is wrong with it.
    pub(super) fn validate(&self, written: &str) -> Result<Plan, Vec<FieldError>> {
        let draft = parse::read(written).map_err(|error| vec![error.for_author()])?.draft;
        self.normalize(draft, None).map_err(|faults| {
            faults.iter().take(MOST_FAULTS).map(|fault| fault.for_author(&self.registry)).collect()
        })
    }

    /// The plan that is proposed, or of which the rest is.
    pub(super) fn normalize(
        &self,
        draft: Draft,
        progress: Option<&PlanProgress>,
    ) -> Result<Plan, Vec<PlanFault>> {
        match progress {
            None => normalize(draft, &self.registry, &self.rules),
            Some(progress) => normalize_remaining(draft, progress, &self.registry, &self.rules),
        }
    }

    /// The rules for what an engine proposes.
    pub(super) fn rules_for(&self, progress: Option<&PlanProgress>) -> PlanRules {
        progress.map_or_else(|| self.rules.clone(), |progress| progress.rules(&self.rules, &self.registry))
    }
}

/// The plan in the first of an answer's texts that holds one.
fn read(completion: &Completion) -> Result<Reading, ParseError> {
    if completion.truncated {
        // Even where its JSON happens to be whole, what was to follow is missing.
        return Err(ParseError::Truncated);
    }
    parse::read(&completion.content)
        .or_else(|why| completion.alternatives.iter().find_map(|text| parse::read(text).ok()).ok_or(why))
}
