//! Values that only our own functions can do something with: compiled patterns, and what an evaluation may still cost.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::ExecutionError;
use cel::common::types::{CelList, CelMap, CelString, Type};
use cel::common::value::{StaticVal, Val};
use regex::Regex;
use serde_json::{Map, Value};

use super::values::Item;

/// A value that only our own functions can do something with.
macro_rules! opaque {
    ($type:ty, $name:literal) => {
        impl Val for $type {
            fn get_type(&self) -> &Type {
                Self::cel_type()
            }

            fn cel_type() -> &'static Type {
                static TYPE: Type = Type::new_unspecified_type($name);
                &TYPE
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
                Box::new(self.clone())
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $type {}
    };
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

opaque!(Pattern, "pattern");

/// How much may still be evaluated: about one unit for each node, and for each 32 bytes of a text that is read.
#[derive(Debug, Clone)]
pub(super) struct Fuel(Arc<AtomicU64>);

opaque!(Fuel, "fuel");

impl Fuel {
    pub(super) fn new(units: u64) -> Self {
        Self(Arc::new(AtomicU64::new(units)))
    }

    /// What is left.
    pub(super) fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Gives back what was taken since `left` was left.
    pub(super) fn restore(&self, left: u64) {
        self.0.store(left, Ordering::Relaxed);
    }

    /// Takes `units`, or what is left when that is less.
    ///
    /// # Errors
    /// When there were not enough.
    pub(super) fn charge(&self, units: u64) -> Result<(), ExecutionError> {
        let left = self.left();
        self.0.store(left.saturating_sub(units), Ordering::Relaxed);
        if units < left { Ok(()) } else { Err(ExecutionError::function_error("policy", "costs too much")) }
    }
}

/// The cost of copying `value`, or of visiting all of it; counting stops soon after `most`.
pub(super) fn size_of(value: &dyn Val, most: u64) -> u64 {
    let sum = |sizes: &mut dyn Iterator<Item = &dyn Val>| {
        let mut sum = 1;
        for value in sizes {
            if sum >= most {
                break;
            }
            sum += size_of(value, most - sum);
        }
        sum
    };
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        1 + text.inner().len() as u64 / 32
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        sum(&mut list.inner().iter().map(|value| &**value))
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        sum(&mut map.inner().iter().flat_map(|(key, value)| [key.inner(), &**value]))
    } else {
        1
    }
}

/// The cost of `item`, as [`size_of`] has it.
pub(super) fn size_of_item(item: Item<'_>) -> u64 {
    match item {
        Item::Text(text) => 1 + text.len() as u64 / 32,
        Item::Object(fields) => size_of_object(fields),
        list => 1 + list.elements().map(size_of_item).sum::<u64>(),
    }
}

fn size_of_object(fields: &Map<String, Value>) -> u64 {
    1 + fields.iter().map(|(name, value)| size_of_item(Item::Text(name)) + size_of_json(value)).sum::<u64>()
}

fn size_of_json(value: &Value) -> u64 {
    match value {
        Value::String(text) => size_of_item(Item::Text(text)),
        Value::Array(values) => 1 + values.iter().map(size_of_json).sum::<u64>(),
        Value::Object(fields) => size_of_object(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}
