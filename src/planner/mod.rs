//! The planner: prompt, LLM, parse, repair, check, estimate.
//!
//! Nothing here knows HTTP. [`PlannerArm::generate_plan`] is the whole recipe.

mod arm_sets;
pub mod draft;
pub mod error;
pub mod estimate;
mod faults;
pub mod graph;
pub mod normalize;
pub mod parse;
pub mod playbooks;
pub mod promises;
pub mod prompts;
pub mod replan;
pub mod serialized;
mod step_stream;
mod validate;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tracing::{trace, warn};

use crate::domain::arms::{ArmChoice, ArmRegistry};
use crate::domain::{
    EMBEDDED_MODEL, EngineKind, FieldError, PlanRequest, PlanResponse, PlanRules, Repair, SubTask,
};
use crate::llm::fallback::{ModelSession, UsageTotals};
use crate::llm::{Completion, FallbackChain, LlmError, StreamObserver};
use crate::telemetry::metrics::Metrics;

use arm_sets::{ArmSet, ArmSets};
use error::{PlanError, RejectedAnswer};
use normalize::{Plan, Strictness};
use playbooks::EmbeddedPlanner;
use prompts::Prompts;
use replan::PlanProgress;
use step_stream::StepStream;
use validate::PlanValidator;

/// Longer answers are read on a thread of their own, in bytes; even hostile ones of this length take 2 ms.
const MAX_READ_IN_PLACE: usize = 12 * 1024;
/// So many at once, so that a flood of them does not take the processors from all else.
static READERS: Semaphore = Semaphore::const_new(4);
/// The same for plans that are only validated, so that these do not delay answers of LLMs.
static VALIDATION_READERS: Semaphore = Semaphore::const_new(2);

/// How often a model is asked again after an answer that is not a valid plan.
const MAX_REASKS: u32 = 2;

/// What answers a request.
pub enum Engine {
    /// LLMs, and when none answers, perhaps the embedded planner.
    Llm {
        /// The models in order.
        chain: FallbackChain,
        /// What answers when every model has failed.
        fallback: Option<EmbeddedPlanner>,
    },
    /// Rules alone.
    Embedded(EmbeddedPlanner),
}

/// Makes valid plans.
pub struct PlannerArm {
    arms: ArmSets,
    engine: Engine,
}

/// What is to be planned.
#[derive(Debug, Clone)]
pub struct PlanJob {
    /// What the plan is for.
    pub request: PlanRequest,
    /// The plan whose remaining steps are wanted; `None` for a plan from the start.
    pub progress: Option<Arc<PlanProgress>>,
}

impl From<PlanRequest> for PlanJob {
    fn from(request: PlanRequest) -> Self {
        Self { request, progress: None }
    }
}

/// Where a plan, or its absence, comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Who answered, or was asked last.
    pub engine: EngineKind,
    /// Its model.
    pub model: Arc<str>,
    /// Calls to LLMs on the way, their tokens and their cost.
    pub usage_totals: UsageTotals,
}

impl PlannerArm {
    /// A planner for the arms of `registry`.
    pub fn new(registry: Arc<ArmRegistry>, rules: PlanRules, engine: Engine, metrics: Arc<Metrics>) -> Self {
        if let Engine::Llm { chain, fallback } = &engine {
            let others = chain.breakers().skip(1).map(|(model, _)| model);
            others
                .chain(fallback.as_ref().map(|_| EMBEDDED_MODEL))
                .for_each(|to| metrics.register_fallback(to));
        }
        Self { arms: ArmSets::new(registry, rules, metrics), engine }
    }

    /// The same planner, whose prompts carry at most so many arms, and further ones only if they verify.
    #[must_use]
    pub fn with_max_prompt_arms(self, most: usize) -> Self {
        Self { arms: self.arms.with_max_prompt_arms(most), ..self }
    }

    /// The arms that steps can be given to.
    pub fn registry(&self) -> &ArmRegistry {
        &self.arms.default_set().validator.registry
    }

    /// What every plan must keep to.
    pub fn rules(&self) -> &PlanRules {
        &self.arms.default_set().validator.rules
    }

    /// The model that answers when all is well.
    pub fn model(&self) -> Arc<str> {
        match &self.engine {
            Engine::Llm { chain, .. } => chain.first_model().clone(),
            Engine::Embedded(_) => EMBEDDED_MODEL.into(),
        }
    }

    /// Who answers when all is well.
    pub fn origin(&self) -> Origin {
        let engine = match &self.engine {
            Engine::Llm { .. } => EngineKind::OpenAi,
            Engine::Embedded(_) => EngineKind::Embedded,
        };
        Origin { engine, model: self.model(), usage_totals: UsageTotals::default() }
    }

    /// All that plans depend on beside the request, as a text that differs when any of it does.
    pub fn setting(&self) -> String {
        let PlanValidator { registry, rules, prompts, max_prompt_arms, .. } =
            &*self.arms.default_set().validator;
        format!("{:?} {rules:?} {max_prompt_arms} {registry:?} {prompts:?}", self.origin())
    }

    /// A plan for `request` that comes from elsewhere, if it keeps every promise as it is; with the repairs of its
    /// making.
    pub async fn check_again(
        &self,
        request: &PlanRequest,
        response: PlanResponse,
        repairs: Vec<Repair>,
    ) -> Option<Plan> {
        let steps = response.plan.clone();
        let set = self.arms.set(request.arms.as_deref()).await;
        let plan = set.validator.normalize(response.into(), None).ok()?;
        (plan.repairs().is_empty() && plan.steps() == steps).then(|| plan.with_repairs(repairs))
    }

    /// The plan that somebody wrote down, repaired where that has one right answer, or everything that is wrong
    /// with it. `proposal` is a [`PlanResponse`] in JSON, or whatever an LLM may answer: other names for keys,
    /// wrappers, prose around it. No LLM is asked. With `arms`, which have no fault, it is a plan for these.
    ///
    /// # Errors
    /// Each fault with its field, as `plan[2].depends_on`, and what to do about it.
    pub async fn validate(
        &self,
        proposal: String,
        arms: Option<&[ArmChoice]>,
    ) -> Result<Plan, Vec<FieldError>> {
        let validator = self.arms.set(arms).await.validator.clone();
        read_aside(&VALIDATION_READERS, proposal.len(), move || validator.validate(&proposal)).await
    }

    /// Whether the engine is believed to answer.
    pub fn is_healthy(&self) -> bool {
        match &self.engine {
            Engine::Llm { chain, .. } => chain.is_healthy(),
            Engine::Embedded(_) => true,
        }
    }

    /// Updates the gauges that are read rather than counted.
    pub fn update_gauges(&self) {
        if let Engine::Llm { chain, .. } = &self.engine {
            for (model, state) in chain.breakers() {
                self.arms.metrics().set_breaker_state(model, state as i64);
            }
        }
    }

    /// Makes a plan for `job`, by `deadline` at the latest. The origin is known either way.
    ///
    /// Each step is sent to `steps` as soon as it is written. These are a preview: when an answer is rejected, the
    /// steps of another follow, from the first. Once a plan is made, each of its steps has been sent since then, the
    /// last ones in their final form where the LLM did not write them so.
    pub async fn generate_plan(
        &self,
        job: &PlanJob,
        deadline: Instant,
        steps: Option<&UnboundedSender<SubTask>>,
    ) -> (Origin, Result<Plan, PlanError>) {
        let set = self.arms.set(job.request.arms.as_deref()).await;
        let Some(steps) = steps else { return self.make(&set, job, deadline, None).await };
        let validator = &set.validator;
        let (registry, prompts) = (validator.registry.clone(), validator.prompts.clone());
        let progress = job.progress.as_deref();
        let max_steps = validator.rules_for(progress).max_steps;
        let done = progress.map(|progress| progress.done().to_vec()).unwrap_or_default();
        let stream = Arc::new(StepStream::new(registry, prompts, max_steps, done, steps.clone()));
        let (origin, result) = self.make(&set, job, deadline, Some(&stream)).await;
        if let Ok(plan) = &result {
            stream.complete(plan.steps());
        }
        (origin, result)
    }

    async fn make(
        &self,
        set: &ArmSet,
        job: &PlanJob,
        deadline: Instant,
        stream: Option<&Arc<StepStream>>,
    ) -> (Origin, Result<Plan, PlanError>) {
        trace!(goal = job.request.goal, "planning");
        let (origin, result) = match &self.engine {
            Engine::Embedded(embedded) => plan_by_rules(embedded, set, job, UsageTotals::default()),
            Engine::Llm { chain, fallback } => {
                match (self.plan_by_llms(chain, set, job, deadline, stream).await, fallback) {
                    ((origin, Err(error)), Some(embedded)) => {
                        warn!(reason = error.reason(), "no LLM gave a plan; the embedded planner answers");
                        self.arms.metrics().record_fallback(EMBEDDED_MODEL);
                        plan_by_rules(embedded, set, job, origin.usage_totals)
                    }
                    (answered, _) => answered,
                }
            }
        };
        match &result {
            Ok(plan) => {
                self.arms
                    .metrics()
                    .record_plan(plan.steps().len(), plan.repairs().iter().map(|repair| repair.code));
            }
            Err(error) => warn!(reason = error.reason(), "no plan"),
        }
        (origin, result)
    }

    /// Asks the models in order until one gives a plan.
    async fn plan_by_llms(
        &self,
        chain: &FallbackChain,
        set: &ArmSet,
        job: &PlanJob,
        deadline: Instant,
        stream: Option<&Arc<StepStream>>,
    ) -> (Origin, Result<Plan, PlanError>) {
        let mut origin = self.origin();
        let mut reason: Option<PlanError> = None;
        let prompts = set.validator.prompts_for(job);
        for session in chain.sessions(deadline) {
            origin.model.clone_from(session.model());
            match self
                .plan_by_llm(session, (&set.validator, &prompts), job, &mut origin.usage_totals, stream)
                .await
            {
                Ok(plan) => {
                    if origin.model != *chain.first_model() {
                        self.arms.metrics().record_fallback(&origin.model);
                    }
                    return (origin, Ok(plan));
                }
                Err(error) => reason = Some(PlanError::best(reason, error)),
            }
        }
        let reason =
            reason.unwrap_or(PlanError::Llm(LlmError::Unavailable { cause: None, retry_after: None }));
        (origin, Err(reason))
    }

    /// Asks one model for a plan, and again with the faults of what it answers: at last more simply.
    async fn plan_by_llm(
        &self,
        session: ModelSession<'_>,
        (validator, prompts): (&Arc<PlanValidator>, &Prompts),
        job: &PlanJob,
        usage_totals: &mut UsageTotals,
        stream: Option<&Arc<StepStream>>,
    ) -> Result<Plan, PlanError> {
        let mut session = session.observed_by(stream.map(|stream| stream.clone() as Arc<dyn StreamObserver>));
        let mut prompt = prompts.first(job);
        let mut asked_again = 0;
        // Whether it was told of an arm that does not exist.
        let mut insists = false;
        let mut asked_about_doubts = false;
        let mut reason: Option<PlanError> = None;
        loop {
            let completion = match session.ask(&prompt, usage_totals).await {
                Ok(completion) => completion,
                Err(error) => return Err(PlanError::best(reason, error.into())),
            };
            let can_ask_again = asked_again < MAX_REASKS && session.may_ask_again();
            let strictness =
                if can_ask_again && !asked_about_doubts { Strictness::Strict } else { Strictness::Lenient };
            let guesses_arms = insists || !can_ask_again;
            let progress = job.progress.as_ref();
            let rejected = match plan_in(validator, completion, progress, strictness, guesses_arms).await {
                Ok(plan) => return Ok(plan),
                Err(rejected) => rejected,
            };
            if let Some(stream) = stream {
                stream.retract();
            }
            if !can_ask_again {
                return Err(rejected.into());
            }
            asked_about_doubts |= rejected.is_about_doubts();
            let reasons = rejected.reasons();
            warn!(model = %session.model(), reasons = reasons.join(","), "the LLM is asked again");
            self.arms.metrics().record_reask(&reasons);
            asked_again += 1;
            insists |= rejected.has_unknown_arm();
            reason = Some(rejected.clone().into());
            prompt = if asked_again == MAX_REASKS {
                prompts.simplified(job, &rejected)
            } else {
                prompts.reask(job, &rejected)
            };
        }
    }
}

fn plan_by_rules(
    embedded: &EmbeddedPlanner,
    set: &ArmSet,
    job: &PlanJob,
    usage_totals: UsageTotals,
) -> (Origin, Result<Plan, PlanError>) {
    let origin = Origin { engine: EngineKind::Embedded, model: EMBEDDED_MODEL.into(), usage_totals };
    let progress = job.progress.as_deref();
    let embedded = set.embedded(embedded);
    let draft = match progress {
        None => embedded.propose(&job.request),
        Some(progress) => embedded.propose_rest(&job.request, progress),
    };
    let plan = set.validator.normalize(draft, progress);
    (origin, plan.map_err(PlanError::Invalid))
}

/// Reads, repairs and checks what an LLM said.
async fn plan_in(
    validator: &Arc<PlanValidator>,
    completion: Completion,
    progress: Option<&Arc<PlanProgress>>,
    strictness: Strictness,
    guesses_arms: bool,
) -> Result<Plan, RejectedAnswer> {
    let length = completion.content.len() + completion.alternatives.iter().map(String::len).sum::<usize>();
    let (validator, progress) = (validator.clone(), progress.cloned());
    let read = move || validator.plan_in(&completion, progress.as_deref(), strictness, guesses_arms);
    read_aside(&READERS, length, read).await
}

/// Reads what is `length` bytes long: if that is much, on a thread of its own, since others wait.
async fn read_aside<T: Send + 'static>(
    readers: &'static Semaphore,
    length: usize,
    read: impl FnOnce() -> T + Send + 'static,
) -> T {
    if length <= MAX_READ_IN_PLACE {
        return read();
    }
    let reader = readers.acquire().await;
    let reading = tokio::task::spawn_blocking(move || {
        let _reader = reader;
        read()
    });
    reading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
