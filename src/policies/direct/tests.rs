//! What is evaluated directly is what `cel` says, and costs the same.

use std::cell::Cell;

use cel::common::types::CelBool;
use cel::{Context, Value};
use proptest::prelude::*;

use super::super::opaque::Fuel;
use super::super::values::{Item, Plan, Variables};
use super::super::{Compiled, FUEL_UNITS, Policies, PolicyInput, PolicySource, Severity};
use super::Direct;
use crate::domain::arms::ArmRegistry;
use crate::domain::{PlanRules, Schedule, SubTask};

/// Boolean expressions of all that policies can say, of which some are wrong or have no value for some plans. `s`, and
/// within a loop `t`, are steps.
fn conditions() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        "s.action",
        "t.action",
        "s.required_arm",
        "t.required_arm",
        "goal",
        "'coder'",
        "'e'",
        "context.name",
        "t.acceptance_criteria[0]",
        "constraints[1]",
    ]);
    let int = prop::sample::select(vec![
        "s.step",
        "t.step",
        "s.estimated_cost_tier",
        "t.estimated_duration_seconds",
        "2",
        "plan.size()",
        "s.ancestors.size()",
        "size(t.acceptance_criteria)",
        "9223372036854775807",
        "context.limit",
        "t.step / s.step",
        "plan.filter(u, u.step > s.step).size()",
        "schedule.critical_path_seconds",
        "plan[s.step].step",
        "(s.step - 1)",
    ]);
    let leaf = prop_oneof![
        (int.clone(), prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]), int.clone())
            .prop_map(|(a, operator, b)| format!("{a} {operator} {b}")),
        (int.clone(), prop::sample::select(vec!["+", "-", "*"]), int.clone())
            .prop_map(|(a, operator, b)| format!("{a} {operator} {b} > 3")),
        (text.clone(), prop::sample::select(vec!["contains", "startsWith", "endsWith"]), text.clone())
            .prop_map(|(a, function, b)| format!("{a}.{function}({b})")),
        (text.clone(), prop::sample::select(vec!["==", "!="]), text.clone())
            .prop_map(|(a, operator, b)| format!("{a} {operator} {b}")),
        (text.clone(), prop::sample::select(vec!["(?i)test", "^B", r"\\d"]))
            .prop_map(|(text, pattern)| format!("{text}.matches('{pattern}')")),
        prop::sample::select(vec![
            "s in t.ancestors",
            "t in plan",
            "s == t",
            "s != t",
            "s.step in t.depends_on",
            "true",
            "false",
            "s.required_arm in arms.map(a, a.id)",
            "arms.exists(a, a.id == t.required_arm && a.cost_tier < 3)",
            "t.step in schedule.critical_path",
            "schedule.levels.all(l, s.step in l)",
            "has(context.name)",
            "has(context.nothing) || context.size() > 2",
            "'limit' in context",
            "context.limit in s.depends_on",
            "arms[0] == arms[1]",
            "'e' in t.acceptance_criteria",
            "constraints.exists(c, c == goal)",
            "t in s.ancestors",
            "plan[9].step == 1",
            "s.depends_on == t.depends_on",
            "arms[0] in arms",
            "schedule == schedule",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let lists = prop::sample::select(vec!["plan", "s.ancestors", "plan.filter(u, u.step > 1)"]);
        let loops = prop::sample::select(vec!["all", "exists", "exists_one"]);
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (lists, loops, inner).prop_map(|(list, name, a)| format!("{list}.{name}(t, {a})")),
        ]
    })
}

fn plans() -> impl Strategy<Value = Vec<SubTask>> {
    let text = prop::sample::select(vec!["Build it", "Test it", "Run 3 tests", "e", ""]);
    let step =
        (text.clone(), prop::sample::select(vec!["coder", "executor"]), prop::bits::u8::ANY, 1..6_u8, text);
    prop::collection::vec(step, 1..5).prop_map(|steps| {
        let make =
            |(number, (action, arm, needs, tier, criterion)): (u32, (&str, &str, u8, u8, &str))| SubTask {
                step: number,
                action: action.into(),
                required_arm: arm.into(),
                acceptance_criteria: vec![criterion.into()],
                depends_on: (1..number).filter(|before| needs >> before & 1 == 1).collect(),
                estimated_cost_tier: tier,
                estimated_duration_seconds: 60 * number,
            };
        (1..).zip(steps).map(make).collect()
    })
}

#[test]
fn direct_evaluation_agrees_with_cel_and_costs_as_much() {
    let context = serde_json::json!({ "limit": 2, "name": "coder" });
    let (registry, constraints) = (ArmRegistry::default(), ["Test it".to_owned()]);
    let decided = Cell::new(0_u32);
    let agree = |(condition, steps): (String, Vec<SubTask>)| {
        let require = format!("plan.all(s, plan.exists(t, {condition}))");
        let (name, message) = ("p".into(), "m".into());
        let source = PolicySource { name, when: None, require, message, severity: Severity::Error };
        // Some are refused at start.
        let Ok(policies) = Policies::new(&[source], &registry, &PlanRules::default()) else { return Ok(()) };
        let schedule = Schedule {
            levels: steps.iter().map(|step| vec![step.step]).collect(),
            critical_path: vec![1],
            critical_path_seconds: 3,
        };
        let input = PolicyInput {
            goal: "Test it",
            constraints: &constraints,
            context: context.as_object().expect("an object"),
            steps: &steps,
            schedule: &schedule,
            arms: registry.arms(),
        };
        let plan = Plan::new(input.steps);
        let variables = |fuel| Variables::new(&input, &plan, &policies.patterns, fuel);
        let (own, others) = (Fuel::new(FUEL_UNITS), Fuel::new(FUEL_UNITS));
        let (direct, resolver) = (variables(own.clone()), variables(others.clone()));
        let Compiled { expression, node } = &policies.policies[0].require;
        if let Some(item) = Direct::new(&direct).evaluate(node, None) {
            let mut cel = Context::with_env(super::super::evaluate::ENVIRONMENT.clone());
            cel.set_variable_resolver(&resolver);
            let value = Value::resolve_val(expression, &cel);
            let value = value.ok().and_then(|value| value.downcast_ref::<CelBool>().map(|yes| *yes.inner()));
            let Item::Bool(item) = item else { panic!("not a boolean") };
            prop_assert_eq!(Some(item), value);
            prop_assert_eq!(own.left(), others.left());
            decided.set(decided.get() + 1);
        }
        Ok(())
    };
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner.run(&(conditions(), plans()), agree).expect("agreement");
    assert!(decided.get() > 100, "only {} were evaluated directly", decided.get());
}
