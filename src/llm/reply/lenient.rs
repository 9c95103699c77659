//! Fields that may be of any JSON type: values of a usable type are kept, all others count as absent.

use std::fmt::{Formatter, Result as FmtResult};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A `T`, or `None` for `null` and every JSON type that no `T` can be made of.
#[derive(Debug)]
pub(super) struct Lenient<T>(pub(super) Option<T>);

/// What can be made of some JSON types. The default for each type is: nothing.
pub(super) trait FromJson: Sized {
    /// From a string.
    fn from_text(_text: String) -> Option<Self> {
        None
    }

    /// From a number.
    fn from_number(_number: f64) -> Option<Self> {
        None
    }

    /// From an object, which must be read to its end.
    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// From an array, which must be read to its end.
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: FromJson> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyType(PhantomData)).map(Self)
    }
}

struct AnyType<T>(PhantomData<T>);

impl<'de, T: FromJson> Visitor<'de> for AnyType<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(T::from_number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(T::from_number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(T::from_number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::from_text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(T::from_text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::from_object(object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::from_list(list)
    }
}

impl FromJson for String {
    fn from_text(text: String) -> Option<Self> {
        Some(text)
    }
}

/// An id or a name from a server: one word, as a text might quote the request.
#[derive(Debug)]
pub(super) struct Identifier(pub(super) String);

impl FromJson for Identifier {
    fn from_text(text: String) -> Option<Self> {
        let is_word = (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_word.then_some(Self(text))
    }
}

/// The entries of a usable type.
impl<T: FromJson> FromJson for Vec<T> {
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Self::new();
        while let Some(entry) = list.next_element::<Lenient<T>>()? {
            entries.extend(entry.0);
        }
        Ok(Some(entries))
    }
}

/// A count, also one written as a float or a string; negative ones are 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl FromJson for Count {
    fn from_text(text: String) -> Option<Self> {
        text.trim().parse().ok().and_then(Self::from_number)
    }

    fn from_number(number: f64) -> Option<Self> {
        // Servers send any number; no count of tokens is as large as this.
        number.is_finite().then_some(Self(number.clamp(0.0, 1e12) as u64))
    }
}
