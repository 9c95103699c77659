//! From an LLM's answer to a plan: read, repaired and checked.

use std::sync::Arc;

use crate::domain::arms::{Arm, ArmRegistry};
use crate::domain::faults::MAX_FAULTS;
use crate::domain::{FieldError, PlanRequest};
use crate::llm::Completion;
use crate::telemetry::metrics::Metrics;

use super::PlanJob;
use super::critics::{Critics, Findings, Reviewed};
use super::draft::Draft;
use super::error::{ParseError, PlanFault, RejectedAnswer};
use super::normalize::{Plan, ProposalContext, Strictness, normalize_in_context};
use super::parse::{self, Reading};
use super::prompts::Prompts;
use super::replan::{PlanProgress, normalize_remaining_steps};
use crate::domain::PlanRules;

/// What a plan must be like, and what an answer is compared with.
#[derive(Clone)]
pub(super) struct PlanValidator {
    pub(super) registry: Arc<ArmRegistry>,
    pub(super) rules: PlanRules,
    pub(super) prompts: Arc<Prompts>,
    /// With more arms than these, prompts carry the ones that fit a goal best.
    pub(super) max_prompt_arms: usize,
    pub(super) critics: Critics,
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
        let critics = Critics::default();
        let prompts = usual_prompts(&registry, &rules, max_prompt_arms, &critics);
        Self { registry, rules, prompts, max_prompt_arms, critics, metrics }
    }

    pub(super) fn with_critics(self, critics: Critics) -> Self {
        let prompts = usual_prompts(&self.registry, &self.rules, self.max_prompt_arms, &critics);
        Self { prompts, critics, ..self }
    }

    /// The prompts for `job`.
    pub(super) fn prompts_for(&self, job: &PlanJob) -> Arc<Prompts> {
        let is_in_use = |arm: &Arm| {
            let mut steps = job.progress.iter().flat_map(|progress| progress.steps());
            steps.any(|progress| progress.step.required_arm == arm.id)
        };
        let shortlist = self.registry.shortlist(&job.request.goal, self.max_prompt_arms, is_in_use);
        match (shortlist, job.request.budget) {
            (None, None) => self.prompts.clone(),
            (offered, budget) => {
                let offered = offered.map_or_else(|| self.registry.clone(), Arc::new);
                let prompts = Prompts::within(&offered, &self.rules, budget.unwrap_or_default());
                Arc::new(prompts.with_rules(&self.critics.stated()))
            }
        }
    }

    /// The plan in an answer.
    pub(super) fn plan_in(
        &self,
        completion: &Completion,
        job: &PlanJob,
        strictness: Strictness,
        guesses_arms: bool,
    ) -> Result<Reviewed, RejectedAnswer> {
        let read = self.read(completion);
        self.metrics.record_parse(match &read {
            Ok(reading) if reading.is_strict => "strict",
            Ok(_) => "tolerant",
            Err(_) => "failed",
        });
        let Reading { draft, doubts, .. } = read.map_err(RejectedAnswer::Parse)?;
        if self.prompts.is_example(&draft) {
            return Err(RejectedAnswer::Parse(ParseError::Example));
        }
        let context = ProposalContext { doubts, strictness, guesses_arms, ..ProposalContext::default() };
        self.reviewed(context, draft, &job.request, job.progress.as_deref()).map_err(RejectedAnswer::Invalid)
    }

    /// The plan in the given text, or everything that is wrong with it.
    pub(super) fn validate(&self, written: &str, request: &PlanRequest) -> Result<Plan, Vec<FieldError>> {
        let reading =
            parse::read_for(written, &self.registry).map_err(|error| vec![error.for_author(written)])?;
        let context = ProposalContext { doubts: reading.doubts, ..ProposalContext::default() };
        match self.reviewed(context, reading.draft, request, None) {
            Ok(reviewed) => Ok(reviewed.plan),
            Err(faults) => {
                Err(faults.iter().take(MAX_FAULTS).map(|fault| fault.for_author(&self.registry)).collect())
            }
        }
    }

    /// The plan in the draft of an engine that leaves nothing open: a whole plan, or the rest of one in `progress`.
    pub(super) fn normalize(
        &self,
        draft: Draft,
        request: &PlanRequest,
        progress: Option<&PlanProgress>,
    ) -> Result<Plan, Vec<PlanFault>> {
        self.reviewed(ProposalContext::default(), draft, request, progress).map(|reviewed| reviewed.plan)
    }

    /// The plan made from a proposal, with the critics' findings.
    fn reviewed(
        &self,
        context: ProposalContext<'_>,
        draft: Draft,
        request: &PlanRequest,
        progress: Option<&PlanProgress>,
    ) -> Result<Reviewed, Vec<PlanFault>> {
        let budget = request.budget.unwrap_or_default();
        let context = ProposalContext { budget, ..context };
        let plan = match progress {
            None => normalize_in_context(context, draft, &self.registry, &budget.within(&self.rules)),
            Some(progress) => {
                normalize_remaining_steps(context, draft, progress, &self.registry, &self.rules)
            }
        }?;
        let done = progress.map_or(&[][..], PlanProgress::done);
        let Findings { hard, soft, warnings } = self.critics.review(request, &plan, done, &self.registry);
        if hard.is_empty() {
            return Ok(Reviewed { plan: plan.warned(warnings), soft });
        }
        Err(hard.into_iter().map(|finding| PlanFault::Criticized(Box::new(finding))).collect())
    }

    /// The rules for what an engine proposes.
    pub(super) fn rules_for(&self, request: &PlanRequest, progress: Option<&PlanProgress>) -> PlanRules {
        let budget = request.budget.unwrap_or_default();
        progress.map_or_else(
            || budget.within(&self.rules),
            |progress| progress.rules(&self.rules, &self.registry),
        )
    }

    /// The plan in an answer's texts.
    fn read(&self, completion: &Completion) -> Result<Reading, ParseError> {
        if completion.truncated {
            // Even where its JSON happens to be whole, what was to follow is missing.
            return Err(ParseError::Truncated);
        }
        let first = completion.content.as_str();
        if completion.alternatives.is_empty() {
            return parse::read_for(first, &self.registry);
        }
        let texts: Vec<&str> =
            std::iter::once(first).chain(completion.alternatives.iter().map(String::as_str)).collect();
        parse::read_several(&texts, &self.registry)
    }
}

/// The prompts for any goal. With more arms than fit, they only tell what an example is.
fn usual_prompts(
    registry: &Arc<ArmRegistry>,
    rules: &PlanRules,
    most: usize,
    critics: &Critics,
) -> Arc<Prompts> {
    let offered = registry.shortlist("", most, |_| false).map_or_else(|| registry.clone(), Arc::new);
    Arc::new(Prompts::new(&offered, rules).with_rules(&critics.stated()).prepared())
}
