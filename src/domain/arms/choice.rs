//! The arms that one request may use.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::{Arm, ArmRegistry, MAX_ARM_ID_CHARS, check_arms};
use crate::domain::FieldError;
use crate::domain::request::json_bytes;
use crate::text::nearest;

/// Maximum number of arms in one request.
pub const MAX_REQUEST_ARMS: usize = 500;
/// Largest list of arms in one request, in bytes of compact JSON.
pub const MAX_REQUEST_ARMS_BYTES: usize = 256 * 1024;

/// One arm that a request may use.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ArmChoice {
    /// The arm of the installation with this id.
    Id(String),
    /// An arm that only this request knows.
    Definition(Box<Arm>),
    /// What is neither, and why; requests with one are refused.
    Invalid(String),
}

/// Reads any JSON value, so that all faults of a request can be reported together.
impl<'de> Deserialize<'de> for ArmChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::read(Value::deserialize(deserializer)?))
    }
}

impl ArmChoice {
    fn read(value: Value) -> Self {
        match value {
            Value::String(id) => Self::Id(id),
            Value::Object(mut fields) => {
                // Unknown fields are ignored, as in the whole request, so that what `GET /arms` says can be sent.
                fields.retain(|name, value| Arm::FIELDS.contains(&name.as_str()) && !value.is_null());
                // JSON has one kind of number: 2.0 is 2.
                if let Some(tier) = fields.get_mut("cost_tier")
                    && let Some(whole) = tier.as_f64().filter(|tier| tier.fract() == 0.0 && tier.abs() < 1e15)
                {
                    *tier = Value::from(whole as i64);
                }
                if !fields.contains_key("id") {
                    return Self::Invalid("has no id; an arm is an id, or an object with one".into());
                }
                match Arm::deserialize(Value::Object(fields)) {
                    Ok(arm) => Self::Definition(Box::new(arm)),
                    Err(error) => Self::Invalid(format!("is not a definition of an arm: {error}")),
                }
            }
            _ => Self::Invalid("must be the id of an arm, or an object that defines one".into()),
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            Self::Definition(arm) => Some(&arm.id),
            Self::Invalid(_) => None,
        }
    }
}

/// Everything that is wrong with the arms of a request, where the installation has those of `registry`; ids are taken
/// to exist where that is not known.
pub(crate) fn faults_of_choices(choices: &[ArmChoice], registry: Option<&ArmRegistry>) -> Vec<FieldError> {
    if choices.is_empty() {
        return vec![FieldError::new("arms", "must name at least one arm; leave it out to use all")];
    }
    if choices.len() > MAX_REQUEST_ARMS {
        return vec![FieldError::new("arms", format!("must have at most {MAX_REQUEST_ARMS} entries"))];
    }
    // The brackets have one byte more than the commas that are counted.
    if choices.iter().map(bytes_as_sent).sum::<usize>() + 1 > MAX_REQUEST_ARMS_BYTES {
        return vec![FieldError::new(
            "arms",
            "must be at most 256 KiB as compact JSON; shorten the descriptions",
        )];
    }
    let mut faults = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (index, choice) in choices.iter().enumerate() {
        let place = format!("arms[{index}]");
        match choice {
            ArmChoice::Invalid(why) => faults.push(FieldError::new(place.clone(), why)),
            ArmChoice::Id(id) if registry.is_some_and(|registry| registry.get(id).is_none()) => {
                faults.push(FieldError::new(place.clone(), unknown(id, registry)));
            }
            ArmChoice::Id(_) => {}
            ArmChoice::Definition(arm) => {
                check_arms(std::slice::from_ref(arm), |_| place.clone(), &mut faults);
            }
        }
        if choice.id().is_some_and(|id| !seen.insert(id)) {
            faults.push(FieldError::new(place, "is listed twice"));
        }
    }
    faults
}

/// How long the texts of all definitions in a request are together, in bytes.
pub(crate) fn text_bytes(choices: &[ArmChoice]) -> usize {
    let of_one = |choice: &ArmChoice| match choice {
        ArmChoice::Definition(arm) => arm.text_bytes(),
        ArmChoice::Id(_) | ArmChoice::Invalid(_) => 0,
    };
    choices.iter().map(of_one).sum()
}

/// The length of an entry and a comma as compact JSON, without what need not be written.
fn bytes_as_sent(choice: &ArmChoice) -> usize {
    let mut json = serde_json::to_value(choice).expect("strings and numbers serialise");
    if let Value::Object(fields) = &mut json {
        fields.remove("cost_tier");
        fields.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty) && *value != "");
    }
    json_bytes(&json) + 1
}

fn unknown(id: &str, registry: Option<&ArmRegistry>) -> String {
    if registry.is_some_and(|registry| registry.is_unavailable(id)) {
        return "is currently unavailable; GET /arms and `planner-arm arms` say why".into();
    }
    let similar = |registry: &'_ ArmRegistry| {
        let ids = registry.arms().iter().map(|arm| arm.id.as_str());
        registry.named(id).map(|arm| arm.id.clone()).or_else(|| nearest(id, ids).map(str::to_owned))
    };
    let nearest = registry.and_then(similar).map(|id| format!(" (did you mean `{id}`?)")).unwrap_or_default();
    format!(
        "is not an arm of this installation{nearest}; GET /arms and `planner-arm arms` list them; to define another \
         one, send an object with an id"
    )
}

/// The `arms` of a request whose other fields are read elsewhere, taken out of it; `None` without any.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn take_choices(
    request: &mut Map<String, Value>,
    registry: &ArmRegistry,
) -> Result<Option<Vec<ArmChoice>>, Vec<FieldError>> {
    let mut choices: Vec<ArmChoice> = match request.remove("arms") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(entries)) => entries.into_iter().map(ArmChoice::read).collect(),
        Some(_) => {
            return Err(vec![FieldError::new("arms", "must be an array of ids or definitions of arms")]);
        }
    };
    let faults = faults_of_choices(&choices, Some(registry));
    if !faults.is_empty() {
        return Err(faults);
    }
    define(&mut choices, registry);
    Ok(Some(choices))
}

/// Puts the definition in place of each id, so that a request keeps its arms even if those of the installation change
/// while it is in progress.
pub(crate) fn define(choices: &mut [ArmChoice], registry: &ArmRegistry) {
    for choice in choices {
        if let ArmChoice::Id(id) = choice
            && let Some(arm) = registry.get(id)
        {
            *choice = ArmChoice::Definition(Box::new(arm.clone()));
        }
    }
}

impl ArmRegistry {
    /// The arms of a request whose `choices` have no fault; unknown ids are left out.
    #[must_use]
    pub fn chosen(&self, choices: &[ArmChoice]) -> Self {
        let arm = |choice: &ArmChoice| match choice {
            ArmChoice::Id(id) => self.get(id).cloned(),
            ArmChoice::Definition(arm) => Some((**arm).clone()),
            ArmChoice::Invalid(_) => None,
        };
        Self::of(choices.iter().filter_map(arm).collect())
    }
}

impl PartialSchema for ArmChoice {
    fn schema() -> RefOr<Schema> {
        let id = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_ARM_ID_CHARS));
        let either = OneOfBuilder::new().item(id).item(Ref::from_schema_name(Arm::name()));
        either.description(Some("The id of an arm of the installation, or the definition of one")).into()
    }
}

impl ToSchema for ArmChoice {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Arm::name().into_owned(), Arm::schema()));
        Arm::schemas(schemas);
    }
}
