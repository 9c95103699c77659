//! From what an LLM said to a plan: read, mended and checked.

use std::sync::Arc;

use crate::domain::FieldError;
use crate::domain::arms::{Arm, ArmRegistry};
use crate::domain::faults::MOST_FAULTS;
use crate::llm::Completion;
use crate::telemetry::metrics::Metrics;

use super::PlanJob;
use super::draft::Draft;
use super::error::{ParseError, PlanFault, RejectedAnswer};
use super::normalize::{Asked, Plan, normalize_remaining_steps};
use super::parse::{self, Reading};
use super::prompts::Prompts;
use super::replan::{PlanProgress, normalize_remaining};
use crate::domain::PlanRules;

/// What a plan must be like, and what an answer is compared with.
pub(super) struct PlanValidator {
    pub(super) registry: Arc<ArmRegistry>,
    pub(super) rules: PlanRules,
    pub(super) prompts: Arc<Prompts>,
    /// With more arms than these, prompts carry the ones that fit a goal best.
    pub(super) max_prompt_arms: usize,
    pub(super) metrics: Arc<Metrics>,
}

impl PlanValidator {
    pub(super) fn new(
        registry: Arc<ArmRegistry>,
        rules: PlanRules,
        max_prompt_arms: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        registry.prepare();
        // With more arms than fit, these prompts only tell what an example is.
        let offered =
            registry.shortlist("", max_prompt_arms, |_| false).map_or_else(|| registry.clone(), Arc::new);
        let prompts = Arc::new(Prompts::new(&offered, &rules));
        Self { registry, rules, prompts, max_prompt_arms, metrics }
    }

    /// The prompts for `job`.
    pub(super) fn prompts_for(&self, job: &PlanJob) -> Arc<Prompts> {
        let is_in_use = |arm: &Arm| {
            let mut steps = job.progress.iter().flat_map(|progress| progress.steps());
            steps.any(|progress| progress.step.required_arm == arm.id)
        };
        match self.registry.shortlist(&job.request.goal, self.max_prompt_arms, is_in_use) {
            None => self.prompts.clone(),
            Some(offered) => Arc::new(Prompts::new(&Arc::new(offered), &self.rules)),
        }
    }

    /// The plan in an answer.
    pub(super) fn plan_in(
        &self,
        completion: &Completion,
        progress: Option<&PlanProgress>,
        asked: Asked,
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
        self.normalize(draft, progress, asked).map_err(RejectedAnswer::Invalid)
    }

    /// The plan in what somebody wrote down, or everything that is wrong with it.
    pub(super) fn validate(&self, written: &str) -> Result<Plan, Vec<FieldError>> {
        let draft = parse::read(written).map_err(|error| vec![error.for_author()])?.draft;
        self.normalize(draft, None, Asked::Once).map_err(|faults| {
            faults.iter().take(MOST_FAULTS).map(|fault| fault.for_author(&self.registry)).collect()
        })
    }

    /// The plan that is proposed, or of which the rest is.
    pub(super) fn normalize(
        &self,
        draft: Draft,
        progress: Option<&PlanProgress>,
        asked: Asked,
    ) -> Result<Plan, Vec<PlanFault>> {
        match progress {
            None => {
                normalize_remaining_steps(&[], &[], draft, Vec::new(), &self.registry, &self.rules, asked)
            }
            Some(progress) => normalize_remaining(draft, progress, &self.registry, &self.rules, asked),
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
