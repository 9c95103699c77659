//! What only HTTP has: origins, tokens, limits, streams, shutdown.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::fake_llm::{Act, completion, send_json};
use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of, problem};

use super::{ACCEPT, answer, call, initialize, planned, post, refused, request, tool_result};

#[tokio::test]
async fn protocol_faults_are_protocol_errors() {
    let app = TestApp::embedded().await;
    for (message, code) in [
        (call("make_coffee", &json!({})), -32602),
        (request("coffee/make", &json!({})), -32601),
        (request("prompts/list", &json!({})), -32601),
        (request(&"x".repeat(5_000), &json!({})), -32601),
        (request("tools/call", &json!({"name": "create_plan", "arguments": "goal: g"})), -32602),
        (request("tools/call", &json!({"name": 7})), -32602),
        (json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call"}), -32602),
        (json!({"jsonrpc": "2.0", "id": 7, "method": "initialize"}), -32602),
    ] {
        let response = post(&app, &message).send().await.expect("an answer");
        let error = json_of(response).await;
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(7), &json!(code)), "{error}");
        assert!(error.to_string().len() < 300, "{error}");
    }
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{}1{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    for (body, code) in
        [("{\"jsonrpc\":", -32700), ("{}", -32600), ("[]", -32600), ("7", -32600), (deep.as_str(), -32600)]
    {
        let request = post(&app, &json!(null)).body(body.to_owned());
        let response = request.send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (400, "application/json"),
            "{body}"
        );
        let error = json_of(response).await;
        assert_eq!((&error["id"], &error["error"]["code"]), (&Value::Null, &json!(code)), "{body}: {error}");
    }
    let list = request("tools/list", &json!({}));
    let response =
        post(&app, &list).header("mcp-protocol-version", "1999-01-01").send().await.expect("an answer");
    assert_eq!(response.status(), 400);
    assert_eq!(json_of(response).await["error"]["code"], -32600);

    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(post(&app, &notification).send().await.expect("an answer").status(), 202);
}

#[tokio::test]
async fn a_stateless_request_carries_the_protocol_version() {
    let app = TestApp::embedded().await;
    let mut message = request("server/discover", &json!({}));
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });
    let headers = |message: &Value| {
        let method = message["method"].as_str().expect("a method").to_owned();
        post(&app, message).header("mcp-protocol-version", "2026-07-28").header("mcp-method", method)
    };
    let response = headers(&message).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let told = json_of(response).await;
    assert!(
        told["result"]["supportedVersions"].as_array().is_some_and(|all| all.contains(&json!("2026-07-28"))),
        "{told}"
    );

    let meta = message["params"]["_meta"].clone();
    let mut message = call("create_plan", &json!({"goal": "Write a haiku"}));
    message["params"]["_meta"] = meta;
    let response = headers(&message).header("mcp-name", "create_plan").send().await.expect("an answer");
    let (plan, is_error) = tool_result(&json_of(response).await);
    assert!(
        !is_error && plan == planned(&app, "create_plan", &json!({"goal": "Write a haiku"})).await,
        "{plan}"
    );
}

#[tokio::test]
async fn refusals_are_json_rpc_errors_with_the_problem_as_data() {
    let app = TestApp::embedded().await;
    let list = request("tools/list", &json!({}));
    let in_words = app.client.post(app.url("/mcp")).header("accept", ACCEPT).body(list.to_string());
    let too_large = post(&app, &call("create_plan", &json!({"goal": "g".repeat(1024 * 1024)})));
    let hurried = post(&app, &list).header("x-request-timeout-ms", "soon");
    for (request, status, code) in [
        (in_words, 415, "unsupported_media_type"),
        (too_large, 413, "payload_too_large"),
        (hurried, 422, "invalid_request"),
        (app.client.get(app.url("/mcp")).header("accept", "text/event-stream"), 405, "method_not_allowed"),
        (app.client.delete(app.url("/mcp")), 405, "method_not_allowed"),
    ] {
        let (found, document) = json_rpc_problem(request.send().await.expect("an answer")).await;
        assert_eq!((found, &document["code"]), (status, &json!(code)), "{document}");
    }
}

/// Status and problem of a refusal, which is a JSON-RPC error.
async fn json_rpc_problem(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    assert_eq!(header(&response, "content-type"), "application/json");
    let id = header(&response, "x-request-id").to_owned();
    let mut answer = json_of(response).await;
    let problem = answer["error"]["data"].take();
    assert_eq!((&answer["jsonrpc"], &answer["error"]["code"]), (&json!("2.0"), &json!(-32600)), "{answer}");
    assert_eq!(answer["error"]["message"], problem["detail"]);
    assert_eq!((&problem["status"], &problem["request_id"]), (&json!(status), &json!(id)), "{problem}");
    (status, problem)
}

#[tokio::test]
async fn every_accept_header_is_answered() {
    let app = TestApp::embedded().await;
    let mut message = call("create_plan", &json!({"goal": "Write a haiku"}));
    message["params"]["_meta"] = json!({"progressToken": 1});
    for accept in [None, Some("application/json"), Some("*/*"), Some("text/html"), Some("")] {
        let mut request = app.client.post(app.url("/mcp")).json(&message);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (200, "application/json")
        );
        assert!(!tool_result(&json_of(response).await).1, "{accept:?}");
    }
    let response = app.client.post(app.url("/mcp")).header("accept", "text/event-stream").json(&message);
    let messages = messages(response.send().await.expect("an answer")).await;
    assert!(messages.len() > 1 && !tool_result(&messages[messages.len() - 1]).1, "{messages:?}");
}

#[tokio::test]
async fn arguments_encoded_as_strings_are_decoded() {
    let app = TestApp::embedded().await;
    let plain = json!({"goal": "Write a haiku", "constraints": ["Use Python"], "context": {"a": 1}});
    let encoded =
        json!({"goal": "Write a haiku", "constraints": "[\"Use Python\"]", "context": "{\"a\": 1}"});
    assert_eq!(planned(&app, "create_plan", &encoded).await, planned(&app, "create_plan", &plain).await);
    let steps = json!({"plan": good_plan()["plan"].to_string()});
    assert_eq!(planned(&app, "validate_plan", &steps).await["plan"], good_plan()["plan"]);
    let whole = request("tools/call", &json!({"name": "create_plan", "arguments": plain.to_string()}));
    let answer = json_of(post(&app, &whole).send().await.expect("an answer")).await;
    let wanted = &planned(&app, "create_plan", &plain).await["plan"];
    assert_eq!(&answer["result"]["structuredContent"]["plan"], wanted);
    // An arm with nothing but its id is the arm of the installation, which can verify.
    let by_id = json!({"goal": "Write a haiku", "arms": [{"id": "coder"}, {"id": "judge"}], "budget": {"max_steps": "3"}});
    let named = planned(&app, "create_plan", &by_id).await;
    assert_eq!(
        named["plan"].as_array().and_then(|steps| steps.last()).expect("steps")["required_arm"],
        "judge"
    );
    assert_eq!(
        super::fields(&refused(&app, "create_plan", &json!({"goal": "g", "context": "a text"})).await),
        ["context"]
    );
}

#[tokio::test]
async fn tokens_protect_it_too() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_AUTH_TOKENS", "one,two")]).await;
    for request in [post(&app, &initialize()), post(&app, &initialize()).bearer_auth("three")] {
        let response = request.send().await.expect("an answer");
        assert_eq!(header(&response, "www-authenticate"), "Bearer");
        assert_eq!(json_rpc_problem(response).await.1["code"], "unauthorized");
    }
    let response = post(&app, &initialize()).bearer_auth("two").send().await.expect("an answer");
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn pages_of_configured_origins_and_of_the_service_by_address_may_call() {
    let allowed = "https://app.example.com";
    let app =
        TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_CORS_ALLOWED_ORIGINS", allowed)]).await;
    let own = format!("http://{}", app.address);
    let port = app.address.port();
    let local = format!("localhost:{port}");
    let rebound = format!("evil.example:{port}");
    for (host, origin, may) in [
        (None, allowed, true),
        (None, own.as_str(), true),
        (Some(local.as_str()), &format!("http://{local}"), true),
        (Some("planner-arm:8001"), allowed, true),
        // A page of a name that was made to point here looks like one of our own.
        (Some(rebound.as_str()), &format!("http://{rebound}"), false),
        (None, "https://evil.example", false),
        (None, "https://app.example.com.evil.example", false),
        (None, "http://127.0.0.1:1", false),
        (None, "null", false),
    ] {
        let mut request = post(&app, &initialize()).header("origin", origin);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), if may { 200 } else { 403 }, "{host:?} {origin}");
        if !may {
            assert_eq!(json_rpc_problem(response).await.1["code"], "origin_not_allowed");
        }
    }
    // Without a page the service has any name that a cluster gives it.
    let response = post(&app, &initialize()).header("host", "planner-arm.octollm.svc:8001").send();
    assert_eq!(response.await.expect("an answer").status(), 200);

    let headers = "authorization,content-type,mcp-method,mcp-name,mcp-protocol-version";
    let preflight = app
        .client
        .request(::http::Method::OPTIONS, app.url("/mcp"))
        .header("origin", allowed)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", headers);
    let response = preflight.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "access-control-allow-origin"), allowed);
    assert_eq!(header(&response, "access-control-allow-headers"), headers);
}

#[tokio::test]
async fn a_callers_limit_is_shared_by_all_front_ends() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_RATE_LIMIT_PER_MINUTE", "1")]).await;
    let goal = json!({"goal": "g"});
    app.planned(&goal).await;
    let problem = refused(&app, "create_plan", &goal).await;
    assert_eq!(problem["code"], "rate_limited");
    assert!(problem["retry_after_seconds"].as_u64().is_some_and(|seconds| seconds > 0), "{problem}");
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"rate_limited\"}").await, 1);
    // Validation is not limited.
    planned(&app, "validate_plan", &good_plan()).await;
}

#[tokio::test]
async fn overload_and_short_deadlines_are_reported_at_once() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    let goal = json!({"goal": "g"});
    let first = call("create_plan", &goal);
    tokio::select! {
        _ = answer(&app, &first) => panic!("the LLM never answers"),
        () = async {
            llm.called(1).await;
            assert_eq!(refused(&app, "create_plan", &goal).await["code"], "overloaded");
            assert_eq!(problem(app.plan(&goal).await).await.1["code"], "overloaded");
            answer(&app, &request("tools/list", &json!({}))).await;
        } => {}
    }
    // The first has disconnected, which cancels its plan.
    while app.count("planner_plans_in_flight").await > 0 {
        tokio::task::yield_now().await;
    }
    while app.count("planner_plan_requests_total{outcome=\"client_closed\"}").await == 0 {
        tokio::task::yield_now().await;
    }
    let hurried = post(&app, &call("create_plan", &goal)).header("x-request-timeout-ms", "50");
    let (problem, is_error) = tool_result(&json_of(hurried.send().await.expect("an answer")).await);
    assert!(is_error && problem["code"] == "deadline_exceeded", "{problem}");
}

/// The messages of a stream, to its end.
async fn messages(response: reqwest::Response) -> Vec<Value> {
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, "text/event-stream"));
    let text = response.text().await.expect("a stream that ends");
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|json| serde_json::from_str(json.trim()).expect("JSON")).collect()
}

#[tokio::test]
async fn clients_with_a_progress_token_are_notified_of_each_step() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let mut message = call("create_plan", &json!({"goal": "g"}));
    message["params"]["_meta"] = json!({"progressToken": "p-1"});
    let messages = messages(post(&app, &message).send().await.expect("an answer")).await;
    let (last, progress) = messages.split_last().expect("messages");
    assert_eq!(last["id"], 7);
    let (plan, is_error) = tool_result(last);
    assert!(!is_error && plan["plan"].as_array().is_some_and(|steps| steps.len() == 5), "{plan}");
    assert_eq!(progress.len(), 5);
    for (index, told) in progress.iter().enumerate() {
        assert_eq!(
            (&told["method"], &told["params"]["progressToken"]),
            (&json!("notifications/progress"), &json!("p-1"))
        );
        assert_eq!(told["params"]["progress"].as_f64(), Some(index as f64 + 1.0));
        let action = plan["plan"][index]["action"].as_str().expect("an action");
        assert!(told["params"]["message"].as_str().is_some_and(|text| text.ends_with(action)), "{told}");
    }
    // The request is over when its stream is.
    let requests = "planner_http_requests_total{method=\"POST\",route=\"/mcp\",status=\"200\"}";
    while app.count(requests).await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"ok\"}").await, 1);
}

#[tokio::test]
async fn calls_in_flight_finish_while_new_ones_are_refused() {
    let told = Arc::new(Notify::new());
    let mut acts = vec![Act::Until(told.clone())];
    acts.extend(send_json(200, &completion(&good_plan().to_string())));
    let llm = FakeLlm::start([acts]).await;
    let mut app = TestApp::start(&[("PLANNER_LLM_BASE_URL", &llm.base_url)]).await;
    let message = call("create_plan", &json!({"goal": "g"}));
    let in_flight = tokio::spawn(post(&app, &message).send());
    llm.called(1).await;
    app.begin_stop();
    while app.get("/ready").await.status() != 503 {
        tokio::task::yield_now().await;
    }
    answer(&app, &request("tools/list", &json!({}))).await;
    let problem = refused(&app, "create_plan", &json!({"goal": "g"})).await;
    assert_eq!((&problem["code"], &problem["retry_after_seconds"]), (&json!("shutting_down"), &json!(1)));
    told.notify_one();
    let (plan, is_error) =
        tool_result(&json_of(in_flight.await.expect("no panic").expect("an answer")).await);
    assert!(!is_error, "{plan}");
    app.ended().await;
}

#[tokio::test]
async fn calls_in_flight_after_the_grace_period_end_with_an_error() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let mut app = TestApp::with_llm(&llm, &[("PLANNER_SHUTDOWN_GRACE_SECONDS", "0.1")]).await;
    let mut message = call("create_plan", &json!({"goal": "g"}));
    let plain = tokio::spawn(post(&app, &message).send());
    message["params"]["_meta"] = json!({"progressToken": 1});
    let telling = tokio::spawn(post(&app, &message).send());
    while app.count("planner_plans_in_flight").await < 2 {
        tokio::task::yield_now().await;
    }
    app.begin_stop();
    for in_flight in [plain, telling] {
        let answer = json_of(in_flight.await.expect("no panic").expect("an answer")).await;
        assert_eq!(tool_result(&answer).0["code"], "shutting_down");
    }
    app.ended().await;
}
