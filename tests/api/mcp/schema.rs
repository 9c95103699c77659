//! The tools' schemas are accurate, and agent hosts accept them.

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TestApp, good_plan};

use super::{answer, call, request};

/// A tool's schema, as a check.
fn check(tool: &Value, which: &str) -> jsonschema::Validator {
    let schema = &tool[which];
    assert_eq!(schema["type"], "object");
    assert!(schema["anyOf"].is_null(), "{which} is a choice at the top");
    in_common_subset(schema, which);
    jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{which}: {error}"));
    jsonschema::validator_for(schema).unwrap_or_else(|error| panic!("{which}: {error}"))
}

/// Fails unless `schema` keeps to what OpenAI, Anthropic and Gemini all accept: one type for each schema, no choices but
/// in results, no references, and only the keywords below.
fn in_common_subset(schema: &Value, path: &str) {
    let keywords = [
        "type",
        "description",
        "properties",
        "required",
        "items",
        "enum",
        "anyOf",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
    ];
    for (keyword, value) in schema.as_object().unwrap_or_else(|| panic!("{path} is no object: {schema}")) {
        assert!(keywords.contains(&keyword.as_str()), "{path} has {keyword}");
        let inner = |name: &str| format!("{path}.{keyword}{name}");
        match keyword.as_str() {
            "type" => assert!(value.is_string(), "{path} has the type {value}"),
            "properties" => {
                let properties = value.as_object().expect("properties");
                properties
                    .iter()
                    .for_each(|(name, schema)| in_common_subset(schema, &inner(&format!(".{name}"))));
            }
            "items" => in_common_subset(value, &inner("")),
            "anyOf" => value
                .as_array()
                .expect("schemas")
                .iter()
                .for_each(|schema| in_common_subset(schema, &inner(""))),
            _ => {}
        }
    }
    assert!(schema["type"].is_string() != schema["anyOf"].is_array(), "{path} has no type, or two");
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        assert!(schema["properties"][name].is_object(), "{path} requires {name}, which it does not have");
    }
    assert!(schema["type"] != "array" || schema["items"].is_object(), "{path} has no items");
    let is_output = path.contains("outputSchema");
    assert!(is_output || schema["type"] != "null" && schema["anyOf"].is_null(), "{path} offers a choice");
}

/// Steps without anything that can be repaired.
fn bare_steps() -> Vec<Value> {
    let steps = good_plan()["plan"].as_array().expect("steps").clone();
    let needed = ["action", "required_arm", "acceptance_criteria"];
    let bare = |step: Value| needed.map(|name| (name.to_owned(), step[name].clone())).into_iter().collect();
    steps.into_iter().map(bare).collect()
}

#[tokio::test]
async fn tools_keep_to_their_schemas() {
    let mut unknown_price = good_plan();
    unknown_price["plan"][0]["required_arm"] = json!("Retriever");
    let llm = FakeLlm::start([Reply::plan(&unknown_price)]).await;
    let variables = [("PLANNER_LLM_MODEL", "nobody/knows"), ("PLANNER_RATE_LIMIT_PER_MINUTE", "1")];
    let app = TestApp::with_llm(&llm, &variables).await;
    let list = answer(&app, &request("tools/list", &json!({}))).await;
    let [create, validate, replan, list_arms] = list["result"]["tools"].as_array().expect("tools").as_slice()
    else {
        panic!("four tools: {list}")
    };
    assert_eq!(create["annotations"]["openWorldHint"], true, "an LLM is asked");

    let full = json!({"goal": "g", "constraints": ["c"], "context": {"a": [1, {"b": null}]}, "playbook": "none",
        "arms": [{"id": "judge"}, {"id": "own", "description": "d", "cost_tier": 1}], "budget": {"max_steps": 7}});
    let done = json!([{"step": 1, "status": "done"}, {"step": 2, "status": "failed", "reason": "r"}]);
    let mut plans = Vec::new();
    for (tool, arguments, is_good) in [
        (create, json!({"goal": "g"}), true),
        // The limit is used up.
        (create, full, true),
        (create, json!({"goal": ""}), false),
        (create, json!({"constraints": ["c"]}), false),
        (create, json!({"goal": "g", "constraints": [""]}), false),
        (validate, good_plan(), true),
        (validate, json!({"plan": good_plan()["plan"]}), true),
        (validate, json!({"plan": bare_steps()}), true),
        (
            validate,
            json!({"plan": bare_steps(), "goal": "g", "constraints": ["c"], "context": {"a": 1}, "arms": [{"id": "coder"}, {"id": "executor"}, {"id": "judge"}, {"id": "retriever"}], "budget": {"max_steps": 9}}),
            true,
        ),
        (validate, json!({"plan": bare_steps(), "budget": {"max_steps": 0}}), false),
        (validate, json!({"rationale": "r"}), false),
        (validate, json!({"plan": [{"step": 0}]}), false),
        (replan, json!({"goal": "g", "plan": good_plan()["plan"], "progress": done}), true),
        (replan, json!({"goal": "g", "plan": good_plan()["plan"], "feedback": "f"}), true),
        (replan, json!({"goal": "g", "plan": [], "progress": []}), false),
        (replan, json!({"goal": "g", "plan": good_plan()["plan"], "progress": [{"step": 1}]}), false),
        (list_arms, json!({}), true),
    ] {
        assert_eq!(check(tool, "inputSchema").is_valid(&arguments), is_good, "{arguments}");
        let name = tool["name"].as_str().expect("a name");
        let answer = answer(&app, &call(name, &arguments)).await;
        let said = &answer["result"]["structuredContent"];
        let output = check(tool, "outputSchema");
        assert!(output.is_valid(said), "{:?} in {said}", output.iter_errors(said).next());
        if answer["result"]["isError"] == false {
            plans.push(said.clone());
        }
    }
    assert_eq!(plans.len(), 6);
    // What is neither a plan nor a problem is not let pass.
    let output = check(create, "outputSchema");
    for key in ["plan", "confidence", "total_estimated_duration"] {
        let mut plan = plans[0].clone();
        plan[key] = json!("none");
        assert!(!output.is_valid(&plan), "{key}");
    }
}
