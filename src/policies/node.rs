//! Expressions in the form in which they are evaluated directly: what each name means is found out once, at start.

use cel::IdedExpr as Expression;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};

use super::check::{CHARGE, MATCHES_PATTERN, RANGE, pattern_index};

/// A checked expression, or a part of one.
#[derive(Debug)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Text(String),
    /// A variable of a request or a plan.
    Variable(String),
    /// The variable of a loop: 0 is that of the innermost scope.
    Local(usize),
    /// Whether an object has a field.
    Has(Box<Node>, String),
    Call(Function, Box<[Node]>),
    /// Whether a text matches the compiled pattern of this index.
    Matches(Box<Node>, usize),
    /// Its argument, which is counted.
    Charge(Box<Node>),
    /// The range of a loop whose body has this many nodes.
    Range(Box<Node>, u64),
    Loop(Box<Loop>),
    /// The steps of a list for which a condition is true.
    Filter(Box<[Node; 2]>),
    /// What only `cel` knows.
    Unknown,
}

/// A loop that changes its result with each element of a range, such as `all`.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) initial: Node,
    pub(super) range: Node,
    /// Within the scopes of the result and of the element.
    pub(super) step: Node,
    /// Within the scope of the result.
    pub(super) result: Node,
}

/// An operator or a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Conditional,
    Equals,
    Differs,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Index,
    In,
    Size,
    Contains,
    StartsWith,
    EndsWith,
}

/// How each is called: its name, and how many arguments it has, among which is what a method is called on.
const FUNCTIONS: [(&str, usize, Function); 18] = [
    (operators::LOGICAL_AND, 2, Function::And),
    (operators::LOGICAL_OR, 2, Function::Or),
    (operators::CONDITIONAL, 3, Function::Conditional),
    (operators::EQUALS, 2, Function::Equals),
    (operators::NOT_EQUALS, 2, Function::Differs),
    (operators::LESS, 2, Function::Less),
    (operators::LESS_EQUALS, 2, Function::LessOrEqual),
    (operators::GREATER, 2, Function::Greater),
    (operators::GREATER_EQUALS, 2, Function::GreaterOrEqual),
    (operators::ADD, 2, Function::Add),
    (operators::SUBSTRACT, 2, Function::Subtract),
    (operators::MULTIPLY, 2, Function::Multiply),
    (operators::INDEX, 2, Function::Index),
    (operators::IN, 2, Function::In),
    ("size", 1, Function::Size),
    ("contains", 2, Function::Contains),
    ("startsWith", 2, Function::StartsWith),
    ("endsWith", 2, Function::EndsWith),
];

impl Node {
    /// The node for a rewritten expression, within the scopes of the variables of `scope`, of which the last is innermost.
    pub(super) fn of<'e>(expr: &'e Expression, scope: &mut Vec<&'e str>) -> Self {
        match &expr.expr {
            Expr::Literal(LiteralValue::Boolean(yes)) => Self::Bool(*yes.inner()),
            Expr::Literal(LiteralValue::Int(number)) => Self::Int(*number.inner()),
            Expr::Literal(LiteralValue::String(text)) => Self::Text(text.inner().to_owned()),
            Expr::Ident(name) => scope
                .iter()
                .rev()
                .position(|local| local == name)
                .map_or_else(|| Self::Variable(name.clone()), Self::Local),
            Expr::Select(has) if has.test => {
                Self::Has(Box::new(Self::of(&has.operand, scope)), has.field.clone())
            }
            Expr::Call(call) => Self::of_call(call, scope),
            Expr::Comprehension(filter) if matches!(filter.accu_init.expr, Expr::List(_)) => {
                let Some(condition) = condition_of_filter(filter) else { return Self::Unknown };
                let range = Self::of(&filter.iter_range, scope);
                scope.push(&filter.iter_var);
                let condition = Self::of(condition, scope);
                scope.pop();
                Self::Filter(Box::new([range, condition]))
            }
            Expr::Comprehension(all) => Self::Loop(Box::new(Loop::of(all, scope))),
            _ => Self::Unknown,
        }
    }

    fn of_call<'e>(call: &'e CallExpr, scope: &mut Vec<&'e str>) -> Self {
        let args: Vec<&Expression> = call.target.as_deref().into_iter().chain(&call.args).collect();
        match (call.func_name.as_str(), &args[..]) {
            (MATCHES_PATTERN, [text, pattern]) => match &pattern.expr {
                Expr::Ident(name) => pattern_index(name)
                    .map_or(Self::Unknown, |index| Self::Matches(Box::new(Self::of(text, scope)), index)),
                _ => Self::Unknown,
            },
            (RANGE, [list, weight, _]) => match &weight.expr {
                Expr::Literal(LiteralValue::Int(weight)) => {
                    Self::Range(Box::new(Self::of(list, scope)), weight.inner().unsigned_abs())
                }
                _ => Self::Unknown,
            },
            (CHARGE, [counted, _]) => Self::Charge(Box::new(Self::of(counted, scope))),
            (name, args) => {
                let known = FUNCTIONS.iter().find(|(known, count, _)| *known == name && *count == args.len());
                known.map_or(Self::Unknown, |(_, _, function)| {
                    Self::Call(*function, args.iter().map(|arg| Self::of(arg, scope)).collect())
                })
            }
        }
    }
}

impl Loop {
    fn of<'e>(of: &'e ComprehensionExpr, scope: &mut Vec<&'e str>) -> Self {
        let initial = Node::of(&of.accu_init, scope);
        let range = Node::of(&of.iter_range, scope);
        scope.push(&of.accu_var);
        scope.push(&of.iter_var);
        let step = Node::of(&of.loop_step, scope);
        scope.pop();
        let result = Node::of(&of.result, scope);
        scope.pop();
        Self { initial, range, step, result }
    }
}

/// The condition of `filter`, which the parser makes into `condition ? result + [element] : result`.
fn condition_of_filter(of: &ComprehensionExpr) -> Option<&Expression> {
    let Expr::Call(step) = &of.loop_step.expr else { return None };
    let (operators::CONDITIONAL, [condition, kept, _]) = (step.func_name.as_str(), &step.args[..]) else {
        return None;
    };
    let Expr::Call(kept) = &kept.expr else { return None };
    let (operators::ADD, [_, added]) = (kept.func_name.as_str(), &kept.args[..]) else { return None };
    let Expr::List(added) = &added.expr else { return None };
    let is_element = |added: &Expression| matches!(&added.expr, Expr::Ident(name) if *name == of.iter_var);
    matches!(&added.elements[..], [added] if is_element(added)).then_some(condition)
}
