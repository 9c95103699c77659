//! JSON in which no key contradicts itself: of two values under one key `serde_json` silently keeps the last, and
//! where two steps were merged into one because a piece is missing, that is the only sign of it.

use std::fmt::{Formatter, Result as FmtResult};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value without objects that have two different values under one key.
pub(super) struct UniqueValue(pub(super) Value);

/// Adds a member; an error if there is another one of the same key that says something else.
pub(super) fn insert_unique(members: &mut Map<String, Value>, key: String, value: Value) -> Result<(), ()> {
    match members.get_mut(&key) {
        None => {
            members.insert(key, value);
            Ok(())
        }
        Some(earlier) if *earlier == value || is_empty(&value) => Ok(()),
        Some(earlier) if is_empty(earlier) => {
            *earlier = value;
            Ok(())
        }
        Some(_) => Err(()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

impl<'de> Deserialize<'de> for UniqueValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str("JSON without contradictions")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(UniqueValue(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, UniqueValue(value))) = members.next_entry::<String, UniqueValue>()? {
            insert_unique(&mut object, key, value).map_err(|()| Error::custom("a key contradicts itself"))?;
        }
        Ok(object.into())
    }
}
