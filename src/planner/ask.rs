//! Asks one model for a plan, and again with the faults of its answer; the last prompt is a simpler one.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::domain::FindingOutcome;
use crate::domain::playbooks::PlaybookUse;
use crate::llm::fallback::{ModelSession, UsageTotals};
use crate::llm::{Completion, LlmError};

use super::critics::{Finding, Reviewed};
use super::error::{PlanError, PlanFault, RejectedAnswer};
use super::normalize::{Plan, Strictness};
use super::prompts::Prompts;
use super::step_stream::StepStream;
use super::validate::PlanValidator;
use super::{PlanJob, READERS, read_off_thread};

/// How often a model is asked again after an answer that is not a valid plan.
const MAX_REASKS: u32 = 2;

/// When a request began, and when it must be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestTime {
    began: Instant,
    deadline: Instant,
}

impl RequestTime {
    /// The time of a request that begins now.
    pub(super) fn until(deadline: Instant) -> Self {
        Self { began: Instant::now(), deadline }
    }

    /// Whether at least half of the time is left.
    fn is_early(&self) -> bool {
        let now = Instant::now();
        self.deadline.saturating_duration_since(now) >= now.saturating_duration_since(self.began)
    }

    /// The deadline for an optional further answer: a tenth of the time is kept, so that the plan that exists is
    /// returned in time.
    fn optional_deadline(&self) -> Instant {
        self.deadline - self.deadline.saturating_duration_since(self.began) / 10
    }
}

/// The prompts and answers of one model for one request.
pub(super) struct Dialogue<'a> {
    pub(super) session: ModelSession<'a>,
    pub(super) validator: &'a Arc<PlanValidator>,
    pub(super) prompts: &'a Prompts,
    pub(super) job: &'a PlanJob,
    pub(super) stream: Option<&'a StepStream>,
    pub(super) time: RequestTime,
}

impl Dialogue<'_> {
    /// The model's plan.
    pub(super) async fn plan(mut self, usage_totals: &mut UsageTotals) -> Result<Plan, PlanError> {
        let (job, prompts) = (self.job, self.prompts);
        let mut prompt = prompts.first(job);
        let mut asked_again = 0;
        // Whether it was asked again because of an arm that does not exist.
        let mut was_asked_about_arms = false;
        let mut asked_about_doubts = false;
        let mut reason: Option<PlanError> = None;
        loop {
            let completion = match self.session.ask(&prompt, usage_totals).await {
                Ok(completion) => completion,
                Err(error) => return Err(PlanError::best(reason, error.into())),
            };
            let can_ask_again = asked_again < MAX_REASKS && self.session.may_ask_again();
            let strictness =
                if can_ask_again && !asked_about_doubts { Strictness::Strict } else { Strictness::Lenient };
            let rejected =
                match self.plan_in(completion, strictness, was_asked_about_arms || !can_ask_again).await {
                    Ok(Reviewed { plan, soft }) => {
                        let may_ask = can_ask_again && self.time.is_early() && !soft.is_empty();
                        let plan = if may_ask { self.improved(plan, soft, usage_totals).await } else { plan };
                        // The simplified prompt has no playbook.
                        let guide = prompts.guide().filter(|_| asked_again < MAX_REASKS);
                        return Ok(plan.with_playbooks(guide.map(PlaybookUse::guided)));
                    }
                    Err(rejected) => rejected,
                };
            self.retract();
            if !can_ask_again {
                return Err(rejected.into());
            }
            asked_about_doubts |= rejected.is_about_doubts();
            self.record_reask(&rejected);
            asked_again += 1;
            was_asked_about_arms |= rejected.has_unknown_arm();
            reason = Some(rejected.clone().into());
            prompt = if asked_again == MAX_REASKS {
                prompts.simplified(job, &rejected)
            } else {
                prompts.reask(job, &rejected)
            };
        }
    }

    /// The plan of another answer, to a prompt with the critics' findings, if that is at least as good as `plan`.
    async fn improved(&mut self, plan: Plan, soft: Vec<Finding>, usage_totals: &mut UsageTotals) -> Plan {
        for finding in &soft {
            self.validator.metrics.record_finding(finding.code, FindingOutcome::AskedAgain);
        }
        let faults = soft.into_iter().map(|finding| PlanFault::Criticized(Box::new(finding))).collect();
        let criticized = RejectedAnswer::Invalid(faults);
        self.record_reask(&criticized);
        self.retract();
        let prompt = self.prompts.reask(self.job, &criticized);
        let answer = timeout_at(self.time.optional_deadline(), self.session.ask(&prompt, usage_totals)).await;
        let completion = answer.unwrap_or(Err(LlmError::Deadline));
        let better = match completion {
            Ok(completion) => self.plan_in(completion, Strictness::Lenient, false).await.ok(),
            Err(_) => None,
        };
        match better.map(|reviewed| reviewed.plan) {
            Some(better) if better.warnings().len() <= plan.warnings().len() => better,
            _ => {
                self.retract();
                plan
            }
        }
    }

    /// Reads, repairs and checks an answer.
    async fn plan_in(
        &self,
        completion: Completion,
        strictness: Strictness,
        guesses_arms: bool,
    ) -> Result<Reviewed, RejectedAnswer> {
        let length =
            completion.content.len() + completion.alternatives.iter().map(String::len).sum::<usize>();
        let (validator, job) = (self.validator.clone(), self.job.clone());
        let read = move || validator.plan_in(&completion, &job, strictness, guesses_arms);
        read_off_thread(&READERS, length, read).await
    }

    /// Starts the stream of steps again, as the answer is not used.
    fn retract(&self) {
        if let Some(stream) = self.stream {
            stream.retract();
        }
    }

    fn record_reask(&self, rejected: &RejectedAnswer) {
        let reasons = rejected.reasons();
        warn!(model = %self.session.model(), reasons = reasons.join(","), "the LLM is asked again");
        self.validator.metrics.record_reask(&reasons);
    }
}
