//! What the planner's own work takes: `cargo bench`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use planner_arm::models::PlanRequest;
use planner_arm::planner::embedded::EmbeddedPlanner;
use planner_arm::planner::parse;
use planner_arm::planner::prompts::Prompts;
use planner_arm::planner::repair::{PlanRules, settle};
use planner_arm::registry::ArmRegistry;

fn request(goal: &str) -> PlanRequest {
    PlanRequest {
        goal: goal.into(),
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

fn planner(c: &mut Criterion) {
    let registry = Arc::new(ArmRegistry::default());
    let rules = PlanRules::default();

    let embedded = EmbeddedPlanner::new(registry.clone(), rules.clone());
    let ordinary = request("Debug the authentication issue, add tests and deploy the fix to staging");
    c.bench_function("embedded planner, an ordinary goal", |b| {
        b.iter(|| settle(embedded.propose(black_box(&ordinary)), &registry, &rules).expect("a plan"));
    });
    let longest = request(&"Fix the login page, then run all tests. ".repeat(250));
    c.bench_function("embedded planner, 10,000 characters", |b| {
        b.iter(|| settle(embedded.propose(black_box(&longest)), &registry, &rules).expect("a plan"));
    });

    let prompts = Prompts::new(&registry, &rules);
    c.bench_function("prompt", |b| b.iter(|| prompts.question(black_box(&ordinary))));

    let clean = clean_answer();
    let fenced = format!("Here is the plan:\n```json\n{clean}\n```\nGood luck!");
    for (name, answer) in [("clean", &clean), ("fenced", &fenced)] {
        c.bench_function(&format!("parse, repair and check, a {name} answer"), |b| {
            b.iter(|| {
                settle(parse::read(black_box(answer)).expect("a draft"), &registry, &rules).expect("a plan")
            });
        });
    }
}

criterion_group!(benches, planner);
criterion_main!(benches);
