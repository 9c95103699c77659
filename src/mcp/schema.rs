//! JSON Schemas of what the tools take and return, made from those of the API's own types.
//!
//! Agent hosts hand them to their models' APIs, and each of these accepts another part of JSON Schema; one construct
//! outside of it makes a host refuse all tools. So they use only what OpenAI, Anthropic and Gemini all accept: one
//! `type` for each schema, no references, and only the keywords below.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::problem::ProblemDocument;

/// Keywords that need no translation.
const KEYWORDS: [&str; 9] = [
    "description",
    "required",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

/// Schemas by the name in references to them.
type Definitions = Map<String, Value>;

/// The schema of a `T` as the arguments of a tool: optional fields are not required, and `null` is not offered.
pub(super) fn input<T: ToSchema>() -> Map<String, Value> {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    object(portable(&json!(T::schema()), &definitions(schemas), false))
}

/// The schema of a tool's result: a `T`, or the problem document that is returned instead.
pub(super) fn output<T: ToSchema>() -> Map<String, Value> {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    ProblemDocument::schemas(&mut schemas);
    let definitions = definitions(schemas);
    let alternatives = [json!(T::schema()), json!(ProblemDocument::schema())];
    let alternatives = alternatives.map(|schema| portable(&schema, &definitions, true));
    object(json!({ "type": "object", "anyOf": alternatives }))
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

/// `schema` in the common subset, with what it refers to in place; whether `null` stays allowed where it was.
fn portable(schema: &Value, definitions: &Definitions, keeps_null: bool) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return portable(&definitions[name], definitions, keeps_null);
    }
    let mut alternatives = alternatives(schema);
    if !keeps_null {
        alternatives.retain(|alternative| alternative["type"] != "null");
    }
    if let [alternative] = alternatives.as_slice()
        && alternative != schema
    {
        return portable(alternative, definitions, keeps_null);
    }
    if alternatives.len() > 1 {
        let alternatives = alternatives.iter().map(|schema| portable(schema, definitions, keeps_null));
        return json!({ "anyOf": alternatives.collect::<Vec<_>>() });
    }
    let mut portable_schema = Map::new();
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let value = match (keyword.as_str(), value) {
            ("type", Value::String(_)) => value.clone(),
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), portable(schema, definitions, keeps_null)))
                .collect(),
            ("items", items) => portable(items, definitions, keeps_null),
            (keyword, _) if KEYWORDS.contains(&keyword) => value.clone(),
            _ => continue,
        };
        portable_schema.insert(keyword.clone(), value);
    }
    Value::Object(portable_schema)
}

/// The schemas that `schema` is a choice of: itself, where it is none.
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
