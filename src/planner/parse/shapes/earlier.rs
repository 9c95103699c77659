//! Steps one after the other, while their list still grows.

use std::collections::HashMap;

use serde_json::Value;

use super::{NEEDS_KEYS, Needs, field, is_step, names, step, unwrapped};
use crate::planner::draft::DraftStep;
use crate::planner::normalize::free_numbers;

/// The steps of a list that still grows, as far as later ones speak of them.
#[derive(Debug, Default)]
pub(in crate::planner::parse) struct Earlier {
    /// The numbers of finished steps.
    done: Vec<u32>,
    numbers: Vec<Option<i64>>,
    names: HashMap<String, i64>,
}

impl Earlier {
    /// None yet, beside finished steps of these numbers, ascending.
    pub(in crate::planner::parse) fn beside(done: Vec<u32>) -> Self {
        Self { done, ..Self::default() }
    }

    /// The next in the list, if it is a step: with its place for a number and those that it needs by theirs.
    pub(in crate::planner::parse) fn followed_by(&mut self, item: &Value) -> Option<DraftStep> {
        let item = unwrapped(item);
        let object = item.as_object().filter(|_| is_step(&item));
        let mut step = object.map(|object| step(&item, object)).unwrap_or_default();
        self.numbers.push(step.number);
        let object = object?;
        let numbers = self.numbers_in_force();
        let before = &numbers[..numbers.len() - 1];
        if let Some(value) = field(object, NEEDS_KEYS) {
            let needs = Needs { names: &self.names, before }.read(value).into_iter().flatten();
            let target = |number| {
                let place = before.iter().position(|earlier| *earlier == number);
                let done = || self.done.iter().map(|done| i64::from(*done)).find(|done| *done == number);
                place.map(|place| self.free_number(place)).or_else(done)
            };
            step.depends_on = needs.filter_map(target).map(Some).collect();
        }
        for (name, number) in names(&[object], &numbers[before.len()..]) {
            self.names.entry(name).or_insert(number);
        }
        step.number = Some(self.free_number(before.len()));
        Some(step)
    }

    /// How many there are.
    pub(in crate::planner::parse) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// The number of the step at `place`, from 0.
    fn free_number(&self, place: usize) -> i64 {
        let done = self.done.iter().copied();
        free_numbers(done).nth(place).map_or(0, i64::from)
    }

    /// As the whole list has it: numbers that each step has for itself, else places.
    fn numbers_in_force(&self) -> Vec<i64> {
        let mut distinct: Vec<i64> = self.numbers.iter().copied().flatten().collect();
        let written = distinct.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() == self.numbers.len() { written } else { (1..=self.numbers.len() as i64).collect() }
    }
}
