//! `POST /validate`: a plan in; the same with its schedule and repairs out, or everything that is wrong with it.

use planner_arm::domain::PlanResponse;
use serde_json::{Value, json};

use crate::support::{
    FakeLlm, Reply, TempFile, TestApp, assert_valid_by_default, good_plan, json_of, planner_answer, problem,
    step,
};

async fn validated(app: &TestApp, body: &Value) -> Value {
    let response = app.plan_at("/validate", body).await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Field and message of each fault.
async fn faults(app: &TestApp, body: &Value) -> Vec<(String, String)> {
    let (status, document) = problem(app.plan_at("/validate", body).await).await;
    assert_eq!((status, document["code"].as_str()), (422, Some("invalid_request")), "{document}");
    let errors = document["errors"].as_array().expect("faults").iter();
    let text = |error: &Value, key: &str| error[key].as_str().expect("a text").to_owned();
    errors.map(|error| (text(error, "field"), text(error, "message"))).collect()
}

#[tokio::test]
async fn a_valid_plan_is_returned_unchanged_with_its_schedule() {
    let app = TestApp::embedded().await;
    let goal = json!({"goal": "Fix the login bug and add tests"});
    let wanted = json_of(app.plan_at("/plan?include=schedule,repairs,warnings", &goal).await).await;
    let mut plain = wanted.clone();
    for extra in ["schedule", "repairs", "warnings"] {
        plain.as_object_mut().expect("an object").remove(extra);
    }
    for sent in [&plain, &wanted] {
        assert_eq!(validated(&app, sent).await, wanted);
    }
}

#[tokio::test]
async fn a_plan_in_an_llms_form_is_repaired() {
    let app = TestApp::embedded().await;
    let good = good_plan();
    let mut repairable = good.clone();
    repairable["plan"][1]["required_arm"] = json!("Coder");
    repairable["plan"][2]["estimated_cost_tier"] = json!(11);
    let bare = json!({"steps": good["plan"]});
    let mut with_null = good.clone();
    with_null["plan"].as_array_mut().expect("steps").insert(1, Value::Null);
    for (body, repairs, confidence) in [
        (good.clone(), vec![], 0.88),
        (with_null, vec!["step_dropped"], 0.836),
        (json!({"result": {"plan": good}}), vec![], 0.88),
        (json!(format!("Here it is:\n```json\n{good}\n```")), vec![], 0.88),
        (repairable, vec!["arm_mapped", "clamped"], 0.7942),
        (bare, vec!["field_filled", "field_filled"], 0.4513),
    ] {
        let answer = validated(&app, &body).await;
        let codes: Vec<&str> =
            answer["repairs"].as_array().expect("a list").iter().filter_map(|r| r["code"].as_str()).collect();
        assert_eq!((codes, &answer["confidence"]), (repairs, &json!(confidence)), "{body}");
        assert_eq!(answer["schedule"]["critical_path"], json!([1, 2, 4, 5]));
        assert_valid_by_default(&serde_json::from_value::<PlanResponse>(answer).expect("a plan"));
    }
}

#[tokio::test]
async fn every_fault_is_reported_together() {
    let app = TestApp::embedded().await;
    let mut steps = vec![
        step(1, "coder", "Write it", &[2], 3, 60),
        step(2, "coder", "Test it", &[1], 3, 60),
        step(3, "coder", "Write it", &[], 3, 60),
        step(4, "coder", " ", &[], 3, 60),
        step(5, "coder", "Say so", &[], 3, 60),
    ];
    steps[4]["acceptance_criteria"] = json!(["", " "]);
    let plan = json!({"plan": steps, "rationale": "r", "confidence": 0.5});
    let named = faults(&app, &plan).await;
    let named: Vec<(&str, &str)> = named.iter().map(|(field, message)| (&**field, &**message)).collect();
    assert_eq!(
        named,
        [
            (
                "plan[1].depends_on",
                "makes steps 1 and 2 depend on each other; remove one of the two dependencies"
            ),
            ("plan[2].action", "is the same as that of step 1; say what is different, or remove one of them"),
            ("plan[3].action", "is blank; say what to do"),
            (
                "plan[4].acceptance_criteria",
                "must have at least one entry that says how to tell that the step is done"
            ),
        ]
    );
    let behind_nulls = json!({"plan": [
        null, step(1, "coder", "Write it", &[], 3, 60), null, null, step(2, "coder", " ", &[1], 3, 60),
        step(3, "judge", "Verify it", &[2], 2, 30),
    ]});
    assert_eq!(
        faults(&app, &behind_nulls).await,
        [("plan[4].action".to_owned(), "is blank; say what to do".to_owned())]
    );
    let few = json!({"plan": [step(1, "coder", "Write it", &[], 3, 60)]});
    assert_eq!(
        faults(&app, &few).await,
        [("plan".to_owned(), "has 1 step and must have at least 3; divide the work further".to_owned())]
    );
    let many: Vec<Value> = (1..=900).map(|number| step(number, "coder", " ", &[], 3, 60)).collect();
    assert_eq!(faults(&app, &json!({"plan": many})).await.len(), 100, "the list has an end");
}

#[tokio::test]
async fn a_text_without_a_plan_is_refused() {
    let app = TestApp::embedded().await;
    for (body, field, message) in [
        (json!({}), "body", "contains no list of steps; send an object with the steps under `plan`"),
        (json!([1, 2]), "body", "contains no list of steps; send an object with the steps under `plan`"),
        (json!(""), "body", "contains no list of steps; send an object with the steps under `plan`"),
        (
            json!("Just do it."),
            "body",
            "contains no list of steps; send an object with the steps under `plan`",
        ),
        (
            json!("{\"plan\": ["),
            "body",
            "ends before its last step does (line 1, column 10: EOF while parsing a list); send the whole plan",
        ),
    ] {
        assert_eq!(faults(&app, &body).await, [(field.to_owned(), message.to_owned())], "{body}");
    }
    let send = |media_type: &'static str, body: Vec<u8>| {
        app.client.post(app.url("/validate")).header("content-type", media_type).body(body).send()
    };
    let json = "application/json";
    for (media_type, body, status, part) in [
        (json, b"".to_vec(), 422, "body is empty"),
        (json, b"{\"plan\": [}".to_vec(), 422, "is not valid JSON (line 1, column 11)"),
        (json, b"\"\xff\"".to_vec(), 422, "is not UTF-8"),
        ("text/plain", b"{}".to_vec(), 415, "must be JSON"),
        (json, vec![b' '; (1 << 20) + 1], 413, "over 1 MiB"),
    ] {
        let (answered, document) = problem(send(media_type, body).await.expect("an answer")).await;
        assert_eq!(answered, status, "{document}");
        assert!(document["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{document}");
    }
}

#[tokio::test]
async fn arms_and_limits_are_those_of_the_installation() {
    let arms = "arms:\n  - id: writer\n    keywords: [write]\n  - id: editor\n    keywords: [edit]\n    capabilities: [validation]\n";
    let file = TempFile::new("planner.yaml", arms);
    let app = TestApp::start(&[
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_CONFIG_FILE", &file.path),
        ("PLANNER_MAX_PLAN_STEPS", "4"),
    ])
    .await;
    let mut plan = good_plan();
    for step in plan["plan"].as_array_mut().expect("steps") {
        step["required_arm"] = json!("writer");
    }
    plan["plan"][2]["required_arm"] = json!("smith");
    plan["plan"][2]["action"] = json!("Forge it");
    assert_eq!(
        faults(&app, &plan).await,
        [
            ("plan", "has 5 steps and may have at most 4; combine steps that belong together"),
            (
                "plan",
                "has no room for another step, and its last does not verify the result; assign it to editor"
            ),
            ("plan[2].required_arm", "must be one of writer, editor"),
        ]
        .map(|(field, message)| (field.to_owned(), message.to_owned()))
    );
    plan["plan"].as_array_mut().expect("steps").truncate(4);
    plan["plan"][2]["required_arm"] = json!("writer");
    assert_eq!(
        faults(&app, &plan).await,
        [(
            "plan".to_owned(),
            "has no room for another step, and its last does not verify the result; assign it to editor"
                .to_owned()
        )]
    );
}

#[tokio::test]
async fn validation_needs_the_token_and_no_llm() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let more = [("PLANNER_AUTH_TOKENS", "secret"), ("PLANNER_RATE_LIMIT_PER_MINUTE", "1")];
    let app = TestApp::with_llm(&llm, &more).await;
    let (status, document) = problem(app.plan_at("/validate", &planner_answer()).await).await;
    assert_eq!((status, document["code"].as_str()), (401, Some("unauthorized")));
    let post =
        |path: &str, body: &Value| app.client.post(app.url(path)).bearer_auth("secret").json(body).send();
    for _ in 0..3 {
        assert_eq!(post("/validate", &planner_answer()).await.expect("an answer").status(), 200);
    }
    assert_eq!(llm.calls().len(), 0);
    assert_eq!(post("/plan", &json!({"goal": "g"})).await.expect("an answer").status(), 200);
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"ok\"}").await, 1, "of these one made a plan");
    let by_route = r#"planner_http_requests_total{method="POST",route="/validate",status="200"}"#;
    assert_eq!(app.count(by_route).await, 3);
}

#[tokio::test]
async fn a_huge_plan_delays_no_other_request() {
    let app = TestApp::embedded().await;
    let mut plan = good_plan();
    plan["plan"][0]["action"] = json!("Search. ".repeat(100_000).trim());
    let answer = validated(&app, &plan).await;
    assert_eq!(answer["plan"][0]["action"], plan["plan"][0]["action"]);
}
