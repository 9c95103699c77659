//! The planner as a tool of agent hosts, in raw JSON-RPC: over HTTP here, on standard input in `stdio`. That a real
//! client is content is for `.ci/mcp-client` to say.

mod http;
mod schema;
pub mod stdio;

use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of};

const ACCEPT: &str = "application/json, text/event-stream";

/// A request of the protocol.
fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

/// A call of a tool.
pub fn call(tool: &str, arguments: &Value) -> Value {
    request("tools/call", &json!({"name": tool, "arguments": arguments}))
}

fn initialize() -> Value {
    let client = json!({"name": "test", "version": "1"});
    request("initialize", &json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}))
}

/// Posts a message as an MCP client does.
pub fn post(app: &TestApp, message: &Value) -> reqwest::RequestBuilder {
    app.client.post(app.url("/mcp")).header("accept", ACCEPT).json(message)
}

/// The JSON-RPC response to a message.
async fn answer(app: &TestApp, message: &Value) -> Value {
    let response = post(app, message).send().await.expect("an answer");
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, "application/json"));
    assert!(!header(&response, "x-request-id").is_empty());
    let answer = json_of(response).await;
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)), "{answer}");
    answer
}

/// What a tool says, as an object that is also there as text; whether it is an error.
fn tool_result(answer: &Value) -> (Value, bool) {
    let result = &answer["result"];
    assert_eq!(result["content"][0]["type"], "text", "{answer}");
    let text: Value =
        serde_json::from_str(result["content"][0]["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!(text, result["structuredContent"], "{answer}");
    (text, result["isError"].as_bool().expect("a result"))
}

/// The plan that a tool gives.
pub async fn planned(app: &TestApp, tool: &str, arguments: &Value) -> Value {
    let (plan, is_error) = tool_result(&answer(app, &call(tool, arguments)).await);
    assert!(!is_error, "{plan}");
    plan
}

/// The problem that a tool ends in.
async fn refused(app: &TestApp, tool: &str, arguments: &Value) -> Value {
    let (problem, is_error) = tool_result(&answer(app, &call(tool, arguments)).await);
    assert!(is_error, "{problem}");
    problem
}

/// The fields that are wrong.
fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().expect("errors");
    errors.iter().map(|error| error["field"].as_str().expect("a field")).collect()
}

#[tokio::test]
async fn the_server_describes_itself_and_its_tools() {
    let app = TestApp::embedded().await;
    let told = answer(&app, &initialize()).await;
    let told = &told["result"];
    assert_eq!(told["protocolVersion"], "2025-06-18");
    assert_eq!(told["serverInfo"]["name"], "planner-arm");
    assert_eq!(told["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["capabilities"], json!({"tools": {}}));
    let instructions = told["instructions"].as_str().expect("instructions");
    for part in ["create_plan", "validate_plan", "replan", "list_arms"] {
        assert!(instructions.contains(part), "{part} in {instructions}");
    }

    let list = answer(&app, &request("tools/list", &json!({}))).await;
    let tools = list["result"]["tools"].as_array().expect("tools");
    assert_eq!(
        tools.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(),
        ["create_plan", "validate_plan", "replan", "list_arms"]
    );
    // Models read it with every message.
    let bytes = list["result"].to_string().len();
    assert!(bytes < 8 * 1024, "{bytes} bytes");
    for tool in tools {
        let hints = &tool["annotations"];
        assert_eq!((&hints["readOnlyHint"], &hints["destructiveHint"]), (&json!(true), &json!(false)));
        // Neither asks anybody outside: it is the embedded planner that makes the plans here.
        assert_eq!((&hints["idempotentHint"], &hints["openWorldHint"]), (&json!(true), &json!(false)));
        assert!(tool["description"].as_str().is_some_and(|text| text.len() > 150), "{tool}");
    }
    assert!(
        tools[0]["description"].as_str().is_some_and(|text| text.contains("3 to 7 steps")),
        "{}",
        tools[0]
    );
}

#[tokio::test]
async fn a_plan_is_that_of_the_api() {
    let app = TestApp::embedded().await;
    let wanted = json!({"goal": "Debug the login and add tests", "constraints": ["Use Python only"], "context": {"a": 1}});
    let plan = planned(&app, "create_plan", &wanted).await;
    assert_eq!(
        json_of(app.plan_at("/plan?include=schedule,usage,repairs,warnings", &wanted).await).await,
        plan
    );
    assert_eq!(plan["usage"]["model"], "embedded");
}

#[tokio::test]
async fn a_plan_comes_from_the_model_and_counts_like_one_of_the_api() {
    let mut broken = good_plan();
    broken["plan"][0]["required_arm"] = json!("Retriever");
    let llm = FakeLlm::start([Reply::plan(&broken)]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_CACHE_TTL_SECONDS", "60")]).await;
    let goal = json!({"goal": "g"});
    let plan = planned(&app, "create_plan", &goal).await;
    assert_eq!(plan["repairs"][0]["code"], "arm_mapped");
    assert_eq!((&plan["usage"]["attempts"], &plan["usage"]["prompt_tokens"]), (&json!(1), &json!(420)));
    assert_eq!(plan["schedule"]["levels"], json!([[1], [2, 3], [4], [5]]));
    // The second is the first, whichever way it is asked for.
    let again = json_of(app.plan(&goal).await).await;
    assert_eq!((&again["plan"], llm.calls().len()), (&plan["plan"], 1));
    assert_eq!(planned(&app, "create_plan", &goal).await["usage"]["attempts"], 0);

    assert_eq!(app.count("planner_plan_requests_total{outcome=\"ok\"}").await, 3);
    assert_eq!(app.count("planner_cache_answers_total{use=\"hit\"}").await, 2);
    let requests = "planner_http_requests_total{method=\"POST\",route=\"/mcp\",status=\"200\"}";
    assert_eq!(app.count(requests).await, 2);
}

#[tokio::test]
async fn errors_that_a_model_can_correct_are_results_with_every_fault() {
    let app = TestApp::embedded().await;
    let problem = refused(&app, "create_plan", &json!({"goal": " ", "constraints": [1]})).await;
    assert_eq!(
        (&problem["code"], fields(&problem)),
        (&json!("invalid_request"), vec!["constraints[0]", "goal"])
    );
    assert_eq!(problem, {
        let (_, mut same) = app.refused(&json!({"goal": " ", "constraints": [1]})).await;
        same["request_id"] = problem["request_id"].clone();
        same
    });
    let without_arguments = request("tools/call", &json!({"name": "create_plan"}));
    let (problem, is_error) = tool_result(&answer(&app, &without_arguments).await);
    assert!(is_error && fields(&problem) == ["goal"], "{problem}");

    let llm = FakeLlm::start([Reply::Status(401, vec![], json!({"error": {"message": "no"}}))]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    assert_eq!(refused(&app, "create_plan", &json!({"goal": "g"})).await["code"], "llm_failed");
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"llm_failed\"}").await, 1);
}

#[tokio::test]
async fn a_plan_is_validated_without_an_llm() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let mut plan = good_plan();
    plan["plan"][1]["required_arm"] = json!("Coder");
    let valid = planned(&app, "validate_plan", &plan).await;
    assert_eq!(
        (&valid["plan"][1]["required_arm"], valid["plan"].as_array().map(Vec::len)),
        (&json!("coder"), Some(5))
    );
    assert_eq!(valid["repairs"][0]["code"], "arm_mapped");
    assert_eq!(valid["schedule"]["critical_path"], json!([1, 2, 4, 5]));

    plan["plan"][1]["action"] = plan["plan"][0]["action"].clone();
    plan["plan"][3]["acceptance_criteria"] = json!([]);
    let problem = refused(&app, "validate_plan", &plan).await;
    assert_eq!(problem["code"], "invalid_request");
    assert_eq!(fields(&problem), ["plan[1].action", "plan[3].acceptance_criteria"], "{problem}");
    for nothing in [json!({}), json!({"plan": []}), json!({"plan": "none"})] {
        assert_eq!(refused(&app, "validate_plan", &nothing).await["code"], "invalid_request", "{nothing}");
    }
    assert!(llm.bodies().is_empty());
    // That was no experience with plans, nor a request for one.
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"ok\"}").await, 0);
}

#[tokio::test]
async fn a_host_plans_edits_validates_replans_and_validates_again() {
    let app = TestApp::embedded().await;
    let request = json!({"goal": "Fix the login bug and add tests", "constraints": ["Use Python only"],
        "budget": {"max_duration_seconds": 20_000, "max_steps": 9}});
    let with = |fields: &Value| {
        let mut all = request.clone();
        all.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        all
    };
    let mut plan = planned(&app, "create_plan", &request).await;
    plan["plan"][2]["action"] = json!("Fix the check of the session's age");
    plan["plan"][2]["required_arm"] = json!("Coder Agent");
    plan["plan"][2]["estimated_duration_seconds"] = json!(50_000);
    // The tools take what they return, as they do from a host that has only the result.
    let problem = refused(&app, "validate_plan", &with(&json!({"plan": plan["plan"]}))).await;
    assert!(
        problem["detail"].as_str().is_some_and(|text| text.contains("the budget allows 20,000 s")),
        "{problem}"
    );
    plan["plan"][2]["estimated_duration_seconds"] = json!(600);
    let edited = planned(&app, "validate_plan", &with(&plan)).await;
    assert_eq!(
        (&edited["plan"][2]["required_arm"], &edited["repairs"][0]["code"]),
        (&json!("coder"), &json!("arm_mapped"))
    );

    let progress = json!([{"step": 1, "status": "done", "note": "It is in auth.py"}, {"step": 2, "status": "done"},
        {"step": 3, "status": "failed", "reason": "the file is generated"}]);
    let revised =
        planned(&app, "replan", &with(&json!({"plan": edited["plan"], "progress": progress}))).await;
    assert_eq!([&revised["plan"][0], &revised["plan"][1]], [&edited["plan"][0], &edited["plan"][1]]);
    let action = revised["plan"][2]["action"].as_str().expect("a text");
    assert_eq!(action, "Find out why “Fix the check of the session's age” failed: the file is generated");
    let exported = planned(&app, "validate_plan", &with(&revised)).await;
    assert_eq!((&exported["plan"], &exported["repairs"]), (&revised["plan"], &json!([])));
}

#[tokio::test]
async fn what_is_left_of_a_plan_is_planned_again() {
    let app = TestApp::embedded().await;
    let mut body = json!({"goal": "Debug the login and add tests", "plan": good_plan()["plan"],
        "progress": [{"step": 1, "status": "done"}, {"step": 2, "status": "failed", "reason": "no access"}]});
    let plan = planned(&app, "replan", &body).await;
    assert_eq!(plan["plan"][0], good_plan()["plan"][0]);
    assert!(plan["schedule"].is_object() && plan["repairs"].is_array(), "{plan}");
    let same = json_of(app.plan_at("/replan?include=schedule,usage,repairs,warnings", &body).await).await;
    assert_eq!(plan["plan"], same["plan"]);
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"ok\"}").await, 2);

    body["progress"] = json!([]);
    body["feedback"] = json!("Add a rollback");
    planned(&app, "replan", &body).await;
    body["feedback"] = json!(" ");
    body["progress"] = json!([{"step": 9, "status": "done"}]);
    assert_eq!(fields(&refused(&app, "replan", &body).await), ["feedback", "progress[0].step"]);
}

#[tokio::test]
async fn a_plan_keeps_to_the_arms_and_the_playbook_of_the_call() {
    let app = TestApp::embedded().await;
    let list = planned(&app, "list_arms", &json!({})).await;
    assert_eq!(list, json_of(app.get("/arms").await).await);
    let arguments = json!({"goal": "Research caching, then write it down", "arms": "[\"retriever\", \"judge\"]",
        "playbook": "none", "budget": {"max_cost_tier": 5}});
    let plan = planned(&app, "create_plan", &arguments).await;
    let arms = plan["plan"].as_array().expect("steps").iter().map(|step| &step["required_arm"]);
    assert!(arms.clone().all(|arm| arm == "retriever" || arm == "judge"), "{plan}");
    let unknown = json!({"goal": "g", "arms": ["nobody"]});
    assert_eq!(fields(&refused(&app, "create_plan", &unknown).await), ["arms[0]"]);
}
