//! Ten policies, those of docs/policies.md, on a clean plan of seven steps, which keeps them all.

use std::hint::black_box;

use criterion::Criterion;
use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::planner::estimate;
use planner_arm::planner::normalize::normalize;
use planner_arm::planner::parse;
use planner_arm::policies::{Policies, PolicyInput, PolicySource};
use serde_json::Value;

use crate::{clean_answer, ordinary_request};

/// The policies of the documentation's examples.
fn documented() -> Vec<PolicySource> {
    let page = include_str!("../../docs/policies.md");
    let examples = page.split_once("## Examples").expect("examples").1;
    let blocks = examples.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let read = |text: &str| -> Vec<PolicySource> {
        let file = config::File::from_str(text, config::FileFormat::Yaml);
        let settings = config::Config::builder().add_source(file).build().expect("YAML");
        settings.get("policies").expect("policies")
    };
    blocks.flat_map(read).collect()
}

pub(crate) fn ten(c: &mut Criterion) {
    let (registry, rules) = (ArmRegistry::default(), PlanRules::default());
    let policies = Policies::new(&documented(), &registry, &rules).expect("policies");
    assert_eq!(policies.sources().count(), 10);
    let mut draft = parse::read(&clean_answer()).expect("a draft").draft;
    draft.steps[5].action = "Run the tests".into();
    draft.steps[5].arm = "executor".into();
    let plan = normalize(draft, &registry, &rules).expect("a plan");
    let schedule = estimate::schedule(plan.steps());
    let request = ordinary_request();
    let input = PolicyInput {
        goal: &request.goal,
        constraints: &request.constraints,
        context: &serde_json::Map::<String, Value>::new(),
        steps: plan.steps(),
        schedule: &schedule,
        arms: registry.arms(),
    };
    assert_eq!(policies.violations(&input), []);
    c.bench_function("ten policies, on a clean plan", |b| b.iter(|| policies.violations(black_box(&input))));
}
