//! Requests for plans: their rules, and everything that is wrong with an invalid one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::arms::choice::{define, faults_of_choices};
use super::arms::{ArmChoice, ArmRegistry};
use super::faults::{Faults, check_entries, read_json};
use super::{Budget, FieldError, Installation};

/// Longest goal, in characters.
pub const MAX_GOAL_CHARS: u64 = 10_000;
/// Maximum number of constraints in one request.
pub const MAX_CONSTRAINTS: u64 = 50;
/// Longest constraint, in characters.
pub const MAX_CONSTRAINT_CHARS: usize = 2_000;
/// Largest context, in bytes of compact JSON.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;
/// Longest request id, in characters.
pub const MAX_REQUEST_ID_CHARS: u64 = 128;

/// What to plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
pub struct PlanRequest {
    /// The goal: 1 to 10,000 characters, not blank.
    #[validate(custom(
        function = "goal_fits",
        message = "must be 1 to 10,000 characters long and not blank"
    ))]
    #[schema(
        min_length = 1,
        max_length = 10_000,
        pattern = r"\S",
        example = "Fix authentication bug and add tests"
    )]
    pub goal: String,
    /// Rules that the plan must respect: at most 50, each 1 to 2,000 characters.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(
        length(max = "MAX_CONSTRAINTS", message = "must have at most 50 entries"),
        custom(function = "constraints_fit", message = "must be 1 to 2,000 characters long")
    )]
    #[schema(schema_with = constraints_schema)]
    pub constraints: Vec<String>,
    /// Anything the planner should know, as a JSON object of at most 64 KiB as compact JSON.
    #[serde(default, deserialize_with = "null_as_default")]
    #[validate(custom(function = "context_fits", message = "must be at most 64 KiB as compact JSON"))]
    #[schema(schema_with = context_schema)]
    pub context: Map<String, Value>,
    /// The caller's id for this request, at most 128 characters; a UUID is generated if absent or null.
    #[serde(default)]
    #[validate(length(max = "MAX_REQUEST_ID_CHARS", message = "must be at most 128 characters long"))]
    #[schema(max_length = 128)]
    pub request_id: Option<String>,
    /// The arms that this plan may use: ids of configured arms, or definitions that replace them; at most 500,
    /// and 256 KiB as compact JSON. If absent, all configured arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 500, example = json!(["coder", "judge"]))]
    pub arms: Option<Vec<ArmChoice>>,
    /// Limits that the plan must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub budget: Option<Budget>,
    /// The playbook to follow, or `none`. If absent, the one that fits best, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "release-deploy")]
    pub playbook: Option<String>,
}

/// A request that breaks rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRequest {
    /// Everything that is wrong with it, sorted by field.
    pub faults: Vec<FieldError>,
    /// The caller's name for it, where that could be read.
    pub request_id: Option<String>,
}

impl From<Vec<FieldError>> for InvalidRequest {
    fn from(faults: Vec<FieldError>) -> Self {
        Self { faults, request_id: None }
    }
}

impl PlanRequest {
    /// Reads a request from JSON.
    ///
    /// # Errors
    /// Everything that is wrong with it, types and rules alike.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::read(body, None)
    }

    /// Reads a request from JSON for `installation`.
    ///
    /// # Errors
    /// Everything that is wrong with it, types and rules alike.
    pub fn from_json_for(body: &[u8], installation: &Installation) -> Result<Self, InvalidRequest> {
        Self::read(body, Some(installation))
    }

    fn read(body: &[u8], installation: Option<&Installation>) -> Result<Self, InvalidRequest> {
        let (mut request, mut faults) = read_json::<Self>(body, "a goal")?;
        request.check_names(installation, &mut faults);
        let faults = faults.into_list();
        if faults.is_empty() {
            request.define_arms(installation.map(|installation| &*installation.arms));
            Ok(request)
        } else {
            Err(InvalidRequest { faults, request_id: request.request_id })
        }
    }

    /// Checks the rules of a request that was not read from JSON.
    ///
    /// # Errors
    /// Every broken rule, sorted by field.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        self.check_with(None)
    }

    /// The same for `installation`.
    ///
    /// # Errors
    /// Every broken rule, sorted by field.
    pub fn check_for(&self, installation: &Installation) -> Result<(), Vec<FieldError>> {
        self.check_with(Some(installation))
    }

    fn check_with(&self, installation: Option<&Installation>) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        faults.check(self);
        self.check_names(installation, &mut faults);
        let faults = faults.into_list();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Replaces ids of arms by their definitions, where the arms are known.
    pub(super) fn define_arms(&mut self, registry: Option<&ArmRegistry>) {
        if let (Some(choices), Some(registry)) = (&mut self.arms, registry) {
            define(choices, registry);
        }
    }

    /// Notes what is wrong with the names of arms and playbooks.
    fn check_names(&self, installation: Option<&Installation>, faults: &mut Faults) {
        self.check_arms(installation.map(|installation| &*installation.arms), faults);
        let named = installation.zip(self.playbook.as_deref());
        if let Some(FieldError { field, message }) =
            named.and_then(|(installation, name)| installation.playbooks.fault_of_name(name))
        {
            faults.add(field, message);
        }
    }

    /// Notes what is wrong with the arms.
    pub(super) fn check_arms(&self, registry: Option<&ArmRegistry>, faults: &mut Faults) {
        for FieldError { field, message } in
            self.arms.iter().flat_map(|choices| faults_of_choices(choices, registry))
        {
            faults.add(field, message);
        }
    }
}

/// Whether a text is 1 to 10,000 characters long and not blank.
pub(crate) fn goal_fits(goal: &str) -> Result<(), ValidationError> {
    let fits = !goal.trim().is_empty() && goal.chars().count() as u64 <= MAX_GOAL_CHARS;
    if fits { Ok(()) } else { Err(ValidationError::new("length")) }
}

fn constraints_fit(constraints: &[String]) -> Result<(), ValidationError> {
    check_entries(constraints, |text| (1..=MAX_CONSTRAINT_CHARS).contains(&text.chars().count()))
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

/// Reads `null` as the default, and a missing value too.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
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
        .description(Some(
            "Anything the planner should know, as a JSON object of at most 64 KiB as compact JSON.",
        ))
        .examples([serde_json::json!({"repository": "https://example.com/repo"})])
        .into()
}
