//! How spans are sent: to a collector that wants headers, is silent or away, and when the service ends.

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::mcp;
use crate::process::{Process, client};
use crate::support::{FakeLlm, Reply, good_plan};

use super::collector::Collector;
use super::{BOUND, CHAT, TRACE, end, plan_with, traced, traceparent};

#[tokio::test]
async fn headers_are_sent_to_the_collector() {
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
async fn a_silent_collector_delays_nothing() {
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
async fn an_unavailable_collector_is_logged_once() {
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
async fn a_disconnecting_agent_host_leaves_no_span() {
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
async fn sigterm_flushes_the_spans() {
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
    let health =
        client().get(format!("{}/capabilities", process.url)).header("traceparent", traceparent("01"));
    health.send().await.expect("an answer");
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
    let (code, lines) = process.stop().await;
    assert_eq!(code, Some(0));
    let plan = collector.the("plan");
    let of_plan = |message: &str| {
        lines.iter().find(|line| line["message"] == json!(message)).expect("a line")["trace_id"].clone()
    };
    assert_eq!((of_plan("request"), of_plan("LLM call failed")), (json!(plan.trace), json!(plan.trace)));
    let health = lines.iter().find(|line| line["route"] == json!("/capabilities")).expect("a line");
    assert_eq!(health["trace_id"], json!(TRACE));
    assert_eq!(collector.named(CHAT).len(), 2);
}
