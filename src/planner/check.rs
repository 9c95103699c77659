//! From what an LLM said to a plan: read, mended and checked.

use std::sync::Arc;

use crate::llm::Completion;
use crate::metrics::Metrics;
use crate::models::FieldError;
use crate::models::fields::MOST_FAULTS;
use crate::registry::ArmRegistry;

use super::draft::Draft;
use super::error::{PlanFault, Unfit, Unreadable};
use super::parse::{self, Reading};
use super::prompts::Prompts;
use super::repair::{Plan, PlanRules, settle};
use super::replan::{Past, settle_rest};

/// What a plan must be like, and what an answer is compared with.
pub(super) struct Checker {
    pub(super) registry: Arc<ArmRegistry>,
    pub(super) rules: PlanRules,
    pub(super) prompts: Arc<Prompts>,
    pub(super) metrics: Arc<Metrics>,
}

impl Checker {
    /// The plan in an answer.
    pub(super) fn plan_in(&self, completion: &Completion, past: Option<&Past>) -> Result<Plan, Unfit> {
        let read = read(completion);
        self.metrics.parsed(match &read {
            Ok(reading) if reading.is_strict => "strict",
            Ok(_) => "tolerant",
            Err(_) => "failed",
        });
        let draft = read.map_err(Unfit::Unreadable)?.draft;
        if self.prompts.is_example(&draft) {
            return Err(Unfit::Unreadable(Unreadable::Example));
        }
        self.settle(draft, past).map_err(Unfit::Unsound)
    }

    /// The plan in what somebody wrote down, or everything that is wrong with it.
    pub(super) fn validate(&self, written: &str) -> Result<Plan, Vec<FieldError>> {
        let draft = parse::read(written).map_err(|unreadable| vec![unreadable.for_author()])?.draft;
        self.settle(draft, None).map_err(|faults| {
            faults.iter().take(MOST_FAULTS).map(|fault| fault.for_author(&self.registry)).collect()
        })
    }

    /// The plan that is proposed, or of which the rest is.
    pub(super) fn settle(&self, draft: Draft, past: Option<&Past>) -> Result<Plan, Vec<PlanFault>> {
        match past {
            None => settle(draft, &self.registry, &self.rules),
            Some(past) => settle_rest(draft, past, &self.registry, &self.rules),
        }
    }

    /// The rules for what an engine proposes.
    pub(super) fn rules_for(&self, past: Option<&Past>) -> PlanRules {
        past.map_or_else(|| self.rules.clone(), |past| past.rules(&self.rules, &self.registry))
    }
}

/// The plan in the first of an answer's texts that holds one.
fn read(completion: &Completion) -> Result<Reading, Unreadable> {
    if completion.truncated {
        // Even where its JSON happens to be whole, what was to follow is missing.
        return Err(Unreadable::Truncated);
    }
    parse::read(&completion.content)
        .or_else(|why| completion.alternatives.iter().find_map(|text| parse::read(text).ok()).ok_or(why))
}
