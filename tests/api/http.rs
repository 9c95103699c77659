//! The HTTP API: status, headers and problems of every endpoint.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    FakeLlm, Reply, TestApp, assert_valid_by_default, good_plan, header, json_of, problem, step,
};

#[tokio::test]
async fn a_plan_comes_with_its_origin() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MODEL", "fake-1")]).await;
    let response = app.plan(&json!({"goal": "Fix authentication bug and add tests"})).await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-planner-engine", "openai"),
        ("x-planner-model", "fake-1"),
        ("x-planner-cache", "off"),
        ("x-planner-attempts", "1"),
        ("x-planner-repairs", "0"),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    let mut plan = json_of(response).await;
    let keys: Vec<&String> = plan.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["complexity_score", "confidence", "plan", "rationale", "total_estimated_duration"]);
    plan.as_object_mut()
        .expect("an object")
        .retain(|key, _| ["plan", "rationale", "confidence"].contains(&key.as_str()));
    assert_eq!(plan, good_plan());
}

#[tokio::test]
async fn extras_are_included_on_request() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let plan =
        json_of(app.plan_at("/plan?include=schedule,usage,repairs,id", &json!({"goal": "g"})).await).await;
    assert_eq!(
        plan["schedule"],
        json!({"levels": [[1], [2, 3], [4], [5]], "critical_path": [1, 2, 4, 5], "critical_path_seconds": 200})
    );
    assert_eq!(
        plan["usage"],
        json!({"model": "gpt-3.5-turbo", "attempts": 1, "prompt_tokens": 420, "completion_tokens": 510, "cost_usd": 0.000_975})
    );
    assert_eq!(plan["repairs"], json!([]));
    let id = plan["plan_id"].as_str().and_then(|id| id.strip_prefix("plan_")).expect("an id");
    assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
}

#[tokio::test]
async fn repairs_are_counted_and_listed() {
    let mut plan = good_plan();
    plan["plan"][1]["required_arm"] = json!("Coder");
    plan["plan"][2]["estimated_cost_tier"] = json!(11);
    let llm = FakeLlm::start([Reply::plan(&plan)]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let response = app.plan_at("/plan?include=repairs", &json!({"goal": "g"})).await;
    assert_eq!(header(&response, "x-planner-repairs"), "2");
    let made = json_of(response).await;
    let codes: Vec<(&str, u64)> = made["repairs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|repair| (repair["code"].as_str().expect("a code"), repair["step"].as_u64().expect("a step")))
        .collect();
    assert_eq!(codes, [("arm_mapped", 2), ("clamped", 3)]);
    assert_eq!(made["confidence"], json!(0.7942));
    assert!((app.metric("planner_repairs_total{code=\"clamped\"}").await - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn unknown_extras_are_refused_by_name() {
    let app = TestApp::embedded().await;
    let response = app.plan_at("/plan?include=cost,schedule,time", &json!({"goal": "g"})).await;
    let (status, document) = problem(response).await;
    assert_eq!((status, &document["code"]), (400, &json!("unknown_include")));
    assert_eq!(document["errors"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_bad_request_is_a_problem_with_every_fault() {
    let app = TestApp::embedded().await;
    let body = json!({"goal": "", "constraints": vec!["c"; 60], "context": [1], "request_id": "my-id"});
    let (status, mut document) = app.refused(&body).await;
    assert_eq!(status, 422);
    document["request_id"] = json!("(the request's)");
    insta::assert_json_snapshot!(document, @r#"
    {
      "code": "invalid_request",
      "detail": "The request is invalid: constraints must have at most 50 entries; context must be an object, not an array; goal must be 1 to 10,000 characters long and not blank.",
      "errors": [
        {
          "field": "constraints",
          "message": "must have at most 50 entries"
        },
        {
          "field": "context",
          "message": "must be an object, not an array"
        },
        {
          "field": "goal",
          "message": "must be 1 to 10,000 characters long and not blank"
        }
      ],
      "request_id": "(the request's)",
      "status": 422,
      "title": "Invalid request",
      "type": "urn:octollm:problem:invalid_request"
    }
    "#);
}

#[tokio::test]
async fn bad_input_of_every_kind_gets_its_problem() {
    let app = TestApp::embedded().await;
    let deep = format!("{{\"goal\":\"g\",\"context\":{}1{}}}", "{\"k\":".repeat(10_000), "}".repeat(10_000));
    let text = |value: Value| value.to_string().into_bytes();
    let bodies: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("not JSON", b"goal=Ship it".to_vec(), 422, "invalid_request"),
        ("empty", Vec::new(), 422, "invalid_request"),
        ("wrong types", text(json!({"goal": 1, "constraints": 2})), 422, "invalid_request"),
        ("blank", text(json!({"goal": " \t"})), 422, "invalid_request"),
        ("too long", text(json!({"goal": "x".repeat(10_001)})), 422, "invalid_request"),
        ("60 constraints", text(json!({"goal": "g", "constraints": vec!["c"; 60]})), 422, "invalid_request"),
        ("context an array", text(json!({"goal": "g", "context": []})), 422, "invalid_request"),
        (
            "70 KiB of context",
            text(json!({"goal": "g", "context": {"k": "x".repeat(70 * 1024)}})),
            422,
            "invalid_request",
        ),
        ("2 MiB", vec![b' '; 2 * 1024 * 1024], 413, "payload_too_large"),
        ("10,000 deep", deep.into_bytes(), 422, "invalid_request"),
        ("invalid UTF-8", b"{\"goal\": \"\xc3\x28\"}".to_vec(), 422, "invalid_request"),
        ("a lone surrogate", br#"{"goal": "\ud800"}"#.to_vec(), 422, "invalid_request"),
        ("an array", b"[\"Ship it\"]".to_vec(), 422, "invalid_request"),
    ];
    for (what, body, status, code) in bodies {
        let request = app.client.post(app.url("/plan")).header("content-type", "application/json").body(body);
        let (got, document) = problem(request.send().await.expect("an answer")).await;
        assert_eq!((got, &document["code"]), (status, &json!(code)), "{what}: {document}");
        assert_eq!(app.get("/health").await.status(), 200, "after {what}");
    }
}

#[tokio::test]
async fn only_json_is_accepted() {
    let app = TestApp::embedded().await;
    let body = json!({"goal": "Ship it"}).to_string();
    for (content_type, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
    ] {
        let request =
            app.client.post(app.url("/plan")).header("content-type", content_type).body(body.clone());
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), status, "{content_type}");
        if status == 415 {
            assert_eq!(problem(response).await.1["code"], "unsupported_media_type");
        }
    }
    let without = app.client.post(app.url("/plan")).body(body).send().await.expect("an answer");
    assert_eq!(problem(without).await.0, 415);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let app = TestApp::embedded().await;
    for path in ["/nothing", "/plan/7", "/docs/nothing.js", "/%ff"] {
        let (status, document) = problem(app.get(path).await).await;
        assert_eq!((status, &document["code"]), (404, &json!("not_found")), "{path}");
    }
    for (method, path, allowed) in [
        (http::Method::GET, "/plan", "POST"),
        (http::Method::DELETE, "/health", "GET,HEAD"),
        (http::Method::POST, "/metrics", "GET,HEAD"),
    ] {
        let response = app.client.request(method.clone(), app.url(path)).send().await.expect("an answer");
        assert_eq!(header(&response, "allow"), allowed, "{path}");
        let (status, document) = problem(response).await;
        assert_eq!((status, &document["code"]), (405, &json!("method_not_allowed")), "{method} {path}");
    }
}

#[tokio::test]
async fn the_request_id_is_the_callers_or_a_new_one_everywhere() {
    let app = TestApp::embedded().await;
    for path in ["/health", "/ready", "/metrics", "/capabilities", "/openapi.json", "/docs", "/nothing"] {
        let request = app.client.get(app.url(path)).header("x-request-id", "from the caller");
        assert_eq!(
            header(&request.send().await.expect("an answer"), "x-request-id"),
            "from the caller",
            "{path}"
        );
        let response = app.get(path).await;
        assert!(uuid::Uuid::parse_str(header(&response, "x-request-id")).is_ok(), "{path}");
    }
    let from_body = app.plan(&json!({"goal": "g", "request_id": "from the body"})).await;
    assert_eq!(header(&from_body, "x-request-id"), "from the body");
    let body = json!({"goal": "g", "request_id": "body"});
    let both = app.client.post(app.url("/plan")).header("x-request-id", "header").json(&body);
    assert_eq!(header(&both.send().await.expect("an answer"), "x-request-id"), "header");
    let too_long = app.client.get(app.url("/health")).header("x-request-id", "i".repeat(129));
    assert!(header(&too_long.send().await.expect("an answer"), "x-request-id").len() == 36);
    let unprintable = app.plan(&json!({"goal": "g", "request_id": "a\nb"})).await;
    assert_eq!((unprintable.status(), header(&unprintable, "x-request-id").len()), (StatusCode::OK, 36));
}

#[tokio::test]
async fn header_and_body_faults_are_reported_together() {
    let app = TestApp::embedded().await;
    let request = app
        .client
        .post(app.url("/plan"))
        .header("x-request-timeout-ms", "soon")
        .json(&json!({"goal": "", "request_id": " mine "}));
    let (status, document) = problem(request.send().await.expect("an answer")).await;
    assert_eq!((status, &document["request_id"]), (422, &json!("mine")));
    let fields: Vec<&str> = document["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    assert_eq!(fields, ["goal", "X-Request-Timeout-Ms"]);
}

#[tokio::test]
async fn an_invalid_plan_is_a_problem_without_quotes() {
    let plan = json!({
        "plan": [step(1, "coder", "canary-action", &[2], 1, 1), step(2, "coder", "canary-other", &[1], 1, 1)],
        "rationale": "canary-rationale", "confidence": 0.9,
    });
    let llm = FakeLlm::start([Reply::plan(&plan)]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let (status, document) = app.refused(&json!({"goal": "canary-goal"})).await;
    assert_eq!((status, &document["code"]), (500, &json!("plan_invalid")));
    assert!(document["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{document}");
    assert!(!document.to_string().contains("canary"), "{document}");
}

#[tokio::test]
async fn rule_based_plans_are_labelled() {
    let app = TestApp::embedded().await;
    let response = app.plan(&json!({"goal": "Debug the login and add tests"})).await;
    assert_eq!(header(&response, "x-planner-engine"), "embedded");
    assert_eq!(header(&response, "x-planner-model"), "embedded");
    assert_eq!(header(&response, "x-planner-attempts"), "0");
    let plan = response.json().await.expect("a plan");
    assert_valid_by_default(&plan);
    assert!(plan.confidence <= 0.65);
}
