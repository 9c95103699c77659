//! Traces, as a collector gets them.

mod collector;
mod propagation;
mod sending;
mod settings;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::mcp;
use crate::stream::events::{first_step_then, stream_of};
use crate::support::fake_llm::Act;
use crate::support::{FakeLlm, Reply, TestApp, good_plan};

use collector::{Collector, ReceivedSpan};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// The span of a call to the model that is configured by default.
const CHAT: &str = "chat gpt-3.5-turbo";
/// Longer than anything takes that is bounded, shorter than what is not.
const BOUND: Duration = Duration::from_secs(20);

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// The service with an LLM, whose spans go to `collector`.
async fn traced(collector: &Collector, llm: &str, more: &[(&str, &str)]) -> TestApp {
    let mut variables =
        vec![("PLANNER_LLM_BASE_URL", llm), ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    variables.extend_from_slice(more);
    TestApp::start(&variables).await
}

/// Stops the service, with which its last spans are sent.
async fn end(mut app: TestApp) {
    app.begin_stop();
    timeout(BOUND, app.ended()).await.expect("an end within a bounded time");
}

async fn plan_with(app: &TestApp, headers: &[(&str, &str)]) -> u16 {
    let mut request = app.client.post(app.url("/plan")).json(&json!({"goal": "g"}));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    response.bytes().await.expect("a body");
    status
}

fn assert_has(span: &ReceivedSpan, attributes: &[(&str, Value)]) {
    for (name, value) in attributes {
        assert_eq!(span.attributes.get(*name), Some(value), "{name} in {span:?}");
    }
}

#[tokio::test]
async fn plans_and_calls_are_spans_without_contents() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let more = [
        ("PLANNER_OPENAI_API_KEY", "sk-canary"),
        ("PLANNER_AUTH_TOKENS", "token-canary"),
        ("PLANNER_SERVICE_NAME", "arm-7"),
        ("OTEL_RESOURCE_ATTRIBUTES", "host.name=rack%207"),
    ];
    let app = traced(&collector, &llm.base_url, &more).await;
    let body =
        json!({"goal": "canary-goal", "constraints": ["canary-constraint"], "context": {"canary": "canary"}});
    let request = app.client.post(app.url("/plan?include=usage&include=")).bearer_auth("token-canary");
    let response = request.header("x-request-id", "id-7").json(&body).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    app.get("/health").await;
    end(app).await;

    assert_eq!(collector.spans().len(), 2, "{:?}", collector.spans());
    let (plan, chat) = (collector.the("plan"), collector.the(CHAT));
    assert_eq!((plan.kind, plan.parent.as_str(), plan.status), (2, "", 0));
    assert_eq!((chat.kind, &chat.parent, &chat.trace, chat.status), (3, &plan.id, &plan.trace, 0));
    let all = [
        ("gen_ai.operation.name", json!("plan")),
        ("http.request.method", json!("POST")),
        ("http.response.status_code", json!(200)),
        ("http.route", json!("/plan")),
        ("planner.attempts", json!(1)),
        ("planner.cache", json!("off")),
        ("planner.engine", json!("openai")),
        ("planner.model", json!("gpt-3.5-turbo")),
        ("planner.outcome", json!("ok")),
        ("planner.repairs", json!(0)),
        ("planner.warnings", json!(0)),
        ("planner.request_id", json!("id-7")),
        ("planner.steps", json!(5)),
        ("url.path", json!("/plan")),
        ("url.scheme", json!("http")),
    ];
    assert_has(&plan, &all);
    assert_eq!(plan.attributes.len(), all.len(), "{plan:?}");
    let port: u16 = llm.origin.rsplit_once(':').expect("a port").1.parse().expect("a number");
    let all = [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.output.type", json!("json")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.max_tokens", json!(2_000)),
        ("gen_ai.request.model", json!("gpt-3.5-turbo")),
        ("gen_ai.request.temperature", json!(0.3)),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("gen_ai.response.id", json!("chatcmpl-1")),
        ("gen_ai.response.model", json!("fake")),
        ("gen_ai.usage.input_tokens", json!(420)),
        ("gen_ai.usage.output_tokens", json!(510)),
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(port)),
    ];
    assert_has(&chat, &all);
    assert_eq!(chat.attributes.len(), all.len(), "{chat:?}");
    let expected = format!("00-{}-{}-01", chat.trace, chat.id);
    assert_eq!(llm.first_header("traceparent"), Some(expected));

    let resource = collector.resource();
    for (name, value) in [
        ("service.name", "arm-7"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "development"),
        ("host.name", "rack 7"),
        ("telemetry.sdk.language", "rust"),
    ] {
        assert_eq!(resource.get(name), Some(&json!(value)), "{resource:?}");
    }
    for (headers, body) in collector.batches() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let text = format!("{headers:?} {}", String::from_utf8_lossy(&body));
        // A word of the answer is as secret as one of the request.
        for secret in ["canary", "Search the codebase", "retriever", "Gather context", "include"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn tool_calls_and_replans_are_spans_too() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let app = traced(&collector, &llm.base_url, &[("PLANNER_CACHE_TTL_SECONDS", "0")]).await;
    let call = mcp::call("create_plan", &json!({"goal": "g"}));
    let called = mcp::post(&app, &call).header("traceparent", traceparent("01")).send().await;
    assert_eq!(called.expect("an answer").status(), 200);
    let body = json!({"goal": "g", "plan": good_plan()["plan"], "progress": [{"step": 1, "status": "done"}]});
    let again = app.client.post(app.url("/replan")).json(&body).send().await.expect("an answer");
    again.bytes().await.expect("a body");
    end(app).await;

    let spans = collector.spans();
    let (of_tool, of_route): (Vec<_>, Vec<_>) = spans
        .iter()
        .filter(|span| span.name == "plan")
        .partition(|span| span.attributes.contains_key("gen_ai.tool.name"));
    let [tool, route] = [of_tool, of_route].map(|spans| spans[0]);
    assert_eq!((tool.trace.as_str(), tool.parent.as_str()), (TRACE, PARENT));
    assert_has(tool, &[("gen_ai.tool.name", json!("create_plan")), ("planner.outcome", json!("ok"))]);
    assert_has(route, &[("http.route", json!("/replan"))]);
    for plan in [tool, route] {
        assert!(spans.iter().any(|span| span.name == CHAT && span.parent == plan.id), "{spans:?}");
    }
}

#[tokio::test]
async fn each_call_has_a_span_and_a_failed_one_says_why() {
    let refusal =
        Reply::Status(400, vec![], json!({"error": {"message": "Unsupported parameter: 'max_tokens'"}}));
    let (collector, llm) = tokio::join!(
        Collector::start(),
        FakeLlm::start([
            Reply::status(500),
            refusal,
            Reply::Text("no plan".into()),
            Reply::plan(&good_plan())
        ])
    );
    let app = traced(&collector, &llm.base_url, &[]).await;
    assert_eq!(plan_with(&app, &[]).await, 200);
    end(app).await;
    let plan = collector.the("plan");
    assert_has(&plan, &[("planner.attempts", json!(4)), ("planner.outcome", json!("ok"))]);
    let chats = collector.named(CHAT);
    let errors: Vec<_> = chats.iter().map(|chat| (chat.attributes.get("error.type"), chat.status)).collect();
    let (failed, refused) = (json!("server_error"), json!("unsupported"));
    assert_eq!(errors, [(Some(&failed), 2), (Some(&refused), 2), (None, 0), (None, 0)]);
    assert!(chats.iter().all(|chat| chat.parent == plan.id), "{chats:?}");
    let sent: Vec<_> = llm.headers("traceparent").into_iter().flatten().collect();
    let expected: Vec<_> = chats.iter().map(|chat| format!("00-{}-{}-01", chat.trace, chat.id)).collect();
    assert_eq!(sent, expected);
    // What the model does not take is not asked for.
    assert!(!chats[2].attributes.contains_key("gen_ai.request.temperature"), "{chats:?}");
}

#[tokio::test]
async fn a_failed_plan_is_an_error_and_a_bad_request_is_not() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::status(401)]));
    let app = traced(&collector, &llm.base_url, &[]).await;
    assert_eq!(plan_with(&app, &[]).await, 500);
    assert_eq!(app.plan(&json!({"goal": " canary"})).await.status(), 500);
    assert_eq!(app.plan(&json!({"goal": 7})).await.status(), 422);
    end(app).await;
    let plans = collector.named("plan");
    assert_eq!(plans.iter().map(|plan| plan.status).collect::<Vec<_>>(), [2, 2, 0]);
    let failed = [("error.type", json!("llm_failed")), ("planner.outcome", json!("llm_failed"))];
    assert_has(&plans[0], &failed);
    let refused = [("planner.outcome", json!("invalid_request")), ("http.response.status_code", json!(422))];
    assert_has(&plans[2], &refused);
    assert!(!plans[2].attributes.contains_key("error.type"), "{:?}", plans[2]);
    let bad_key = [("error.type", json!("bad_key"))];
    assert_has(&collector.named(CHAT)[0], &bad_key);
}

#[tokio::test]
async fn the_span_of_a_stream_ends_with_the_stream() {
    let collector = Collector::start().await;
    let llm = FakeLlm::start([stream_of(&good_plan())]).await;
    let app = traced(&collector, &llm.base_url, &[]).await;
    assert_eq!(plan_with(&app, &[("accept", "text/event-stream")]).await, 200);
    end(app).await;
    let (plan, chat) = (collector.the("plan"), collector.the(CHAT));
    assert_has(&plan, &[("planner.outcome", json!("ok")), ("planner.steps", json!(5))]);
    assert_has(&chat, &[("gen_ai.request.stream", json!(true)), ("gen_ai.usage.output_tokens", json!(510))]);
    assert_eq!(chat.parent, plan.id);
}

#[tokio::test]
async fn a_disconnect_ends_the_spans() {
    let collector = Collector::start().await;
    let llm = FakeLlm::start([first_step_then([Act::Silence])]).await;
    let app = traced(&collector, &llm.base_url, &[]).await;
    let request = app.client.post(app.url("/plan")).header("accept", "text/event-stream");
    let mut response = request.json(&json!({"goal": "g"})).send().await.expect("an answer");
    response.chunk().await.expect("a first step");
    drop(response);
    let counted = async {
        while app.count("planner_plan_requests_total{outcome=\"client_closed\"}").await == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, counted).await.expect("the request ends");
    end(app).await;
    let (plan, chat) = (collector.the("plan"), collector.the(CHAT));
    assert_has(&plan, &[("planner.outcome", json!("client_closed"))]);
    assert!(!plan.attributes.contains_key("http.response.status_code"), "{plan:?}");
    assert_has(&chat, &[("error.type", json!("abandoned"))]);
}

#[tokio::test]
async fn coalesced_calls_belong_to_the_first_request() {
    let slow = Reply::plan(&good_plan()).after(Duration::from_millis(200));
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([slow]));
    let app = traced(&collector, &llm.base_url, &[("PLANNER_CACHE_TTL_SECONDS", "60")]).await;
    let first = async {
        plan_with(&app, &[("traceparent", &traceparent("01"))]).await;
    };
    let second = async {
        llm.called(1).await;
        plan_with(&app, &[]).await;
    };
    tokio::join!(first, second);
    end(app).await;
    let plans = collector.named("plan");
    assert_eq!(plans.len(), 2, "{plans:?}");
    let coalesced = plans.iter().find(|plan| plan.trace != TRACE).expect("the second");
    assert_has(coalesced, &[("planner.cache", json!("coalesced")), ("planner.attempts", json!(0))]);
    assert_eq!(collector.the(CHAT).trace, TRACE);
}

#[tokio::test]
async fn calls_are_counted_under_the_names_of_opentelemetry() {
    let llm = FakeLlm::start([Reply::status(500), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    assert_eq!(plan_with(&app, &[]).await, 200);
    let port = llm.origin.rsplit_once(':').expect("a port").1;
    let model = |name: &str| {
        format!(
            "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-3.5-turbo\",gen_ai_response_model=\"{name}\""
        )
    };
    let server = format!("server_address=\"127.0.0.1\",server_port=\"{port}\"");
    let duration = "gen_ai_client_operation_duration_seconds_count";
    for (sample, count) in [
        (format!("{duration}{{error_type=\"\",{},{server}}}", model("fake")), 1),
        (format!("{duration}{{error_type=\"server_error\",{},{server}}}", model("")), 1),
        (
            format!(
                "gen_ai_client_token_usage_sum{{{},gen_ai_token_type=\"input\",{server}}}",
                model("fake")
            ),
            420,
        ),
        (
            format!(
                "gen_ai_client_token_usage_sum{{{},gen_ai_token_type=\"output\",{server}}}",
                model("fake")
            ),
            510,
        ),
    ] {
        assert_eq!(app.count(&sample).await, count, "{sample}");
    }
    let text = app.get("/metrics").await.text().await.expect("metrics");
    let buckets = |name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}_bucket{{")));
        let bounds = lines.filter_map(|line| line.split("le=\"").nth(1)?.split('"').next());
        let mut bounds: Vec<&str> = bounds.collect();
        bounds.dedup();
        bounds.join(" ")
    };
    assert!(
        buckets("gen_ai_client_token_usage")
            .starts_with("1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864 +Inf"),
        "{text}"
    );
    assert!(
        buckets("gen_ai_client_operation_duration_seconds")
            .starts_with("0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92 +Inf"),
        "{text}"
    );
}
