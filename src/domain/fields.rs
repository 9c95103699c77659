//! Reads a JSON object field by field and collects what is wrong with it instead of stopping at the first.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field, as `constraints[3]`.
    pub field: String,
    /// What is wrong with it and what is allowed.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// More faults of one request are not listed: a list of them can be far longer than the request.
pub(crate) const MOST_FAULTS: usize = 100;

/// The fields of an object that are still to be read, and the faults found so far.
#[derive(Debug, Default)]
pub(crate) struct FieldReader {
    fields: Map<String, Value>,
    /// What stands before the name of each field, as `budget.`.
    place: String,
    pub(crate) faults: Vec<FieldError>,
}

impl FieldReader {
    /// The object in `body`.
    ///
    /// # Errors
    /// What is wrong with the body as a whole. `needs` says what is missing in an empty one.
    pub(crate) fn of_body(body: &[u8], needs: &str) -> Result<Self, FieldError> {
        let wrong = |what: String| FieldError::new("body", what);
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(wrong(format!("is empty; send a JSON object with {needs}")));
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| fault_of_json(body, &error))?;
        match value {
            Value::Object(fields) => Ok(Self { fields, ..Self::default() }),
            other => Err(wrong(format!("is {}; send a JSON object", kind_of(&other)))),
        }
    }

    /// A text; `None` when absent, null or something else, which is a fault.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => self.wrong_kind(name, "a string", &other),
        }
    }

    /// Whether there is a value, of whatever kind.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Option<String> {
        if !self.has(name) {
            self.fault(name, "is required");
        }
        self.text(name)
    }

    /// An object; `None` as with [`text`](Self::text).
    pub(crate) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(fields) => Some(fields),
            other => self.wrong_kind(name, "an object", &other),
        }
    }

    /// A list of texts. One of something else is a fault, unless it stands beyond `most`, where the number
    /// of entries is the fault; `-` keeps its place, and breaks no rule itself.
    pub(crate) fn texts(&mut self, name: &str, most: usize) -> Vec<String> {
        let items = match self.take(name) {
            Some(Value::Array(items)) => items,
            Some(other) => {
                return self.wrong_kind(name, "an array of strings", &other).unwrap_or_default();
            }
            None => return Vec::new(),
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => {
                    if index < most {
                        self.wrong_kind::<()>(&format!("{name}[{index}]"), "a string", &other);
                    }
                    texts.push("-".into());
                }
            }
        }
        texts
    }

    /// What `read` makes of each object in the list `name`, which must be there and have at most `most` entries;
    /// `None` for an entry that is no object, which is a fault, and for one of which `read` makes nothing.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        most: usize,
        read: impl Fn(&mut Self) -> Option<T>,
    ) -> Vec<Option<T>> {
        let items = match self.take(name) {
            Some(Value::Array(items)) => items,
            Some(other) => {
                return self.wrong_kind(name, "an array of objects", &other).unwrap_or_default();
            }
            None => {
                self.fault(name, "is required");
                return Vec::new();
            }
        };
        if items.len() > most {
            self.fault(name, format!("must have at most {most} entries"));
            return Vec::new();
        }
        let read_one = |(index, item)| {
            let place = format!("{name}[{index}]");
            let Value::Object(fields) = item else {
                return self.wrong_kind(&place, "an object", &item);
            };
            let mut inner = Self { fields, place: format!("{}{place}.", self.place), faults: Vec::new() };
            let value = read(&mut inner);
            let room = (MOST_FAULTS + 1).saturating_sub(self.faults.len());
            self.faults.extend(inner.faults.into_iter().take(room));
            value
        };
        items.into_iter().enumerate().map(read_one).collect()
    }

    /// A whole number from `low` to `high` that must be there.
    pub(crate) fn required_whole(&mut self, name: &str, low: u32, high: u32) -> Option<u32> {
        let value = self.take(name);
        if value.is_none() {
            self.fault(name, "is required");
            return None;
        }
        let number = value.as_ref().and_then(whole).filter(|number| (low..=high).contains(number));
        if number.is_none() {
            self.fault(name, format!("must be a whole number from {low} to {high}"));
        }
        number
    }

    /// A list of whole numbers; `None` when it is something else, which is a fault.
    pub(crate) fn wholes(&mut self, name: &str) -> Option<Vec<u32>> {
        let numbers = match self.take(name) {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(whole).collect(),
            Some(_) => None,
        };
        if numbers.is_none() {
            self.fault(name, "must be an array of whole numbers above 0");
        }
        numbers
    }

    /// Notes that the field `name` is bad, unless there are more faults than will be listed.
    pub(crate) fn fault(&mut self, name: &str, message: impl Into<String>) {
        if self.faults.len() > MOST_FAULTS {
            return;
        }
        self.faults.push(FieldError::new(format!("{}{name}", self.place), message));
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn wrong_kind<T>(&mut self, name: &str, expected: &str, found: &Value) -> Option<T> {
        self.fault(name, format!("must be {expected}, not {}", kind_of(found)));
        None
    }
}

/// What only the orchestrator's API has: objects within objects, and numbers.
#[cfg(feature = "orchestrator")]
impl FieldReader {
    /// Reads the object `name`, whose fields stand after `place` in what is said of them.
    pub(crate) fn within<T>(
        &mut self,
        name: &str,
        place: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let fields = self.object(name).unwrap_or_default();
        let mut inner = Self { fields, place: place.into(), faults: Vec::new() };
        let value = read(&mut inner);
        self.faults.append(&mut inner.faults);
        value
    }

    /// One of several words, or `default` when absent.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(text) = self.text(name) else { return default };
        if let Some((_, choice)) = words.iter().find(|(word, _)| *word == text) {
            return *choice;
        }
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fault(name, format!("must be one of {}", allowed.join(", ")));
        default
    }

    /// A number from `low` to `high`, or `default` when absent.
    pub(crate) fn number(&mut self, name: &str, default: f64, low: f64, high: f64) -> f64 {
        match self.take(name).as_ref().map(|value| (value, value.as_f64())) {
            None => default,
            Some((_, Some(number))) if (low..=high).contains(&number) => number,
            Some((_, Some(_))) => {
                self.fault(name, format!("must be from {low} to {high}"));
                default
            }
            Some((other, None)) => self.wrong_kind(name, "a number", other).unwrap_or(default),
        }
    }

    /// A whole number from `low` to `high`, or `default` when absent.
    pub(crate) fn whole_number(&mut self, name: &str, default: u32, low: u32, high: u32) -> u32 {
        let number = self.number(name, default.into(), low.into(), high.into());
        if number.fract() != 0.0 {
            self.fault(name, "must be a whole number");
        }
        number as u32
    }
}

/// What is wrong with a body that is not JSON.
pub(crate) fn fault_of_json(body: &[u8], error: &serde_json::Error) -> FieldError {
    let (line, column) = (error.line(), error.column());
    let what = match std::str::from_utf8(body) {
        Err(_) => "is not UTF-8; send JSON in UTF-8".into(),
        Ok(_) if is_too_deep(error) => "nests deeper than 128 levels".into(),
        Ok(_) => format!("is not valid JSON (line {line}, column {column})"),
    };
    FieldError::new("body", what)
}

/// A whole number above 0, also one that is written as `1.0`.
fn whole(value: &Value) -> Option<u32> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    (1.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
}

/// `serde_json` has no public kind for its nesting limit; its message is the only sign of it.
fn is_too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
