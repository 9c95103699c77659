//! A collector of our own: what is sent to it over OTLP, as it was sent and as spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Takes batches, or answers with another status, or not at all.
pub struct Collector {
    pub url: String,
    batches: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    server: JoinHandle<()>,
}

/// A span as the tests look at it.
#[derive(Debug, Clone)]
pub struct ReceivedSpan {
    pub name: String,
    /// 2: server, 3: client.
    pub kind: i32,
    pub trace: String,
    pub id: String,
    /// Empty for the first of its trace.
    pub parent: String,
    pub state: String,
    pub attributes: BTreeMap<String, Value>,
    /// 0: unset, 2: error.
    pub status: i32,
}

impl Collector {
    pub async fn start() -> Self {
        Self::answering(Some(200)).await
    }

    /// Answers with this status, or never.
    pub async fn answering(status: Option<u16>) -> Self {
        let batches: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let taken = batches.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            taken.lock().unwrap_or_else(PoisonError::into_inner).push((headers, body));
            match status {
                Some(status) => StatusCode::from_u16(status).expect("a status"),
                None => std::future::pending().await,
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().route("/v1/traces", post(take));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the collector runs");
        });
        Self { url, batches, server }
    }

    /// What was sent so far.
    pub fn batches(&self) -> Vec<(HeaderMap, Bytes)> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let batches = self.batches();
        batches.iter().map(|(_, body)| Message::decode(body.clone()).expect("OTLP")).collect()
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(ReceivedSpan::from).collect()
    }

    /// The spans of that name, in the order in which they began to be.
    pub fn named(&self, name: &str) -> Vec<ReceivedSpan> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// The only one of that name.
    pub fn the(&self, name: &str) -> ReceivedSpan {
        let mut spans = self.named(name);
        assert_eq!(spans.len(), 1, "{name} in {:?}", self.spans());
        spans.remove(0)
    }

    /// What is said of the process.
    pub fn resource(&self) -> BTreeMap<String, Value> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        attributes(resources.filter_map(|spans| spans.resource).flat_map(|resource| resource.attributes))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl From<Span> for ReceivedSpan {
    fn from(span: Span) -> Self {
        Self {
            name: span.name,
            kind: span.kind,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            state: span.trace_state,
            attributes: attributes(span.attributes),
            status: span.status.map_or(0, |status| status.code),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: impl IntoIterator<Item = KeyValue>) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

fn value(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::BoolValue(flag)) => json!(flag),
        Some(Kind::IntValue(number)) => json!(number),
        Some(Kind::DoubleValue(number)) => json!(number),
        Some(Kind::ArrayValue(array)) => {
            array.values.into_iter().map(|entry| self::value(Some(entry))).collect()
        }
        other => panic!("another kind of value: {other:?}"),
    }
}
