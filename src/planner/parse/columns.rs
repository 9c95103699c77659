//! The members of steps that no known name claims, by key: what a key means shows in its values in all steps.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::arm_names::ArmNames;
use super::doubt::Doubt;
use super::keys::{self, Direction};
use super::references::{Reference, References, is_zero};
use super::steps::{StepList, is_step};
use super::values::whole;

/// Steps and members beyond which nothing is accounted for: the plan is refused as too long.
const MAX_STEPS: usize = 100;
const MAX_MEMBERS: usize = 100;
/// The longest text that is appended to an action, in bytes.
const MAX_PARTS: usize = 500;

/// A key, and its value in each step that has it.
#[derive(Debug)]
pub(super) struct Column<'a> {
    key: &'a str,
    entries: Vec<(usize, &'a Value)>,
}

impl<'a> Column<'a> {
    pub(super) fn values(&self) -> impl Iterator<Item = &'a Value> + '_ {
        self.entries.iter().map(|(_, value)| *value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn has_word(&self, stems: &[&str]) -> bool {
        keys::has_word(self.key, stems)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Columns<'a>(Vec<Column<'a>>);

impl<'a> Columns<'a> {
    /// The members of `objects`, one for each step, without those whose keys are claimed.
    pub(super) fn new(objects: &[&'a Map<String, Value>], claimed: &[Vec<&str>]) -> Self {
        let mut columns: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
        for (place, (object, claimed)) in objects.iter().zip(claimed).enumerate().take(MAX_STEPS) {
            let is_open =
                |(key, value): &(&String, &Value)| !value.is_null() && !claimed.contains(&key.as_str());
            for (key, value) in object.iter().take(MAX_MEMBERS).filter(is_open) {
                columns.entry(key.as_str()).or_default().push((place, value));
            }
        }
        Self(columns.into_iter().map(|(key, entries)| Column { key, entries }).collect())
    }

    /// The column that `fitness` rates highest, of those that it rates.
    pub(super) fn best<T: Ord>(&self, fitness: impl Fn(&Column<'a>) -> Option<T>) -> Option<usize> {
        let rated = self.0.iter().enumerate().filter_map(|(index, column)| Some((fitness(column)?, index)));
        rated.max_by(|a, b| a.0.cmp(&b.0)).map(|(_, index)| index)
    }

    /// The only column that fits.
    pub(super) fn only(&self, fits: impl Fn(&Column<'a>) -> bool) -> Option<usize> {
        let mut fitting = self.0.iter().enumerate().filter(|(_, column)| fits(column));
        let (index, _) = fitting.next()?;
        fitting.next().is_none().then_some(index)
    }

    /// Takes a column out.
    pub(super) fn take(&mut self, index: usize) -> Vec<(usize, &'a Value)> {
        self.0.remove(index).entries
    }

    /// Assigns what is left: references to steps become dependencies, steps inside of steps are doubts, and
    /// the rest has no place in a plan.
    pub(super) fn place_the_rest(self, list: &mut StepList, arms: &ArmNames) {
        let mut prose = Vec::new();
        for column in self.0 {
            if !column.place_parts(list, arms) && !column.place_references(list) {
                if !keys::is_metadata(column.key) && column.values().any(says_something) {
                    list.draft.unused.push(column.key.to_owned());
                }
                prose.extend(column.entries);
            }
        }
        for (place, value) in prose {
            check_mentions(list, place, value);
        }
    }
}

impl Column<'_> {
    /// Steps inside of steps become part of the action.
    fn place_parts(&self, list: &mut StepList, arms: &ArmNames) -> bool {
        let mut found = false;
        for &(place, value) in &self.entries {
            let parts = parts_in(self.key, value, &list.references(place), arms);
            if parts.is_empty() {
                continue;
            }
            let parts = crate::text::shorten(&parts.join("; "), MAX_PARTS);
            let action = &mut list.draft.steps[place].action;
            *action = if action.trim().is_empty() { parts } else { format!("{}: {parts}", action.trim()) };
            list.doubts.push(Doubt::NestedSteps(place));
            found = true;
        }
        found
    }

    /// A key whose values are references to steps says what depends on what.
    fn place_references(&self, list: &mut StepList) -> bool {
        let is_about_order = keys::is_about_order(self.key);
        // A step does not depend on itself: such numbers count something else.
        if self
            .entries
            .iter()
            .any(|(place, value)| whole(value) == Some(list.numbers[*place]) && value.is_number())
        {
            return false;
        }
        let read = |&(place, value): &(usize, &Value)| {
            entry(&list.references(place), value, list.numbers[place], is_about_order)
        };
        let entries: Vec<Entry> = self.entries.iter().map(read).collect();
        if is_about_order && entries.iter().all(|entry| matches!(entry, Entry::Nothing)) {
            list.has_dependencies = true;
            return true;
        }
        let has_steps = |entry: &Entry| {
            matches!(entry, Entry::Steps(_)) || is_about_order && matches!(entry, Entry::Mixed(..))
        };
        let is_pure = entries.iter().all(|entry| matches!(entry, Entry::Steps(_) | Entry::Nothing));
        if !entries.iter().any(has_steps) || !is_pure && !is_about_order {
            return false;
        }
        let mut edges: Vec<(i64, i64)> = Vec::new();
        for ((place, _), entry) in self.entries.iter().zip(entries) {
            let (steps, is_unclear) = match entry {
                Entry::Steps(steps) => (steps, false),
                Entry::Mixed(steps, is_unclear) => (steps, is_unclear),
                Entry::Nothing | Entry::Other => continue,
            };
            if is_unclear {
                list.doubts.push(Doubt::UnclearDependency(*place));
            }
            edges.extend(steps.into_iter().map(|step| (list.numbers[*place], step)));
        }
        add_edges(list, self.key, &edges);
        true
    }
}

/// Adds `edges`, each from a step to one that it names under `key`. Where the key's words point against the order in
/// which all of the steps are written, or do not say, that order counts.
pub(super) fn add_edges(list: &mut StepList, key: &str, edges: &[(i64, i64)]) {
    let is_later = |(step, other): &(i64, i64)| list.place_of(*other) > list.place_of(*step);
    let later = edges.iter().filter(|edge| is_later(edge)).count();
    let by_order = if later * 2 > edges.len() { Direction::Forward } else { Direction::Back };
    let is_mixed = later > 0 && later < edges.len();
    let direction = match keys::direction(key) {
        Some(direction) if is_mixed || edges.is_empty() || direction == by_order => direction,
        None if !is_mixed => by_order,
        _ => {
            list.doubts.push(Doubt::UnclearEdges);
            by_order
        }
    };
    for &(step, other) in edges {
        match direction {
            Direction::Back => list.add_dependency(step, other),
            Direction::Forward => list.add_dependency(other, step),
        }
    }
}

/// What the value of a key is in one step.
#[derive(Debug)]
enum Entry {
    Nothing,
    /// References to other steps alone.
    Steps(Vec<i64>),
    /// These next to something else, and whether that may be steps, too.
    Mixed(Vec<i64>, bool),
    Other,
}

fn entry(references: &References<'_>, value: &Value, own: i64, is_about_order: bool) -> Entry {
    // As a number does, digits alone count something else.
    let is_count = value.as_str().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    if is_count && !is_about_order {
        return Entry::Other;
    }
    // Where steps are counted from 1, a 0 is none for the first of them; for others it may be the first, counted from 0.
    if is_about_order && is_zero(value) && !references.before.is_empty() && !references.numbers.contains(&0) {
        return Entry::Mixed(Vec::new(), true);
    }
    if let Some(steps) = references.certain(value) {
        return match steps.iter().all(|step| *step == own) {
            true if steps.is_empty() => Entry::Nothing,
            // A name that the step shares with its group.
            true => Entry::Other,
            false => Entry::Steps(steps),
        };
    }
    if !(is_about_order || value.is_array()) {
        let is_nothing =
            value.as_str().is_some_and(|text| !text.trim().is_empty()) && references.read(value).is_empty();
        return if is_nothing { Entry::Nothing } else { Entry::Other };
    }
    let read = references.read(value);
    let is_known = |number: &i64| references.numbers.contains(number);
    let steps: Vec<i64> = read.iter().filter_map(|reference| reference.number()).filter(is_known).collect();
    match (read.is_empty(), steps.is_empty()) {
        (true, _) => Entry::Nothing,
        (_, true) => Entry::Other,
        _ if steps.len() == read.len() => Entry::Steps(steps),
        _ => Entry::Mixed(steps, read.contains(&Reference::Unclear)),
    }
}

/// The texts of the steps in the value of a key, or one object deeper.
fn parts_in(key: &str, value: &Value, references: &References<'_>, arms: &ArmNames) -> Vec<String> {
    let may_be_texts = keys::has_word(key, keys::PARTS_WORDS) && !keys::is_about_order(key);
    let is_text = |item: &Value| item.as_str().is_some_and(|text| !text.trim().is_empty());
    let is_part = |item: &&Value| {
        is_step(item, arms) || may_be_texts && is_text(item) && references.certain(item).is_none()
    };
    match value {
        Value::Array(items) => items.iter().filter(is_part).filter_map(part_text).collect(),
        Value::Object(members) => {
            let own = members.values().filter(is_part).filter_map(part_text);
            let lists = members.iter().filter(|(_, value)| value.is_array());
            own.chain(lists.flat_map(|(key, list)| parts_in(key, list, references, arms))).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a value that has no place in a plan is worth a word.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What a part of a step says.
fn part_text(part: &Value) -> Option<String> {
    match part {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Object(object) => {
            keys::field(object, keys::ACTION).and_then(Value::as_str).map(|text| text.trim().to_owned())
        }
        _ => None,
    }
}

/// References in a text: alone, or in a template, it is a dependency; in prose it must already be one.
fn check_mentions(list: &mut StepList, place: usize, value: &Value) {
    let own = list.numbers[place];
    match value {
        Value::String(text) => {
            let references = list.references(place);
            let is_template = text.contains("{{") || text.trim_start().starts_with(['$', '#', '<']);
            let certain =
                references.certain(value).filter(|_| text.bytes().any(|byte| !byte.is_ascii_digit()));
            let mentioned = references.mentioned(text);
            let mentioned: Vec<i64> =
                certain.unwrap_or(mentioned).into_iter().filter(|step| *step != own).collect();
            for step in mentioned {
                if list.waits_for(own, step) || list.waits_for(step, own) {
                    continue;
                }
                if is_template {
                    list.add_dependency(own, step);
                } else {
                    list.doubts.push(Doubt::UnplacedReference(place));
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check_mentions(list, place, item)),
        Value::Object(members) => members.values().for_each(|item| check_mentions(list, place, item)),
        _ => {}
    }
}
