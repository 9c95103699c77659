//! What `/openapi.json` says, held against what the service does.

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TestApp, good_plan};

async fn description() -> Value {
    TestApp::embedded().await.get("/openapi.json").await.json().await.expect("JSON")
}

/// The schema behind a reference.
fn resolve<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => api.pointer(reference.trim_start_matches('#')).expect("a schema of that name"),
        None => schema,
    }
}

/// What of `value` does not fit `schema`, for the few words of JSON Schema that the description uses.
pub fn misfits(api: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let schema = resolve(api, schema);
    let mut found = Vec::new();
    if let Some(options) = schema["oneOf"].as_array() {
        let fits = options.iter().any(|option| misfits(api, option, value, place).is_empty());
        return if fits { found } else { vec![format!("{place}: fits none")] };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let fits = types.is_empty() || types.contains(&kind) || (kind == "integer" && types.contains(&"number"));
    if !fits {
        found.push(format!("{place}: {kind}, not {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array() {
        found.extend((!words.contains(value)).then(|| format!("{place}: not one of {words:?}")));
    }
    for (bound, sign) in [("minimum", 1.0), ("maximum", -1.0)] {
        if let (Some(bound), Some(number)) = (schema[bound].as_f64(), value.as_f64()) {
            found.extend(((number - bound) * sign < 0.0).then(|| format!("{place}: out of range")));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(misfits(api, &schema["items"], item, &format!("{place}[]")));
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            found.extend((!object.contains_key(required)).then(|| format!("{place}: without {required}")));
        }
        for (key, inner) in object {
            match properties.get(key) {
                Some(schema) => found.extend(misfits(api, schema, inner, &format!("{place}.{key}"))),
                None => found.push(format!("{place}.{key}: not described")),
            }
        }
    }
    found
}

#[tokio::test]
async fn every_endpoint_is_described() {
    let api = description().await;
    assert!(api["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", api["openapi"]);
    assert_eq!(api["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths: Vec<&String> = api["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(
        paths,
        [
            "/arms",
            "/capabilities",
            "/docs",
            "/health",
            "/metrics",
            "/openapi.json",
            "/plan",
            "/playbooks",
            "/ready",
            "/replan",
            "/validate"
        ]
    );
}

#[tokio::test]
async fn every_status_and_header_of_a_plan_is_described() {
    let api = description().await;
    let responses = api["paths"]["/plan"]["post"]["responses"].as_object().expect("responses");
    let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
    assert_eq!(
        statuses,
        ["200", "400", "401", "403", "405", "413", "415", "422", "429", "500", "503", "504"]
    );
    for (status, response) in responses {
        assert!(response["headers"]["X-Request-ID"].is_object(), "{status}");
        if status != "200" {
            assert!(response["content"]["application/problem+json"]["schema"].is_object(), "{status}");
        }
    }
    for media_type in ["application/json", "text/event-stream"] {
        assert!(responses["200"]["content"][media_type]["schema"].is_object(), "{media_type}");
    }
    for header in ["Engine", "Model", "Cache", "Attempts", "Repairs"] {
        assert!(responses["200"]["headers"][format!("X-Planner-{header}")].is_object(), "{header}");
    }
    for (status, header) in
        [("401", "WWW-Authenticate"), ("429", "Retry-After"), ("503", "Retry-After"), ("405", "Allow")]
    {
        assert!(responses[status]["headers"][header].is_object(), "{status} {header}");
    }
}

/// The references of `api` that lead nowhere, and how many there are in all.
pub fn dangling_references(api: &Value) -> (Vec<String>, usize) {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|inner| references(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(api, &mut found);
    let count = found.len();
    found.retain(|reference| api.pointer(reference.trim_start_matches('#')).is_none());
    (found, count)
}

#[tokio::test]
async fn every_reference_resolves() {
    let (dangling, count) = dangling_references(&description().await);
    assert_eq!(dangling, Vec::<String>::new());
    assert!(count > 5, "{count}");
}

#[tokio::test]
async fn answers_are_as_described() {
    let llm = FakeLlm::start([Reply::plan(&good_plan()), Reply::Text("no plan".into())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let api: Value = app.get("/openapi.json").await.json().await.expect("JSON");
    let goal = json!({"goal": "g"});
    let all = "/plan?include=schedule,usage,repairs,id";
    let responses = [
        ("/plan", "post", app.plan_at(all, &goal).await),
        ("/plan", "post", app.plan(&goal).await),
        ("/plan", "post", app.plan(&json!({"goal": 1})).await),
        ("/plan", "post", app.plan_at("/plan?include=x", &goal).await),
        ("/plan", "post", app.plan_at("/plan", &json!("x".repeat(2 << 20))).await),
        ("/plan", "post", app.client.post(app.url("/plan")).body("x").send().await.expect("an answer")),
        ("/health", "get", app.get("/health").await),
        ("/ready", "get", app.get("/ready").await),
        ("/capabilities", "get", app.get("/capabilities").await),
    ];
    let mut statuses = Vec::new();
    for (path, method, response) in responses {
        let status = response.status().as_u16().to_string();
        let content_type = response.headers()["content-type"].to_str().expect("ASCII").to_owned();
        for name in response.headers().keys().filter(|name| name.as_str().starts_with("x-planner")) {
            let described =
                api["paths"][path][method]["responses"][&status]["headers"].as_object().expect("headers");
            assert!(described.keys().any(|known| known.eq_ignore_ascii_case(name.as_str())), "{name}");
        }
        let schema = &api["paths"][path][method]["responses"][&status]["content"][&content_type]["schema"];
        assert!(schema.is_object(), "{path} {status} {content_type}");
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(misfits(&api, schema, &body, path), Vec::<String>::new(), "{status} {body}");
        statuses.push(status);
    }
    assert_eq!(statuses, ["200", "500", "422", "400", "413", "415", "200", "200", "200"]);
}

#[tokio::test]
async fn the_request_is_described_with_its_limits() {
    let api = description().await;
    let schema = &api["components"]["schemas"]["PlanRequest"];
    assert_eq!(schema["required"], json!(["goal"]));
    let fields = &schema["properties"];
    assert_eq!((&fields["goal"]["minLength"], &fields["goal"]["maxLength"]), (&json!(1), &json!(10_000)));
    assert_eq!(
        (&fields["constraints"]["maxItems"], &fields["request_id"]["maxLength"]),
        (&json!(50), &json!(128))
    );
    for nullable in ["constraints", "context", "request_id"] {
        assert!(
            fields[nullable]["type"].as_array().is_some_and(|types| types.contains(&json!("null"))),
            "{nullable}"
        );
    }
}
