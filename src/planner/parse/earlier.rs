//! Steps one after the other, while their list is still being written.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::arm_names::ArmNames;
use super::keys::{self, field};
use super::locate::unwrapped;
use super::references::{Reference, References};
use super::steps::{are_distinct, is_step, known_fields, names};
use crate::planner::draft::DraftStep;
use crate::planner::normalize::free_numbers;

/// The steps of an unfinished list, as far as later ones refer to them.
#[derive(Debug, Default)]
pub(super) struct EarlierSteps {
    /// The numbers of finished steps.
    done: Vec<u32>,
    numbers: Vec<Option<i64>>,
    names: HashMap<String, i64>,
    /// Arms are known by their keys alone here.
    arms: ArmNames,
}

impl EarlierSteps {
    /// None yet, apart from finished steps with these numbers, ascending.
    pub(super) fn for_replan(done: Vec<u32>) -> Self {
        Self { done, ..Self::default() }
    }

    /// The next in the list, if it is a step: with its place for a number and those that it needs by theirs.
    pub(super) fn followed_by(&mut self, item: &Value) -> Option<DraftStep> {
        let item = unwrapped(item, &self.arms);
        let object = item.as_object().filter(|_| is_step(&item, &self.arms));
        let (mut step, claimed) = object.map(|object| known_fields(&item, object)).unwrap_or_default();
        self.numbers.push(step.number);
        let object = object?;
        let can_lack_dependencies = self.numbers.len() == 1;
        let is_settled = is_settled(object, &step, &claimed, can_lack_dependencies);
        let numbers = self.numbers_in_force();
        let before = &numbers[..numbers.len() - 1];
        if let Some(value) = field(object, keys::DEPENDS_ON) {
            let references = References { names: &self.names, numbers: &numbers, before };
            let needs = references.read(value).into_iter().filter_map(Reference::number);
            let target = |number| {
                let place = before.iter().position(|earlier| *earlier == number);
                let done = || self.done.iter().map(|done| i64::from(*done)).find(|done| *done == number);
                place.map(|place| self.free_number(place)).or_else(done)
            };
            step.depends_on = needs.filter_map(target).map(Some).collect();
        }
        let own = std::slice::from_ref(&step);
        for (name, number) in names(&[object], own, &numbers[before.len()..]) {
            self.names.entry(name).or_insert(number);
        }
        step.number = Some(self.free_number(before.len()));
        is_settled.then_some(step)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// The number of the step at `place`, from 0.
    fn free_number(&self, place: usize) -> i64 {
        let done = self.done.iter().copied();
        free_numbers(done).nth(place).map_or(0, i64::from)
    }

    /// As the whole list has it: numbers that each step has for itself, else places.
    fn numbers_in_force(&self) -> Vec<i64> {
        let written: Vec<i64> = self.numbers.iter().copied().flatten().collect();
        if written.len() == self.numbers.len() && are_distinct(&written) {
            written
        } else {
            (1..=self.numbers.len() as i64).collect()
        }
    }
}

/// Whether nothing that comes after a step can change how it is read: all is there under known names, and what else
/// is there says neither who does it nor what it depends on.
fn is_settled(
    object: &Map<String, Value>,
    step: &DraftStep,
    claimed: &[&str],
    can_lack_dependencies: bool,
) -> bool {
    let says_no_more = |value: &Value| match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => !text.bytes().any(|byte| byte.is_ascii_digit()),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    };
    let is_harmless = |key: &str, value: &Value| {
        says_no_more(value) && !keys::is_about_order(key) && !keys::has_word(key, keys::ARM_WORDS)
    };
    let mut others =
        object.iter().filter(|(key, value)| !value.is_null() && !claimed.contains(&key.as_str()));
    !step.arm.is_empty()
        && (can_lack_dependencies || field(object, keys::DEPENDS_ON).is_some())
        && others.all(|(key, value)| is_harmless(key, value))
}
