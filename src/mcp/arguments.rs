//! Arguments as some clients send them: with structures and numbers encoded in strings, and with blanks for what is
//! left out.

use rmcp::model::{CallToolRequestParams, JsonObject};
use serde_json::{Map, Value};

use crate::domain::arms::ArmRegistry;

/// Reads `arguments` as `schema` declares them. Clients that encode them do so regardless of what the tool answers, and
/// no other reading is possible: the schema allows no string there.
pub(super) fn decode(arguments: &mut JsonObject, schema: &JsonObject) {
    let none = Value::Null;
    let properties = schema.get("properties").unwrap_or(&none);
    let is_required = |name: &str| {
        schema.get("required").and_then(Value::as_array).is_some_and(|names| names.contains(&name.into()))
    };
    for (name, value) in arguments {
        if value == "" && !is_required(name) && properties[name].is_object() {
            *value = Value::Null;
        }
        decode_value(value, &properties[name]);
    }
}

fn decode_value(value: &mut Value, schema: &Value) {
    let Some(declared) = schema["type"].as_str() else { return };
    if let Value::String(text) = &*value
        && declared != "string"
    {
        match serde_json::from_str::<Value>(text) {
            Ok(decoded) if decoded.is_null() || is_of_type(&decoded, declared) => *value = decoded,
            _ if text.trim().eq_ignore_ascii_case("none") => *value = Value::Null,
            // A list of one text.
            _ if declared == "array" && schema["items"]["type"] == "string" => {
                *value = Value::Array(vec![value.take()]);
            }
            _ => {}
        }
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| decode_value(item, &schema["items"])),
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| decode_value(value, &schema["properties"][name]));
        }
        _ => {}
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

/// An arm of the installation with nothing but its id is that arm, and not a definition without a description: the
/// schema has no other place for ids.
pub(super) fn name_arms(arguments: &mut JsonObject, registry: &ArmRegistry) {
    for arm in arguments.get_mut("arms").and_then(Value::as_array_mut).into_iter().flatten() {
        let only_id =
            |members: &Map<String, Value>| members.get("id").filter(|_| members.len() == 1).cloned();
        if let Some(Value::String(id)) = arm.as_object().and_then(only_id)
            && registry.get(&id).is_some()
        {
            *arm = Value::String(id);
        }
    }
}

/// The call in `params` whose arguments are encoded as a whole.
pub(super) fn call_in_text(params: &Value) -> Option<CallToolRequestParams> {
    let arguments: JsonObject = serde_json::from_str(params["arguments"].as_str()?).ok()?;
    let mut params = params.clone();
    params["arguments"] = arguments.into();
    serde_json::from_value(params).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_are_decoded_when_they_hold_what_the_schema_declares() {
        let schema = json!({"required": ["goal"], "properties": {
            "goal": {"type": "string"}, "note": {"type": "string"}, "list": {"type": "array", "items": {"type": "string"}},
            "map": {"type": "object", "properties": {"most": {"type": "integer"}}}, "number": {"type": "number"},
            "maps": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}}}},
        }});
        let schema = schema.as_object().expect("an object");
        for (sent, read) in [
            (json!({"list": "[\"a\"]", "map": " {\"b\": 1}\n"}), json!({"list": ["a"], "map": {"b": 1}})),
            (json!({"number": "0.5"}), json!({"number": 0.5})),
            (json!({"map": {"most": "6"}}), json!({"map": {"most": 6}})),
            (json!({"map": "{\"most\": \"6\"}"}), json!({"map": {"most": 6}})),
            (json!({"maps": ["{\"id\": \"a\"}", "b"]}), json!({"maps": [{"id": "a"}, "b"]})),
            (json!({"list": "Use Python"}), json!({"list": ["Use Python"]})),
            (
                json!({"list": "", "map": "null", "note": ""}),
                json!({"list": null, "map": null, "note": null}),
            ),
            (json!({"list": "None", "note": "none"}), json!({"list": null, "note": "none"})),
            (json!({"goal": "[\"a\"]"}), json!({"goal": "[\"a\"]"})),
            (json!({"goal": "", "unknown": ""}), json!({"goal": "", "unknown": ""})),
            (json!({"maps": "a", "map": "[1]"}), json!({"maps": "a", "map": "[1]"})),
            (json!({"unknown": "[1]"}), json!({"unknown": "[1]"})),
        ] {
            let mut arguments = sent.as_object().expect("an object").clone();
            decode(&mut arguments, schema);
            assert_eq!(Value::Object(arguments), read);
        }
    }
}
