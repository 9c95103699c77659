//! Any progress over any valid plan: a plan that keeps every promise with what is done as it was, or its faults.

use std::sync::Arc;

use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::domain::playbooks::Library;
use planner_arm::domain::{PlanRequest, PlanResponse, Progress, StepStatus, SubTask};
use planner_arm::planner::draft::{Draft, DraftStep};
use planner_arm::planner::normalize::Plan;
use planner_arm::planner::playbooks::EmbeddedPlanner;
use planner_arm::planner::promises;
use planner_arm::planner::replan::{PlanProgress, normalize_remaining};
use proptest::prelude::*;

const ARMS: [&str; 4] = ["coder", "judge", "retriever", "smith"];

/// A plan under way: for each step its arm, which steps before it needs, and what has come of it; and feedback.
fn under_way() -> impl Strategy<Value = PlanProgress> {
    let step = (0..ARMS.len(), proptest::collection::vec(any::<prop::sample::Index>(), 0..4), 0..3_u8);
    let feedback = proptest::option::of("[a-z ]{0,9}[a-z]");
    (proptest::collection::vec(step, 1..12), feedback).prop_map(|(shapes, feedback)| {
        let mut plan: Vec<SubTask> = Vec::new();
        let mut progress: Vec<Progress> = Vec::new();
        for (index, (arm, needs, status)) in shapes.into_iter().enumerate() {
            let number = index as u32 + 1;
            let mut depends_on: Vec<u32> = match index {
                0 => Vec::new(),
                before => needs.iter().map(|needed| needed.index(before) as u32 + 1).collect(),
            };
            depends_on.sort_unstable();
            depends_on.dedup();
            let is_done = |number: &u32| progress[*number as usize - 1].status == StepStatus::Done;
            let status = match status {
                0 if ARMS[arm] != "smith" && depends_on.iter().all(is_done) => StepStatus::Done,
                1 => StepStatus::Failed,
                _ => StepStatus::Pending,
            };
            let reason = (status == StepStatus::Failed).then(|| format!("reason {number}"));
            progress.push(Progress { step: number, status, reason, note: None });
            plan.push(SubTask {
                step: number,
                action: format!("Do {number}"),
                required_arm: ARMS[arm].into(),
                acceptance_criteria: vec!["done".into(), " done ".into()],
                depends_on,
                estimated_cost_tier: 2,
                estimated_duration_seconds: 30,
            });
        }
        if progress.iter().all(|said| said.status == StepStatus::Done) {
            progress.pop();
        }
        PlanProgress::new(plan, progress).with_feedback(feedback)
    })
}

fn answer() -> impl Strategy<Value = Draft> {
    let step = (
        proptest::option::weighted(0.9, 1..16_i64),
        // Among them those of finished steps.
        prop_oneof![1 => (1..12_u32).prop_map(|n| format!("Do {n}")), 4 => "[a-z]{1,4}", 1 => Just(" ".to_owned())],
        0..ARMS.len(),
        proptest::collection::vec(proptest::option::weighted(0.95, 0..16_i64), 0..4),
    );
    proptest::collection::vec(step, 0..9).prop_map(|steps| Draft {
        steps: steps
            .into_iter()
            .map(|(number, action, arm, depends_on)| DraftStep {
                number,
                action,
                arm: ARMS[arm].into(),
                criteria: vec!["done".into()],
                depends_on,
                cost_tier: Some(2.0),
                seconds: Some(30.0),
            })
            .collect(),
        rationale: Some("r".into()),
        confidence: Some(0.9),
        ..Draft::default()
    })
}

/// Fails unless `plan` keeps every promise and has what was done as it was.
fn check(
    plan: Plan,
    progress: &PlanProgress,
    rules: &PlanRules,
    registry: &ArmRegistry,
) -> Result<(), TestCaseError> {
    let (response, _): (PlanResponse, _) = plan.into_response();
    let most = progress.done().len() + progress.rules(rules, registry).max_steps;
    let rules = PlanRules { max_steps: most, ..rules.clone() };
    prop_assert_eq!(promises::broken(&response, &rules, registry), [""; 0], "{:?}", response);
    for done in progress.done() {
        prop_assert_eq!(&response.plan[done.step as usize - 1], done);
    }
    let is_new = |number: &u32| progress.done().iter().all(|done| done.step != *number);
    for step in response.plan.iter().filter(|step| is_new(&step.step) && !step.depends_on.iter().any(is_new))
    {
        let is_same =
            |failed: &SubTask| failed.action == step.action && failed.required_arm == step.required_arm;
        prop_assert!(!progress.failed().any(is_same), "{:?}", step);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_embedded_planner_always_has_a_plan(
        progress in under_way(), min in 1..9_usize, more in 0..5_usize, verify in any::<bool>(),
    ) {
        let rules = PlanRules { min_steps: min, max_steps: min + more, require_verification: verify };
        let registry = ArmRegistry::default();
        let request = PlanRequest {
            goal: "Ship it".into(),
            constraints: vec!["Keep the schema".into(), " ".into()],
            ..PlanRequest::default()
        };
        let planner = EmbeddedPlanner::new(Arc::new(registry.clone()), rules.clone(), Library::built_in());
        let draft = planner.propose_rest(&request, &progress);
        let plan = normalize_remaining(draft.clone(), &progress, &registry, &rules);
        prop_assert!(plan.is_ok(), "{:?} {:?}", plan, draft);
        let plan = plan.expect("a plan");
        prop_assert_eq!(plan.repairs(), &[]);
        check(plan, &progress, &rules, &registry)?;
    }

    #[test]
    fn any_answer_becomes_a_continuing_plan_or_its_faults(
        progress in under_way(), draft in answer(), min in 1..5_usize, more in 0..9_usize, verify in any::<bool>(),
    ) {
        let rules = PlanRules { min_steps: min, max_steps: min + more, require_verification: verify };
        let registry = ArmRegistry::default();
        match normalize_remaining(draft, &progress, &registry, &rules) {
            Ok(plan) => check(plan, &progress, &rules, &registry)?,
            Err(faults) => prop_assert!(!faults.is_empty() && faults.is_sorted(), "{:?}", faults),
        }
    }
}
