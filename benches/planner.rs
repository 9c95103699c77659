//! What the planner's own work takes: `cargo bench`.

#[expect(unreachable_pub, reason = "shared with the tests")]
#[path = "../tests/api/hostile/kinds.rs"]
mod kinds;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use planner_arm::models::PlanRequest;
use planner_arm::planner::embedded::EmbeddedPlanner;
use planner_arm::planner::parse;
use planner_arm::planner::prompts::Prompts;
use planner_arm::planner::repair::{PlanRules, settle};
use planner_arm::registry::ArmRegistry;

/// As in the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
                let reading = parse::read(black_box(answer)).expect("a draft");
                settle(reading.draft, &registry, &rules).expect("a plan")
            });
        });
    }
}

/// Answers that have to be mended before they can be read.
fn broken(c: &mut Criterion) {
    let clean = clean_answer();
    let missing = clean.replacen("}],\"rationale\"", "},\"rationale\"", 1);
    for (name, answer) in [
        ("single quotes and trailing commas", clean.replace('"', "'").replace('}', ",}").replace(']', ",]")),
        ("missing brackets", missing.trim_end_matches('}').to_owned()),
        ("prose and a fence without end", format!("Here is [the] plan:\n```json\n{clean}")),
    ] {
        c.bench_function(&format!("parse, {name}"), |b| {
            b.iter(|| parse::read(black_box(&answer)).expect("a draft"));
        });
    }
}

/// The kinds of hostile answers that take longest.
const WORST: [&str; 10] = [
    "([)*",
    "({\"a\":)*",
    "{\"a\":'(' )*",
    "{\"a\":(b,)*",
    "[({\"a\":1},)*",
    "many keys, wrapped",
    "keyed steps",
    "an action of keywords",
    "long lists of objects that are broken",
    "a list behind objects that end early",
];

fn hostile(c: &mut Criterion) {
    let (registry, rules) = (ArmRegistry::default(), PlanRules::default());
    let mut group = c.benchmark_group("hostile, 1 MiB");
    group.sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
    for (name, make) in kinds::kinds().into_iter().filter(|(name, _)| WORST.contains(&name.as_str())) {
        let answer = make(1 << 20);
        group.bench_function(name, |b| {
            b.iter(|| parse::read(black_box(&answer)).map(|read| settle(read.draft, &registry, &rules)));
        });
    }
}

criterion_group!(benches, planner, broken, hostile);
criterion_main!(benches);
