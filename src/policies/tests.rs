use serde_json::json;

use super::shape::RecordKind;
use super::*;

fn step(number: u32, action: &str, arm: &str, depends_on: &[u32]) -> SubTask {
    SubTask {
        step: number,
        action: action.into(),
        required_arm: arm.into(),
        acceptance_criteria: vec!["It is done".into()],
        depends_on: depends_on.to_vec(),
        estimated_cost_tier: 2,
        estimated_duration_seconds: 60,
    }
}

fn release() -> Vec<SubTask> {
    vec![
        step(1, "Scan the image for secrets", "guardian", &[]),
        step(2, "Build the image", "executor", &[1]),
        step(3, "Deploy the image", "executor", &[2]),
        step(4, "Verify the rollout", "judge", &[3]),
    ]
}

fn source(require: &str) -> PolicySource {
    PolicySource {
        name: "rule".into(),
        when: None,
        require: require.into(),
        message: "Keep the rule".into(),
        severity: Severity::Error,
    }
}

fn compiled(sources: &[PolicySource]) -> Result<Policies, Vec<String>> {
    Policies::new(sources, &ArmRegistry::default(), &PlanRules::default())
}

fn violations_of(policies: &Policies, steps: &[SubTask]) -> Vec<Violation> {
    let context =
        json!({"environment": "production", "limit": 3, "tags": ["a", "b"], "nested": {"deep": 1.5}});
    let numbers: Vec<u32> = steps.iter().map(|step| step.step).collect();
    policies.violations(&PolicyInput {
        goal: "Deploy the shop",
        constraints: &["No downtime".to_owned()],
        context: context.as_object().expect("an object"),
        steps,
        schedule: &Schedule {
            levels: numbers.iter().map(|number| vec![*number]).collect(),
            critical_path_seconds: 60 * steps.len() as u64,
            critical_path: numbers,
        },
        arms: ArmRegistry::default().arms(),
    })
}

/// Whether a policy holds for [`release`], or why it has no answer.
fn holds(require: &str) -> Result<bool, String> {
    let policies = compiled(&[source(require)]).map_err(|faults| faults.join("; "))?;
    match violations_of(&policies, &release()).pop() {
        None => Ok(true),
        Some(violation) if violation.message == "Keep the rule" => Ok(false),
        Some(violation) => Err(violation.message),
    }
}

const GUARDED_DEPLOYS: &str =
    "plan.all(s, !s.action.matches('(?i)deploy') || s.ancestors.exists(a, a.required_arm == 'guardian'))";

#[test]
fn a_guardian_before_any_deployment_is_one_line_and_names_the_step_that_breaks_it() {
    let policies = compiled(&[source(GUARDED_DEPLOYS)]).expect("a policy");
    assert_eq!(violations_of(&policies, &release()), []);
    let mut unguarded = release();
    unguarded[1].depends_on.clear();
    let expected = Violation {
        policy: "rule".into(),
        severity: Severity::Error,
        message: "Keep the rule".into(),
        steps: vec![3],
        is_of_each_step: true,
    };
    assert_eq!(violations_of(&policies, &unguarded), [expected]);
}

#[test]
fn expressions_see_the_request_the_plan_its_schedule_and_the_arms() {
    for require in [
        "goal.startsWith('Deploy') && goal == 'Deploy the shop'",
        "constraints.exists(c, c.contains('downtime')) && size(constraints) == 1",
        "context.environment == 'production' && context.limit + 1 == 4 && context['tags'].size() == 2",
        "has(context.nested) && context.nested.deep > 1 && !has(context.absent)",
        "'a' in context.tags && !('z' in context.tags) && 'limit' in context",
        "plan[2].depends_on == [2] && [2] == plan[2].depends_on && plan.size() == 4",
        "plan.map(s, s.estimated_duration_seconds).all(d, d == 60)",
        "plan.filter(s, s.required_arm == 'executor').size() == 2 && plan.exists_one(s, s.step == 1)",
        "plan[3].ancestors.map(a, a.step) == [1, 2, 3] && plan[0].ancestors == []",
        "plan[3].ancestors[0] == plan[0] && plan[0] != plan[1] && plan[1] in plan[3].ancestors",
        "schedule.critical_path_seconds <= 240 && schedule.levels.size() == 4 && 4 in schedule.critical_path",
        "arms.exists(a, a.id == 'judge' && 'validation' in a.capabilities && a.cost_tier >= 1)",
        "plan.all(s, arms.exists(a, a.id == s.required_arm))",
        "(plan.size() > 3 ? 'long' : 'short') + '!' == 'long!' && string(3) == '3' && double(3) == 3.0",
    ] {
        assert_eq!(holds(require), Ok(true), "{require}");
        assert_eq!(holds(&format!("!({require})")), Ok(false), "{require}");
    }
}

#[test]
fn every_field_that_the_check_knows_has_a_value() {
    for (variable, record) in
        [("plan[0]", RecordKind::Step), ("arms[0]", RecordKind::Arm), ("schedule", RecordKind::Schedule)]
    {
        for field in record.fields() {
            assert!(record.field(field).is_some(), "{field}");
            assert_eq!(
                holds(&format!("has({variable}.{field}) && {variable}.{field} == {variable}.{field}")),
                Ok(true)
            );
        }
    }
    assert_eq!(RecordKind::Arm.fields(), Arm::FIELDS);
}

#[test]
fn when_decides_to_which_plans_a_policy_applies() {
    let with_when = |when: &str| PolicySource { when: Some(when.into()), ..source("false") };
    let policies = compiled(&[with_when("goal.contains('refund')")]).expect("a policy");
    assert_eq!(violations_of(&policies, &release()), []);
    let policies = compiled(&[with_when("goal.contains('shop')")]).expect("a policy");
    assert_eq!(violations_of(&policies, &release()).len(), 1);
}

#[test]
fn what_cannot_be_evaluated_does_not_hold_and_says_why() {
    for (require, why) in [
        ("context.absent == 1", "`absent` does not exist; test for it with has() first"),
        ("context[goal] == 1", "a key does not exist; test for it with `in` first"),
        ("plan[9].step == 10", "an index is beyond the end of its list"),
        ("1 / (plan.size() - 4) == 1", "it divides by zero"),
        ("context.environment", "a value is string, but must be bool"),
        ("int(context.environment) == 1", "a function does not accept its arguments"),
        (
            "context.limit.contains('a')",
            "found no matching overload for 'contains' applied to 'int.(string)'",
        ),
    ] {
        let expected = format!("Keep the rule (it cannot be evaluated: {why})");
        assert_eq!(holds(require), Err(expected), "{require}");
    }
    assert_eq!(holds("has(context.absent) && context.absent == 1"), Ok(false));
}

#[test]
fn faults_are_found_at_start_and_say_where_they_are() {
    for (require, fault) in [
        (
            "plan.all(s, s.acton != '')",
            "line 1, column 14: a step has no field `acton`; available: step, action, required_arm, acceptance_criteria, depends_on, estimated_cost_tier, estimated_duration_seconds, ancestors",
        ),
        (
            "size(steps) > 1",
            "line 1, column 6: unknown variable `steps`; available: goal, constraints, context, plan, schedule, arms",
        ),
        (
            "goal.lower() == 'x'",
            "line 1, column 11: unknown function `lower`; available: has, all, exists, exists_one, map, filter, contains, startsWith, endsWith, matches, size, int, double, string",
        ),
        (
            "goal.contains('a', 'b')",
            "line 1, column 14: wrong call of `contains`: check the number of arguments, and whether it is a method, `a.contains(…)`, or a function, `contains(a)`",
        ),
        ("goal.contains(1)", "line 1, column 15: `contains` needs a string, but this is an int"),
        ("plan.size()", "must be a boolean, not an int"),
        ("plan.size() && true", "line 1, column 10: this is an int, but must be a boolean"),
        ("plan[0].step == '1'", "line 1, column 14: an int never equals a string"),
        (
            "plan[0].step * 1.5 > 2.0",
            "line 1, column 14: an int and a double do not mix; convert one with int() or double()",
        ),
        ("'judge' in plan", "line 1, column 9: a string is never in a list of records"),
        ("goal.all(c, c == 'a')", "line 1, column 1: a string is not a list"),
        ("goal.matches('(')", "line 1, column 14: this is not a regular expression"),
        (
            "goal.matches(context.pattern)",
            "line 1, column 21: the pattern of `matches` must be a string in quotes",
        ),
        ("goal.matches('(a{900}){900}')", "line 1, column 14: this regular expression is too large"),
        (
            "plan.all(a, plan.all(b, plan.all(c, plan.all(d, a.step == d.step))))",
            "line 1, column 45: loops nest deeper than 3 levels",
        ),
        (
            "plan[0].step + goal == 'a'",
            "line 1, column 14: this needs numbers, but these are an int and a string",
        ),
        ("schedule > 3", "line 1, column 10: the schedule cannot be compared with an int"),
    ] {
        let faults = compiled(&[source(require)]).err();
        assert_eq!(faults, Some(vec![format!("policies[0].require (`rule`): {fault}")]), "{require}");
    }
}

#[test]
fn syntax_errors_have_their_position_also_on_later_lines() {
    let faults = compiled(&[source("plan.all(s,\n  s.step > )")]).expect_err("a syntax error");
    assert!(faults[0].starts_with("policies[0].require (`rule`): line 2, column 12: "), "{faults:?}");
    let faults = compiled(&[source("plan.size() > 0 &&\n  plan.nothing > 0")]).expect_err("an unknown field");
    assert_eq!(faults, ["policies[0].require (`rule`): line 2, column 7: a list has no field `nothing`"]);
}

#[test]
fn every_fault_of_every_policy_is_reported() {
    let sources = vec![
        PolicySource { name: " ".into(), message: "a\nb".into(), ..source("true") },
        PolicySource { when: Some("x".into()), ..source("y") },
        PolicySource { message: "m".repeat(301), ..source(&"true && ".repeat(300)) },
    ];
    let starts = [
        "policies[0].name (` `): is blank",
        "policies[0].message (` `): has white space around it or a control character in it",
        "policies[1].when (`rule`): line 1, column 1: unknown variable `x`",
        "policies[1].require (`rule`): line 1, column 1: unknown variable `y`",
        "policies[2].name (`rule`): is listed twice",
        "policies[2].message (`rule`): is longer than 300 characters",
        "policies[2].require (`rule`): is longer than 2000 characters",
    ];
    let faults = compiled(&sources).expect_err("faults");
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault} is not {start}");
    }
    let many = vec![source("true"); MAX_POLICIES + 1];
    let faults = compiled(&many).expect_err("too many");
    assert_eq!(faults[0], "has 51 policies; at most 50 are allowed");
}

#[test]
fn faults_of_the_grammar_are_one_sentence_in_plain_words() {
    for (require, fault) in [
        ("(true", "line 1, column 6: `)` is missing before the end of the expression"),
        ("true)", "line 1, column 5: `)` is unexpected"),
        ("goal +", "line 1, column 7: the end of the expression is unexpected"),
        ("true ? true", "line 1, column 12: the end of the expression is unexpected"),
        ("plan[0", "line 1, column 7: `]` is missing before the end of the expression"),
        ("plan.all(s, s.step > )", "line 1, column 22: `)` is unexpected"),
        ("goal == 'a", "line 1, column 9: this string has no end"),
        ("goal == \"a", "line 1, column 9: this string has no end"),
        ("goal == 'a\nb'", "line 1, column 9: this string has no end"),
        ("true and true", "line 1, column 6: `and` is unexpected; write `&&`"),
        ("true or true", "line 1, column 6: `or` is unexpected; write `||`"),
        ("plan.all(s, s.step = 1)", "line 1, column 20: `=` is unexpected; write `==`"),
        ("goal == 'a' 🙂", "line 1, column 13: `🙂` is unexpected"),
        ("has(goal)", "line 1, column 5: `has` needs a field: write `has(record.field)`"),
        ("plan.all(1, true)", "line 1, column 10: the first argument must be the name of a variable"),
        ("plan.all(s)", "line 1, column 9: wrong call of `all`: write `list.all(x, condition)`"),
        ("null", "a value is null, but must be bool"),
        ("  ", "is blank"),
    ] {
        let faults = compiled(&[source(require)]).err();
        assert_eq!(faults, Some(vec![format!("policies[0].require (`rule`): {fault}")]), "{require}");
    }
}

#[test]
fn expressions_that_nest_deeply_are_refused_and_never_overflow_the_stack() {
    let repeated = |open: &str, inner: &str, close: &str, times: usize| {
        [open.repeat(times), inner.to_owned(), close.repeat(times)].concat()
    };
    for (require, fault) in [
        ("[".repeat(900), "parentheses and brackets nest deeper than 30 levels"),
        (repeated("(", "true", ")", 900), "parentheses and brackets nest deeper than 30 levels"),
        (repeated("-(", "1", ")", 400) + " > 0", "parentheses and brackets nest deeper than 30 levels"),
        (repeated("size(", "goal", ")", 280) + " > 0", "parentheses and brackets nest deeper than 30 levels"),
        (repeated("{1: ", "1", "}", 300) + " == 1", "parentheses and brackets nest deeper than 30 levels"),
        ("true ? true : ".repeat(140) + "true", "parentheses and brackets nest deeper than 30 levels"),
        (format!("context{} == 1", ".a".repeat(950)), "it nests deeper than 20 levels here"),
        (format!("context{} == 1", "[0]".repeat(600)), "it nests deeper than 20 levels here"),
        (format!("goal{} == ''", " + goal".repeat(280)), "it nests deeper than 20 levels here"),
        (format!("1{} > 0", "+1".repeat(900)), "it nests deeper than 20 levels here"),
    ] {
        let faults = compiled(&[source(&require)]).expect_err("a fault");
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].contains("(`rule`): line 1, column ") && faults[0].contains(fault), "{faults:?}");
    }
    // What is allowed is evaluated on the stacks of worker threads, which are as small as those of tests.
    for require in [
        repeated("(", "true", ")", 29),
        format!("true{}", " && true".repeat(200)),
        format!("{}true", "!".repeat(1_000)),
        format!("goal{} != ''", " + goal".repeat(17)),
        format!("has(context{}) || true", ".a".repeat(16)),
        format!("size({}) == 1", repeated("[", "", "]", 17)),
    ] {
        compiled(&[source(&require)]).unwrap_or_else(|faults| panic!("{faults:?}"));
        let _ = holds(&require);
    }
}

/// Expressions that would take long, or hold much, if nothing counted.
const EXPENSIVE: [&str; 5] = [
    "plan.all(a, plan.all(b, plan.all(c, a.step + b.step + c.step > 0)))",
    "true || plan.all(a, plan.all(b, plan.all(c, a.step + b.step + c.step > 0)))",
    "context.many.all(a, context.many.all(b, a != b || a == b))",
    "context.many.all(a, a in context.many && !goal.matches('(a|b)+c'))",
    "[goal].map(a, [a,a,a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a,a,a]).map(a, a + a + a).size() > 0",
];

#[test]
fn no_expression_takes_long_whatever_the_request() {
    let long: Vec<SubTask> = (1..=50).map(|number| step(number, "Do it", "coder", &[])).collect();
    let context = json!({"many": vec!["abcdefgh"; 5_000]});
    let goal = "ab".repeat(5_000);
    for require in EXPENSIVE {
        let policies = compiled(&[source(require)]).expect("cheap for the sample plan");
        let began = std::time::Instant::now();
        let violations = policies.violations(&PolicyInput {
            goal: &goal,
            constraints: &[],
            context: context.as_object().expect("an object"),
            steps: &long,
            schedule: &Schedule { levels: vec![], critical_path: vec![], critical_path_seconds: 0 },
            arms: ArmRegistry::default().arms(),
        });
        let took = began.elapsed();
        let is_cheap = require.starts_with("true ||");
        let expected: &[&str] =
            if is_cheap { &[] } else { &["Keep the rule (it cannot be evaluated: it takes too long)"] };
        let messages: Vec<&str> = violations.iter().map(|violation| violation.message.as_str()).collect();
        assert_eq!(messages, expected, "{require}");
        // That is 20 ms in a release; this is a build without optimisations, on a busy machine.
        assert!(took < std::time::Duration::from_secs(10), "{require} took {took:?}");
    }
}

#[test]
fn a_policy_that_is_too_expensive_for_the_longest_plan_is_an_invalid_setting() {
    let rules = PlanRules { max_steps: 50, ..PlanRules::default() };
    let faults =
        Policies::new(&[source(EXPENSIVE[0])], &ArmRegistry::default(), &rules).expect_err("a fault");
    assert_eq!(faults, ["policies[0].require (`rule`): takes too long for a plan of 50 steps"]);
}

#[test]
fn the_description_of_all_policies_changes_with_each_of_their_fields() {
    let described = |source: PolicySource| format!("{:?}", compiled(&[source]).expect("a policy"));
    let all = [
        source("true"),
        source("true == true"),
        PolicySource { when: Some("true".into()), ..source("true") },
        PolicySource { name: "other".into(), ..source("true") },
        PolicySource { message: "Another".into(), ..source("true") },
        PolicySource { severity: Severity::Warning, ..source("true") },
    ];
    let descriptions: std::collections::BTreeSet<String> = all.into_iter().map(described).collect();
    assert_eq!(descriptions.len(), 6);
}
