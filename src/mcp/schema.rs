//! JSON Schemas of what the tools take and give: those of the API's own types.
//!
//! An API's description has JSON Schema 2020-12 too. Only the place of the schemas that are referred to is another.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::problem::ProblemDocument;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a `T`, with all that it refers to.
pub(super) fn of<T: ToSchema>() -> Map<String, Value> {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    whole(json!(T::schema()), schemas)
}

/// The schema of a tool's result: a `T`, or the problem for which there is none.
pub(super) fn or_problem<T: ToSchema>() -> Map<String, Value> {
    let mut schemas = vec![
        (T::name().into_owned(), T::schema()),
        (ProblemDocument::name().into_owned(), ProblemDocument::schema()),
    ];
    T::schemas(&mut schemas);
    ProblemDocument::schemas(&mut schemas);
    let referred = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let either =
        json!({ "type": "object", "oneOf": [referred(&T::name()), referred(&ProblemDocument::name())] });
    whole(either, schemas)
}

/// `schema` with those that it refers to inside of it.
fn whole(mut schema: Value, referred: Vec<(String, RefOr<Schema>)>) -> Map<String, Value> {
    schema["$schema"] = json!(DIALECT);
    if !referred.is_empty() {
        schema["$defs"] = referred.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    }
    let moved = schema.to_string().replace("\"#/components/schemas/", "\"#/$defs/");
    serde_json::from_str(&moved).expect("an object, as before")
}
