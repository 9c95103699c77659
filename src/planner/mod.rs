//! The planner: prompt, LLM, parse, repair, check, estimate.
//!
//! Nothing here knows HTTP. [`PlannerArm::generate_plan`] is the whole recipe.

mod check;
pub mod draft;
pub mod embedded;
pub mod error;
pub mod estimate;
pub mod graph;
pub mod parse;
mod preview;
pub mod prompts;
pub mod repair;
pub mod replan;
pub mod written;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tracing::{trace, warn};

use crate::llm::ladder::{Tally, Turn};
use crate::llm::{Completion, Ladder, Listener, LlmError};
use crate::metrics::Metrics;
use crate::models::{FieldError, PlanRequest, PlanResponse, Repair, SubTask};
use crate::registry::ArmRegistry;

use check::Checker;
use embedded::EmbeddedPlanner;
use error::{PlanError, Unfit};
use preview::Preview;
use prompts::Prompts;
use repair::{Plan, PlanRules};
use replan::Past;

/// The name under which the embedded planner answers as a model.
pub const EMBEDDED_MODEL: &str = "embedded";

/// Longer answers are read on a thread of their own, in bytes; even hostile ones of this length take 2 ms.
const MOST_READ_IN_PASSING: usize = 12 * 1024;
/// So many at once, so that a flood of them does not take the processors from all else.
static READERS: Semaphore = Semaphore::const_new(4);

/// How often a model is asked again after an answer that is no plan.
const MOST_REASKS: u32 = 2;

/// Who made a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// An LLM behind an OpenAI-compatible API.
    OpenAi,
    /// The rules in this program.
    Embedded,
}

impl EngineKind {
    /// As it stands in headers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Embedded => "embedded",
        }
    }
}

/// What answers a request.
pub enum Engine {
    /// LLMs, and when none answers, perhaps the embedded planner.
    Llm {
        /// The models in order.
        ladder: Ladder,
        /// What answers when every model has failed.
        fallback: Option<EmbeddedPlanner>,
    },
    /// Rules alone.
    Embedded(EmbeddedPlanner),
}

/// Makes sound plans.
pub struct PlannerArm {
    checker: Arc<Checker>,
    engine: Engine,
}

/// What a plan is wanted for, by when, and who wants to see it while it is written.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// What it is wanted for.
    pub request: &'a PlanRequest,
    /// The plan of which the rest is wanted; none for one from the start.
    pub past: Option<&'a Arc<Past>>,
    /// When there must be an answer.
    pub deadline: Instant,
    /// Where each step is sent as soon as it is written. They are a preview: an answer that comes to nothing is
    /// followed by the steps of another, from the first. When a plan is made, each of its steps has been sent
    /// since, the last of them in their final form where the LLM did not write them so.
    pub steps: Option<&'a UnboundedSender<SubTask>>,
}

/// What is to be planned.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// What the plan is for.
    pub request: &'a PlanRequest,
    /// The plan of which the rest is wanted; none for one from the start.
    pub past: Option<&'a Arc<Past>>,
}

impl<'a> From<&'a PlanRequest> for Job<'a> {
    fn from(request: &'a PlanRequest) -> Self {
        Self { request, past: None }
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
    pub tally: Tally,
}

impl PlannerArm {
    /// A planner for the arms of `registry`.
    pub fn new(registry: Arc<ArmRegistry>, rules: PlanRules, engine: Engine, metrics: Arc<Metrics>) -> Self {
        let prompts = Arc::new(Prompts::new(&registry, &rules));
        if let Engine::Llm { ladder, fallback } = &engine {
            let others = ladder.breakers().skip(1).map(|(model, _)| model);
            others
                .chain(fallback.as_ref().map(|_| EMBEDDED_MODEL))
                .for_each(|to| metrics.may_fall_back_to(to));
        }
        Self { checker: Arc::new(Checker { registry, rules, prompts, metrics }), engine }
    }

    /// The arms that steps can be given to.
    pub fn registry(&self) -> &ArmRegistry {
        &self.checker.registry
    }

    /// What every plan must keep to.
    pub fn rules(&self) -> &PlanRules {
        &self.checker.rules
    }

    /// The model that answers when all is well.
    pub fn model(&self) -> Arc<str> {
        match &self.engine {
            Engine::Llm { ladder, .. } => ladder.first_model().clone(),
            Engine::Embedded(_) => EMBEDDED_MODEL.into(),
        }
    }

    /// Who answers when all is well.
    pub fn origin(&self) -> Origin {
        let engine = match &self.engine {
            Engine::Llm { .. } => EngineKind::OpenAi,
            Engine::Embedded(_) => EngineKind::Embedded,
        };
        Origin { engine, model: self.model(), tally: Tally::default() }
    }

    /// All that plans depend on beside the request, as a text that differs when any of it does.
    pub fn setting(&self) -> String {
        format!("{:?} {:?} {:?}", self.origin(), self.checker.rules, self.checker.prompts)
    }

    /// A plan that comes from elsewhere, if it keeps every promise as it is; with the repairs of its making.
    pub fn check_again(&self, response: PlanResponse, repairs: Vec<Repair>) -> Option<Plan> {
        let steps = response.plan.clone();
        let plan = self.checker.settle(response.into(), None).ok()?;
        (plan.repairs().is_empty() && plan.steps() == steps).then(|| plan.with_repairs(repairs))
    }

    /// The plan that somebody wrote down, mended where that has one right answer, or everything that is wrong
    /// with it. `proposal` is a [`PlanResponse`] in JSON, or whatever an LLM may answer: other names for keys,
    /// wrappers, prose around it. No LLM is asked.
    ///
    /// # Errors
    /// Each fault with its field, as `plan[2].depends_on`, and what to do about it.
    pub async fn validate(&self, proposal: String) -> Result<Plan, Vec<FieldError>> {
        let checker = self.checker.clone();
        read_aside(proposal.len(), move || checker.validate(&proposal)).await
    }

    /// Whether an arm exists here.
    pub fn has_arm(&self, id: &str) -> bool {
        self.checker.registry.get(id).is_some()
    }

    /// Whether the engine is believed to answer.
    pub fn is_well(&self) -> bool {
        match &self.engine {
            Engine::Llm { ladder, .. } => ladder.is_well(),
            Engine::Embedded(_) => true,
        }
    }

    /// Shows in the metrics what changes without anything being counted.
    pub fn report(&self) {
        if let Engine::Llm { ladder, .. } = &self.engine {
            for (model, state) in ladder.breakers() {
                self.checker.metrics.breaker_is(model, state);
            }
        }
    }

    /// Makes a plan for `request`, by `deadline` at the latest. The origin is known either way.
    pub async fn generate_plan(
        &self,
        request: &PlanRequest,
        deadline: Instant,
    ) -> (Origin, Result<Plan, PlanError>) {
        self.plan(Order { request, past: None, deadline, steps: None }).await
    }

    /// Makes the plan that is ordered. The origin is known either way.
    pub async fn plan(&self, order: Order<'_>) -> (Origin, Result<Plan, PlanError>) {
        let Order { request, past, deadline, steps } = order;
        let job = Job { request, past };
        let Some(steps) = steps else { return self.make(job, deadline, None).await };
        let (registry, prompts) = (self.checker.registry.clone(), self.checker.prompts.clone());
        let most_steps = self.checker.rules_for(past.map(|past| &**past)).max_steps;
        let done = past.map(|past| past.done().to_vec()).unwrap_or_default();
        let preview = Arc::new(Preview::new(registry, prompts, most_steps, done, steps.clone()));
        let (origin, result) = self.make(job, deadline, Some(&preview)).await;
        if let Ok(plan) = &result {
            preview.complete(plan.steps());
        }
        (origin, result)
    }

    async fn make(
        &self,
        job: Job<'_>,
        deadline: Instant,
        preview: Option<&Arc<Preview>>,
    ) -> (Origin, Result<Plan, PlanError>) {
        trace!(goal = job.request.goal, "planning");
        let (origin, result) = match &self.engine {
            Engine::Embedded(embedded) => self.plan_by_rules(embedded, job, Tally::default()),
            Engine::Llm { ladder, fallback } => {
                match (self.plan_by_llms(ladder, job, deadline, preview).await, fallback) {
                    ((origin, Err(error)), Some(embedded)) => {
                        warn!(reason = error.reason(), "no LLM gave a plan; the embedded planner answers");
                        self.checker.metrics.fell_back(EMBEDDED_MODEL);
                        self.plan_by_rules(embedded, job, origin.tally)
                    }
                    (answered, _) => answered,
                }
            }
        };
        match &result {
            Ok(plan) => {
                self.checker
                    .metrics
                    .plan_made(plan.steps().len(), plan.repairs().iter().map(|repair| repair.code));
            }
            Err(error) => warn!(reason = error.reason(), "no plan"),
        }
        (origin, result)
    }

    /// Asks the models in order until one gives a plan.
    async fn plan_by_llms(
        &self,
        ladder: &Ladder,
        job: Job<'_>,
        deadline: Instant,
        preview: Option<&Arc<Preview>>,
    ) -> (Origin, Result<Plan, PlanError>) {
        let mut origin = self.origin();
        let mut reason: Option<PlanError> = None;
        for turn in ladder.turns(deadline) {
            origin.model.clone_from(turn.model());
            match self.plan_by_llm(turn, job, &mut origin.tally, preview).await {
                Ok(plan) => {
                    if origin.model != *ladder.first_model() {
                        self.checker.metrics.fell_back(&origin.model);
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
        turn: Turn<'_>,
        job: Job<'_>,
        tally: &mut Tally,
        preview: Option<&Arc<Preview>>,
    ) -> Result<Plan, PlanError> {
        let mut turn = turn.heard_by(preview.map(|preview| preview.clone() as Arc<dyn Listener>));
        let mut question = self.checker.prompts.question(job);
        let mut asked_again = 0;
        let mut reason: Option<PlanError> = None;
        loop {
            let completion = match turn.ask(&question, tally).await {
                Ok(completion) => completion,
                Err(error) => return Err(PlanError::best(reason, error.into())),
            };
            let unfit = match self.plan_in(completion, job.past).await {
                Ok(plan) => return Ok(plan),
                Err(unfit) => unfit,
            };
            if let Some(preview) = preview {
                preview.retract();
            }
            if asked_again == MOST_REASKS || !turn.may_ask_again() {
                return Err(unfit.into());
            }
            let reasons = unfit.reasons();
            warn!(model = %turn.model(), reasons = reasons.join(","), "the LLM is asked again");
            self.checker.metrics.reasked(&reasons);
            asked_again += 1;
            reason = Some(unfit.clone().into());
            question = if asked_again == MOST_REASKS {
                self.checker.prompts.simply(job, &unfit)
            } else {
                self.checker.prompts.again(job, &unfit)
            };
        }
    }

    /// Reads, mends and checks what an LLM said.
    async fn plan_in(&self, completion: Completion, past: Option<&Arc<Past>>) -> Result<Plan, Unfit> {
        let length =
            completion.content.len() + completion.alternatives.iter().map(String::len).sum::<usize>();
        let (checker, past) = (self.checker.clone(), past.cloned());
        read_aside(length, move || checker.plan_in(&completion, past.as_deref())).await
    }

    fn plan_by_rules(
        &self,
        embedded: &EmbeddedPlanner,
        job: Job<'_>,
        tally: Tally,
    ) -> (Origin, Result<Plan, PlanError>) {
        let origin = Origin { engine: EngineKind::Embedded, model: EMBEDDED_MODEL.into(), tally };
        let past = job.past.map(|past| &**past);
        let draft = match past {
            None => embedded.propose(job.request),
            Some(past) => embedded.propose_rest(job.request, past),
        };
        let plan = self.checker.settle(draft, past);
        (origin, plan.map_err(PlanError::Unsound))
    }
}

/// Reads what is `length` bytes long: if that is much, on a thread of its own, since others wait.
async fn read_aside<T: Send + 'static>(length: usize, read: impl FnOnce() -> T + Send + 'static) -> T {
    if length <= MOST_READ_IN_PASSING {
        return read();
    }
    let reader = READERS.acquire().await;
    let reading = tokio::task::spawn_blocking(move || {
        let _reader = reader;
        read()
    });
    reading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
