//! What the planner's own work takes: `cargo bench --bench planner`.

#[expect(unreachable_pub, reason = "shared with the tests")]
#[path = "../../tests/api/malicious_answers/kinds.rs"]
mod kinds;
mod parsing;
mod planning;
mod policies;
mod request;

use criterion::{criterion_group, criterion_main};
use planner_arm::domain::PlanRequest;

/// As in the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn ordinary_request() -> PlanRequest {
    PlanRequest {
        goal: "Debug the authentication issue, add tests and deploy the fix to staging".into(),
        constraints: vec!["Do not modify the database schema".into(), "Complete in <5 minutes".into()],
        ..PlanRequest::default()
    }
}

/// A clean answer of seven steps, as a good LLM gives it.
fn clean_answer() -> String {
    let step = |n: u32| {
        serde_json::json!({
            "step": n,
            "action": format!("Carry out part {n} of the migration and write down what was done"),
            "required_arm": if n == 7 { "judge" } else { "coder" },
            "acceptance_criteria": ["The part is done", "What was done is written down"],
            "depends_on": if n > 1 { vec![n - 1] } else { vec![] },
            "estimated_cost_tier": 3,
            "estimated_duration_seconds": 60
        })
    };
    let plan: Vec<_> = (1..=7).map(step).collect();
    serde_json::json!({ "plan": plan, "rationale": "One part after the other.", "confidence": 0.9 })
        .to_string()
}

criterion_group!(
    benches,
    planning::prompt,
    planning::many_arms,
    planning::embedded,
    planning::critics,
    planning::repair,
    planning::order,
    policies::ten,
    parsing::answers,
    parsing::broken,
    parsing::malicious,
    request::plan
);
criterion_main!(benches);
