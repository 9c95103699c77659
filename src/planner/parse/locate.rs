//! Finding the plan in a JSON value: wrappers, other names for the list of steps, maps of steps, phases.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::arm_names::ArmNames;
use super::doubt::Doubt;
use super::edges::read_beside;
use super::keys::{self, field};
use super::lenient::read_at;
use super::references::number_of_key;
use super::steps::{StepList, are_distinct, has_keys_of_step, is_step};
use super::value_of;
use super::values::whole;
use crate::planner::draft::Draft;
use crate::text::is_blank;

/// How many objects deep a plan may be wrapped.
const MAX_WRAPPERS: usize = 8;
/// Steps of a plan that are read; a plan of half as many is refused as too long already.
const MAX_STEPS: usize = 2_000;

/// A draft, and what is open in it.
pub(super) type Proposal = (Draft, Vec<Doubt>);

/// What a value is.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    /// A plan.
    Plan(Proposal),
    /// A plan that the LLM abridged (`"..."`).
    Abridged,
    /// One step on its own.
    Step,
    /// Nothing of the kind.
    Other,
}

/// What `value` is.
pub(super) fn content_of(value: &Value, arms: &ArmNames) -> Content {
    let mut finder = PlanFinder { arms, is_abridged: false };
    let list = finder.find(value, MAX_WRAPPERS);
    match list {
        _ if finder.is_abridged => Content::Abridged,
        Some(list) => Content::Plan(list.finish()),
        None if is_step(value, arms) => Content::Step,
        None => Content::Other,
    }
}

/// A plan of separate steps, with what else is said in `rest`.
pub(super) fn plan_of(steps: &[Value], rest: &Value, arms: &ArmNames) -> Option<Proposal> {
    let mut list = PlanFinder { arms, is_abridged: false }.listed(steps)?;
    if let Some(rest) = rest.as_object() {
        list.add_rest(rest);
        read_beside(&mut list, rest, &Value::Null, arms);
    }
    Some(list.finish())
}

/// Whether `value` says why or how sure, as the end of a plan does.
pub(super) fn is_rest(value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        field(object, keys::RATIONALE).or_else(|| field(object, keys::CONFIDENCE)).is_some()
    })
}

struct PlanFinder<'a> {
    arms: &'a ArmNames,
    is_abridged: bool,
}

impl PlanFinder<'_> {
    /// The steps in `value`, which may be wrapped in up to `wrappers` objects.
    fn find(&mut self, value: &Value, wrappers: usize) -> Option<StepList> {
        match value {
            Value::Array(items) => match items.as_slice() {
                [only @ Value::Object(_)] if wrappers > 0 && !is_step(only, self.arms) => {
                    self.find(only, wrappers - 1)
                }
                items => self.listed(items),
            },
            Value::Object(object) if wrappers > 0 => {
                let (mut list, plan) = self.in_object(object, wrappers - 1)?;
                list.add_rest(object);
                if let Some(plan) = plan {
                    // What an object has of a step and of a plan was two objects once.
                    if field(object, keys::ARM).is_some() && field(object, keys::CRITERIA).is_some() {
                        list.doubts.push(Doubt::UnusedSteps);
                    }
                    read_beside(&mut list, object, plan, self.arms);
                }
                Some(list)
            }
            Value::String(inner) if wrappers > 0 => self.find(&encoded(inner)?, wrappers - 1),
            _ => None,
        }
    }

    /// The steps in an object, and the member that holds them, if it is one.
    fn in_object<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        wrappers: usize,
    ) -> Option<(StepList, Option<&'v Value>)> {
        let mut empty = None;
        let mut without: Vec<&Value> = Vec::new();
        for name in keys::STEPS {
            let Some(value) = field(object, &[*name]) else { continue };
            let found = match value {
                Value::Array(items) if items.is_empty() => {
                    empty = Some((StepList::empty(), Some(value)));
                    continue;
                }
                // One that is not a list.
                value if is_step(value, self.arms) => self.listed(std::slice::from_ref(value)),
                value => self.find(value, wrappers),
            };
            if let Some(list) = found {
                return Some((list, Some(value)));
            }
            without.push(value);
        }
        if let Some((phases, list)) = self.in_phases(object) {
            return Some((list, Some(phases)));
        }
        if let Some(steps) = keyed(object, self.arms) {
            return self.listed(&steps).map(|list| (list, None));
        }
        let is_open = |value: &&Value| {
            let may_hold_steps = value.is_object() || value.is_string() || self.is_list_of_steps(value);
            // Each is looked into once: twice at each of the wrappers would be many times in all.
            (may_hold_steps || is_tool_calls(value))
                && !without.iter().any(|seen| std::ptr::eq(*seen, *value))
        };
        let open: Vec<&Value> = object.values().filter(is_open).collect();
        let mut lists = open.into_iter().filter_map(|value| Some((self.find(value, wrappers)?, Some(value))));
        match (lists.next(), lists.next()) {
            // Which of them is meant, or whether both are, cannot be decided here.
            (Some(_), Some(_)) => None,
            (list, _) => list.or(empty),
        }
    }

    /// Whether a list has more than one member, and most look like steps.
    fn is_list_of_steps(&self, value: &Value) -> bool {
        let Some(items) = value.as_array() else { return false };
        let steps = items
            .iter()
            .take(MAX_STEPS)
            .filter(|item| is_step(&unwrapped(item, self.arms), self.arms))
            .count();
        steps > 1 && steps * 2 > items.len()
    }

    /// The steps in a list that has at least one.
    fn listed(&mut self, items: &[Value]) -> Option<StepList> {
        let is_ellipsis =
            |item: &Value| item.as_str().is_some_and(|text| !text.trim().is_empty() && is_blank(text));
        self.is_abridged |= items.iter().any(is_ellipsis);
        let is_null = |(_, item): &(usize, &Value)| item.is_null();
        let nulls =
            items.iter().enumerate().take(MAX_STEPS).filter(is_null).map(|(place, _)| place).collect();
        let items: Vec<Cow<'_, Value>> = items
            .iter()
            .filter(|item| !item.is_null())
            .take(MAX_STEPS)
            .map(|item| unwrapped(item, self.arms))
            .collect();
        // One key says enough, and values only if most have them.
        let by_values = items.iter().filter(|item| is_step(item, self.arms)).count();
        if by_values * 2 <= items.len() && !items.iter().any(|item| has_keys_of_step(item, self.arms)) {
            return None;
        }
        let mut list = StepList::read(&items, self.arms);
        list.draft.nulls = nulls;
        Some(list)
    }

    /// The steps of phases that are numbered continuously; if numbers start again, dependencies are ambiguous.
    fn in_phases<'v>(&mut self, object: &'v Map<String, Value>) -> Option<(&'v Value, StepList)> {
        let (value, phases) =
            object.values().filter_map(|value| Some((value, value.as_array()?))).find(|(_, items)| {
                !items.is_empty() && items.iter().all(|item| steps_of_phase(item).is_some())
            })?;
        let mut steps = Vec::new();
        for phase in phases {
            let room = MAX_STEPS - steps.len();
            steps.extend(steps_of_phase(phase)?.iter().take(room).cloned());
        }
        let numbers: Vec<i64> =
            steps.iter().filter_map(|step| whole(field(step.as_object()?, keys::NUMBER)?)).collect();
        if numbers.len() != steps.len() || !are_distinct(&numbers) {
            return None;
        }
        let mut list = self.listed(&steps)?;
        add_dependencies_of_phases(&mut list, phases);
        Some((value, list))
    }
}

/// The steps in a phase: an object that has them in a list.
fn steps_of_phase(phase: &Value) -> Option<&Vec<Value>> {
    field(phase.as_object()?, keys::STEPS)?.as_array().filter(|steps| steps.iter().any(Value::is_object))
}

/// Where a phase says on which other it depends, its steps wait for all of that phase's.
fn add_dependencies_of_phases(list: &mut StepList, phases: &[Value]) {
    use super::references::References;
    let members: Vec<Vec<i64>> = {
        let mut numbers = list.numbers.iter().copied();
        phases
            .iter()
            .map(|phase| numbers.by_ref().take(steps_of_phase(phase).map_or(0, Vec::len)).collect())
            .collect()
    };
    let objects: Vec<&Map<String, Value>> = phases.iter().filter_map(Value::as_object).collect();
    let written: Vec<i64> = objects
        .iter()
        .filter_map(|phase| whole(field(phase, &["phase", "stage", "number", "id", "index", "order"])?))
        .collect();
    let numbers: Vec<i64> = if written.len() == phases.len() && are_distinct(&written) {
        written
    } else {
        (1..=phases.len() as i64).collect()
    };
    let mut names = std::collections::HashMap::new();
    for (phase, number) in objects.iter().zip(&numbers) {
        for name in ["id", "name", "title", "phase", "stage"] {
            if let Some(name) = field(phase, &[name]).and_then(Value::as_str) {
                names.entry(name.trim().to_lowercase()).or_insert(*number);
            }
        }
    }
    for (place, phase) in objects.iter().enumerate() {
        let Some(value) = field(phase, keys::DEPENDS_ON) else { continue };
        let references = References { names: &names, numbers: &numbers, before: &numbers[..place] };
        for reference in references.read(value) {
            match reference.number().and_then(|number| numbers.iter().position(|known| *known == number)) {
                Some(needed) if needed != place => {
                    for (step, needed) in members[place]
                        .iter()
                        .flat_map(|step| members[needed].iter().map(move |needed| (*step, *needed)))
                    {
                        list.add_dependency(step, needed);
                    }
                }
                _ => list.doubts.push(Doubt::UnclearEdges),
            }
        }
    }
}

/// JSON inside a JSON string, perhaps with the markup of a tool call after it.
fn encoded(text: &str) -> Option<Value> {
    let text = without_fence(text.trim());
    let at = text.find(['{', '['])?;
    if let Some((value, _)) = value_of(text) {
        return Some(value);
    }
    if at > 0 {
        return None;
    }
    let document = read_at(text, 0).ok()?;
    let rest = text[document.end..].trim();
    let is_whole = !document.is_cut && !document.is_abridged && (rest.is_empty() || rest.starts_with('<'));
    is_whole.then_some(document.value)
}

/// What is in a block of Markdown for code, if a text is one.
fn without_fence(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    inner.map_or(text, |inner| inner.trim_start_matches(char::is_alphabetic).trim())
}

/// `[{"function": {"arguments": "…"}}]`
fn is_tool_calls(value: &Value) -> bool {
    matches!(value.as_array().map(Vec::as_slice), Some([Value::Object(_)]))
}

/// `{"step1": {…}}` in a list counts as its content, and so does a text that is JSON.
pub(super) fn unwrapped<'a>(item: &'a Value, arms: &ArmNames) -> Cow<'a, Value> {
    match item {
        Value::Object(object) if object.len() == 1 => match object.iter().next() {
            Some((key, inner)) if is_step(inner, arms) => Cow::Owned(numbered(key, inner)),
            _ => Cow::Borrowed(item),
        },
        Value::String(text) if text.trim_start().starts_with('{') => {
            value_of(text).map_or(Cow::Borrowed(item), |(value, _)| Cow::Owned(value))
        }
        _ => Cow::Borrowed(item),
    }
}

/// A step under a key that says its number, or is its name.
fn numbered(key: &str, step: &Value) -> Value {
    let mut step = step.clone();
    if let Some(object) = step.as_object_mut()
        && field(object, keys::NUMBER).is_none()
    {
        match number_of_key(key) {
            Some(number) => object.insert("step".into(), number.into()),
            None => object.insert("id".into(), key.into()),
        };
    }
    step
}

/// `{"1": {…}, "2": {…}}` or `{"first step": {…}, …}`: the steps in the order that their keys say; the jobs of a workflow
/// (`{"build": {…}, "test": {"needs": "build"}}`), where each has a name.
fn keyed(object: &Map<String, Value>, arms: &ArmNames) -> Option<Vec<Value>> {
    let mut steps: Vec<(Option<i64>, Value)> = object
        .iter()
        .filter(|(_, value)| is_step(value, arms))
        .take(MAX_STEPS)
        .map(|(key, value)| (number_of_key(key), numbered(key, value)))
        .collect();
    if steps.iter().any(|(place, _)| place.is_none()) {
        let are_all =
            steps.len() > 1 && steps.len() == object.values().filter(|value| value.is_object()).count();
        let are_linked = steps.iter().any(|(_, step)| {
            step.as_object().and_then(|step| field(step, keys::DEPENDS_ON)).is_some()
                || step.as_object().is_some_and(|step| step.keys().any(|key| keys::is_about_order(key)))
        });
        return (are_all && are_linked).then(|| steps.into_iter().map(|(_, step)| step).collect());
    }
    steps.sort_by_key(|(place, _)| *place);
    (!steps.is_empty()).then(|| steps.into_iter().map(|(_, step)| step).collect())
}

/// Whether a step-like value says what a step of the draft says.
pub(super) fn repeats_a_step(draft: &Draft, value: &Value) -> bool {
    let action = value.as_object().and_then(|object| field(object, keys::ACTION)).and_then(Value::as_str);
    action.is_some_and(|action| draft.steps.iter().any(|step| step.action.trim() == action.trim()))
}
