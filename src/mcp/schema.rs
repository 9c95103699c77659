//! JSON Schemas of what the tools take and return, made from those of the API's own types.
//!
//! Agent hosts hand them to their models' APIs, and each of these accepts another part of JSON Schema; one construct
//! outside of it makes a host refuse all tools. So arguments use only what OpenAI, Anthropic and Gemini all accept: one
//! `type` for each schema, no references, no choices, and only the keywords below. Results, which models' APIs do not
//! see, may be null. All are short, since models read them with every message.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

use crate::domain::problem::ProblemDocument;

/// Keywords that arguments keep as they are. Of the limits on length, only what must not be
/// empty: values over the others are rare, and are refused.
const INPUT_KEYWORDS: [&str; 6] = ["required", "enum", "minimum", "maximum", "minLength", "minItems"];

/// A larger maximum is left out for the same reason.
const LARGE: u64 = 100;

/// The fields of problems that results are described with.
const PROBLEM_FIELDS: [&str; 4] = ["code", "detail", "errors", "retry_after_seconds"];

/// Schemas by the name in references to them.
type Definitions = Map<String, Value>;

/// What a schema is for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// Arguments: optional fields are not required, and `null` is not offered.
    Input,
    /// Results: types alone.
    Output,
}

/// The schema of a tool's arguments: these `fields` of a `T`, each with its description for the model.
pub(super) fn input<T: ToSchema>(fields: &[(&str, &str)]) -> Map<String, Value> {
    let mut schema = object(translated::<T>(Purpose::Input));
    let properties = properties_of(&mut schema);
    properties.retain(|name, _| fields.iter().any(|(field, _)| field == name));
    for (field, description) in fields {
        let property =
            properties.get_mut(*field).and_then(Value::as_object_mut).expect("a field of the type");
        property.insert("description".into(), json!(description));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| fields.iter().any(|(field, _)| name == field));
    }
    schema
}

/// The schema of a tool's results: a `T` but for its fields in `omitted`, or the problem document that is returned
/// instead, with the fields that a model can act on. Neither is required: a choice at the top is what some hosts refuse.
/// Only what is in `details` is described in full.
pub(super) fn output<T: ToSchema>(omitted: &[&str], details: &[&str]) -> Map<String, Value> {
    let mut schema = object(translated::<T>(Purpose::Output));
    let mut problem = object(translated::<ProblemDocument<'_>>(Purpose::Output));
    let properties = properties_of(&mut schema);
    properties.retain(|name, _| !omitted.contains(&name.as_str()));
    let problem = properties_of(&mut problem);
    properties.extend(PROBLEM_FIELDS.map(|name| (name.to_owned(), problem[name].take())));
    for (name, property) in properties {
        if !details.contains(&name.as_str()) {
            outline(property);
        }
    }
    schema
}

/// Leaves the types of `schema` and of its items.
fn outline(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    keywords.remove("properties");
    if let Some(items) = keywords.get_mut("items") {
        outline(items);
    }
}

/// The properties of an object's schema.
pub(super) fn properties_of(schema: &mut Map<String, Value>) -> &mut Map<String, Value> {
    schema.get_mut("properties").and_then(Value::as_object_mut).expect("an object's schema")
}

fn translated<T: ToSchema>(purpose: Purpose) -> Value {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    portable(&json!(T::schema()), &definitions(schemas), purpose)
}

fn definitions(schemas: Vec<(String, RefOr<Schema>)>) -> Definitions {
    schemas.into_iter().map(|(name, schema)| (name, json!(schema))).collect()
}

fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(schema) => schema,
        other => unreachable!("the schema of a struct is an object, not {other}"),
    }
}

/// `schema` in the common subset, with what it refers to in place.
fn portable(schema: &Value, definitions: &Definitions, purpose: Purpose) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return portable(&definitions[name], definitions, purpose);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return joined(parts.iter().map(|part| portable(part, definitions, purpose)));
    }
    let mut alternatives = alternatives(schema);
    if purpose == Purpose::Input {
        alternatives.retain(|alternative| alternative["type"] != "null");
    }
    if let [alternative] = alternatives.as_slice()
        && alternative != schema
    {
        return portable(alternative, definitions, purpose);
    }
    if alternatives.len() > 1 {
        let mut alternatives: Vec<Value> =
            alternatives.iter().map(|schema| portable(schema, definitions, purpose)).collect();
        // The richest says most; the others are accepted all the same.
        let object = alternatives.iter().position(|alternative| alternative["type"] == "object");
        return match object.filter(|_| purpose == Purpose::Input) {
            Some(object) => alternatives.swap_remove(object),
            None => json!({ "anyOf": alternatives }),
        };
    }
    let mut portable_schema = Map::new();
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let value = match (keyword.as_str(), value) {
            ("type", Value::String(_)) => value.clone(),
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), portable(schema, definitions, purpose)))
                .collect(),
            ("items", items) => portable(items, definitions, purpose),
            ("maximum", maximum) if maximum.as_u64().is_some_and(|maximum| maximum > LARGE) => continue,
            (keyword, _) if purpose == Purpose::Input && INPUT_KEYWORDS.contains(&keyword) => value.clone(),
            _ => continue,
        };
        portable_schema.insert(keyword.clone(), value);
    }
    Value::Object(portable_schema)
}

/// The schema of an object that is all of `parts`.
fn joined(parts: impl Iterator<Item = Value>) -> Value {
    let mut whole = json!({ "type": "object", "properties": {}, "required": [] });
    for mut part in parts {
        if let Some(properties) = part["properties"].as_object_mut() {
            properties_of(whole.as_object_mut().expect("an object")).append(properties);
        }
        if let (Some(required), Some(more)) =
            (whole["required"].as_array_mut(), part["required"].as_array_mut())
        {
            required.append(more);
        }
    }
    whole
}

/// The schemas that `schema` is a choice of: `schema` itself if it is not a choice.
fn alternatives(schema: &Value) -> Vec<Value> {
    for choice in ["oneOf", "anyOf"] {
        if let Some(alternatives) = schema[choice].as_array() {
            return alternatives.clone();
        }
    }
    let Some(types) = schema["type"].as_array() else { return vec![schema.clone()] };
    let of_type = |name: &Value| {
        let mut schema = schema.clone();
        schema["type"] = name.clone();
        schema
    };
    types.iter().map(of_type).collect()
}
