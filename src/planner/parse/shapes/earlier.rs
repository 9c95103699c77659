//! Steps one after the other, while their list still grows.

use std::collections::HashMap;

use serde_json::Value;

use super::{NEEDS_KEYS, Needs, field, is_step, names, step, unwrapped};
use crate::planner::draft::DraftStep;

/// The steps of a list that still grows, as far as later ones speak of them.
#[derive(Debug, Default)]
pub(in crate::planner::parse) struct Earlier {
    numbers: Vec<Option<i64>>,
    names: HashMap<String, i64>,
}

impl Earlier {
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
            let place = |number| before.iter().position(|earlier| *earlier == number);
            step.depends_on = needs.filter_map(place).map(|place| Some(place as i64 + 1)).collect();
        }
        for (name, number) in names(&[object], &numbers[before.len()..]) {
            self.names.entry(name).or_insert(number);
        }
        step.number = Some(numbers.len() as i64);
        Some(step)
    }

    /// How many there are.
    pub(in crate::planner::parse) fn count(&self) -> usize {
        self.numbers.len()
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
