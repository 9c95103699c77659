//! A planner whose LLM answers from a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::domain::prices::PriceList;
use planner_arm::domain::{CriticsMode, PlanRequest, PlanResponse, Repair, RepairCode};
use planner_arm::llm::fallback::CallPolicy;
use planner_arm::llm::{
    BoxFuture, CallError, CallFailure, CallObserver, ChatModel, Completion, FallbackChain, Prompt,
};
use planner_arm::planner::critics::Critics;
use planner_arm::planner::error::{PlanError, PlanFault};
use planner_arm::planner::normalize::{Plan, PlanDetails};
use planner_arm::planner::{Engine, Origin, PlannerArm};
use planner_arm::telemetry::metrics::Metrics;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{assert_valid, lock, step};

pub type ScriptedAnswer = Result<Completion, CallFailure>;

/// A model that gives its answers in order, the last again and again, and remembers its prompts.
struct ScriptedModel {
    name: Arc<str>,
    answers: Mutex<VecDeque<ScriptedAnswer>>,
    asked: Arc<Mutex<Vec<Prompt>>>,
}

impl ChatModel for ScriptedModel {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn call<'a>(
        &'a self,
        prompt: &'a Prompt,
        _: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        lock(&self.asked).push(prompt.clone());
        let mut answers = lock(&self.answers);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(std::future::ready(answer.expect("an answer").map_err(CallError::from)))
    }
}

/// A planner whose LLM gives these answers in order, the last again and again.
pub struct ScriptedPlanner {
    pub answers: Vec<ScriptedAnswer>,
    /// Calls at most; with one, nothing is asked again.
    pub attempts: u32,
    pub rules: PlanRules,
    pub registry: ArmRegistry,
    pub fallback: bool,
    pub critics: CriticsMode,
}

impl ScriptedPlanner {
    pub fn answering(text: impl Into<String>) -> Self {
        Self {
            answers: vec![Ok(completion(text))],
            attempts: 1,
            rules: PlanRules::default(),
            registry: ArmRegistry::default(),
            fallback: false,
            critics: CriticsMode::default(),
        }
    }

    /// One text after the other, the last again and again.
    pub fn answering_in_turn(texts: impl IntoIterator<Item = String>) -> Self {
        Self {
            answers: texts.into_iter().map(|text| Ok(completion(text))).collect(),
            attempts: 3,
            ..Self::answering("")
        }
    }

    pub fn with_retries(self) -> Self {
        Self { attempts: 3, ..self }
    }

    pub fn with_fallback(self) -> Self {
        Self { fallback: true, ..self }
    }

    pub fn with_critics(self, critics: CriticsMode) -> Self {
        Self { critics, ..self }
    }

    /// And when it is asked again, `text`.
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.answers.push(Ok(completion(text)));
        self.attempts = 3;
        self
    }

    pub async fn run(
        self,
        request: &PlanRequest,
    ) -> (Origin, Result<(PlanResponse, Vec<Repair>), PlanError>, Vec<Prompt>) {
        let (origin, made, asked) = self.run_in_full(request).await;
        (origin, made.map(|(plan, details)| (plan, details.repairs)), asked)
    }

    /// The same with all that is known of the plan.
    pub async fn run_in_full(
        self,
        request: &PlanRequest,
    ) -> (Origin, Result<(PlanResponse, PlanDetails), PlanError>, Vec<Prompt>) {
        let metrics = Metrics::new();
        let registry = Arc::new(self.registry);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers = Mutex::new(self.answers.into());
        let model = ScriptedModel { name: "scripted".into(), answers, asked: asked.clone() };
        let policy = CallPolicy {
            max_attempts: self.attempts,
            breaker_threshold: 5,
            breaker_reset: Duration::from_secs(30),
            request_time: Duration::from_secs(10),
        };
        let chain = FallbackChain::new(vec![Box::new(model)], &PriceList::default(), policy, metrics.clone());
        let engine = Engine::Llm { chain, fallback: self.fallback };
        let planner = PlannerArm::new(registry.clone(), self.rules.clone(), engine, metrics)
            .with_critics(Critics::new(self.critics, Vec::new()));
        let deadline = Instant::now() + Duration::from_secs(10);
        let (origin, result) = planner.generate_plan(&request.clone().into(), deadline, None).await;
        let made = result.map(Plan::into_response);
        if let Ok((plan, _)) = &made {
            assert_valid(plan, &self.rules, &registry);
        }
        let asked = lock(&asked).clone();
        (origin, made, asked)
    }

    pub async fn plan(self) -> (PlanResponse, Vec<Repair>) {
        self.run(&goal()).await.1.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn error(self) -> PlanError {
        self.run(&goal()).await.1.expect_err("no plan")
    }

    pub async fn faults(self) -> Vec<PlanFault> {
        match self.error().await {
            PlanError::Invalid(faults) => faults,
            other => panic!("{other}"),
        }
    }
}

pub fn completion(text: impl Into<String>) -> Completion {
    Completion { content: text.into(), ..Completion::default() }
}

pub fn goal() -> PlanRequest {
    PlanRequest { goal: "Ship it".into(), ..PlanRequest::default() }
}

/// An answer with these steps.
pub fn answer(steps: &[Value]) -> String {
    json!({ "plan": steps, "rationale": "because", "confidence": 0.8 }).to_string()
}

/// Three steps in a row that are fine, the first changed by `change`.
pub fn first_step(change: impl FnOnce(&mut Value)) -> String {
    let mut first = step(1, "retriever", "Gather the facts", &[], 1, 20);
    change(&mut first);
    answer(&[first, step(2, "coder", "Write it", &[1], 3, 60), step(3, "judge", "Verify it", &[2], 2, 30)])
}

pub fn codes(repairs: &[Repair]) -> Vec<(RepairCode, Option<u32>)> {
    repairs.iter().map(|repair| (repair.code, repair.step)).collect()
}
