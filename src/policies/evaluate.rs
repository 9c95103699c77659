//! Evaluates policies for one plan.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, operators};
use cel::common::types::{CelBool, CelInt, CelString, DYN_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, IdedExpr as Expression, Value};

use crate::text::shorten;

use super::check::{CHARGE, MATCHES_PATTERN, RANGE};
use super::direct::{Direct, Scope};
use super::node::Node;
use super::opaque::{Fuel, Pattern, size_of};
use super::values::{Item, Plan, Variables};
use super::{Compiled, FUEL_UNITS, Policies, Policy, PolicyInput, PolicySource, Severity};

/// A policy that does not hold, or that cannot be evaluated, which counts as the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub policy: String,
    /// What follows.
    pub severity: Severity,
    /// Its message, or why it cannot be evaluated.
    pub message: String,
    /// The numbers of the steps that break it, where it is about each step.
    pub steps: Vec<u32>,
    /// Whether each of these steps breaks it in any other plan too.
    pub is_of_each_step: bool,
}

/// Why an expression has no boolean value.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is wrong for any plan.
    Wrong(String),
    /// There is no such key.
    NoKey(String),
    /// It has no value for this plan or this request.
    NoValue(&'static str),
    CostsTooMuch,
}

impl Failure {
    /// In words of this program and of the policy: it contains no text of a request.
    fn reason(&self, source: &PolicySource) -> String {
        let is_written =
            |key: &str| source.require.contains(key) || source.when.iter().any(|when| when.contains(key));
        match self {
            Self::Wrong(reason) => reason.clone(),
            Self::NoValue(reason) => (*reason).to_owned(),
            Self::NoKey(key) if is_written(key) => {
                format!("`{}` does not exist; test for it with has() first", shorten(key, 40))
            }
            Self::NoKey(_) => "a key does not exist; test for it with `in` first".to_owned(),
            Self::CostsTooMuch => "it takes too long".to_owned(),
        }
    }
}

type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// The standard functions of CEL, and those that rewritten expressions call.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    let added = [
        env.add_overload(RANGE, RANGE, vec![DYN_TYPE, DYN_TYPE, DYN_TYPE], charge_range),
        env.add_overload(CHARGE, CHARGE, vec![DYN_TYPE, DYN_TYPE], charge),
        env.add_member_overload(MATCHES_PATTERN, MATCHES_PATTERN, STRING_TYPE, vec![DYN_TYPE], matches),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "names of our own");
    Arc::new(env)
});

/// Returns its first argument and counts it.
fn charge<'b, 'v>(mut args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let fuel = args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let value = args.swap_remove(0);
    let fuel = fuel.downcast_ref::<Fuel>().ok_or_else(ExecutionError::missing_argument_or_target)?;
    fuel.charge(size_of(&*value, FUEL_UNITS))?;
    Ok(value)
}

/// The same for the range of a loop whose body has `nodes` nodes.
fn charge_range<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    if let [range, weight, fuel] = &args[..]
        && let Some(fuel) = fuel.downcast_ref::<Fuel>()
    {
        let weight = weight.downcast_ref::<CelInt>().map_or(1, |weight| weight.inner().unsigned_abs());
        let rounds = range.as_sizer().map_or(1, |sizer| sizer.size().inner().unsigned_abs());
        fuel.charge(rounds.saturating_mul(weight))?;
    }
    let mut args = args;
    args.remove(1);
    charge(args)
}

#[expect(clippy::needless_pass_by_value, reason = "functions of CEL have this signature")]
fn matches<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    match &args[..] {
        [text, pattern] => {
            let text = text.downcast_ref::<CelString<'_>>().map(CelString::inner);
            let pattern = pattern.downcast_ref::<Pattern>();
            let found = text.zip(pattern).map(|(text, Pattern(pattern))| pattern.is_match(text));
            let found = found.ok_or_else(ExecutionError::missing_argument_or_target)?;
            Ok(CowVal::owned(CelBool::from(found)))
        }
        _ => Err(ExecutionError::missing_argument_or_target()),
    }
}

impl Policies {
    /// Every policy that the plan of `input` breaks, in the order of the settings file.
    pub fn violations(&self, input: &PolicyInput<'_>) -> Vec<Violation> {
        if self.is_empty() {
            return Vec::new();
        }
        self.evaluate(input, |direct| {
            self.policies.iter().filter_map(|policy| violation(policy, direct)).collect()
        })
    }

    /// Evaluates both expressions of each policy for the plan of `input`, with fuel of its own; why one has no value.
    pub(super) fn failures(&self, input: &PolicyInput<'_>) -> Vec<(usize, &'static str, Failure)> {
        let mut failures = Vec::new();
        for (index, policy) in self.policies.iter().enumerate() {
            let rules = policy.when.iter().map(|when| ("when", when)).chain([("require", &policy.require)]);
            for (field, rule) in rules {
                let result = self.evaluate(input, |direct| holds(rule, direct));
                if let Err(failure) = result {
                    failures.push((index, field, failure));
                }
            }
        }
        failures
    }

    /// Evaluates with the variables of `input` and new fuel.
    fn evaluate<T>(&self, input: &PolicyInput<'_>, evaluate: impl FnOnce(&Direct<'_, '_>) -> T) -> T {
        let plan = Plan::new(input.steps);
        let variables = Variables::new(input, &plan, &self.patterns, Fuel::new(FUEL_UNITS));
        evaluate(&Direct::new(&variables))
    }
}

fn violation<'a>(policy: &'a Policy, direct: &Direct<'a, '_>) -> Option<Violation> {
    let Policy { source, when, require, is_of_each_step } = policy;
    let applies = when.as_ref().map_or(Ok(true), |when| holds(when, direct));
    let held = match applies {
        Ok(false) => return None,
        Ok(true) => holds(require, direct),
        Err(failure) => Err(failure),
    };
    let PolicySource { name, message, severity, .. } = source;
    let of = |message, steps| {
        let (policy, severity, is_of_each_step) = (name.clone(), *severity, *is_of_each_step);
        Some(Violation { policy, severity, message, steps, is_of_each_step })
    };
    match held {
        Ok(true) => None,
        Ok(false) => of(message.clone(), offending_steps(&require.expression, direct.variables)),
        Err(failure) => {
            let (rule, reason) = (message.trim_end_matches('.'), failure.reason(source));
            of(format!("{rule} (it cannot be evaluated: {reason})"), Vec::new())
        }
    }
}

/// The numbers of the steps that break a policy of the form `plan.all(step, …)`; none for others.
fn offending_steps(require: &Expression, variables: &Variables<'_>) -> Vec<u32> {
    let Some((name, body)) = for_each_step(require) else { return Vec::new() };
    let node = Node::of(body, &mut vec![name]);
    let direct = Direct::new(variables);
    let breaks = |item: Item<'_>| {
        let left = variables.fuel.left();
        match direct.evaluate(&node, Some(&Scope { item, outer: None })) {
            Some(Item::Bool(yes)) => !yes,
            _ => matches!(by_cel(body, Some((name, item)), variables, left), Ok(false)),
        }
    };
    let numbered = (1..).zip(variables.steps());
    numbered.filter_map(|(number, step)| breaks(step).then_some(number)).collect()
}

/// Whether `expression` has the form `plan.all(variable, body)`.
pub(super) fn is_for_each_step(expression: &Expression) -> bool {
    for_each_step(expression).is_some()
}

/// The variable and the body of `plan.all(variable, body)`.
fn for_each_step(expression: &Expression) -> Option<(&str, &Expression)> {
    let Expr::Comprehension(all) = &expression.expr else { return None };
    let (Expr::Call(range), Expr::Call(step)) = (&all.iter_range.expr, &all.loop_step.expr) else {
        return None;
    };
    let is_over_plan = matches!(&range.args.first()?.expr, Expr::Ident(name) if name == "plan");
    let is_all = step.func_name == operators::LOGICAL_AND;
    (is_over_plan && is_all).then_some((all.iter_var.as_str(), step.args.get(1)?))
}

/// Whether `rule` is true.
fn holds<'a>(rule: &'a Compiled, direct: &Direct<'a, '_>) -> Result<bool, Failure> {
    let left = direct.variables.fuel.left();
    if let Some(Item::Bool(yes)) = direct.evaluate(&rule.node, None) {
        return Ok(yes);
    }
    by_cel(&rule.expression, None, direct.variables, left)
}

/// Whether `expression`, of which the direct evaluation knew no value, is true: `local` is the variable of a loop
/// around it, and `left` what its evaluation may cost. A panic of the `cel` crate is a failure like others.
fn by_cel(
    expression: &Expression,
    local: Option<(&str, Item<'_>)>,
    variables: &Variables<'_>,
    left: u64,
) -> Result<bool, Failure> {
    if variables.fuel.left() == 0 {
        return Err(Failure::CostsTooMuch);
    }
    variables.fuel.restore(left);
    let mut outer = Context::with_env(ENVIRONMENT.clone());
    outer.set_variable_resolver(variables);
    let mut context = outer.new_inner_scope();
    if let Some((name, item)) = local {
        context.add_variable_as_val(name, item.into_value());
    }
    let evaluate = || {
        let value = Value::resolve_val(expression, &context)?;
        let boolean = value.downcast_ref::<CelBool>().map(|yes| *yes.inner());
        boolean.ok_or_else(|| ExecutionError::UnexpectedType {
            got: value.get_type().name().to_owned(),
            want: "bool".to_owned(),
        })
    };
    let result = catch_unwind(AssertUnwindSafe(evaluate));
    // Logical operators may hide the error of what was not evaluated.
    if variables.fuel.left() == 0 {
        return Err(Failure::CostsTooMuch);
    }
    match result {
        Ok(result) => result.map_err(|error| failure(&error)),
        Err(_) => Err(Failure::Wrong("the evaluation failed".into())),
    }
}

/// The failure of an evaluation, without any value in it: values may be long, or from a caller.
fn failure(error: &ExecutionError) -> Failure {
    match error {
        ExecutionError::NoSuchKey(key) => Failure::NoKey(key.to_string()),
        ExecutionError::IndexOutOfBounds(_) => Failure::NoValue("an index is beyond the end of its list"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            Failure::NoValue("it divides by zero")
        }
        ExecutionError::Overflow(..) => Failure::NoValue("a number is out of range"),
        ExecutionError::FunctionError { .. } => Failure::NoValue("a function does not accept its arguments"),
        ExecutionError::NoSuchOverload(overload) => Failure::Wrong(overload.to_string()),
        ExecutionError::UnexpectedType { got, want } => {
            Failure::Wrong(format!("a value is {}, but must be {want}", got.trim_end_matches("_type")))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            Failure::Wrong(format!("`{operator}` does not take values of these types"))
        }
        _ => Failure::Wrong("a value has the wrong type".into()),
    }
}
