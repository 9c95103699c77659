//! Tries policies out at start, for a plan as long as plans may be.

use serde_json::Map;

use crate::domain::arms::ArmRegistry;
use crate::domain::{PlanRules, Schedule, SubTask};

use super::evaluate::Failure;
use super::{Policies, PolicyInput, PolicyPath};

/// Adds a fault for each policy that has a type error in it, or that costs too much for the longest plan.
pub(super) fn try_out(
    policies: &Policies,
    registry: &ArmRegistry,
    rules: &PlanRules,
    faults: &mut Vec<String>,
) {
    let steps = steps(registry, rules.max_steps);
    let numbers: Vec<u32> = steps.iter().map(|step| step.step).collect();
    let schedule = Schedule {
        levels: numbers.iter().map(|number| vec![*number]).collect(),
        critical_path_seconds: 60 * steps.len() as u64,
        critical_path: numbers,
    };
    let (constraints, context) = (vec!["Do not change the interface".to_owned()], Map::new());
    let input = PolicyInput {
        goal: "Deploy the new version",
        constraints: &constraints,
        context: &context,
        steps: &steps,
        schedule: &schedule,
        arms: registry.arms(),
    };
    let sources: Vec<_> = policies.sources().collect();
    for (index, field, failure) in policies.failures(&input) {
        let path = PolicyPath { index, source: sources[index] };
        match failure {
            Failure::Wrong(reason) => faults.push(path.fault(field, &reason)),
            Failure::CostsTooMuch => {
                let what = format!("takes too long for a plan of {} steps", steps.len());
                faults.push(path.fault(field, &what));
            }
            // The policy may still have a value for another request or plan.
            Failure::NoKey(_) | Failure::NoValue(_) => {}
        }
    }
}

/// A chain of this many steps, the last of which verifies if an arm can.
fn steps(registry: &ArmRegistry, length: usize) -> Vec<SubTask> {
    let arms = registry.arms();
    let verifier = registry.verifier();
    let step = |place: usize| SubTask {
        step: place as u32 + 1,
        action: format!("Do part {}", place + 1),
        required_arm: verifier
            .filter(|_| place + 1 == length)
            .unwrap_or(&arms[place % arms.len()])
            .id
            .clone(),
        acceptance_criteria: vec!["It is done".into()],
        depends_on: place.checked_sub(1).map(|before| before as u32 + 1).into_iter().collect(),
        estimated_cost_tier: 2,
        estimated_duration_seconds: 60,
    };
    (0..length).map(step).collect()
}
