//! The operations in an `OpenAPI` document, in JSON or YAML.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::reader::FoundTool;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The document in the text of an answer.
///
/// YAML is read within the limits of `serde_saphyr`, as a few lines of nested aliases or lists could otherwise take any
/// amount of memory.
pub(super) fn document(text: &[u8]) -> Result<Value, String> {
    let json = serde_json::from_slice(text);
    let either = json.or_else(|_| serde_saphyr::from_slice(text));
    either.map_err(|_| "answers with neither JSON nor YAML".into())
}

/// The operations of `document`, in its order.
pub(super) fn operations(document: &Value) -> Result<Vec<FoundTool>, String> {
    let paths =
        document["paths"].as_object().ok_or("does not answer with an OpenAPI document: no `paths`")?;
    let methods = |(path, item): (&String, &Value)| {
        let path = path.clone();
        let operations: Vec<FoundTool> = METHODS
            .iter()
            .filter_map(|method| Some(operation(method, &path, item.get(method)?.as_object()?)))
            .collect();
        operations
    };
    Ok(paths.iter().flat_map(methods).collect())
}

fn operation(method: &str, path: &str, operation: &Map<String, Value>) -> FoundTool {
    let text = |field: &str| operation.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let name = match text("operationId") {
        "" => format!("{} {path}", method.to_uppercase()),
        id => id.to_owned(),
    };
    let description = match (text("summary"), text("description")) {
        (summary, description) if description.is_empty() || summary == description => summary.to_owned(),
        ("", description) => description.to_owned(),
        (summary, description) => format!("{}. {description}", summary.trim_end_matches('.')),
    };
    let successes = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    let successes = successes.filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response);
    let request = operation.get("requestBody").into_iter();
    FoundTool { name, description, inputs: media_types(request), outputs: media_types(successes) }
}

/// What bodies carry, where that is certain: an image, a text, a sound or a video. JSON may be anything, and a
/// type that is not known is left out rather than guessed.
fn media_types<'a>(bodies: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut types = BTreeSet::new();
    for body in bodies {
        for media_type in body["content"].as_object().into_iter().flatten().map(|(name, _)| name) {
            match media_type.split('/').next() {
                Some(kind @ ("image" | "audio" | "video" | "text")) => types.insert(kind.to_owned()),
                _ => return Vec::new(),
            };
        }
        if body.get("$ref").is_some() {
            return Vec::new();
        }
    }
    types.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn yaml_that_would_take_any_amount_of_memory_is_refused() {
        let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for n in 1..10 {
            let earlier = vec![format!("*a{}", n - 1); 9].join(", ");
            let _ = writeln!(laughs, "a{n}: &a{n} [{earlier}]");
        }
        let deep = format!("{}a", "- ".repeat(100_000));
        for text in [laughs, deep, "[".repeat(100_000), "{a: ".repeat(100_000)] {
            let found = document(text.as_bytes());
            assert_eq!(found, Err("answers with neither JSON nor YAML".to_owned()), "{}", &text[..40]);
        }
    }
}
