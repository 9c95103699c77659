//! The planner's parts one by one: prompt, rules, repair, order.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion};
use planner_arm::domain::PlanRequest;
use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::{Arm, ArmRegistry};
use planner_arm::domain::playbooks::Library;
use planner_arm::planner::critics::Critics;
use planner_arm::planner::draft::Draft;
use planner_arm::planner::normalize::normalize;
use planner_arm::planner::playbooks::EmbeddedPlanner;
use planner_arm::planner::prompts::Prompts;
use planner_arm::planner::{graph, parse};

use crate::{clean_answer, ordinary_request};

pub(crate) fn prompt(c: &mut Criterion) {
    let prompts = Prompts::new(&Arc::new(ArmRegistry::default()), &PlanRules::default());
    let job = ordinary_request().into();
    c.bench_function("prompt", |b| b.iter(|| prompts.first(black_box(&job))));
}

/// What 1,000 arms add to each request: the best 100 are chosen, and the prompt and schema are made of them.
pub(crate) fn many_arms(c: &mut Criterion) {
    for (name, sentences) in [("", 10), (" with long descriptions", 30)] {
        let arm = |n: u32| Arm {
            description: format!(
                "Does the work number {n} with tests, data and code. {}",
                "More words of its own. ".repeat(sentences)
            ),
            ..Arm::of_source(&format!("tool {n}"), "").expect("an arm")
        };
        let registry = ArmRegistry::new((0..1_000).map(arm).collect(), false).expect("a registry");
        registry.prepare();
        let (job, rules) = (ordinary_request().into(), PlanRules::default());
        c.bench_function(&format!("prompt with the best of 1,000 arms{name}"), |b| {
            b.iter(|| {
                let goal = &ordinary_request().goal;
                let offered = registry.shortlist(goal, 100, |_| false).expect("a shortlist");
                Prompts::new(&Arc::new(offered), &rules).first(black_box(&job))
            });
        });
    }
}

pub(crate) fn embedded(c: &mut Criterion) {
    let (registry, rules) = (Arc::new(ArmRegistry::default()), PlanRules::default());
    let embedded = EmbeddedPlanner::new(registry.clone(), rules.clone(), Library::built_in());
    let longest =
        PlanRequest { goal: "Fix the login page, then run all tests. ".repeat(250), ..ordinary_request() };
    for (name, request) in
        [("an ordinary goal", ordinary_request()), ("a goal of 10,000 characters", longest)]
    {
        c.bench_function(&format!("embedded planner: {name}"), |b| {
            b.iter(|| {
                normalize(embedded.propose(black_box(&request)).draft, &registry, &rules).expect("a plan")
            });
        });
    }
}

pub(crate) fn critics(c: &mut Criterion) {
    let (registry, rules) = (ArmRegistry::default(), PlanRules::default());
    let (critics, request) = (Critics::default(), ordinary_request());
    let plan = normalize(clean_draft(), &registry, &rules).expect("a plan");
    c.bench_function("critics, on a clean plan", |b| {
        b.iter(|| critics.review(black_box(&request), &plan, &[], &registry));
    });
}

pub(crate) fn repair(c: &mut Criterion) {
    let (registry, rules) = (ArmRegistry::default(), PlanRules::default());
    for (name, draft, repairs) in
        [("nothing to repair", clean_draft(), false), ("much to repair", bad_draft(), true)]
    {
        let plan = normalize(draft.clone(), &registry, &rules).expect("a plan");
        assert_eq!(!plan.repairs().is_empty(), repairs, "{name}: {:?}", plan.repairs());
        c.bench_function(&format!("repair and validate: {name}"), |b| {
            b.iter_batched(
                || draft.clone(),
                |draft| normalize(draft, &registry, &rules).expect("a plan"),
                BatchSize::SmallInput,
            );
        });
    }
}

fn clean_draft() -> Draft {
    parse::read(&clean_answer()).expect("a draft").draft
}

/// Backwards, with dependencies on itself and on nothing, arms by other names, numbers out of range, and
/// without a verification.
fn bad_draft() -> Draft {
    let mut draft = clean_draft();
    draft.steps.pop();
    draft.steps.reverse();
    for step in &mut draft.steps {
        step.depends_on.extend([step.number, Some(99)]);
        step.arm = "Safety-Guardian".into();
        step.cost_tier = Some(9.0);
        step.seconds = None;
    }
    draft
}

/// The topological pass, on steps that each need the two before them.
pub(crate) fn order(c: &mut Criterion) {
    for nodes in [7_usize, 50] {
        let needs: Vec<Vec<usize>> =
            (0..nodes).map(|node| (node.saturating_sub(2)..node).collect()).collect();
        let rank: Vec<i64> = (0..nodes as i64).collect();
        c.bench_function(&format!("topological order of {nodes} steps"), |b| {
            b.iter(|| graph::topological_order(black_box(&needs), black_box(&rank)).expect("an order"));
        });
    }
}
