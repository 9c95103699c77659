//! What a plan request may be, and what callers are told when it is something else.

use planner_arm::domain::problem::ErrorCode;
use planner_arm::domain::{FieldError, PlanRequest, PlanResponse, RepairCode};
use serde_json::{Value, json};

fn read(body: &Value) -> Result<PlanRequest, Vec<FieldError>> {
    PlanRequest::from_json(body.to_string().as_bytes()).map_err(|invalid| invalid.faults)
}

/// The fields that are wrong with `body`.
fn wrong(body: &Value) -> Vec<String> {
    read(body).expect_err("a bad request").into_iter().map(|fault| fault.field).collect()
}

fn whole_fault(body: &[u8]) -> String {
    let faults = PlanRequest::from_json(body).expect_err("a bad request").faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].field, "body");
    faults[0].message.clone()
}

#[test]
fn a_goal_is_enough() {
    let request = read(&json!({"goal": "Ship it"})).expect("a request");
    assert_eq!(request, PlanRequest { goal: "Ship it".into(), ..PlanRequest::default() });
}

#[test]
fn every_field_is_read() {
    let request = read(&json!({
        "goal": "Ship it", "constraints": ["fast", "safe"], "context": {"repo": {"url": "x"}}, "request_id": "r-1"
    }))
    .expect("a request");
    assert_eq!(request.constraints, ["fast", "safe"]);
    assert_eq!(request.context["repo"]["url"], "x");
    assert_eq!(request.request_id.as_deref(), Some("r-1"));
}

#[test]
fn null_counts_as_absent() {
    let request = read(&json!({"goal": "g", "constraints": null, "context": null, "request_id": null}));
    assert_eq!(request, Ok(PlanRequest { goal: "g".into(), ..PlanRequest::default() }));
}

#[test]
fn unknown_fields_are_ignored() {
    assert!(read(&json!({"goal": "g", "priority": {"deep": [1, 2]}, "Goal": 7})).is_ok());
}

#[test]
fn a_goal_must_be_text_and_not_blank() {
    for goal in
        [json!(null), json!(5), json!(["a"]), json!({}), json!(true), json!(""), json!(" \n\t\u{2003}")]
    {
        assert_eq!(wrong(&json!({ "goal": goal })), ["goal"], "{goal}");
    }
    assert_eq!(wrong(&json!({})), ["goal"]);
}

#[test]
fn a_goal_is_measured_in_characters() {
    assert!(read(&json!({"goal": "é".repeat(10_000)})).is_ok());
    assert_eq!(wrong(&json!({"goal": "x".repeat(10_001)})), ["goal"]);
}

#[test]
fn constraints_are_at_most_fifty_texts() {
    assert!(read(&json!({"goal": "g", "constraints": vec!["c"; 50]})).is_ok());
    assert_eq!(wrong(&json!({"goal": "g", "constraints": vec!["c"; 51]})), ["constraints"]);
    for bad in [json!("c"), json!({}), json!(1)] {
        assert_eq!(wrong(&json!({"goal": "g", "constraints": bad})), ["constraints"], "{bad}");
    }
}

#[test]
fn each_constraint_has_its_own_limits_and_place() {
    let constraints = json!(["é".repeat(2_000), "", "c".repeat(2_001), "fine", 7, null]);
    assert_eq!(
        wrong(&json!({"goal": "g", "constraints": constraints})),
        ["constraints[1]", "constraints[2]", "constraints[4]", "constraints[5]"]
    );
}

#[test]
fn many_faults_have_a_short_answer() {
    for constraint in [json!(""), json!(1)] {
        let faults =
            read(&json!({"goal": "g", "constraints": vec![constraint; 100_000]})).expect_err("too many");
        assert_eq!(faults.len(), 51, "the number, and the first fifty");
    }
}

#[test]
fn a_flood_hides_no_fault_of_another_field() {
    let faults = wrong(&json!({"goal": 1, "constraints": vec![1; 100_000], "request_id": 7}));
    assert!(faults.contains(&"goal".to_owned()) && faults.contains(&"request_id".to_owned()), "{faults:?}");
}

#[test]
fn a_list_of_another_type_says_what_it_is_a_list_of() {
    let faults = read(&json!({"goal": "g", "constraints": "c"})).expect_err("a string");
    assert_eq!(faults[0].message, "must be an array of strings, not a string");
}

#[test]
fn a_context_is_an_object() {
    for bad in [json!([]), json!("text"), json!(1), json!(false)] {
        assert_eq!(wrong(&json!({"goal": "g", "context": bad})), ["context"], "{bad}");
    }
}

#[test]
fn a_context_is_measured_as_compact_json() {
    // {"k":"…"} is 8 bytes around the text.
    let fits = "x".repeat(64 * 1024 - 8);
    assert!(read(&json!({"goal": "g", "context": {"k": fits}})).is_ok());
    assert_eq!(wrong(&json!({"goal": "g", "context": {"k": format!("{fits}x")}})), ["context"]);
    let spaced = format!("{{\"goal\": \"g\", \"context\": {{ {} \"k\": 1 }} }}", " ".repeat(80_000));
    assert!(PlanRequest::from_json(spaced.as_bytes()).is_ok());
}

#[test]
fn a_request_id_is_a_short_text() {
    assert!(read(&json!({"goal": "g", "request_id": "i".repeat(128)})).is_ok());
    assert_eq!(wrong(&json!({"goal": "g", "request_id": "i".repeat(129)})), ["request_id"]);
    assert_eq!(wrong(&json!({"goal": "g", "request_id": 7})), ["request_id"]);
}

#[test]
fn a_bad_request_keeps_its_id() {
    for body in [json!({"goal": " ", "request_id": "mine"}), json!({"goal": 1, "request_id": "mine"})] {
        let invalid = PlanRequest::from_json(body.to_string().as_bytes()).expect_err("a bad request");
        assert_eq!(invalid.request_id.as_deref(), Some("mine"), "{body}");
    }
}

#[test]
fn all_faults_are_reported_together() {
    let body = json!({"goal": " ", "constraints": ["", 1], "context": [], "request_id": "i".repeat(200)});
    assert_eq!(wrong(&body), ["constraints[0]", "constraints[1]", "context", "goal", "request_id"]);
}

#[test]
fn invalid_json_is_reported_with_its_position() {
    assert_eq!(whole_fault(b"{\"goal\": \"g\",}"), "is not valid JSON (line 1, column 14)");
    assert_eq!(whole_fault(b"goal=g"), "is not valid JSON (line 1, column 1)");
    assert_eq!(whole_fault(b""), "is empty; send a JSON object with a goal");
    assert_eq!(whole_fault(b" \n"), "is empty; send a JSON object with a goal");
    assert_eq!(whole_fault(b"{\"goal\": \"\xff\xfe\"}"), "is not UTF-8; send JSON in UTF-8");
}

#[test]
fn a_body_must_be_an_object() {
    for (body, kind) in [
        ("[]", "an array"),
        ("[\"Ship it\"]", "an array"),
        ("\"g\"", "a string"),
        ("null", "null"),
        ("3", "a number"),
    ] {
        assert_eq!(whole_fault(body.as_bytes()), format!("is {kind}; send a JSON object"));
    }
}

#[test]
fn endless_nesting_is_refused() {
    let deep = format!("{{\"goal\":\"g\",\"context\":{}1{}}}", "{\"k\":".repeat(10_000), "}".repeat(10_000));
    assert_eq!(whole_fault(deep.as_bytes()), "is nested deeper than 128 levels");
    assert_eq!(whole_fault("[".repeat(500_000).as_bytes()), "is nested deeper than 128 levels");
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let request = PlanRequest::from_json(br#"{"goal": "first", "goal": "last"}"#).expect("a request");
    assert_eq!(request.goal, "last");
}

#[test]
fn requests_built_in_rust_have_the_same_rules() {
    let request =
        PlanRequest { goal: "  ".into(), constraints: vec![String::new()], ..PlanRequest::default() };
    let fields: Vec<String> =
        request.check().expect_err("a bad request").into_iter().map(|fault| fault.field).collect();
    assert_eq!(fields, ["constraints[0]", "goal"]);
}

#[test]
fn a_plan_has_no_extras_unless_asked() {
    let plan: PlanResponse = serde_json::from_value(json!({
        "plan": [], "rationale": "r", "confidence": 0.88, "total_estimated_duration": 0, "complexity_score": 0.1
    }))
    .expect("a plan");
    insta::assert_snapshot!(
        serde_json::to_string(&plan).expect("JSON"),
        @r#"{"plan":[],"rationale":"r","confidence":0.88,"total_estimated_duration":0,"complexity_score":0.1}"#
    );
}

#[test]
fn codes_are_the_same_in_json_metrics_and_documentation() {
    for code in RepairCode::ALL {
        assert_eq!(json!(code), json!(code.as_str()));
    }
    for code in ErrorCode::ALL {
        assert_eq!(json!(code), json!(code.as_str()));
    }
}
