//! Plans as tests write them, and what holds for every plan that comes out.

use planner_arm::domain::arms::ArmRegistry;
use planner_arm::domain::{PlanResponse, PlanRules};
use planner_arm::planner::promises;
use serde_json::{Value, json};

use super::Reply;

/// A clean five-step answer, as a good LLM gives it.
pub fn good_plan() -> Value {
    json!({
        "plan": [
            step(1, "retriever", "Search the codebase for what the goal touches", &[], 1, 20),
            step(2, "coder", "Write the change", &[1], 3, 60),
            step(3, "coder", "Write tests for the change", &[1], 3, 45),
            step(4, "executor", "Run the full test suite", &[2, 3], 2, 90),
            step(5, "judge", "Verify the result against every constraint", &[4], 2, 30),
        ],
        "rationale": "Gather context, change, test, run, verify.",
        "confidence": 0.88,
    })
}

/// What a planner answers when its plan is the good one.
pub fn planner_answer() -> Value {
    let mut answer = good_plan();
    answer["total_estimated_duration"] = json!(245);
    answer["complexity_score"] = json!(0.5);
    answer
}

/// A problem as a planner answers with it.
pub fn planner_problem(status: u16, code: &str, detail: &str) -> Reply {
    Reply::Status(status, Vec::new(), json!({ "code": code, "detail": detail, "status": status }))
}

pub fn step(number: i64, arm: &str, action: &str, needs: &[i64], tier: i64, seconds: i64) -> Value {
    json!({
        "step": number, "action": action, "required_arm": arm,
        "acceptance_criteria": [format!("{action}: done"), "Nothing else changed"],
        "depends_on": needs, "estimated_cost_tier": tier, "estimated_duration_seconds": seconds,
    })
}

/// Fails unless the plan keeps every promise of the API.
pub fn assert_valid(plan: &PlanResponse, rules: &PlanRules, registry: &ArmRegistry) {
    assert_eq!(promises::broken(plan, rules, registry), [""; 0], "{plan:?}");
}

/// As [`assert_valid`], with the default rules and arms.
pub fn assert_valid_by_default(plan: &PlanResponse) {
    assert_valid(plan, &PlanRules::default(), &ArmRegistry::default());
}
