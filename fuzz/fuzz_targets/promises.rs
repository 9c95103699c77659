//! What holds for every plan that comes out.

use std::sync::LazyLock;

use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::planner::normalize::{Plan, normalize};
use planner_arm::planner::parse;

static REGISTRY: LazyLock<ArmRegistry> = LazyLock::new(ArmRegistry::default);
static RULES: LazyLock<PlanRules> = LazyLock::new(PlanRules::default);

/// Deals with an answer as the service does, and panics where a promise is broken.
pub(crate) fn hold_for(answer: &str) {
    let Ok(reading) = parse::read(answer) else { return };
    match normalize(reading.draft, &REGISTRY, &RULES) {
        Ok(plan) => is_sound(plan),
        Err(faults) => assert!(!faults.is_empty(), "refused without a reason"),
    }
}

fn is_sound(plan: Plan) {
    let (plan, repairs) = plan.into_response();
    let steps = &plan.plan;
    assert!((RULES.min_steps..=RULES.max_steps).contains(&steps.len()), "{steps:?}");
    for (number, step) in (1_u32..).zip(steps) {
        assert_eq!(step.step, number);
        assert!(!step.action.trim().is_empty(), "{step:?}");
        assert!(REGISTRY.get(&step.required_arm).is_some(), "{step:?}");
        assert!(!step.acceptance_criteria.is_empty(), "{step:?}");
        assert!(!step.acceptance_criteria.iter().any(|criterion| criterion.trim().is_empty()), "{step:?}");
        assert!(step.depends_on.is_sorted_by(|a, b| a < b), "{step:?}");
        assert!(step.depends_on.iter().all(|&needed| (1..number).contains(&needed)), "{step:?}");
        assert!((1..=5).contains(&step.estimated_cost_tier), "{step:?}");
        assert!((1..=86_400).contains(&step.estimated_duration_seconds), "{step:?}");
    }
    let mut actions: Vec<&str> = steps.iter().map(|step| step.action.as_str()).collect();
    actions.sort_unstable();
    assert!(actions.is_sorted_by(|a, b| a < b), "an action is there twice: {actions:?}");
    assert!(steps.last().is_some_and(|last| REGISTRY.verifies(&last.required_arm)), "{steps:?}");
    assert!((0.0..=1.0).contains(&plan.confidence) && (0.0..=1.0).contains(&plan.complexity_score));
    assert!(!plan.rationale.trim().is_empty());
    assert!(repairs.iter().all(|repair| repair.step.is_none_or(|step| step as usize <= steps.len())));

    // A sound plan is read as what it is, and nothing is left to mend.
    let written = serde_json::to_string(&plan).expect("JSON");
    let reading = parse::read(&written).expect("what was written can be read");
    assert!(reading.is_strict, "{written}");
    let (again, repairs) = normalize(reading.draft, &REGISTRY, &RULES).expect("still sound").into_response();
    assert_eq!(repairs, vec![]);
    assert_eq!(again, plan);
}
