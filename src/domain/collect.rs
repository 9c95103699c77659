//! A serde deserializer over a JSON value that notes each value of the wrong type and continues with a placeholder.
//!
//! Crates that collect (`eserde`, `deserr`) keep no value when a type is wrong, so that the rules of the other
//! fields could not be checked in the same answer; `serde_path_to_error` stops at the first fault.
//!
//! It asks for every field of a struct: `null` and absent are the same. A field that may be absent is an `Option`,
//! or is read by way of one.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Value};

use super::FieldError;
use super::faults::{Faults, MAX_FAULTS, join};

/// One value, or its absence, and its path.
pub(super) struct Field<'de, 'f> {
    value: Option<&'de Value>,
    path: String,
    faults: &'f mut Faults,
}

impl<'de, 'f> Field<'de, 'f> {
    /// The whole request.
    pub(super) fn root(value: &'de Value, faults: &'f mut Faults) -> Self {
        Self { value: Some(value), path: String::new(), faults }
    }

    /// Notes that the value is not of the type that is `expected`.
    fn mismatch(&mut self, expected: &str) {
        let message = match self.value {
            None => {
                self.faults.first_absent.get_or_insert_with(|| expected.to_owned());
                "is required".to_owned()
            }
            Some(found) => format!("must be {expected}, not {}", kind_of(found)),
        };
        let path = if self.path.is_empty() { "body" } else { &self.path };
        self.faults.types.push(FieldError::new(path, message));
    }

    /// A whole number up to `max`, also one that is written as `1.0`; otherwise the nearest one.
    fn whole(&mut self, max: u64) -> u64 {
        let Some(Value::Number(number)) = self.value else {
            self.mismatch("a whole number");
            return 0;
        };
        if let Some(whole) = number.as_u64().filter(|whole| *whole <= max) {
            return whole;
        }
        let float = number.as_f64().unwrap_or_default();
        let is_whole = float.fract() == 0.0;
        if !is_whole || !(0.0..=max as f64).contains(&float) {
            let range = if is_whole { format!(" from 0 to {max}") } else { String::new() };
            let message = format!("must be a whole number{range}");
            self.faults.numbers.push(FieldError::new(self.path.clone(), message));
        }
        (float as u64).min(max)
    }
}

macro_rules! whole_numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_u64(self.whole(<$type>::MAX.into()))
        })*
    };
}

impl<'de> Deserializer<'de> for Field<'de, '_> {
    type Error = Error;

    whole_numbers!(deserialize_u8: u8, deserialize_u16: u16, deserialize_u32: u32, deserialize_u64: u64);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.value.unwrap_or(&Value::Null).deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            None | Some(Value::Null) => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let flag = self.value.and_then(Value::as_bool);
        if flag.is_none() {
            self.mismatch("a boolean");
        }
        visitor.visit_bool(flag.unwrap_or_default())
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let number = self.value.and_then(Value::as_f64);
        if number.is_none() {
            self.mismatch("a number");
        }
        visitor.visit_f64(number.unwrap_or_default())
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let text = self.value.and_then(Value::as_str);
        if text.is_none() {
            self.mismatch("a string");
        }
        visitor.visit_borrowed_str(text.unwrap_or_default())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(Value::Array(items)) = self.value {
            return visitor.visit_seq(Entries { items: items.iter().enumerate(), list: self });
        }
        // The type that the placeholder of an entry is asked for is the type of the entries.
        let mut asked = Faults::default();
        let entry = Field { value: None, path: String::new(), faults: &mut asked };
        let list = visitor.visit_seq(OneEntry(Some(entry)));
        let entry = asked.first_absent.as_deref().and_then(|kind| kind.split_once(' '));
        self.mismatch(&entry.map_or("an array".into(), |(_, kind)| format!("an array of {kind}s")));
        list
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(object @ Value::Object(_)) = self.value {
            return object.deserialize_map(visitor);
        }
        self.mismatch("an object");
        visitor.visit_map(Fields { names: [].iter(), next: "", object: self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if !matches!(self.value, Some(Value::Object(_))) {
            self.mismatch("an object");
            // Its fields get placeholders, without faults of their own.
            let mut ignored = Faults::default();
            let object = Field { value: None, path: String::new(), faults: &mut ignored };
            return visitor.visit_map(Fields { names: names.iter(), next: "", object });
        }
        visitor.visit_map(Fields { names: names.iter(), next: "", object: self })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let word = if let Some(Value::String(text)) = self.value {
            let word = words.iter().find(|word| *word == text);
            if word.is_none() {
                let message = format!("must be one of {}", words.join(", "));
                self.faults.types.push(FieldError::new(self.path, message));
            }
            word
        } else {
            self.mismatch("a string");
            None
        };
        let word = word.or(words.first()).copied().unwrap_or_default();
        visitor.visit_enum(StrDeserializer::<Error>::new(word))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The fields of a struct, each asked for whether it is there or not.
struct Fields<'de, 'f> {
    names: std::slice::Iter<'static, &'static str>,
    next: &'static str,
    object: Field<'de, 'f>,
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(name) = self.names.next() else { return Ok(None) };
        self.next = name;
        seed.deserialize(StrDeserializer::<Error>::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Field { value, path, faults } = &mut self.object;
        let value = value.and_then(|object| object.get(self.next)).filter(|value| !value.is_null());
        read(seed, value, join(path, self.next), faults)
    }
}

/// The entries of an array.
struct Entries<'de, 'f> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
    list: Field<'de, 'f>,
}

impl<'de> SeqAccess<'de> for Entries<'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let Field { path, faults, .. } = &mut self.list;
        let (types, numbers) = (faults.types.len(), faults.numbers.len());
        let entry = read(seed, Some(item), format!("{path}[{index}]"), faults)?;
        if types + numbers > 10 * MAX_FAULTS {
            // Far more than are listed; all of them would take far more memory than the request.
            faults.types.truncate(types);
            faults.numbers.truncate(numbers);
        }
        Ok(Some(entry))
    }
}

/// A list of one placeholder, in place of a value that is not a list.
struct OneEntry<'de, 'f>(Option<Field<'de, 'f>>);

impl<'de> SeqAccess<'de> for OneEntry<'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.0.take().map(|entry| seed.deserialize(entry)).transpose()
    }
}

/// Reads one value; what its type refuses without a fault noted here is noted.
fn read<'de, S: DeserializeSeed<'de>>(
    seed: S,
    value: Option<&'de Value>,
    path: String,
    faults: &mut Faults,
) -> Result<S::Value, Error> {
    let before = faults.types.len();
    let outcome = seed.deserialize(Field { value, path: path.clone(), faults });
    if let Err(error) = &outcome
        && faults.types.len() == before
    {
        faults.types.push(FieldError::new(path, format!("is invalid: {error}")));
    }
    outcome.map_err(Error::custom)
}

/// What kind of value it is, as part of a sentence.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
