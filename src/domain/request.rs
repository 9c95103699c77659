//! What a plan request may be, and everything that is wrong with one that is something else.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::FieldError;
use super::fields::FieldReader;

/// Longest goal, in characters.
pub const MAX_GOAL_CHARS: u64 = 10_000;
/// Most constraints in one request.
pub const MAX_CONSTRAINTS: u64 = 50;
/// Longest constraint, in characters.
pub const MAX_CONSTRAINT_CHARS: usize = 2_000;
/// Largest context, in bytes of compact JSON.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;
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

impl InvalidRequest {
    /// One fault for each field, sorted.
    pub(super) fn new(mut faults: Vec<FieldError>, request_id: Option<String>) -> Self {
        faults.sort();
        faults.dedup_by(|a, b| a.field == b.field);
        Self { faults, request_id }
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
            _ => Self::field_by_field(body)
                .map_err(|fault| InvalidRequest { faults: vec![fault], request_id: None })?,
        };
        request.rule_faults(&mut faults);
        if faults.is_empty() { Ok(request) } else { Err(InvalidRequest::new(faults, request.request_id)) }
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
    fn field_by_field(body: &[u8]) -> Result<(Self, Vec<FieldError>), FieldError> {
        let mut fields = FieldReader::of_body(body, "a goal")?;
        let request = Self::of_fields(&mut fields);
        // Without a fault here a key was there twice, of which the last counts, as in Python.
        Ok((request, fields.faults))
    }

    /// What fits of a request among `fields`; what does not is a fault there. Its rules are not checked.
    pub(super) fn of_fields(fields: &mut FieldReader) -> Self {
        Self {
            // What is missing has its own fault and breaks no rule besides.
            goal: fields.required_text("goal").unwrap_or_else(|| "read".into()),
            constraints: fields.texts("constraints", MAX_CONSTRAINTS as usize),
            context: fields.object("context").unwrap_or_default(),
            request_id: fields.text("request_id"),
        }
    }

    pub(super) fn rule_faults(&self, faults: &mut Vec<FieldError>) {
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
    if json_bytes(context) <= MAX_CONTEXT_BYTES { Ok(()) } else { Err(ValidationError::new("size")) }
}

/// The length of `value` as compact JSON.
pub(super) fn json_bytes(value: &impl Serialize) -> usize {
    let mut counter = ByteCounter(0);
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
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
