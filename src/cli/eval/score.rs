//! The score of one scenario.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::domain::EngineKind;
use crate::domain::PlanRules;
use crate::domain::arms::ArmRegistry;
use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::{PlanResponse, RepairCode, SubTask, WarningCode};
use crate::planner::critics::Vocabulary;
use crate::planner::normalize::PlanDetails;
use crate::planner::{Origin, promises};

use super::labels::Similarity;
use super::scenarios::Scenario;

/// The planner's answer to one scenario.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The engine and model that answered, or that failed last.
    pub(super) origin: Origin,
    /// The plan and its details, or the error.
    pub(super) result: Result<(PlanResponse, PlanDetails), Problem>,
    /// From request to answer.
    pub(super) took: Duration,
}

/// The planner configuration under evaluation, against which plans are checked.
#[derive(Debug, Clone)]
pub(super) struct EvalTarget {
    /// The configured arms.
    pub(super) arms: ArmRegistry,
    /// The configured limits.
    pub(super) rules: PlanRules,
    /// The configured engine.
    pub(super) engine: EngineKind,
    /// Its first model.
    pub(super) model: Arc<str>,
}

/// One scenario's result, as in the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Score {
    /// The scenario's name.
    pub(super) name: String,
    /// Its kind.
    pub(super) kind: String,
    /// Whether there is a plan of the configured engine that keeps every promise.
    pub(super) valid: bool,
    /// Why there is no plan.
    pub(super) error: Option<Failure>,
    /// The promises that the plan breaks.
    pub(super) broken_promises: Vec<String>,
    /// Steps of the plan, 0 without one.
    pub(super) steps: usize,
    /// The expected arms, and those that the plan uses.
    pub(super) arms: ArmUse,
    /// How much the plan is like the labelled one; null without one.
    pub(super) labelled: Option<Similarity>,
    /// How many constraints the plan covers.
    pub(super) constraints: Coverage,
    /// The repairs of the LLM's answer.
    pub(super) repairs: RepairCount,
    /// The critics' warnings about the plan.
    pub(super) warnings: WarningCount,
    /// Number of LLM calls.
    pub(super) attempts: u32,
    /// Prompt tokens of all calls.
    pub(super) prompt_tokens: u64,
    /// Completion tokens of all calls.
    pub(super) completion_tokens: u64,
    /// Cost of all answered calls, in US dollars; null when a price is unknown.
    pub(super) cost_usd: Option<f64>,
    /// From request to answer, in milliseconds.
    pub(super) latency_ms: f64,
    /// The engine that answered, or that failed last.
    pub(super) engine: &'static str,
    /// Its model.
    pub(super) model: String,
    /// Whether that is another than the configured engine and its first model.
    pub(super) fallback: bool,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Failure {
    /// The error code of the API.
    pub(super) code: ErrorCode,
    /// One sentence.
    pub(super) detail: String,
}

/// Arms by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct ArmUse {
    /// Those that a good plan uses.
    pub(super) expected: Vec<String>,
    /// Those that this plan uses, in order of first use.
    pub(super) used: Vec<String>,
    /// The expected ones that it does not use.
    pub(super) missing: Vec<String>,
}

/// Constraints by [`Vocabulary::covers`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Coverage {
    /// How many there are.
    pub(super) total: usize,
    /// How many of them the plan covers.
    pub(super) covered: usize,
    /// The others.
    pub(super) uncovered: Vec<String>,
}

/// Repairs of one plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct RepairCount {
    /// How many.
    pub(super) count: usize,
    /// One code for each.
    pub(super) codes: Vec<RepairCode>,
}

/// Warnings about one plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct WarningCount {
    /// How many.
    pub(super) count: usize,
    /// One code for each.
    pub(super) codes: Vec<WarningCode>,
    /// One sentence for each.
    pub(super) messages: Vec<String>,
}

/// Scores the `outcome` of `scenario`.
pub(super) fn judge(scenario: &Scenario, outcome: Outcome, target: &EvalTarget) -> Score {
    let Outcome { origin, result, took } = outcome;
    let (plan, PlanDetails { repairs, warnings, .. }, error) = match result {
        Ok((plan, details)) => (Some(plan), details, None),
        Err(problem) => {
            (None, PlanDetails::default(), Some(Failure { code: problem.code, detail: problem.detail }))
        }
    };
    let broken_promises =
        plan.as_ref().map(|plan| promises::broken(plan, &target.rules, &target.arms)).unwrap_or_default();
    let steps = plan.as_ref().map_or(&[][..], |plan| &plan.plan);
    Score {
        name: scenario.name.clone(),
        kind: scenario.kind.clone(),
        // A plan of the fallback engine does not measure the configured one.
        valid: plan.is_some() && broken_promises.is_empty() && origin.engine == target.engine,
        error,
        broken_promises,
        steps: steps.len(),
        arms: arm_use(&scenario.arms, steps),
        labelled: Similarity::of(&scenario.steps, steps),
        constraints: coverage(&scenario.request.constraints, plan.as_ref()),
        repairs: RepairCount {
            count: repairs.len(),
            codes: repairs.iter().map(|repair| repair.code).collect(),
        },
        warnings: WarningCount {
            count: warnings.len(),
            codes: warnings.iter().map(|warning| warning.code).collect(),
            messages: warnings.into_iter().map(|warning| warning.message).collect(),
        },
        attempts: origin.usage_totals.attempts,
        prompt_tokens: origin.usage_totals.prompt_tokens,
        completion_tokens: origin.usage_totals.completion_tokens,
        cost_usd: origin.usage_totals.cost_usd(),
        latency_ms: (took.as_secs_f64() * 10_000.0).round() / 10.0,
        engine: origin.engine.as_str(),
        model: origin.model.to_string(),
        fallback: origin.engine != target.engine || origin.model != target.model,
    }
}

fn arm_use(expected: &[String], steps: &[SubTask]) -> ArmUse {
    let mut used: Vec<String> = Vec::new();
    for step in steps {
        if !used.contains(&step.required_arm) {
            used.push(step.required_arm.clone());
        }
    }
    let missing = expected.iter().filter(|arm| !used.contains(arm)).cloned().collect();
    ArmUse { expected: expected.to_vec(), used, missing }
}

fn coverage(constraints: &[String], plan: Option<&PlanResponse>) -> Coverage {
    let uncovered: Vec<String> = match plan {
        Some(plan) => {
            let vocabulary = vocabulary(plan);
            constraints.iter().filter(|constraint| !vocabulary.covers(constraint)).cloned().collect()
        }
        None => constraints.to_vec(),
    };
    Coverage { total: constraints.len(), covered: constraints.len() - uncovered.len(), uncovered }
}

fn vocabulary(plan: &PlanResponse) -> Vocabulary {
    let steps = plan.plan.iter();
    let texts = steps
        .flat_map(|step| std::iter::once(&step.action).chain(&step.acceptance_criteria))
        .map(String::as_str);
    Vocabulary::of(texts.chain(std::iter::once(plan.rationale.as_str())))
}

#[cfg(test)]
mod tests {
    use super::super::labels::ExpectedStep;
    use super::super::tests::{embedded, scenario, target};
    use super::*;
    use crate::domain::Repair;
    use crate::llm::fallback::UsageTotals;
    use crate::planner::promises::valid_plan;

    fn score(scenario: &Scenario, result: Result<(PlanResponse, PlanDetails), Problem>) -> Score {
        let outcome = Outcome { origin: embedded(), result, took: Duration::from_micros(1_260) };
        judge(scenario, outcome, &target())
    }

    #[test]
    fn a_good_plan_is_valid_and_measured() {
        let mut scenario = scenario("one");
        scenario.arms = vec!["coder".into(), "guardian".into()];
        scenario.request.constraints = vec!["Use Python only".into(), "No downtime".into()];
        scenario.steps = vec![ExpectedStep { arm: "coder".into(), depends_on: Vec::new() }];
        let repair = Repair { code: RepairCode::Clamped, step: None, message: "…".into() };
        let score = score(
            &scenario,
            Ok((valid_plan(), PlanDetails { repairs: vec![repair], ..PlanDetails::default() })),
        );
        assert!(score.valid && score.error.is_none() && !score.fallback);
        assert_eq!(score.steps, 3);
        assert_eq!(score.arms.used, ["coder", "executor", "judge"]);
        assert_eq!(score.arms.missing, ["guardian"]);
        assert_eq!((score.constraints.covered, score.constraints.total), (1, 2));
        assert_eq!(score.labelled, Some(Similarity { node_f1: 0.5, link_f1: 0.0 }));
        assert_eq!(score.constraints.uncovered, ["No downtime"]);
        assert_eq!(score.repairs, RepairCount { count: 1, codes: vec![RepairCode::Clamped] });
        assert_eq!((score.latency_ms * 10.0) as u32, 13);
    }

    #[test]
    fn a_plan_that_breaks_a_promise_is_invalid_whatever_the_planner_reports() {
        let mut plan = valid_plan();
        plan.plan[0].required_arm = "root".into();
        let score = score(&scenario("one"), Ok((plan, PlanDetails::default())));
        assert!(!score.valid && score.error.is_none());
        assert_eq!(score.broken_promises, ["step 1: there is no arm `root`"]);
    }

    #[test]
    fn without_a_plan_nothing_is_used_or_covered_and_the_reason_is_kept() {
        let mut scenario = scenario("one");
        scenario.arms = vec!["coder".into()];
        scenario.request.constraints = vec!["No downtime".into()];
        let score = score(&scenario, Err(Problem::new(ErrorCode::PlanInvalid, "It is not a plan.")));
        assert!(!score.valid);
        assert_eq!(score.error.expect("a reason").detail, "It is not a plan.");
        assert_eq!((score.steps, score.arms.missing), (0, vec!["coder".to_owned()]));
        assert_eq!((score.constraints.covered, score.constraints.total), (0, 1));
    }

    #[test]
    fn an_answer_of_another_engine_or_model_is_a_fallback() {
        let asked = EvalTarget { engine: EngineKind::OpenAi, model: "first".into(), ..target() };
        let mut usage_totals = UsageTotals::default();
        usage_totals.attempts = 3;
        usage_totals.add(20, 10, Some(0.5));
        for (engine, model, fallback, valid) in [
            (EngineKind::OpenAi, "first", false, true),
            (EngineKind::OpenAi, "second", true, true),
            (EngineKind::Embedded, "embedded", true, false),
        ] {
            let origin = Origin { engine, model: model.into(), usage_totals };
            let outcome =
                Outcome { origin, result: Ok((valid_plan(), PlanDetails::default())), took: Duration::ZERO };
            let score = judge(&scenario("one"), outcome, &asked);
            assert_eq!((score.fallback, score.model.as_str()), (fallback, model));
            assert_eq!(score.valid, valid, "{model}");
            assert_eq!((score.attempts, score.prompt_tokens, score.completion_tokens), (3, 20, 10));
            assert_eq!(score.cost_usd, Some(0.5));
        }
    }
}
