//! The planner: prompt, LLM, parse, repair, check, estimate.
//!
//! Nothing here knows HTTP. [`PlannerArm::generate_plan`] is the whole recipe.

mod arm_sets;
mod ask;
mod budget;
pub mod critics;
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

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tracing::{trace, warn};

use crate::domain::arms::ArmRegistry;
use crate::domain::playbooks::{Library, PlaybookUse};
use crate::domain::{
    EMBEDDED_MODEL, EngineKind, FieldError, FindingOutcome, Installation, InvalidRequest, PlanRequest,
    PlanResponse, PlanRules, SubTask,
};
use crate::llm::fallback::UsageTotals;
use crate::llm::{FallbackChain, LlmError, StreamObserver};
use crate::telemetry::metrics::Metrics;

pub use arm_sets::ArmsVersion;
use arm_sets::{ArmSet, ArmSets, SharedSettings};
use ask::{Dialogue, RequestTime};
use critics::Critics;
use error::PlanError;
use normalize::{Plan, PlanDetails};
use playbooks::Proposal;
use prompts::Guide;
use replan::PlanProgress;
use step_stream::StepStream;

/// Longer answers are read on a thread of their own, in bytes; even malicious ones of this length take 2 ms.
const MAX_READ_IN_PLACE: usize = 12 * 1024;
/// Maximum number at once, so that a flood of them does not starve other work.
static READERS: Semaphore = Semaphore::const_new(4);
/// The same for plans that are only validated, so that these do not delay answers of LLMs.
static VALIDATION_READERS: Semaphore = Semaphore::const_new(2);

/// What answers a request.
pub enum Engine {
    /// LLMs, and when none answers, perhaps the embedded planner.
    Llm {
        /// The models in order.
        chain: FallbackChain,
        /// Whether the embedded planner answers when every model has failed.
        fallback: bool,
    },
    /// Playbooks alone.
    Embedded,
}

/// Makes valid plans.
pub struct PlannerArm {
    arms: ArmSets,
    engine: Engine,
    playbooks: Arc<Library>,
    /// The playbooks as prompts have them.
    guides: HashMap<String, Arc<Guide>>,
}

/// What to plan.
#[derive(Debug, Clone)]
pub struct PlanJob {
    /// What the plan is for.
    pub request: PlanRequest,
    /// The plan to replan; `None` for a plan from the start.
    pub progress: Option<Arc<PlanProgress>>,
    /// Whether the LLM is asked for open questions.
    pub asks_questions: bool,
}

/// How a body becomes a job: [`PlannerArm::read_request`] or [`PlannerArm::read_replan`].
pub(crate) type ReadJob = fn(&PlannerArm, &[u8]) -> Result<PlanJob, InvalidRequest>;

impl From<PlanRequest> for PlanJob {
    fn from(request: PlanRequest) -> Self {
        Self { request, progress: None, asks_questions: false }
    }
}

/// Where a plan, or its absence, comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Who answered, or was asked last.
    pub engine: EngineKind,
    /// Its model.
    pub model: Arc<str>,
    /// Calls to LLMs, their tokens and their cost.
    pub usage_totals: UsageTotals,
}

impl Origin {
    /// That of a plan by the embedded planner, without any call.
    pub fn embedded() -> Self {
        Self {
            engine: EngineKind::Embedded,
            model: EMBEDDED_MODEL.into(),
            usage_totals: UsageTotals::default(),
        }
    }
}

impl PlannerArm {
    /// A planner for the arms of `registry`, with the built-in playbooks.
    pub fn new(registry: Arc<ArmRegistry>, rules: PlanRules, engine: Engine, metrics: Arc<Metrics>) -> Self {
        if let Engine::Llm { chain, fallback } = &engine {
            let others = chain.breakers().skip(1).map(|(model, _)| model);
            others.chain(fallback.then_some(EMBEDDED_MODEL)).for_each(|to| metrics.register_fallback(to));
        }
        let playbooks = Library::built_in();
        let guides = Guide::all(&playbooks);
        Self { arms: ArmSets::new(registry, rules, metrics), engine, playbooks, guides }
    }

    /// Does now what the first plan would have to wait for.
    pub fn prepare(&self) {
        self.playbooks.prepare();
    }

    /// The same planner with these playbooks.
    #[must_use]
    pub fn with_playbooks(self, playbooks: Arc<Library>) -> Self {
        Self { guides: Guide::all(&playbooks), playbooks, ..self }
    }

    /// What requests may refer to.
    pub fn installation(&self) -> Installation {
        Installation { arms: self.registry(), playbooks: self.playbooks.clone() }
    }

    /// The same planner, with at most this many arms in its prompts, plus those that verify.
    #[must_use]
    pub fn with_max_prompt_arms(self, most: usize) -> Self {
        Self { arms: self.arms.with_max_prompt_arms(most), ..self }
    }

    /// The same planner, whose plans are reviewed by `critics`.
    #[must_use]
    pub fn with_critics(self, critics: Critics) -> Self {
        Self { arms: self.arms.with_critics(critics), ..self }
    }

    /// The arms that steps can be assigned to now.
    pub fn registry(&self) -> Arc<ArmRegistry> {
        self.arms.default_set().validator.registry.clone()
    }

    /// Which arms these are.
    pub fn arms_version(&self) -> ArmsVersion {
        self.arms.version()
    }

    /// Makes `registry` the arms that steps can be assigned to. Requests in progress keep theirs.
    pub fn replace_arms(&self, registry: ArmRegistry) {
        self.arms.replace(Arc::new(registry));
    }

    /// What every plan must keep to.
    pub fn rules(&self) -> &PlanRules {
        &self.arms.shared.rules
    }

    /// The configured model.
    pub fn model(&self) -> Arc<str> {
        match &self.engine {
            Engine::Llm { chain, .. } => chain.first_model().clone(),
            Engine::Embedded => EMBEDDED_MODEL.into(),
        }
    }

    /// The configured engine and model.
    pub fn origin(&self) -> Origin {
        match &self.engine {
            Engine::Llm { .. } => Origin {
                engine: EngineKind::OpenAi,
                model: self.model(),
                usage_totals: UsageTotals::default(),
            },
            Engine::Embedded => Origin::embedded(),
        }
    }

    /// Everything that plans depend on except the request and the [arms](Self::arms_version), as a text for cache keys.
    pub fn cache_scope(&self) -> String {
        let SharedSettings { rules, max_prompt_arms, critics, .. } = &self.arms.shared;
        let playbooks = self.playbooks.fingerprint();
        format!("{:?} {rules:?} {max_prompt_arms} {critics:?} {playbooks:x}", self.origin())
    }

    /// Reads a request for a plan from JSON.
    ///
    /// # Errors
    /// Everything that is wrong with it, types and rules alike, or a budget that no plan of this installation can keep.
    pub fn read_request(&self, body: &[u8]) -> Result<PlanJob, InvalidRequest> {
        let request = PlanRequest::from_json_for(body, &self.installation())?;
        match request.budget.and_then(|budget| budget.fault_under(self.rules())) {
            None => Ok(request.into()),
            Some(fault) => Err(InvalidRequest { faults: vec![fault], request_id: request.request_id }),
        }
    }

    /// A plan for `request` that another replica made, if it is valid here without a repair; with its details.
    pub async fn revalidate(
        &self,
        request: &PlanRequest,
        response: PlanResponse,
        details: PlanDetails,
    ) -> Option<Plan> {
        let steps = response.plan.clone();
        let set = self.arms.set(request.arms.as_deref()).await;
        let plan = set.validator.normalize(response.into(), request, None).ok()?;
        (plan.repairs().is_empty() && plan.steps() == steps).then(|| plan.with_details(details))
    }

    /// The given plan, repaired where there is one right answer, or everything that is wrong
    /// with it. `proposal` is a [`PlanResponse`] in JSON, or any form in which LLMs answer: other names for keys,
    /// wrappers, prose around it. No LLM is asked. It is a plan for `request`, as far as that is known: its arms, which
    /// have no fault, its budget, its goal and constraints.
    ///
    /// # Errors
    /// Each fault with its field, such as `plan[2].depends_on`, and what to do about it.
    pub async fn validate(&self, proposal: String, request: PlanRequest) -> Result<Plan, Vec<FieldError>> {
        let validator = self.arms.set(request.arms.as_deref()).await.validator.clone();
        read_off_thread(&VALIDATION_READERS, proposal.len(), move || validator.validate(&proposal, &request))
            .await
    }

    /// Whether the engine is believed to answer.
    pub fn is_healthy(&self) -> bool {
        match &self.engine {
            Engine::Llm { chain, .. } => chain.is_healthy(),
            Engine::Embedded => true,
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
        let max_steps = validator.rules_for(&job.request, progress).max_steps;
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
            Engine::Embedded => self.plan_by_playbooks(set, job, UsageTotals::default()),
            Engine::Llm { .. } if let Some(compiled) = self.compiled(set, job) => {
                (Origin::embedded(), Ok(compiled))
            }
            Engine::Llm { chain, fallback } => {
                match (self.plan_by_llms(chain, set, job, deadline, stream).await, fallback) {
                    ((origin, Err(error)), true) => {
                        warn!(
                            reason = error.reason(),
                            "no LLM returned a plan; the embedded planner answers"
                        );
                        self.arms.metrics().record_fallback(EMBEDDED_MODEL);
                        self.plan_by_playbooks(set, job, origin.usage_totals)
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
                for warning in plan.warnings() {
                    self.arms.metrics().record_finding(warning.code.into(), FindingOutcome::Warned);
                }
            }
            Err(error) => warn!(reason = error.reason(), "no plan"),
        }
        (origin, result)
    }

    /// The plan of the embedded planner.
    fn plan_by_playbooks(
        &self,
        set: &ArmSet,
        job: &PlanJob,
        usage_totals: UsageTotals,
    ) -> (Origin, Result<Plan, PlanError>) {
        let progress = job.progress.as_deref();
        let embedded = set.embedded(&self.playbooks);
        let budget = job.request.budget.unwrap_or_default();
        let Proposal { draft, playbooks } = match progress {
            None => embedded.propose(&job.request),
            Some(progress) => {
                let embedded = embedded.with_rules(budget.within(&set.validator.rules));
                let mut draft = embedded.propose_rest(&job.request, progress);
                budget::fit(&mut draft, &budget, None, progress.done());
                Proposal { draft, playbooks: Vec::new() }
            }
        };
        let plan = set.validator.normalize(draft, &job.request, progress);
        let plan = plan.map(|plan| plan.with_playbooks(PlaybookUse::followed(playbooks)));
        (Origin { usage_totals, ..Origin::embedded() }, plan.map_err(PlanError::Invalid))
    }

    /// The plan that a playbook of mode `fixed` makes of `job` without any call, if one applies.
    fn compiled(&self, set: &ArmSet, job: &PlanJob) -> Option<Plan> {
        let is_from_start = job.progress.is_none();
        let compiled = is_from_start.then(|| set.embedded(&self.playbooks).compiled(&job.request))?;
        let Proposal { draft, playbooks } = compiled?;
        let plan = set.validator.normalize(draft, &job.request, None).ok()?;
        Some(plan.with_playbooks(PlaybookUse::followed(playbooks).map(PlaybookUse::compiled)))
    }

    /// The playbook that guides LLMs in planning `job`.
    fn guide(&self, job: &PlanJob) -> Option<&Arc<Guide>> {
        let PlanJob { request, progress: None, .. } = job else { return None };
        let name = match &request.playbook {
            Some(name) => name,
            None => &self.playbooks.guiding(&request.goal)?.name,
        };
        self.guides.get(name)
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
        let guide = self.guide(job);
        let prompts = set.validator.prompts_for(job);
        let prompts = guide.map_or(prompts.clone(), |guide| Arc::new(prompts.guided(guide)));
        let time = RequestTime::until(deadline);
        for session in chain.sessions(deadline) {
            origin.model.clone_from(session.model());
            let observer = stream.map(|stream| stream.clone() as Arc<dyn StreamObserver>);
            let asked = Dialogue {
                session: session.observed_by(observer),
                validator: &set.validator,
                prompts: &prompts,
                job,
                stream: stream.map(Arc::as_ref),
                time,
            };
            match asked.plan(&mut origin.usage_totals).await {
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
}

/// Reads a text of `length` bytes: a long one on a thread of its own, so that it delays no other request.
async fn read_off_thread<T: Send + 'static>(
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
