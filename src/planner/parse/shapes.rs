//! Finding the plan in a JSON value: wrappers, other names for keys, steps in other shapes.

mod earlier;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::planner::draft::{Draft, DraftStep};

use crate::text::says_nothing;

pub(super) use earlier::Earlier;

use super::value_of;
use super::values::{fraction, number, seconds, text, texts, whole};

/// How many objects deep a plan may be wrapped.
const MOST_WRAPPERS: usize = 8;
/// Steps of a plan that are read; a plan of half as many is refused as too long already.
const MOST_STEPS: usize = 2_000;
/// Members beyond which an object has no fields: no plan and no step has so many.
const MOST_MEMBERS: usize = 1_000;
/// Dependencies of a step that are read, and that one text may stand for: no plan has so many steps.
const MOST_NEEDS: usize = 100;

const STEPS_KEYS: &[&str] = &["plan", "steps", "subtasks", "tasks", "actions"];
const PHASES_KEYS: &[&str] = &["phases", "stages", "milestones"];
const RATIONALE_KEYS: &[&str] = &["rationale", "reasoning", "explanation"];
const CONFIDENCE_KEYS: &[&str] = &["confidence", "confidencescore"];
const NUMBER_KEYS: &[&str] = &["step", "stepnumber", "number", "stepid", "id", "index", "order"];
const NAME_KEYS: &[&str] =
    &["id", "stepid", "step", "taskid", "key", "name", "title", "action", "task", "description"];
const ACTION_KEYS: &[&str] = &["action", "description", "task", "instruction", "title", "name"];
const ARM_KEYS: &[&str] = &["requiredarm", "arm", "armid", "assignedarm", "agent", "assignedto", "assignee"];
const CRITERIA_KEYS: &[&str] =
    &["acceptancecriteria", "criteria", "successcriteria", "acceptancecriterion", "donewhen"];
const NEEDS_KEYS: &[&str] =
    &["dependson", "dependencies", "dependency", "deps", "requires", "prerequisites", "after"];
const COST_KEYS: &[&str] = &["estimatedcosttier", "costtier", "estimatedcost", "cost"];
const SECONDS_KEYS: &[&str] = &[
    "estimateddurationseconds",
    "durationseconds",
    "estimatedduration",
    "estimatedseconds",
    "durationinseconds",
    "duration",
    "seconds",
    "estimatedtime",
    "time",
];
const MINUTES_KEYS: &[&str] = &["estimateddurationminutes", "durationminutes", "estimatedminutes", "minutes"];

/// What a value holds.
#[derive(Debug, PartialEq)]
pub(super) enum Held {
    /// A plan.
    Plan(Draft),
    /// A plan of which the LLM left a part out (`"..."`).
    Abridged,
    /// One step on its own.
    Step,
    /// Nothing of the kind.
    Nothing,
}

/// What `value` holds.
pub(super) fn held_in(value: &Value) -> Held {
    let mut search = Search { is_abridged: false };
    let draft = search.draft(value, MOST_WRAPPERS);
    match draft {
        _ if search.is_abridged => Held::Abridged,
        Some(draft) => Held::Plan(draft),
        None if is_step(value) => Held::Step,
        None => Held::Nothing,
    }
}

/// A plan of steps that stand on their own, with what else is said in `rest`.
pub(super) fn draft_of(steps: &[Value], rest: &Value) -> Option<Draft> {
    let mut draft = Search { is_abridged: false }.listed(steps)?;
    if let Some(rest) = rest.as_object() {
        add_rest(&mut draft, rest);
    }
    Some(draft)
}

/// Whether `value` says why or how sure, as the end of a plan does.
pub(super) fn is_rest(value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        field(object, RATIONALE_KEYS).or_else(|| field(object, CONFIDENCE_KEYS)).is_some()
    })
}

fn add_rest(draft: &mut Draft, object: &Map<String, Value>) {
    draft.rationale = draft.rationale.take().or_else(|| text(field(object, RATIONALE_KEYS)?));
    draft.confidence = draft.confidence.or_else(|| fraction(field(object, CONFIDENCE_KEYS)?));
}

struct Search {
    is_abridged: bool,
}

impl Search {
    /// The draft in `value`, which may be wrapped in up to `wrappers` objects.
    fn draft(&mut self, value: &Value, wrappers: usize) -> Option<Draft> {
        match value {
            Value::Array(items) => match items.as_slice() {
                [only @ Value::Object(_)] if wrappers > 0 && !is_step(only) => self.draft(only, wrappers - 1),
                items => self.listed(items),
            },
            Value::Object(object) if wrappers > 0 => {
                let mut draft = self.in_object(object, wrappers - 1)?;
                add_rest(&mut draft, object);
                Some(draft)
            }
            // JSON inside a JSON string.
            Value::String(inner) if wrappers > 0 && inner.contains(['{', '[']) => {
                self.draft(&value_of(inner)?.0, wrappers - 1)
            }
            _ => None,
        }
    }

    fn in_object(&mut self, object: &Map<String, Value>, wrappers: usize) -> Option<Draft> {
        let mut empty = None;
        let mut without: Vec<&Value> = Vec::new();
        for name in STEPS_KEYS {
            let Some(value) = field(object, &[*name]) else { continue };
            let found = match value {
                Value::Array(items) if items.is_empty() => {
                    empty = Some(Draft::default());
                    continue;
                }
                // One that is no list.
                value if is_step(value) => self.listed(std::slice::from_ref(value)),
                value => self.draft(value, wrappers),
            };
            if found.is_some() {
                return found;
            }
            without.push(value);
        }
        if let Some(Value::Array(phases)) = field(object, PHASES_KEYS)
            && let Some(steps) = in_phases(phases)
        {
            return self.listed(&steps);
        }
        if let Some(steps) = keyed(object) {
            return self.listed(&steps);
        }
        let mut drafts = object
            .values()
            .filter(|value| value.is_object() || value.is_string() || is_tool_calls(value))
            // Each is looked into once: twice at each of the wrappers would be many times in all.
            .filter(|value| !without.iter().any(|seen| std::ptr::eq(*seen, *value)))
            .filter_map(|value| self.draft(value, wrappers));
        match (drafts.next(), drafts.next()) {
            // Which of them is meant, or whether both are, is not for us to say.
            (Some(_), Some(_)) => None,
            (draft, _) => draft.or(empty),
        }
    }

    /// The steps in a list that has at least one.
    fn listed(&mut self, items: &[Value]) -> Option<Draft> {
        let is_ellipsis =
            |item: &Value| item.as_str().is_some_and(|text| !text.trim().is_empty() && says_nothing(text));
        self.is_abridged |= items.iter().any(is_ellipsis);
        let is_null = |(_, item): &(usize, &Value)| item.is_null();
        let nulls =
            items.iter().enumerate().take(MOST_STEPS).filter(is_null).map(|(place, _)| place).collect();
        let items: Vec<Cow<'_, Value>> =
            items.iter().filter(|item| !item.is_null()).take(MOST_STEPS).map(unwrapped).collect();
        items.iter().any(|item| is_step(item)).then(|| Draft {
            steps: steps(&items),
            nulls,
            ..Draft::default()
        })
    }
}

/// `[{"function": {"arguments": "…"}}]`
fn is_tool_calls(value: &Value) -> bool {
    matches!(value.as_array().map(Vec::as_slice), Some([Value::Object(_)]))
}

/// `{"step1": {…}}` in a list stands for what is in it, and so does a text that is JSON.
fn unwrapped(item: &Value) -> Cow<'_, Value> {
    match item {
        Value::Object(object) if object.len() == 1 => match object.iter().next() {
            Some((key, inner)) if is_step(inner) => Cow::Owned(numbered(key, inner)),
            _ => Cow::Borrowed(item),
        },
        Value::String(text) if text.trim_start().starts_with('{') => {
            value_of(text).map_or(Cow::Borrowed(item), |(value, _)| Cow::Owned(value))
        }
        _ => Cow::Borrowed(item),
    }
}

/// A step under a key that says its number.
fn numbered(key: &str, step: &Value) -> Value {
    let mut step = step.clone();
    if let Some(object) = step.as_object_mut()
        && field(object, NUMBER_KEYS).is_none()
        && let Some(number) = whole(&Value::from(key))
    {
        object.insert("step".into(), number.into());
    }
    step
}

/// `{"1": {…}, "2": {…}}` or `{"step_1": {…}, …}`: the steps in the order that their keys say.
fn keyed(object: &Map<String, Value>) -> Option<Vec<Value>> {
    let mut steps: Vec<(i64, Value)> = Vec::new();
    for (key, value) in object.iter().filter(|(_, value)| is_step(value)).take(MOST_STEPS) {
        steps.push((whole(&Value::from(key.as_str()))?, numbered(key, value)));
    }
    steps.sort_by_key(|(place, _)| *place);
    (!steps.is_empty()).then(|| steps.into_iter().map(|(_, step)| step).collect())
}

/// The steps of phases whose numbers run on; where they begin anew, dependencies could mean either.
fn in_phases(phases: &[Value]) -> Option<Vec<Value>> {
    let mut steps = Vec::new();
    for phase in phases {
        let room = MOST_STEPS - steps.len();
        steps.extend(field(phase.as_object()?, STEPS_KEYS)?.as_array()?.iter().take(room).cloned());
    }
    let mut numbers: Vec<i64> =
        steps.iter().filter_map(|step| whole(field(step.as_object()?, NUMBER_KEYS)?)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    (numbers.len() == steps.len()).then_some(steps)
}

fn is_step(value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        let has = |names| field(object, names).is_some();
        let is_text = |names| field(object, names).is_some_and(Value::is_string);
        has(ARM_KEYS)
            || has(CRITERIA_KEYS)
            || is_text(&["action"])
            || is_text(ACTION_KEYS) && has(NUMBER_KEYS)
    })
}

/// The steps with their dependencies resolved: to numbers, to the names of steps, to all before.
fn steps(items: &[Cow<'_, Value>]) -> Vec<DraftStep> {
    let empty = Map::new();
    let objects: Vec<&Map<String, Value>> =
        items.iter().map(|item| item.as_object().unwrap_or(&empty)).collect();
    let mut steps: Vec<DraftStep> =
        items.iter().zip(&objects).map(|(item, object)| step(item, object)).collect();

    let mut numbers: Vec<i64> = steps.iter().filter_map(|step| step.number).collect();
    let mut distinct = numbers.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // As the check does it: numbers that each step has for itself, else places.
    if distinct.len() != steps.len() {
        numbers = (1..=steps.len() as i64).collect();
    }
    let names = names(&objects, &numbers);
    let is_named = |object: &&Map<String, Value>| field(object, NUMBER_KEYS).is_some_and(Value::is_string);
    if steps.iter().all(|step| step.number.is_none()) && objects.iter().all(is_named) {
        // Names are numbers enough.
        for (step, number) in steps.iter_mut().zip(&numbers) {
            step.number = Some(*number);
        }
    }
    for (place, (step, object)) in steps.iter_mut().zip(&objects).enumerate() {
        if let Some(value) = field(object, NEEDS_KEYS) {
            step.depends_on = Needs { names: &names, before: &numbers[..place] }.read(value);
        }
    }
    steps
}

/// The numbers of steps by what else they are called.
fn names(objects: &[&Map<String, Value>], numbers: &[i64]) -> HashMap<String, i64> {
    let mut names = HashMap::new();
    for (object, number) in objects.iter().zip(numbers) {
        for key in NAME_KEYS {
            if let Some(Value::String(name)) = field(object, &[*key]) {
                names.entry(name.trim().to_lowercase()).or_insert(*number);
            }
        }
    }
    names
}

fn step(item: &Value, object: &Map<String, Value>) -> DraftStep {
    let number_value = field(object, NUMBER_KEYS);
    let action = field(object, ACTION_KEYS)
        // `"step": "Write the tests"`
        .or_else(|| number_value.filter(|value| value.is_string() && whole(value).is_none()))
        .or(Some(item).filter(|item| item.is_string()));
    let minutes = || Some(number(field(object, MINUTES_KEYS)?)? * 60.0);
    DraftStep {
        number: number_value.and_then(whole),
        action: action.and_then(text).unwrap_or_default(),
        arm: field(object, ARM_KEYS).and_then(arm).unwrap_or_default(),
        criteria: field(object, CRITERIA_KEYS).map(texts).unwrap_or_default(),
        depends_on: Vec::new(),
        cost_tier: field(object, COST_KEYS).and_then(number),
        seconds: field(object, SECONDS_KEYS).and_then(seconds).or_else(minutes),
    }
}

/// Whether a list under this key is one of steps.
pub(super) fn is_key_of_steps(key: &str) -> bool {
    STEPS_KEYS.iter().any(|name| is_key(key, name))
}

/// Whether this key is one that only steps have.
pub(super) fn is_key_of_a_step(key: &str) -> bool {
    ARM_KEYS.iter().chain(CRITERIA_KEYS).chain(&["action"]).any(|name| is_key(key, name))
}

/// An arm's name: alone, the first of several, or inside an object.
fn arm(value: &Value) -> Option<String> {
    match value {
        Value::Array(arms) => arm(arms.first()?),
        Value::Object(object) => text(field(object, &["id", "name", "arm"])?),
        other => text(other),
    }
}

/// How dependencies of a step are understood.
struct Needs<'a> {
    names: &'a HashMap<String, i64>,
    /// Numbers of the steps before.
    before: &'a [i64],
}

impl Needs<'_> {
    /// Step numbers as a list, one alone, or in words; `None` for one that means no step.
    fn read(&self, value: &Value) -> Vec<Option<i64>> {
        match value {
            Value::Array(items) => items.iter().flat_map(|item| self.one(item)).take(MOST_NEEDS).collect(),
            Value::Null => Vec::new(),
            other => self.one(other),
        }
    }

    fn one(&self, value: &Value) -> Vec<Option<i64>> {
        match value {
            Value::String(words) => self.in_words(words),
            Value::Array(items) => {
                items.iter().filter(|item| !item.is_array()).flat_map(|item| self.one(item)).collect()
            }
            Value::Object(object) if object.is_empty() => Vec::new(),
            Value::Object(object) => match field(object, NUMBER_KEYS) {
                Some(inner) if !inner.is_object() => self.one(inner),
                _ => vec![None],
            },
            Value::Number(_) => vec![whole(value)],
            _ => vec![None],
        }
    }

    /// `"step 1 and 2"`, `"1-3"`, `"gather"`, `"all previous steps"`, `"none"`.
    fn in_words(&self, words: &str) -> Vec<Option<i64>> {
        let words = words.trim().trim_end_matches('.').to_lowercase();
        if let Some(&number) = self.names.get(&words) {
            return vec![Some(number)];
        }
        if matches!(
            words.as_str(),
            "" | "none" | "n/a" | "na" | "-" | "–" | "null" | "nothing" | "[]" | "keine"
        ) {
            return Vec::new();
        }
        if is_all(&words) {
            return self.before.iter().copied().map(Some).collect();
        }
        if matches!(words.as_str(), "previous" | "previous step" | "the previous step") {
            return self.before.last().copied().map(Some).into_iter().collect();
        }
        let words = words.trim_matches(['[', ']']);
        let parts = words.replace(" and ", ",").replace(" und ", ",").replace(" or ", ",").replace('&', ",");
        parts
            .split([',', ';', '/'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .flat_map(|part| match range(part) {
                Some((first, last)) => (first..=last).map(Some).collect(),
                None => vec![self.names.get(part).copied().or_else(|| whole(&Value::from(part)))],
            })
            .take(MOST_NEEDS)
            .collect()
    }
}

/// Whether nothing is said but that all steps before are meant.
fn is_all(words: &str) -> bool {
    let of_all = [
        "all",
        "of",
        "the",
        "previous",
        "prior",
        "earlier",
        "preceding",
        "above",
        "before",
        "other",
        "steps",
        "step",
        "tasks",
    ];
    words.starts_with("all") && words.split(' ').all(|word| of_all.contains(&word))
}

/// `1-3`, `steps 1 to 3`.
fn range(part: &str) -> Option<(i64, i64)> {
    let (first, last) =
        ["-", "–", " to ", " through ", "...", ".."].iter().find_map(|dash| part.split_once(dash))?;
    let (first, last) = (whole(&Value::from(first))?, whole(&Value::from(last))?);
    (first < last && last - first < 50).then_some((first, last))
}

/// The value under the first of `names` that is there and not null, however the key is spelled.
fn field<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    let names = if object.len() > MOST_MEMBERS { &[] } else { names };
    names.iter().find_map(|name| {
        object.iter().find(|(key, value)| !value.is_null() && is_key(key, name)).map(|(_, value)| value)
    })
}

/// Whether `key` is `name` but for case and separators (`stepNumber`, `Step Number`, `step_number`).
fn is_key(key: &str, name: &str) -> bool {
    key.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).eq(name.bytes())
}
