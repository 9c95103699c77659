//! Traces, as a collector gets them.

mod collector;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::mcp;
use crate::privacy::{Process, client};
use crate::stream::events::{first_step_then, stream_of};
use crate::support::{FakeLlm, Reply, TestApp, good_plan, settings};
use crate::wire::{Act, Wire};

use collector::{Collector, Seen};

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

fn assert_has(span: &Seen, attributes: &[(&str, Value)]) {
    for (name, value) in attributes {
        assert_eq!(span.attributes.get(*name), Some(value), "{name} in {span:?}");
    }
}

#[tokio::test]
async fn a_plan_is_a_span_and_each_call_to_an_llm_one_below_it_and_nothing_that_was_said_is_in_them() {
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
async fn a_tool_call_and_what_is_planned_anew_are_spans_too() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let app = traced(&collector, &llm.base_url, &[("PLANNER_CACHE_TTL_SECONDS", "0")]).await;
    let call = mcp::call("create_plan", &json!({"goal": "g"}));
    let called = mcp::post(&app, &call).header("traceparent", traceparent("01")).send().await;
    assert_eq!(called.expect("an answer").status(), 200);
    let past = json!({"goal": "g", "plan": good_plan()["plan"], "progress": [{"step": 1, "status": "done"}]});
    let anew = app.client.post(app.url("/replan")).json(&past).send().await.expect("an answer");
    anew.bytes().await.expect("a body");
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
async fn the_callers_trace_goes_on_here_and_in_the_llm_server() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let app = traced(&collector, &llm.base_url, &[]).await;
    let parent = traceparent("01");
    assert_eq!(
        plan_with(&app, &[("traceparent", &parent), ("tracestate", "a=1"), ("tracestate", "b=2")]).await,
        200
    );
    end(app).await;
    let (plan, chat) = (collector.the("plan"), collector.the(CHAT));
    assert_eq!((plan.trace.as_str(), plan.parent.as_str()), (TRACE, PARENT));
    assert_eq!((plan.state.as_str(), chat.state.as_str()), ("a=1,b=2", "a=1,b=2"));
    assert_eq!(llm.first_header("traceparent"), Some(format!("00-{TRACE}-{}-01", chat.id)));
    assert_eq!(llm.first_header("tracestate").as_deref(), Some("a=1,b=2"));
}

#[tokio::test]
async fn a_caller_that_does_not_sample_is_heard_and_so_is_the_setting() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let app = traced(&collector, &llm.base_url, &[]).await;
    plan_with(&app, &[("traceparent", &traceparent("00"))]).await;
    end(app).await;
    let app = traced(&collector, &llm.base_url, &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]).await;
    plan_with(&app, &[]).await;
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
    plan_with(&app, &[("traceparent", &traceparent("01"))]).await;
    end(app).await;
    assert_eq!((collector.the("plan").trace.as_str(), collector.the(CHAT).trace.as_str()), (TRACE, TRACE));
    let sent = llm.headers("traceparent");
    let [Some(unsampled), Some(off), Some(_)] = &sent[..] else { panic!("{sent:?}") };
    assert!(unsampled.starts_with(&format!("00-{TRACE}-")) && unsampled.ends_with("-00"), "{unsampled}");
    assert!(off.ends_with("-00"), "{off}");
}

/// Headers that name no trace.
const GARBAGE: [&str; 11] = [
    "",
    "canary",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    "00-1-1-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
    "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
];

#[tokio::test]
async fn a_header_that_names_no_trace_is_as_good_as_none() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let app = traced(&collector, &llm.base_url, &[]).await;
    for garbage in GARBAGE {
        assert_eq!(
            plan_with(&app, &[("traceparent", garbage), ("tracestate", "a=1")]).await,
            200,
            "{garbage}"
        );
    }
    let twice = traceparent("01");
    plan_with(&app, &[("traceparent", &twice), ("traceparent", &twice)]).await;
    // A later version may have more to say.
    plan_with(&app, &[("traceparent", &format!("01-{TRACE}-{PARENT}-01-more"))]).await;
    end(app).await;
    let (later, new): (Vec<_>, Vec<_>) =
        collector.named("plan").into_iter().partition(|plan| plan.parent == PARENT);
    assert_eq!((later.len(), new.len()), (1, GARBAGE.len() + 1));
    for plan in new {
        assert!(plan.parent.is_empty() && plan.state.is_empty() && plan.trace != TRACE, "{plan:?}");
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
    let (failed, refused) = (json!("server_error"), json!("not_taken"));
    assert_eq!(errors, [(Some(&failed), 2), (Some(&refused), 2), (None, 0), (None, 0)]);
    assert!(chats.iter().all(|chat| chat.parent == plan.id), "{chats:?}");
    let sent: Vec<_> = llm.headers("traceparent").into_iter().flatten().collect();
    let expected: Vec<_> = chats.iter().map(|chat| format!("00-{}-{}-01", chat.trace, chat.id)).collect();
    assert_eq!(sent, expected);
    // What the model does not take is not asked for.
    assert!(!chats[2].attributes.contains_key("gen_ai.request.temperature"), "{chats:?}");
}

#[tokio::test]
async fn a_failed_plan_is_an_error_of_ours_and_a_bad_request_is_not() {
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
async fn the_span_of_a_stream_ends_with_it() {
    let collector = Collector::start().await;
    let llm = Wire::start(|_, _| stream_of(&good_plan())).await;
    let app = traced(&collector, &llm.base_url, &[]).await;
    assert_eq!(plan_with(&app, &[("accept", "text/event-stream")]).await, 200);
    end(app).await;
    let (plan, chat) = (collector.the("plan"), collector.the(CHAT));
    assert_has(&plan, &[("planner.outcome", json!("ok")), ("planner.steps", json!(5))]);
    assert_has(&chat, &[("gen_ai.request.stream", json!(true)), ("gen_ai.usage.output_tokens", json!(510))]);
    assert_eq!(chat.parent, plan.id);
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_spans() {
    let collector = Collector::start().await;
    let llm = Wire::start(|_, _| first_step_then([Act::Silence])).await;
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
async fn the_calls_for_several_who_ask_the_same_belong_to_the_first() {
    let slow = Reply::plan(&good_plan()).after(Duration::from_millis(200));
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([slow]));
    let app = traced(&collector, &llm.base_url, &[("PLANNER_CACHE_TTL_SECONDS", "60")]).await;
    let first = async {
        plan_with(&app, &[("traceparent", &traceparent("01"))]).await;
    };
    let second = async {
        llm.called().await;
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
async fn headers_for_the_collector_go_along() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let endpoint = format!("{}/v1/traces", collector.url);
    let more = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary, x-tenant=seven"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let app = traced(&collector, &llm.base_url, &more).await;
    plan_with(&app, &[]).await;
    end(app).await;
    let batches = collector.batches();
    let (headers, _) = batches.first().expect("a batch");
    for (name, value) in
        [("authorization", "Bearer canary"), ("x-tenant", "seven"), ("content-encoding", "gzip")]
    {
        assert_eq!(headers[name], value, "{headers:?}");
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_neither_plans_nor_the_end() {
    let (collector, llm) =
        tokio::join!(Collector::answering(None), FakeLlm::start([Reply::plan(&good_plan())]));
    let more = [("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"), ("OTEL_BSP_SCHEDULE_DELAY", "1")];
    let app = traced(&collector, &llm.base_url, &more).await;
    for _ in 0..20 {
        assert_eq!(plan_with(&app, &[]).await, 200);
    }
    let sent = async {
        while collector.batches().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, sent).await.expect("spans are sent");
    assert_eq!(plan_with(&app, &[]).await, 200);
    end(app).await;
}

#[tokio::test]
async fn a_collector_that_is_away_is_said_once() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let variables = [
        ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
        ("PLANNER_CACHE_TTL_SECONDS", "0"),
        // Nobody is there.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ];
    let mut process = Process::start(&variables).await;
    let url = format!("{}/plan", process.url);
    let plan = || client().post(&url).json(&json!({"goal": "g"})).send();
    assert_eq!(plan().await.expect("an answer").status(), 200);
    process.line_with("level", "WARN").await;
    for _ in 0..5 {
        assert_eq!(plan().await.expect("an answer").status(), 200);
    }
    let (code, lines) = process.stop().await;
    assert_eq!(code, Some(0));
    let warned: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with("the collector")))
        .collect();
    assert_eq!(warned.len(), 1, "{lines:?}");
    assert_eq!(warned[0]["why"], json!("it cannot be reached"));
    let others =
        lines.iter().filter(|line| line["target"].as_str().is_some_and(|of| of.contains("opentelemetry")));
    assert_eq!(others.count(), 0, "{lines:?}");
    assert!(lines.iter().all(|line| !line.to_string().contains("canary")), "{lines:?}");
}

#[tokio::test]
async fn an_agent_host_that_leaves_leaves_no_span_behind() {
    let (collector, llm) = tokio::join!(Collector::start(), FakeLlm::start([Reply::plan(&good_plan())]));
    let variables = [
        ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        // Nothing is sent before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ];
    mcp::stdio::planned_to_the_end(&variables, &json!({"goal": "g"})).await;
    assert_eq!(collector.the(CHAT).parent, collector.the("plan").id);
}

#[tokio::test]
async fn a_signal_to_stop_sends_the_last_spans_and_log_lines_name_their_trace() {
    let (collector, llm) =
        tokio::join!(Collector::start(), FakeLlm::start([Reply::status(500), Reply::plan(&good_plan())]));
    let variables = [
        ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        // Nothing is sent before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ];
    let process = Process::start(&variables).await;
    let plan = client().post(format!("{}/plan", process.url)).json(&json!({"goal": "g"}));
    assert_eq!(plan.send().await.expect("an answer").status(), 200);
    let health = client().get(format!("{}/health", process.url)).header("traceparent", traceparent("01"));
    health.send().await.expect("an answer");
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
    let (code, lines) = process.stop().await;
    assert_eq!(code, Some(0));
    let plan = collector.the("plan");
    let of_plan = |message: &str| {
        lines.iter().find(|line| line["message"] == json!(message)).expect("a line")["trace_id"].clone()
    };
    assert_eq!((of_plan("request"), of_plan("LLM call failed")), (json!(plan.trace), json!(plan.trace)));
    let health = lines.iter().find(|line| line["route"] == json!("/health")).expect("a line");
    assert_eq!(health["trace_id"], json!(TRACE));
    assert_eq!(collector.named(CHAT).len(), 2);
}

#[tokio::test]
async fn without_a_collector_a_callers_trace_is_passed_on_as_it_is_and_nothing_else() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("OTEL_SERVICE_NAME", "nobody")]).await;
    plan_with(&app, &[("traceparent", &traceparent("01")), ("tracestate", "a=1")]).await;
    plan_with(&app, &[]).await;
    plan_with(&app, &[("traceparent", "canary")]).await;
    let long = format!("a={}", "1".repeat(511));
    plan_with(&app, &[("traceparent", &traceparent("00")), ("tracestate", &long)]).await;
    let sent = [Some(traceparent("01")), None, None, Some(traceparent("00"))];
    assert_eq!(llm.headers("traceparent"), sent);
    assert_eq!(llm.headers("tracestate"), [Some("a=1".to_owned()), None, None, None]);
}

#[tokio::test]
async fn a_rust_callers_trace_comes_along_with_the_client() {
    use opentelemetry::Context;
    use opentelemetry::trace::{
        FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use planner_arm::client::{ClientOptions, PlannerClient};

    let planner =
        FakeLlm::start([Reply::Body("application/json", crate::support::planner_answer().to_string())]).await;
    let client = PlannerClient::new(&planner.origin, ClientOptions::default()).expect("a client");
    let nothing = serde_json::Map::new();
    client.create_plan("task", "g", &[], &nothing).await.expect("a plan");
    let trace = TraceId::from_hex(TRACE).expect("a trace");
    let span = SpanId::from_hex(PARENT).expect("a span");
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default());
    let context = Context::new().with_remote_span_context(span);
    client.create_plan("task", "g", &[], &nothing).with_context(context).await.expect("a plan");
    assert_eq!(planner.headers("traceparent"), [None, Some(traceparent("01"))]);
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

#[test]
fn every_variable_of_opentelemetry_is_read_where_there_is_a_place_to_send_to() {
    let s = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.com/otlp/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=%C3%A4"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=theirs,service.namespace=a=b"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
    ])
    .expect("settings");
    let shown: Vec<String> =
        s.shown_of_traces().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        shown,
        [
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector.example.com/otlp/v1/traces",
            "OTEL_EXPORTER_OTLP_HEADERS=api-key=********",
            "OTEL_EXPORTER_OTLP_COMPRESSION=none",
            "OTEL_EXPORTER_OTLP_TIMEOUT=1500",
            concat!(
                "OTEL_RESOURCE_ATTRIBUTES=service.version=",
                env!("CARGO_PKG_VERSION"),
                ",deployment.environment.name=development,service.name=theirs,service.namespace=a=b"
            ),
            "OTEL_TRACES_SAMPLER=traceidratio",
            "OTEL_TRACES_SAMPLER_ARG=0.25",
            "OTEL_BSP_SCHEDULE_DELAY=100",
            "OTEL_BSP_MAX_QUEUE_SIZE=20",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=20",
        ]
    );
    for off in [
        &[("OTEL_TRACES_SAMPLER", "nonsense"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"), ("OTEL_SDK_DISABLED", "true")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317"), ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        assert!(settings(off).expect("settings").traces.is_none(), "{off:?}");
    }
}

#[test]
fn every_bad_variable_of_opentelemetry_is_named_with_the_others_and_shows_no_secret() {
    let faults = settings(&[
        ("PLANNER_PORT", "x"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://canary:canary@localhost:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: canary"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nothing"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "101"),
    ])
    .expect_err("bad settings")
    .0;
    let text = faults.join("\n");
    assert_eq!(faults.len(), 9, "{text}");
    for (name, rule) in [
        ("PLANNER_PORT", "must be a whole number"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "belong into OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\"", "must be http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "NAME=VALUE"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT is \"10s\"", "a whole number from 1 to 600000"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "one of none, gzip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "NAME=VALUE"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1 to 100"),
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(name) && fault.contains(rule)), "{name}: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}
