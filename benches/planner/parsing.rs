//! From an answer's text to a draft, and further to a plan.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::planner::normalize::normalize;
use planner_arm::planner::parse;

use crate::{clean_answer, kinds};

pub(crate) fn answers(c: &mut Criterion) {
    let (registry, rules) = (ArmRegistry::default(), PlanRules::default());
    let clean = clean_answer();
    let fenced = format!("Here is the plan:\n```json\n{clean}\n```\nGood luck!");
    for (name, answer) in [("clean answer", &clean), ("answer in a Markdown fence", &fenced)] {
        c.bench_function(&format!("parse, repair and validate: {name}"), |b| {
            b.iter(|| {
                let reading = parse::read(black_box(answer)).expect("a draft");
                normalize(reading.draft, &registry, &rules).expect("a plan")
            });
        });
    }
}

/// Answers that have to be repaired before they can be read.
pub(crate) fn broken(c: &mut Criterion) {
    let clean = clean_answer();
    let missing = clean.replacen("}],\"rationale\"", "},\"rationale\"", 1);
    for (name, answer) in [
        ("single quotes and trailing commas", clean.replace('"', "'").replace('}', ",}").replace(']', ",]")),
        ("missing brackets", missing.trim_end_matches('}').to_owned()),
        ("prose and an unclosed fence", format!("Here is [the] plan:\n```json\n{clean}")),
    ] {
        c.bench_function(&format!("parse only: {name}"), |b| {
            b.iter(|| parse::read(black_box(&answer)).expect("a draft"));
        });
    }
}

/// The kinds of malicious answers that take longest.
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

pub(crate) fn malicious(c: &mut Criterion) {
    let (registry, rules) = (ArmRegistry::default(), PlanRules::default());
    let mut group = c.benchmark_group("malicious, 1 MiB");
    group.sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
    for (name, make) in kinds::kinds().into_iter().filter(|(name, _)| WORST.contains(&name.as_str())) {
        let answer = make(1 << 20);
        group.bench_function(name, |b| {
            b.iter(|| parse::read(black_box(&answer)).map(|read| normalize(read.draft, &registry, &rules)));
        });
    }
}
