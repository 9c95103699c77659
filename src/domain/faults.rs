//! Everything that is wrong with a request: faults of type and of rule together, each with its path.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::collect::Field;
pub(crate) use super::collect::kind_of;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The path of the field, such as `constraints[3]`.
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
pub(crate) const MAX_FAULTS: usize = 100;

/// The name under which a rule reports the entries of a list that break it.
const ENTRIES: &str = "entries";
/// The field under which `validator` reports the rules of a whole struct.
const WHOLE_STRUCT: &str = "__all__";

/// Reads a request from JSON and checks its rules.
///
/// `1.0` counts as 1, and of a duplicate key the last one, as in Python. An array is never an object: serde itself would
/// read one as a struct, by the order of the fields. A value of the wrong type is a fault, and a placeholder takes its
/// place in the request.
///
/// # Errors
/// What is wrong with the body as a whole. `needs` says what is missing in an empty one.
pub(crate) fn read_json<T: DeserializeOwned + Validate>(
    body: &[u8],
    needs: &str,
) -> Result<(T, Faults), Vec<FieldError>> {
    let mut faults = Faults::default();
    let request = match json_object(body, needs) {
        Ok(object) => faults.collect(&object),
        // What is nested too deep may be in a field that is ignored.
        Err(invalid) if body.trim_ascii_start().first() == Some(&b'{') => {
            Some(serde_json::from_slice(body).map_err(|_| invalid)?)
        }
        Err(invalid) => return Err(invalid),
    };
    let Some(request) = request else { return Err(faults.into_list()) };
    faults.check(&request);
    Ok((request, faults))
}

/// The JSON object in `body`.
///
/// # Errors
/// What is wrong with the body as a whole.
pub(crate) fn json_object(body: &[u8], needs: &str) -> Result<Value, Vec<FieldError>> {
    let invalid = |what: String| vec![FieldError::new("body", what)];
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(invalid(format!("is empty; send a JSON object with {needs}")));
    }
    match serde_json::from_slice(body).map_err(|error| vec![json_fault(body, &error)])? {
        object @ Value::Object(_) => Ok(object),
        other => Err(invalid(format!("is {}; send a JSON object", kind_of(&other)))),
    }
}

/// What is wrong with a body that is not JSON.
pub(crate) fn json_fault(body: &[u8], error: &serde_json::Error) -> FieldError {
    let (line, column) = (error.line(), error.column());
    let what = match std::str::from_utf8(body) {
        Err(_) => "is not UTF-8; send JSON in UTF-8".into(),
        Ok(_) if is_too_deep(error) => "is nested deeper than 128 levels".into(),
        Ok(_) => format!("is not valid JSON (line {line}, column {column})"),
    };
    FieldError::new("body", what)
}

/// `serde_json` has no public kind for its nesting limit; its message is the only sign of it.
fn is_too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

/// The faults of one request, found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Values of the wrong type, and missing ones. No rule applies to them or to what is within them.
    pub(super) types: Vec<FieldError>,
    /// Numbers that do not fit their type. A rule that such a number breaks says more.
    pub(super) numbers: Vec<FieldError>,
    /// Broken rules.
    rules: Vec<FieldError>,
    /// What the first absent value should have been.
    pub(super) first_absent: Option<String>,
}

impl Faults {
    /// Reads a `T` from `value` and notes every value of the wrong type, in whose place there is a placeholder.
    ///
    /// `None`, with at least one fault noted, when `T` refuses even placeholders.
    pub(crate) fn collect<T: DeserializeOwned>(&mut self, value: &Value) -> Option<T> {
        match T::deserialize(Field::root(value, self)) {
            Ok(request) => Some(request),
            Err(error) => {
                if self.types.is_empty() {
                    self.types.push(FieldError::new("body", format!("cannot be read: {error}")));
                }
                None
            }
        }
    }

    /// Notes a list at the top of `request` that has more than `most` entries, and empties it: nothing else is said
    /// of it.
    pub(crate) fn refuse_long_list(&mut self, request: &mut Value, field: &str, most: usize) {
        if let Some(Value::Array(list)) = request.get_mut(field)
            && list.len() > most
        {
            list.clear();
            self.types.push(FieldError::new(field, format!("must have at most {most} entries")));
        }
    }

    /// Notes every rule that `request` breaks.
    pub(crate) fn check(&mut self, request: &impl Validate) {
        if let Err(errors) = request.validate() {
            self.add_errors("", errors);
        }
    }

    /// Notes a broken rule, unless the field's type, or that of one around it, is wrong.
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let field = field.into();
        if !self.types.iter().any(|fault| contains(&fault.field, &field)) {
            self.rules.push(FieldError::new(field, message));
        }
    }

    /// Notes a broken rule about how fields relate, unless something else is wrong with this one, with one around
    /// it or with one within it.
    pub(crate) fn add_relation(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let field = field.into();
        if !self.concerns(&field) {
            self.rules.push(FieldError::new(field, message));
        }
    }

    /// Whether a fault is at `field`, around it or within it.
    pub(crate) fn concerns(&self, field: &str) -> bool {
        let mut all = self.types.iter().chain(&self.numbers).chain(&self.rules);
        all.any(|fault| contains(&fault.field, field) || contains(field, &fault.field))
    }

    /// All faults, sorted by field; at most [`MAX_FAULTS`], and then one that says that there are more.
    pub(crate) fn into_list(self) -> Vec<FieldError> {
        let Self { types, mut numbers, rules, .. } = self;
        numbers.retain(|number| rules.iter().all(|rule| rule.field != number.field));
        let mut list = [types, numbers, rules].concat();
        list.sort();
        list.dedup();
        if list.len() > MAX_FAULTS {
            list.truncate(MAX_FAULTS);
            list.push(FieldError::new("body", "has more faults than these"));
        }
        list
    }

    /// Notes the errors of `validator` for the struct at `place`.
    fn add_errors(&mut self, place: &str, errors: ValidationErrors) {
        for (field, kind) in errors.into_errors() {
            let path = join(place, &field);
            match kind {
                ValidationErrorsKind::Struct(inner) => self.add_errors(&path, *inner),
                ValidationErrorsKind::List(entries) => {
                    for (index, inner) in entries {
                        self.add_errors(&format!("{path}[{index}]"), *inner);
                    }
                }
                ValidationErrorsKind::Field(errors) => {
                    let most = errors.iter().find_map(|error| error.params.get("max")?.as_u64());
                    for error in errors {
                        let path = if field == WHOLE_STRUCT { &join(place, &error.code) } else { &path };
                        self.add_error(path, error);
                    }
                    self.drop_entries_from(most.unwrap_or(u64::MAX), &path);
                }
            }
        }
    }

    fn add_error(&mut self, path: &str, error: ValidationError) {
        let message = error.message.unwrap_or(error.code);
        match error.params.get(ENTRIES).and_then(Value::as_array) {
            Some(entries) => {
                for index in entries {
                    self.add(format!("{path}[{index}]"), message.clone());
                }
            }
            None => self.add(path, message),
        }
    }

    /// Forgets the faults of entries from `most` on of the list at `path`: that there are more is the fault.
    fn drop_entries_from(&mut self, most: u64, path: &str) {
        for list in [&mut self.types, &mut self.numbers, &mut self.rules] {
            list.retain(|fault| index_within(path, &fault.field).is_none_or(|index| index < most));
        }
    }
}

/// The error of a list for `validator`: which entries break the rule that `keeps` tells. The first 100 are named.
pub(crate) fn check_entries<T>(list: &[T], keeps: impl Fn(&T) -> bool) -> Result<(), ValidationError> {
    let broken = list.iter().enumerate().filter(|(_, entry)| !keeps(entry)).map(|(index, _)| index);
    let broken: Vec<usize> = broken.take(MAX_FAULTS + 1).collect();
    if broken.is_empty() {
        return Ok(());
    }
    let mut error = ValidationError::new(ENTRIES);
    error.add_param(Cow::from(ENTRIES), &broken);
    Err(error)
}

/// `place.field`, or `field` alone at the top.
pub(super) fn join(place: &str, field: &str) -> String {
    if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") }
}

/// Whether `inner` is the field `outer` or within it.
fn contains(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The index of the entry of the list at `list` that contains `field`.
fn index_within(list: &str, field: &str) -> Option<u64> {
    field.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PlanRequest;

    #[test]
    fn an_array_is_not_read_as_an_object() {
        let read = |body: &str| read_json::<PlanRequest>(body.as_bytes(), "goal").map(|(_, faults)| faults);
        for budget in ["[]", "[5, 1, 3]"] {
            let faults = read(&format!(r#"{{"goal": "Fix it", "budget": {budget}}}"#)).expect("a request");
            let fault = FieldError::new("budget", "must be an object, not an array");
            assert_eq!(faults.into_list(), [fault]);
        }
    }
}
