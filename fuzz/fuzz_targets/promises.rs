//! What holds for every plan that comes out.

use std::sync::LazyLock;

use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::planner::normalize::{Plan, normalize};
use planner_arm::planner::{parse, promises};

static REGISTRY: LazyLock<ArmRegistry> = LazyLock::new(ArmRegistry::default);
static RULES: LazyLock<PlanRules> = LazyLock::new(PlanRules::default);

/// Deals with an answer as the service does, and panics where a promise is broken.
pub(crate) fn hold_for(answer: &str) {
    let Ok(reading) = parse::read(answer) else { return };
    match normalize(reading.draft, &REGISTRY, &RULES) {
        Ok(plan) => is_valid(plan),
        Err(faults) => assert!(!faults.is_empty(), "refused without a reason"),
    }
}

fn is_valid(plan: Plan) {
    let (plan, details) = plan.into_response();
    assert_eq!(promises::broken(&plan, &RULES, &REGISTRY), [""; 0], "{plan:?}");
    assert!(
        details.repairs.iter().all(|repair| repair.step.is_none_or(|step| step as usize <= plan.plan.len()))
    );

    // A valid plan is read as what it is, and nothing is left to repair.
    let written = serde_json::to_string(&plan).expect("JSON");
    let reading = parse::read(&written).expect("what was written can be read");
    assert!(reading.is_strict, "{written}");
    let (again, details) = normalize(reading.draft, &REGISTRY, &RULES).expect("still valid").into_response();
    assert_eq!(details.repairs, vec![]);
    assert_eq!(again, plan);
}
