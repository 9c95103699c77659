//! Checks an expression before there is a plan, and makes its cost bounded.
//!
//! The `cel` crate parses and evaluates, and checks neither names nor types. So each node is visited once: names,
//! fields, functions and types that cannot be right are faults with their position; and whatever may take long, or
//! grow, is wrapped in a call that counts it against the fuel of the evaluation.

use cel::IdedExpr as Expression;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators,
};
use cel::common::types::CelInt;
use regex::{Regex, RegexBuilder};

use super::rewrite::{compare_instead, index_instead, wrap};
use super::shape::{FUNCTIONS, Function, MACROS, MATCHES, Shape, VARIABLES};

/// Maximum number of nodes of an expression, macros expanded.
const MAX_NODES: u32 = 1_000;
/// How deep an expression may nest, parentheses not counted: evaluating it takes stack at each level.
const MAX_DEPTH: usize = 20;
/// How many faults of one expression are reported.
const MAX_FAULTS: usize = 5;
/// How deep loops (`all`, `exists`, `map`, `filter`) may nest.
const MAX_NESTING: usize = 3;
/// Maximum size of a compiled regular expression in bytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Names in rewritten expressions only: an expression that a user writes cannot contain an `@`.
pub(super) const CHARGE: &str = "@charge";
pub(super) const RANGE: &str = "@range";
pub(super) const MATCHES_PATTERN: &str = "@matches";
const PATTERN: &str = "@pattern";

/// The variable that holds the compiled pattern of this index.
pub(super) fn pattern_index(variable: &str) -> Option<usize> {
    variable.strip_prefix(PATTERN)?.parse().ok()
}

/// What is known of an expression that was checked.
pub(super) struct Checked {
    /// What it evaluates to.
    pub(super) shape: Shape,
    /// How often it names the whole plan or its schedule.
    pub(super) mentions_of_plan: usize,
}

/// Checks and rewrites `expr`, and adds its regular expressions to `patterns`, of which the first has the index `first`.
///
/// # Errors
/// Each fault, with its line and column.
pub(super) fn check(
    expr: &mut Expression,
    source: &SourceInfo,
    first: usize,
    patterns: &mut Vec<Regex>,
) -> Result<Checked, Vec<String>> {
    let mut checker = Checker {
        source,
        first,
        patterns,
        faults: Vec::new(),
        scope: Vec::new(),
        nodes: 0,
        depth: 0,
        too_deep_at: None,
        nesting: 0,
        mentions_of_plan: 0,
    };
    let shape = checker.check(expr);
    if let Some(id) = checker.too_deep_at {
        checker.fault(id, format!("it nests deeper than {MAX_DEPTH} levels here; split the policy in two"));
    } else if checker.nodes > MAX_NODES {
        let nodes = checker.nodes;
        checker.faults.push(format!("it has {nodes} parts; at most {MAX_NODES} are allowed"));
    }
    checker.faults.truncate(MAX_FAULTS);
    let mentions_of_plan = checker.mentions_of_plan;
    if checker.faults.is_empty() { Ok(Checked { shape, mentions_of_plan }) } else { Err(checker.faults) }
}

/// Line and column, from 1, of the character at `offset`.
pub(super) fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before: Vec<char> = source.chars().take(offset).collect();
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
    (line, column)
}

struct Checker<'a> {
    source: &'a SourceInfo,
    first: usize,
    patterns: &'a mut Vec<Regex>,
    faults: Vec<String>,
    /// The variables of the loops around, innermost last.
    scope: Vec<(String, Shape)>,
    nodes: u32,
    depth: usize,
    /// The first node that is too deep. What is in it is not checked.
    too_deep_at: Option<u64>,
    nesting: usize,
    mentions_of_plan: usize,
}

impl Checker<'_> {
    fn fault(&mut self, id: u64, what: impl std::fmt::Display) {
        let place = self.source.offset_for(id).map(|(start, _)| {
            let (line, column) = line_and_column(&self.source.source, start as usize);
            format!("line {line}, column {column}: ")
        });
        self.faults.push(format!("{}{what}", place.unwrap_or_default()));
    }

    fn check(&mut self, expr: &mut Expression) -> Shape {
        if self.depth == MAX_DEPTH {
            self.too_deep_at.get_or_insert(expr.id);
            return Shape::Any;
        }
        self.depth += 1;
        let shape = self.check_node(expr);
        self.depth -= 1;
        shape
    }

    fn check_node(&mut self, expr: &mut Expression) -> Shape {
        self.nodes += 1;
        let id = expr.id;
        match &mut expr.expr {
            Expr::Literal(literal) => shape_of(literal),
            Expr::Ident(name) => self.variable(id, name),
            Expr::Select(select) => {
                let shape = self.select(id, select);
                if !select.test {
                    index_instead(expr);
                }
                shape
            }
            Expr::Call(call) => self.call(id, call),
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::List(list) => {
                let elements = list.elements.iter_mut().map(|element| self.charged(element));
                Shape::list(elements.reduce(Shape::or).unwrap_or(Shape::Any))
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.charged(&mut entry.key);
                        self.charged(&mut entry.value);
                    }
                }
                Shape::Any
            }
            Expr::Struct(_) | Expr::Unspecified => {
                self.fault(id, "this cannot be used in a policy");
                Shape::Any
            }
        }
    }

    fn variable(&mut self, id: u64, name: &str) -> Shape {
        if let Some((_, shape)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return shape.clone();
        }
        self.mentions_of_plan += usize::from(matches!(name, "plan" | "schedule"));
        Shape::of_variable(name).unwrap_or_else(|| {
            self.fault(id, format!("unknown variable `{name}`; available: {}", VARIABLES.join(", ")));
            Shape::Any
        })
    }

    fn select(&mut self, id: u64, select: &mut SelectExpr) -> Shape {
        let field = select.field.clone();
        let shape = match self.check(&mut select.operand) {
            Shape::Any => Shape::Any,
            Shape::Record(record) => record.field(&field).unwrap_or_else(|| {
                let (noun, fields) = (Shape::Record(record).noun(), record.fields().join(", "));
                self.fault(id, format!("{noun} has no field `{field}`; available: {fields}"));
                Shape::Any
            }),
            other => {
                self.fault(id, format!("{} has no field `{field}`", other.noun()));
                Shape::Any
            }
        };
        if select.test { Shape::Bool } else { shape }
    }

    fn comprehension(&mut self, id: u64, comprehension: &mut ComprehensionExpr) -> Shape {
        if self.nesting == MAX_NESTING {
            self.fault(id, format!("loops nest deeper than {MAX_NESTING} levels"));
        }
        let initial = self.check(&mut comprehension.accu_init);
        let element = match self.check(&mut comprehension.iter_range) {
            Shape::List(element) => *element,
            Shape::Any => Shape::Any,
            other => {
                self.fault(comprehension.iter_range.id, format!("{} is not a list", other.noun()));
                Shape::Any
            }
        };
        let (outside, before) = (self.scope.len(), self.nodes);
        self.scope.push((comprehension.accu_var.clone(), initial));
        self.scope.push((comprehension.iter_var.clone(), element));
        self.nesting += 1;
        self.check(&mut comprehension.loop_cond);
        let step = self.check(&mut comprehension.loop_step);
        let weight = self.nodes - before;
        self.scope[outside].1 = step;
        let result = self.check(&mut comprehension.result);
        self.nesting -= 1;
        self.scope.truncate(outside);
        let weight = LiteralValue::Int(CelInt::from(i64::from(weight)));
        wrap(&mut comprehension.iter_range, RANGE, Some(weight));
        result
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Shape {
        // The names of operators do not start with a letter.
        if call.target.is_some() || call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.function(id, call);
        }
        let name = call.func_name.clone();
        if let (operators::ADD, [left, right]) = (name.as_str(), &mut call.args[..]) {
            return self.add(id, left, right);
        }
        let shapes: Vec<Shape> = call.args.iter_mut().map(|arg| self.check(arg)).collect();
        match (name.as_str(), &shapes[..]) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, operands) => {
                for (operand, arg) in operands.iter().zip(&call.args) {
                    self.expect_bool(arg.id, operand);
                }
                if let [Shape::Bool] = operands {
                    compare_instead(call);
                }
                Shape::Bool
            }
            (operators::NOT_STRICTLY_FALSE, _) => Shape::Bool,
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.expect_bool(call.args[0].id, condition);
                yes.clone().or(no.clone())
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                if !left.may_equal(right) {
                    self.fault(id, format!("{} never equals {}", left.noun(), right.noun()));
                }
                Shape::Bool
            }
            (operators::IN, [element, list]) => self.membership(id, &mut call.args[1], element, list),
            (operators::INDEX, [of, _]) => match of {
                Shape::List(element) => (**element).clone(),
                Shape::Any => Shape::Any,
                other => {
                    self.fault(id, format!("{} has no entries", other.noun()));
                    Shape::Any
                }
            },
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => self.comparison(id, left, right),
            (operators::NEGATE, [operand]) => self.arithmetic(id, operand, operand),
            (_, [left, right]) => self.arithmetic(id, left, right),
            _ => {
                self.fault(id, format!("`{name}` cannot be used in a policy"));
                Shape::Any
            }
        }
    }

    /// `element in list`, where `list` is the shape of `list_expr`.
    fn membership(&mut self, id: u64, list_expr: &mut Expression, element: &Shape, list: &Shape) -> Shape {
        match list {
            Shape::Any => wrap(list_expr, CHARGE, None),
            Shape::List(of) if element.may_equal(of) => {}
            Shape::List(of) => {
                self.fault(id, format!("{} is never in a list of {}", element.noun(), plural(of)));
            }
            other => self.fault(id, format!("`in` needs a list, but this is {}", other.noun())),
        }
        Shape::Bool
    }

    /// Whether `left` is less or greater than `right`.
    fn comparison(&mut self, id: u64, left: &Shape, right: &Shape) -> Shape {
        let has_order = |shape: &Shape| !matches!(shape, Shape::List(_) | Shape::Record(_));
        if !left.may_equal(right) || !has_order(left) || !has_order(right) {
            self.fault(id, format!("{} cannot be compared with {}", left.noun(), right.noun()));
        }
        Shape::Bool
    }

    fn expect_bool(&mut self, id: u64, shape: &Shape) {
        if !matches!(shape, Shape::Bool | Shape::Any) {
            self.fault(id, format!("this is {}, but must be a boolean", shape.noun()));
        }
    }

    /// Numbers of one kind: CEL does not convert them.
    fn arithmetic(&mut self, id: u64, left: &Shape, right: &Shape) -> Shape {
        match (left, right) {
            (Shape::Any, other) | (other, Shape::Any) if other.is_number() || *other == Shape::Any => {
                other.clone()
            }
            (left, right) if left == right && left.is_number() => left.clone(),
            (left, right) if left.is_number() && right.is_number() => {
                let what = format!(
                    "{} and {} do not mix; convert one with int() or double()",
                    left.noun(),
                    right.noun()
                );
                self.fault(id, what);
                Shape::Any
            }
            (left, right) => {
                self.fault(
                    id,
                    format!("this needs numbers, but these are {} and {}", left.noun(), right.noun()),
                );
                Shape::Any
            }
        }
    }

    fn add(&mut self, id: u64, left: &mut Expression, right: &mut Expression) -> Shape {
        let (a, b) = (self.check(left), self.check(right));
        match (&a, &b) {
            (Shape::List(_), Shape::List(_) | Shape::Any)
            | (Shape::Text | Shape::LongText, Shape::Text | Shape::LongText | Shape::Any)
            | (Shape::Any, Shape::List(_) | Shape::Text | Shape::LongText) => {}
            _ => {
                let sum = self.arithmetic(id, &a, &b);
                if sum != Shape::Any {
                    return sum;
                }
            }
        }
        // Loops that append to their own result (`map`, `filter`) are counted by their range and their elements.
        for (operand, shape) in [(left, &a), (right, &b)] {
            let appends = matches!(&operand.expr, Expr::List(_))
                || matches!(&operand.expr, Expr::Ident(name) if name.starts_with('@'));
            if !appends && !shape.is_number() {
                wrap(operand, CHARGE, None);
            }
        }
        match a.or(b) {
            Shape::Text => Shape::LongText,
            sum => sum,
        }
    }

    fn function(&mut self, id: u64, call: &mut CallExpr) -> Shape {
        let name = call.func_name.clone();
        let is_method = call.target.is_some();
        let found = FUNCTIONS.iter().find(|function| {
            function.name == name
                && function.receiver.is_some() == is_method
                && function.takes.len() == call.args.len()
        });
        let Some(Function { receiver, takes, returns, .. }) = found else {
            let known = FUNCTIONS.iter().any(|function| function.name == name);
            let what = if let Some((_, form)) = MACROS.iter().find(|(macro_name, _)| *macro_name == name) {
                format!("wrong call of `{name}`: write `{form}`")
            } else if known {
                format!(
                    "wrong call of `{name}`: check the number of arguments, and whether it is a method, `a.{name}(…)`, or a function, `{name}(a)`"
                )
            } else {
                let functions = FUNCTIONS.iter().map(|function| function.name);
                let mut names: Vec<&str> = MACROS.iter().map(|(name, _)| *name).chain(functions).collect();
                names.dedup();
                format!("unknown function `{name}`; available: {}", names.join(", "))
            };
            self.fault(id, what);
            return Shape::Any;
        };
        let literal = call.args.first().and_then(literal_text);
        let target = call.target.as_deref_mut().zip(receiver.as_ref());
        for (arg, wanted) in target.into_iter().chain(call.args.iter_mut().zip(*takes)) {
            let place = arg.id;
            let shape = self.charged(arg);
            if !shape.may_equal(wanted) {
                self.fault(place, format!("`{name}` needs {}, but this is {}", wanted.noun(), shape.noun()));
            }
        }
        if name == MATCHES {
            self.compile_pattern(call, literal);
        }
        returns.clone()
    }

    /// Compiles the regular expression once instead of at each evaluation, which finds its faults now.
    fn compile_pattern(&mut self, call: &mut CallExpr, pattern: Option<String>) {
        let place = call.args[0].id;
        let Some(pattern) = pattern else {
            return self.fault(place, "the pattern of `matches` must be a string in quotes");
        };
        match RegexBuilder::new(&pattern).size_limit(MAX_PATTERN_BYTES).build() {
            Ok(regex) => {
                MATCHES_PATTERN.clone_into(&mut call.func_name);
                call.args[0].expr = Expr::Ident(format!("{PATTERN}{}", self.first + self.patterns.len()));
                self.patterns.push(regex);
            }
            Err(regex::Error::CompiledTooBig(_)) => self.fault(place, "this regular expression is too large"),
            Err(_) => self.fault(place, "this is not a regular expression"),
        }
    }

    /// Checks `expr` and has it counted, unless it is small.
    fn charged(&mut self, expr: &mut Expression) -> Shape {
        let shape = self.check(expr);
        if !shape.is_small() {
            wrap(expr, CHARGE, None);
        }
        shape
    }
}

fn shape_of(literal: &LiteralValue) -> Shape {
    match literal {
        LiteralValue::Boolean(_) => Shape::Bool,
        LiteralValue::Int(_) => Shape::Int,
        LiteralValue::UInt(_) => Shape::Unsigned,
        LiteralValue::Double(_) => Shape::Double,
        LiteralValue::String(_) => Shape::Text,
        LiteralValue::Bytes(_) | LiteralValue::Null => Shape::Any,
    }
}

fn literal_text(expr: &Expression) -> Option<String> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}

fn plural(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::LongText => "strings",
        Shape::Record(_) => "records",
        Shape::List(_) => "lists",
        Shape::Bool => "booleans",
        Shape::Any => "anything",
        _ => "numbers",
    }
}
