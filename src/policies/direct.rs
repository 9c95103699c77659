//! Evaluates the common part of CEL without `cel`, which looks names up as texts and allocates for each variable, loop
//! and call: ten policies take a third of its instructions.
//!
//! What is not known here, and every error, is left to `cel` as a whole expression. The cost is counted alike, so that
//! both stop at the same limit.

use cel::IdedExpr as Expression;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};

use super::check::{CHARGE, MATCHES_PATTERN, RANGE, pattern_index};
use super::opaque::{Pattern, size_of_item};
use super::values::{Fields, Item, Variables};

/// A variable of a loop, within the loops around it.
pub(super) struct Scope<'s, 'v> {
    pub(super) name: &'s str,
    pub(super) item: Item<'v>,
    pub(super) outer: Option<&'s Scope<'s, 'v>>,
}

type Outer<'s, 'v> = Option<&'s Scope<'s, 'v>>;

impl Variables<'_> {
    /// The value of a rewritten expression; `None` where only `cel` knows it.
    pub(super) fn evaluate<'v>(&'v self, expr: &'v Expression, scope: Outer<'_, 'v>) -> Option<Item<'v>> {
        match &expr.expr {
            Expr::Literal(LiteralValue::Boolean(yes)) => Some(Item::Bool(*yes.inner())),
            Expr::Literal(LiteralValue::Int(number)) => Some(Item::Int(*number.inner())),
            Expr::Literal(LiteralValue::String(text)) => Some(Item::Text(text.inner())),
            Expr::Ident(name) => {
                let scopes = || std::iter::successors(scope, |scope| scope.outer);
                scopes().find(|scope| scope.name == name).map(|scope| scope.item).or_else(|| self.item(name))
            }
            Expr::Call(call) => self.call(call, scope),
            Expr::Select(has) if has.test => match self.evaluate(&has.operand, scope)? {
                Item::Object(fields) => Some(Item::Bool(fields.contains_key(&has.field))),
                _ => None,
            },
            Expr::Comprehension(filter) if matches!(filter.accu_init.expr, Expr::List(_)) => {
                self.filter(filter, scope)
            }
            Expr::Comprehension(all) => self.comprehension(all, scope),
            _ => None,
        }
    }

    fn comprehension<'v>(&'v self, of: &'v ComprehensionExpr, scope: Outer<'_, 'v>) -> Option<Item<'v>> {
        let initial = self.evaluate(&of.accu_init, scope)?;
        let mut result = Scope { name: &of.accu_var, item: initial, outer: scope };
        for item in self.evaluate(&of.iter_range, scope)?.elements() {
            let inner = Scope { name: &of.iter_var, item, outer: Some(&result) };
            result.item = self.evaluate(&of.loop_step, Some(&inner))?;
            // `all` and `exists` end when their result changes; the result of other loops is no boolean.
            if let (Item::Bool(initial), Item::Bool(yes)) = (initial, result.item)
                && yes != initial
            {
                break;
            }
        }
        self.evaluate(&of.result, Some(&result))
    }

    /// Loops that make a list: of these, `filter` over steps.
    fn filter<'v>(&'v self, of: &'v ComprehensionExpr, scope: Outer<'_, 'v>) -> Option<Item<'v>> {
        let condition = condition_of_filter(of)?;
        self.evaluate(&of.iter_range, scope)?.chosen(|item| {
            match self.evaluate(condition, Some(&Scope { name: &of.iter_var, item, outer: scope }))? {
                Item::Bool(yes) => Some(yes),
                _ => None,
            }
        })
    }

    fn call<'v>(&'v self, call: &'v CallExpr, scope: Outer<'_, 'v>) -> Option<Item<'v>> {
        let value = |expr| self.evaluate(expr, scope);
        let boolean = |expr| match value(expr)? {
            Item::Bool(yes) => Some(yes),
            _ => None,
        };
        let ints = |left, right| match (value(left)?, value(right)?) {
            (Item::Int(left), Item::Int(right)) => Some((left, right)),
            _ => None,
        };
        let texts = |left, right| match (value(left)?, value(right)?) {
            (Item::Text(left), Item::Text(right)) => Some((left, right)),
            _ => None,
        };
        Some(match (call.func_name.as_str(), call.target.as_deref(), &call.args[..]) {
            (operators::LOGICAL_AND, None, [left, right]) => Item::Bool(boolean(left)? && boolean(right)?),
            (operators::LOGICAL_OR, None, [left, right]) => Item::Bool(boolean(left)? || boolean(right)?),
            (operators::CONDITIONAL, None, [condition, yes, no]) => {
                return value(if boolean(condition)? { yes } else { no });
            }
            (operators::EQUALS, None, [left, right]) => Item::Bool(equal(value(left)?, value(right)?)?),
            (operators::NOT_EQUALS, None, [left, right]) => Item::Bool(!equal(value(left)?, value(right)?)?),
            (operators::LESS, None, [left, right]) => Item::Bool(ints(left, right).map(|(a, b)| a < b)?),
            (operators::LESS_EQUALS, None, [left, right]) => {
                Item::Bool(ints(left, right).map(|(a, b)| a <= b)?)
            }
            (operators::GREATER, None, [left, right]) => Item::Bool(ints(left, right).map(|(a, b)| a > b)?),
            (operators::GREATER_EQUALS, None, [left, right]) => {
                Item::Bool(ints(left, right).map(|(a, b)| a >= b)?)
            }
            (operators::ADD, None, [left, right]) => {
                Item::Int(ints(left, right).and_then(|(a, b)| a.checked_add(b))?)
            }
            (operators::SUBSTRACT, None, [left, right]) => {
                Item::Int(ints(left, right).and_then(|(a, b)| a.checked_sub(b))?)
            }
            (operators::MULTIPLY, None, [left, right]) => {
                Item::Int(ints(left, right).and_then(|(a, b)| a.checked_mul(b))?)
            }
            (operators::INDEX, None, [of, field]) => match (value(of)?, value(field)?) {
                (Item::Step(step), Item::Text(name)) => step.field(name)?,
                (Item::Arm(arm), Item::Text(name)) => arm.field(name)?,
                (Item::Schedule(schedule), Item::Text(name)) => schedule.field(name)?,
                (Item::Object(fields), Item::Text(name)) => Item::of_context(fields.get(name)?)?,
                _ => return None,
            },
            (operators::IN, None, [element, list]) => {
                let (element, list) = (value(element)?, value(list)?);
                list.len()?;
                let mut equals = list.elements().map(|other| equal(element, other));
                Item::Bool(equals.find(|equal| *equal != Some(false)).unwrap_or(Some(false))?)
            }
            ("size", Some(of), []) | ("size", None, [of]) => match value(of)? {
                Item::Object(fields) => Item::Int(fields.len() as i64),
                list => Item::Int(list.len()? as i64),
            },
            ("contains", Some(text), [part]) => {
                Item::Bool(texts(text, part).map(|(text, part)| text.contains(part))?)
            }
            ("startsWith", Some(text), [part]) => {
                Item::Bool(texts(text, part).map(|(text, part)| text.starts_with(part))?)
            }
            ("endsWith", Some(text), [part]) => {
                Item::Bool(texts(text, part).map(|(text, part)| text.ends_with(part))?)
            }
            (MATCHES_PATTERN, Some(text), [pattern]) => {
                let (Item::Text(text), Expr::Ident(name)) = (value(text)?, &pattern.expr) else {
                    return None;
                };
                let Pattern(pattern) = self.patterns.get(pattern_index(name)?)?;
                Item::Bool(pattern.is_match(text))
            }
            (RANGE, None, [list, weight, _]) => {
                let (list, Item::Int(weight)) = (value(list)?, value(weight)?) else { return None };
                self.fuel.charge((list.len()? as u64).saturating_mul(weight.unsigned_abs())).ok()?;
                self.fuel.charge(size_of_item(list)).ok()?;
                list
            }
            (CHARGE, None, [counted, _]) => {
                let counted = value(counted)?;
                self.fuel.charge(size_of_item(counted)).ok()?;
                counted
            }
            _ => return None,
        })
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

/// Whether both are the same, where they are of one kind that is not a list.
fn equal(left: Item<'_>, right: Item<'_>) -> Option<bool> {
    Some(match (left, right) {
        (Item::Bool(left), Item::Bool(right)) => left == right,
        (Item::Int(left), Item::Int(right)) => left == right,
        (Item::Text(left), Item::Text(right)) => left == right,
        (Item::Step(left), Item::Step(right)) => left.place == right.place,
        (Item::Arm(left), Item::Arm(right)) => left.id == right.id,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
