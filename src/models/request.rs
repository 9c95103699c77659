//! What a plan request may be, and everything that is wrong with one that is something else.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::FieldError;

/// Longest goal, in characters.
const MAX_GOAL_CHARS: u64 = 10_000;
/// Most constraints in one request.
const MAX_CONSTRAINTS: u64 = 50;
/// Longest constraint, in characters.
const MAX_CONSTRAINT_CHARS: usize = 2_000;
/// Largest context, in bytes of compact JSON.
const MAX_CONTEXT_BYTES: usize = 64 * 1024;
/// Longest request id, in characters.
pub const MAX_REQUEST_ID_CHARS: u64 = 128;
/// What a plan is wanted for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
pub struct PlanRequest {
    /// What is to be achieved: 1 to 10,000 characters, not blank.
    #[validate(length(max = "MAX_GOAL_CHARS"), custom(function = "not_blank"))]
    #[schema(
        min_length = 1,
        max_length = 10_000,
        pattern = r"\S",
        example = "Fix authentication bug and add tests"
    )]
    pub goal: String,
    /// Rules that the plan must respect: at most 50, each 1 to 2,000 characters.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(length(max = "MAX_CONSTRAINTS"))]
    #[schema(schema_with = constraints_schema)]
    pub constraints: Vec<String>,
    /// Anything the planner should know, as a JSON object of at most 64 KiB serialised.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(custom(function = "context_fits"))]
    #[schema(schema_with = context_schema)]
    pub context: Map<String, Value>,
    /// The caller's name for this request, at most 128 characters; a UUID is made when absent or null.
    #[serde(default)]
    #[validate(length(max = "MAX_REQUEST_ID_CHARS"))]
    #[schema(max_length = 128)]
    pub request_id: Option<String>,
}

/// A request that breaks rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRequest {
    /// Everything that is wrong with it, sorted by field.
    pub faults: Vec<FieldError>,
    /// The caller's name for it, where that could be read.
    pub request_id: Option<String>,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl PlanRequest {
    /// Reads a request from JSON.
    ///
    /// # Errors
    /// Everything that is wrong with it, types and rules alike.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRequest> {
        // serde would read an array as a struct by the order of its fields.
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        let (request, mut faults) = match serde_json::from_slice(body) {
            Ok(request) if is_object => (request, Vec::new()),
            _ => Self::field_by_field(body).map_err(|message| InvalidRequest {
                faults: vec![FieldError::new("body", message)],
                request_id: None,
            })?,
        };
        request.rule_faults(&mut faults);
        if faults.is_empty() {
            return Ok(request);
        }
        faults.sort();
        faults.dedup_by(|a, b| a.field == b.field);
        Err(InvalidRequest { faults, request_id: request.request_id })
    }

    /// Checks the rules of a request that was not read from JSON.
    ///
    /// # Errors
    /// Every broken rule, sorted by field.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Vec::new();
        self.rule_faults(&mut faults);
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort();
        Err(faults)
    }

    /// The slow way, for requests with something of the wrong type: what fits is read, the rest named.
    /// Fails with what is wrong with the body as a whole.
    fn field_by_field(body: &[u8]) -> Result<(Self, Vec<FieldError>), String> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err("is empty; send a JSON object with a goal".into());
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            match std::str::from_utf8(body) {
                Err(_) => "is not UTF-8; send JSON in UTF-8".into(),
                Ok(_) if is_too_deep(&error) => "nests deeper than 128 levels".into(),
                Ok(_) => format!("is not valid JSON (line {line}, column {column})"),
            }
        })?;
        let Value::Object(mut fields) = value else {
            return Err(format!("is {}; send a JSON object", kind_of(&value)));
        };
        let mut faults = Vec::new();
        let mut take = |name: &str| match fields.remove(name) {
            Some(Value::Null) | None => None,
            Some(value) => Some(value),
        };
        let mut request = Self { goal: "read".into(), ..Self::default() };
        match take("goal") {
            Some(Value::String(goal)) => request.goal = goal,
            Some(other) => {
                faults.push(FieldError::new("goal", format!("must be a string, not {}", kind_of(&other))));
            }
            None => faults.push(FieldError::new("goal", "is required")),
        }
        match take("constraints") {
            Some(Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    if let Value::String(constraint) = item {
                        request.constraints.push(constraint);
                        continue;
                    }
                    // Beyond the limit the number of entries is the fault.
                    if (index as u64) < MAX_CONSTRAINTS {
                        faults.push(FieldError::new(
                            format!("constraints[{index}]"),
                            format!("must be a string, not {}", kind_of(&item)),
                        ));
                    }
                    // Keeps the places of those behind it, and breaks no rule itself.
                    request.constraints.push("-".into());
                }
            }
            Some(other) => faults.push(FieldError::new(
                "constraints",
                format!("must be an array of strings, not {}", kind_of(&other)),
            )),
            None => {}
        }
        match take("context") {
            Some(Value::Object(context)) => request.context = context,
            Some(other) => {
                faults
                    .push(FieldError::new("context", format!("must be an object, not {}", kind_of(&other))));
            }
            None => {}
        }
        match take("request_id") {
            Some(Value::String(id)) => request.request_id = Some(id),
            Some(other) => faults.push(FieldError::new(
                "request_id",
                format!("must be a string or null, not {}", kind_of(&other)),
            )),
            None => {}
        }
        // Without a fault here a key was there twice, of which the last counts, as in Python.
        Ok((request, faults))
    }

    fn rule_faults(&self, faults: &mut Vec<FieldError>) {
        if let Err(errors) = self.validate() {
            faults.extend(
                errors.field_errors().keys().map(|field| FieldError::new(field.to_string(), rule_of(field))),
            );
        }
        for (index, constraint) in self.constraints.iter().enumerate().take(MAX_CONSTRAINTS as usize) {
            if constraint.is_empty() || constraint.chars().count() > MAX_CONSTRAINT_CHARS {
                faults.push(FieldError::new(
                    format!("constraints[{index}]"),
                    "must be 1 to 2,000 characters long",
                ));
            }
        }
    }
}

/// The rule of a field, as a caller reads it behind the field's name.
fn rule_of(field: &str) -> &'static str {
    match field {
        "goal" => "must be 1 to 10,000 characters long and not blank",
        "constraints" => "must have at most 50 entries",
        "context" => "must be at most 64 KiB as compact JSON",
        _ => "must be at most 128 characters long",
    }
}

fn not_blank(text: &str) -> Result<(), ValidationError> {
    if text.trim().is_empty() {
        return Err(ValidationError::new("blank"));
    }
    Ok(())
}

fn context_fits(context: &Map<String, Value>) -> Result<(), ValidationError> {
    let mut counter = ByteCounter(0);
    match serde_json::to_writer(&mut counter, context) {
        Ok(()) if counter.0 <= MAX_CONTEXT_BYTES => Ok(()),
        _ => Err(ValidationError::new("size")),
    }
}

/// Counts what is written to it.
struct ByteCounter(usize);

impl std::io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
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

fn constraints_schema() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(MAX_CONSTRAINT_CHARS)),
        )
        .max_items(Some(MAX_CONSTRAINTS as usize))
        .description(Some("Rules that the plan must respect: at most 50, each 1 to 2,000 characters."))
        .examples([serde_json::json!(["Do not modify the database schema"])])
        .into()
}

fn context_schema() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .description(Some("Anything the planner should know, as a JSON object of at most 64 KiB serialised."))
        .examples([serde_json::json!({"repository": "https://example.com/repo"})])
        .into()
}
