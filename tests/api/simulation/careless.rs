//! A careless LLM: its plans are valid, but some ignore the time limit, ignore a constraint or cover half the goal.

use std::sync::Arc;
use std::time::Duration;

use planner_arm::domain::prices::PriceList;
use planner_arm::domain::{CriticsMode, PlanRequest, PlanResponse};
use planner_arm::llm::fallback::CallPolicy;
use planner_arm::llm::{BoxFuture, CallError, CallObserver, ChatModel, Completion, FallbackChain, Prompt};
use planner_arm::planner::critics::Critics;
use planner_arm::planner::{Engine, PlannerArm, estimate};
use planner_arm::telemetry::metrics::Metrics;
use serde_json::Value;
use tokio::time::Instant;

use super::dice::Dice;
use crate::scripted_model::answer;
use crate::support::{settings, step};

const REQUESTS: u64 = 600;
const SEED: u64 = 7;
/// Percentage of first answers in which something is left out, and of answers that follow a finding.
const CARELESS: usize = 25;
const STUBBORN: usize = 3;
const LIMIT_SECONDS: u64 = 300;

/// What belongs together in one language: parts of goals with the action that does them and a word that tells it, and
/// constraints, likewise.
struct Language {
    joined_by: &'static str,
    parts: &'static [[&'static str; 3]],
    constraints: &'static [[&'static str; 3]],
}

const LANGUAGES: &[Language] = &[
    Language {
        joined_by: " and ",
        parts: &[
            ["fix the login flow", "Rewrite the session handling of the login flow", "login"],
            ["translate the Dutch manual", "Translate each chapter of the Dutch manual", "manual"],
            ["deploy the billing service", "Roll the billing service out to production", "billing"],
            ["audit the search index", "Audit the search index for stale entries", "index"],
            ["research electric bikes", "Collect prices of electric bikes and compare them", "bikes"],
        ],
        constraints: &[
            ["Use PostgreSQL for storage", "It is stored in PostgreSQL", "postgresql"],
            ["Keep all backups in Frankfurt", "Backups are in Frankfurt", "frankfurt"],
            ["Follow the accessibility guidelines", "The accessibility guidelines are met", "accessibility"],
        ],
    },
    Language {
        joined_by: " und ",
        parts: &[
            ["behebe den Loginfehler", "Den Loginfehler im Modul der Sitzungen beheben", "loginfehler"],
            ["übersetze das Handbuch", "Jedes Kapitel des Handbuchs übersetzen", "handbuch"],
            ["prüfe den Suchindex", "Den Suchindex auf alte Einträge durchsehen", "suchindex"],
        ],
        constraints: &[[
            "Alle Sicherungen verschlüsseln",
            "Die Sicherungen sind verschlüsselt",
            "sicherungen",
        ]],
    },
];

/// What a plan leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    TimeLimit,
    Constraint,
    HalfTheGoal,
}

/// One request, and how its LLM answers.
struct Case {
    request: PlanRequest,
    parts: [[&'static str; 3]; 2],
    constraint: [&'static str; 3],
    fault: Option<Fault>,
    is_stubborn: bool,
}

impl Case {
    fn draw(number: u64) -> Self {
        let mut dice = Dice::new(&[SEED, number]);
        let language = dice.pick(LANGUAGES);
        let first = dice.below(language.parts.len());
        let second = (first + 1 + dice.below(language.parts.len() - 1)) % language.parts.len();
        let parts = [language.parts[first], language.parts[second]];
        let constraint = *dice.pick(language.constraints);
        let faults = [Fault::TimeLimit, Fault::Constraint, Fault::HalfTheGoal];
        let fault = dice.chance(CARELESS).then(|| *dice.pick(&faults));
        let request = PlanRequest {
            goal: format!("{}{}{}", parts[0][0], language.joined_by, parts[1][0]),
            constraints: vec![constraint[0].to_owned(), "Complete in <5 minutes".to_owned()],
            ..PlanRequest::default()
        };
        Self { request, parts, constraint, fault, is_stubborn: dice.chance(STUBBORN) }
    }

    fn answer(&self, fault: Option<Fault>) -> String {
        let seconds = if fault == Some(Fault::TimeLimit) { 150 } else { 60 };
        let first = step(1, "coder", self.parts[0][1], &[], 2, seconds);
        let second = match fault {
            Some(Fault::HalfTheGoal) => format!("{} (2)", self.parts[0][1]),
            _ => self.parts[1][1].to_owned(),
        };
        let mut second = step(2, "executor", &second, &[1], 2, seconds);
        if fault != Some(Fault::Constraint) {
            second["acceptance_criteria"] = Value::from(vec![self.constraint[1]]);
        }
        answer(&[first, second, step(3, "judge", "OK?", &[2], 1, seconds)])
    }

    /// Whether the plan leaves out what `fault` says, told by one word that the critics do not know of.
    fn is_left_out(&self, fault: Fault, plan: &PlanResponse) -> bool {
        let text = serde_json::to_string(&plan.plan).expect("JSON").to_lowercase();
        match fault {
            Fault::TimeLimit => estimate::schedule(&plan.plan).critical_path_seconds > LIMIT_SECONDS,
            Fault::Constraint => !text.contains(self.constraint[2]),
            Fault::HalfTheGoal => !text.contains(self.parts[1][2]),
        }
    }
}

struct CarelessLlm {
    name: Arc<str>,
    case: Case,
}

impl ChatModel for CarelessLlm {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn call<'a>(
        &'a self,
        prompt: &'a Prompt,
        _: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        let question = &prompt.messages.last().expect("a question").content;
        let is_told = question.starts_with("Your last answer");
        let fault = self.case.fault.filter(|_| !is_told || self.case.is_stubborn);
        let content = self.case.answer(fault);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Completion { content, ..Completion::default() })
        })
    }
}

/// Of the careless first answers the share that ends in plans without the fault, and further calls a plan.
async fn simulate(mode: CriticsMode) -> (f64, f64) {
    let settings = settings(&[]).expect("defaults");
    let (mut careless, mut put_right, mut calls) = (0, 0, 0);
    for number in 0..REQUESTS {
        let case = Case::draw(number);
        let (request, fault) = (case.request.clone(), case.fault);
        let metrics = Metrics::new();
        let policy = CallPolicy {
            max_attempts: settings.llm_max_attempts,
            breaker_threshold: settings.llm_breaker_threshold,
            breaker_reset: settings.llm_breaker_reset,
            request_time: settings.timeout,
        };
        let model = Box::new(CarelessLlm { name: "careless".into(), case });
        let chain = FallbackChain::new(vec![model], &PriceList::default(), policy, metrics.clone());
        let engine = Engine::Llm { chain, fallback: false };
        let planner =
            PlannerArm::new(Arc::new(settings.arms.clone()), settings.rules.clone(), engine, metrics)
                .with_critics(Critics::new(mode, Vec::new()));
        let deadline = Instant::now() + settings.timeout;
        let (origin, answered) = planner.generate_plan(&request.into(), deadline, None).await;
        calls += origin.usage_totals.attempts;
        let (plan, _) = answered.expect("a plan").into_response();
        if let Some(fault) = fault {
            careless += 1;
            put_right += u32::from(!Case::draw(number).is_left_out(fault, &plan));
        }
    }
    let further = f64::from(calls) / REQUESTS as f64 - 1.0;
    let share = f64::from(put_right) / f64::from(careless);
    eprintln!(
        "{mode:?}: {careless} of {REQUESTS} first answers are careless, {:.1}% of them end in plans without that; \
         {further:.2} further calls a plan",
        share * 100.0
    );
    (share, further)
}

#[tokio::test(start_paused = true)]
async fn critics_put_careless_plans_right_for_few_further_calls() {
    let (share, further) = simulate(CriticsMode::Enforce).await;
    assert!(share >= 0.95, "{share:.3}");
    assert!(further <= 0.3, "{further:.2}");
    let (share, further) = simulate(CriticsMode::Off).await;
    assert!(share < 0.1, "{share:.3}");
    assert!(further.abs() < f64::EPSILON, "{further:.2}");
}
