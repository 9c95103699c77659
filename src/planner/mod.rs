//! The planner: prompt, LLM, parse, repair, check, estimate.
//!
//! Nothing here knows HTTP. [`PlannerArm::generate_plan`] is the whole recipe.

pub mod draft;
pub mod embedded;
pub mod error;
pub mod estimate;
pub mod graph;
pub mod parse;
pub mod prompts;
pub mod repair;

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{trace, warn};

use crate::llm::Ladder;
use crate::llm::ladder::{Answer, Tally};
use crate::metrics::Metrics;
use crate::models::PlanRequest;
use crate::registry::ArmRegistry;

use draft::Draft;
use embedded::EmbeddedPlanner;
use error::{PlanError, Unreadable};
use prompts::Prompts;
use repair::{Plan, PlanRules, settle};

/// The name under which the embedded planner answers as a model.
pub const EMBEDDED_MODEL: &str = "embedded";

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
    registry: Arc<ArmRegistry>,
    rules: PlanRules,
    prompts: Prompts,
    engine: Engine,
    metrics: Arc<Metrics>,
}

/// Where a plan, or its absence, comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who answered, or was asked last.
    pub engine: EngineKind,
    /// Its model.
    pub model: Arc<str>,
    /// Calls to LLMs on the way, and their tokens.
    pub tally: Tally,
}

impl PlannerArm {
    /// A planner for the arms of `registry`.
    pub fn new(registry: Arc<ArmRegistry>, rules: PlanRules, engine: Engine, metrics: Arc<Metrics>) -> Self {
        let prompts = Prompts::new(&registry, &rules);
        Self { registry, rules, prompts, engine, metrics }
    }

    /// The model that answers when all is well.
    pub fn model(&self) -> Arc<str> {
        match &self.engine {
            Engine::Llm { ladder, .. } => ladder.first_model().clone(),
            Engine::Embedded(_) => EMBEDDED_MODEL.into(),
        }
    }

    /// Whether the engine is believed to answer.
    pub fn is_well(&self) -> bool {
        match &self.engine {
            Engine::Llm { ladder, .. } => ladder.is_well(),
            Engine::Embedded(_) => true,
        }
    }

    /// Makes a plan for `request`, by `deadline` at the latest. The origin is known either way.
    pub async fn generate_plan(
        &self,
        request: &PlanRequest,
        deadline: Instant,
    ) -> (Origin, Result<Plan, PlanError>) {
        trace!(goal = request.goal, "planning");
        let (origin, result) = match &self.engine {
            Engine::Embedded(embedded) => self.plan_by_rules(embedded, request, Tally::default()),
            Engine::Llm { ladder, fallback } => {
                let mut tally = Tally::default();
                let mut model = ladder.first_model().clone();
                let asked = self.plan_by_llm(ladder, request, deadline, &mut tally, &mut model).await;
                match (asked, fallback) {
                    (Err(error), Some(embedded)) => {
                        warn!(reason = error.reason(), "no LLM gave a plan; the embedded planner answers");
                        self.plan_by_rules(embedded, request, tally)
                    }
                    (result, _) => (Origin { engine: EngineKind::OpenAi, model, tally }, result),
                }
            }
        };
        match &result {
            Ok(plan) => {
                self.metrics.plan_made(plan.steps().len(), plan.repairs().iter().map(|repair| repair.code));
            }
            Err(error) => warn!(reason = error.reason(), "no plan"),
        }
        (origin, result)
    }

    async fn plan_by_llm(
        &self,
        ladder: &Ladder,
        request: &PlanRequest,
        deadline: Instant,
        tally: &mut Tally,
        model: &mut Arc<str>,
    ) -> Result<Plan, PlanError> {
        let question = self.prompts.question(request);
        let answer = ladder.ask(&question, deadline, tally).await?;
        model.clone_from(&answer.model);
        let draft = read(&answer)?;
        settle(draft, &self.registry, &self.rules).map_err(PlanError::Unsound)
    }

    fn plan_by_rules(
        &self,
        embedded: &EmbeddedPlanner,
        request: &PlanRequest,
        tally: Tally,
    ) -> (Origin, Result<Plan, PlanError>) {
        let origin = Origin { engine: EngineKind::Embedded, model: EMBEDDED_MODEL.into(), tally };
        let plan = settle(embedded.propose(request), &self.registry, &self.rules);
        (origin, plan.map_err(PlanError::Unsound))
    }
}

fn read(answer: &Answer) -> Result<Draft, Unreadable> {
    if answer.completion.truncated {
        // Even where its JSON happens to be whole, what was to follow is missing.
        return Err(Unreadable::Truncated);
    }
    parse::read(&answer.completion.content)
}
