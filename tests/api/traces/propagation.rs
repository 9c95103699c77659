//! Traces across services: the caller's goes on here and in the LLM's server.

use crate::support::{FakeLlm, Reply, TestApp, good_plan};

use super::collector::Collector;
use super::{CHAT, PARENT, TRACE, end, plan_with, traced, traceparent};

#[tokio::test]
async fn traces_are_propagated_to_the_llm_server() {
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
async fn the_sampling_of_caller_and_setting_is_honoured() {
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
async fn an_invalid_traceparent_is_ignored() {
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
async fn without_a_collector_traces_are_only_passed_on() {
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
async fn the_rust_client_propagates_traces() {
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
