//! Arguments as some clients send them: with structures encoded as JSON in strings.

use rmcp::model::JsonObject;
use serde_json::Value;

/// Decodes each string in `arguments` that holds JSON of the type that `schema` declares for it. Clients that encode
/// structures do so regardless of what the tool answers, and no other reading is possible: the schema allows no string there.
pub(super) fn decode(arguments: &mut JsonObject, schema: &JsonObject) {
    for (name, value) in arguments {
        let declared = schema.get("properties").and_then(|properties| properties[name]["type"].as_str());
        let (Value::String(text), Some(declared)) = (&*value, declared) else { continue };
        match serde_json::from_str::<Value>(text) {
            Ok(decoded) if declared != "string" && is_of_type(&decoded, declared) => *value = decoded,
            _ => {}
        }
    }
}

fn is_of_type(value: &Value, declared: &str) -> bool {
    match declared {
        "array" => value.is_array(),
        "object" => value.is_object(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_are_decoded_when_they_hold_what_the_schema_declares() {
        let schema = json!({"properties": {
            "goal": {"type": "string"}, "list": {"type": "array"}, "map": {"type": "object"}, "number": {"type": "number"},
        }});
        let schema = schema.as_object().expect("an object");
        for (sent, read) in [
            (json!({"list": "[\"a\"]", "map": " {\"b\": 1}\n"}), json!({"list": ["a"], "map": {"b": 1}})),
            (json!({"number": "0.5"}), json!({"number": 0.5})),
            (json!({"goal": "[\"a\"]"}), json!({"goal": "[\"a\"]"})),
            (json!({"list": "a", "map": "[1]"}), json!({"list": "a", "map": "[1]"})),
            (json!({"unknown": "[1]"}), json!({"unknown": "[1]"})),
        ] {
            let mut arguments = sent.as_object().expect("an object").clone();
            decode(&mut arguments, schema);
            assert_eq!(Value::Object(arguments), read);
        }
    }
}
