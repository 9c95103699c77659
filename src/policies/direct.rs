//! Evaluates the common part of CEL without `cel`, which looks names up as texts and allocates for each variable, loop
//! and call.
//!
//! What is not known here, and every error, is left to `cel` as a whole expression. The cost is counted alike, so that
//! both stop at the same limit.

use std::cell::Cell;

use super::node::{Function, Loop, Node};
use super::opaque::{Pattern, size_of_item};
use super::values::{Fields, Item, Variables};

/// How many answers of patterns are kept at hand.
const RECENT_MATCHES: usize = 64;

/// The value of a variable of a loop, within the loops around it.
pub(super) struct Scope<'s, 'v> {
    pub(super) item: Item<'v>,
    pub(super) outer: Option<&'s Scope<'s, 'v>>,
}

type Outer<'s, 'v> = Option<&'s Scope<'s, 'v>>;

/// The evaluation of policies for one plan.
pub(super) struct Direct<'a, 'v> {
    pub(super) variables: &'a Variables<'v>,
    /// What patterns said of texts: loops in loops ask for the same again and again.
    matches: [Cell<Option<Match>>; RECENT_MATCHES],
}

/// Whether a text of the plan, the request or a policy matches a pattern. It is told from others by its place in memory,
/// where it stays during the evaluation.
#[derive(Clone, Copy)]
struct Match {
    pattern: usize,
    text: *const str,
    found: bool,
}

impl<'a, 'v> Direct<'a, 'v> {
    pub(super) fn new(variables: &'a Variables<'v>) -> Self {
        Self { variables, matches: [const { Cell::new(None) }; RECENT_MATCHES] }
    }

    /// The value of a node; `None` where only `cel` knows it.
    pub(super) fn evaluate(&self, node: &'a Node, scope: Outer<'_, 'a>) -> Option<Item<'a>> {
        Some(match node {
            Node::Bool(yes) => Item::Bool(*yes),
            Node::Int(number) => Item::Int(*number),
            Node::Text(text) => Item::Text(text),
            Node::Variable(name) => self.variables.item(name)?,
            Node::Local(depth) => std::iter::successors(scope, |scope| scope.outer).nth(*depth)?.item,
            Node::Has(of, field) => match self.evaluate(of, scope)? {
                Item::Object(fields) => Item::Bool(fields.contains_key(field)),
                _ => return None,
            },
            Node::Call(function, args) => return self.call(*function, args, scope),
            Node::Matches(text, pattern) => match self.evaluate(text, scope)? {
                Item::Text(text) => Item::Bool(self.matches(*pattern, text)?),
                _ => return None,
            },
            Node::Range(list, weight) => {
                let list = self.evaluate(list, scope)?;
                self.variables.fuel.charge((list.len()? as u64).saturating_mul(*weight)).ok()?;
                self.counted(list)?
            }
            Node::Charge(counted) => {
                let counted = self.evaluate(counted, scope)?;
                self.counted(counted)?
            }
            Node::Loop(of) => return self.run(of, scope),
            Node::Filter(of) => {
                let [range, condition] = &**of;
                let is_wanted = |item| match self.evaluate(condition, Some(&Scope { item, outer: scope }))? {
                    Item::Bool(yes) => Some(yes),
                    _ => None,
                };
                self.evaluate(range, scope)?.chosen(is_wanted)?
            }
            Node::Unknown => return None,
        })
    }

    fn counted(&self, item: Item<'a>) -> Option<Item<'a>> {
        self.variables.fuel.charge(size_of_item(item)).ok().map(|()| item)
    }

    fn matches(&self, pattern: usize, text: &'a str) -> Option<bool> {
        let Pattern(regex) = self.variables.patterns.get(pattern)?;
        let place = text.as_ptr() as usize / 8 + pattern * 7;
        let recent = &self.matches[place % RECENT_MATCHES];
        let is_it = |known: &Match| known.pattern == pattern && std::ptr::eq(known.text, text);
        if let Some(known) = recent.get().filter(is_it) {
            return Some(known.found);
        }
        let found = regex.is_match(text);
        recent.set(Some(Match { pattern, text, found }));
        Some(found)
    }

    fn run(&self, of: &'a Loop, scope: Outer<'_, 'a>) -> Option<Item<'a>> {
        let initial = self.evaluate(&of.initial, scope)?;
        let mut result = Scope { item: initial, outer: scope };
        for item in self.evaluate(&of.range, scope)?.elements() {
            result.item = self.evaluate(&of.step, Some(&Scope { item, outer: Some(&result) }))?;
            // `all` and `exists` end when their result changes; the result of other loops is no boolean.
            if let (Item::Bool(initial), Item::Bool(yes)) = (initial, result.item)
                && yes != initial
            {
                break;
            }
        }
        self.evaluate(&of.result, Some(&result))
    }

    fn call(&self, function: Function, args: &'a [Node], scope: Outer<'_, 'a>) -> Option<Item<'a>> {
        let value = |arg: &'a Node| self.evaluate(arg, scope);
        let boolean = |arg| match value(arg)? {
            Item::Bool(yes) => Some(yes),
            _ => None,
        };
        if let (Function::Conditional, [condition, yes, no]) = (function, args) {
            return value(if boolean(condition)? { yes } else { no });
        }
        if let (Function::Size, [of]) = (function, args) {
            let size = match value(of)? {
                Item::Object(fields) => fields.len(),
                list => list.len()?,
            };
            return Some(Item::Int(size as i64));
        }
        let [left, right] = args else { return None };
        Some(match function {
            Function::And => Item::Bool(boolean(left)? && boolean(right)?),
            Function::Or => Item::Bool(boolean(left)? || boolean(right)?),
            _ => return binary(function, value(left)?, value(right)?),
        })
    }
}

/// The result of a function of two values.
fn binary<'v>(function: Function, left: Item<'v>, right: Item<'v>) -> Option<Item<'v>> {
    Some(match (function, left, right) {
        (Function::Equals, left, right) => Item::Bool(equal(left, right)?),
        (Function::Differs, left, right) => Item::Bool(!equal(left, right)?),
        (Function::Index, Item::Step(step), Item::Text(name)) => step.field(name)?,
        (Function::Index, Item::Arm(arm), Item::Text(name)) => arm.field(name)?,
        (Function::Index, Item::Schedule(schedule), Item::Text(name)) => schedule.field(name)?,
        (Function::Index, Item::Object(fields), Item::Text(name)) => Item::of_context(fields.get(name)?)?,
        (Function::In, Item::Text(key), Item::Object(fields)) => Item::Bool(fields.contains_key(key)),
        (Function::In, element, list) => {
            list.len()?;
            let mut equals = list.elements().map(|other| equal(element, other));
            Item::Bool(equals.find(|equal| *equal != Some(false)).unwrap_or(Some(false))?)
        }
        (_, Item::Int(left), Item::Int(right)) => match function {
            Function::Less => Item::Bool(left < right),
            Function::LessOrEqual => Item::Bool(left <= right),
            Function::Greater => Item::Bool(left > right),
            Function::GreaterOrEqual => Item::Bool(left >= right),
            Function::Add => Item::Int(left.checked_add(right)?),
            Function::Subtract => Item::Int(left.checked_sub(right)?),
            Function::Multiply => Item::Int(left.checked_mul(right)?),
            _ => return None,
        },
        (Function::Contains, Item::Text(text), Item::Text(part)) => Item::Bool(text.contains(part)),
        (Function::StartsWith, Item::Text(text), Item::Text(part)) => Item::Bool(text.starts_with(part)),
        (Function::EndsWith, Item::Text(text), Item::Text(part)) => Item::Bool(text.ends_with(part)),
        _ => return None,
    })
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
