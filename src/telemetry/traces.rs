//! Traces: OpenTelemetry spans, sent over OTLP where an endpoint is configured.
//!
//! Spans are created with OpenTelemetry directly, not from tracing's spans: nothing else gets into them, and without an
//! endpoint a request costs no more than reading its headers. A request's work runs in an OpenTelemetry context
//! (`Traces::begin`); what it calls finds its parent there (`child_span`, `set_attributes`, `inject`).

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanBuilder, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{Compression, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tracing::field::display;
use tracing::warn;

use super::settings::{self, TraceSettings};

/// How long the end of the process waits until the last spans are sent.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// A longer state is dropped: the specification requires no more, and a server may refuse a call for it.
const MAX_STATE_BYTES: usize = 512;

/// Where spans go: to a collector, or nowhere.
#[derive(Default)]
pub struct Traces(Option<Exporting>);

struct Exporting {
    provider: SdkTracerProvider,
    tracer: SharedTracer,
}

/// The tracer, as a value of a context.
#[derive(Clone)]
struct SharedTracer(Arc<SdkTracer>);

impl Traces {
    /// Sends spans through `client` as `settings` say.
    ///
    /// # Errors
    /// When the exporter cannot be set up, with the reason.
    pub fn new(settings: &TraceSettings, client: impl HttpClient + 'static) -> Result<Self, String> {
        Exporting::new(settings, client).map(|sending| Self(Some(sending)))
    }

    /// The context of work for `caller`: with a new span where spans are sent, else that of the caller.
    pub(crate) fn begin(
        &self,
        caller: Option<Context>,
        describe: impl FnOnce() -> SpanBuilder,
    ) -> Option<Context> {
        let Some(Exporting { tracer, .. }) = &self.0 else { return caller };
        let parent = caller.unwrap_or_default();
        let span = tracer.0.build_with_context(describe(), &parent);
        Some(parent.with_span(span).with_value(tracer.clone()))
    }

    /// Sends the remaining spans, within a bounded time.
    pub(crate) async fn end(&self) {
        let Some(Exporting { provider, .. }) = &self.0 else { return };
        let provider = provider.clone();
        // It waits for a thread that waits for this runtime.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
        if !matches!(ended.await, Ok(Ok(()))) {
            warn!("the last traces were not sent: the collector did not accept them");
        }
    }
}

impl Exporting {
    fn new(settings: &TraceSettings, client: impl HttpClient + 'static) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.endpoint.as_str())
            .with_timeout(settings.timeout);
        let exporter =
            if settings.is_compressed { exporter.with_compression(Compression::Gzip) } else { exporter };
        let exporter = exporter.build().map_err(|error| format!("traces cannot be sent: {error}"))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(settings.max_queue_size)
            .with_max_export_batch_size(settings.max_export_batch_size)
            .with_scheduled_delay(settings.schedule_delay)
            .build();
        let pairs = settings.resource.iter();
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(pairs.map(|(name, value)| KeyValue::new(name.clone(), value.clone())))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(sampler(settings.sampler))
            .with_resource(resource)
            .build();
        let scope = InstrumentationScope::builder("planner-arm").with_version(env!("CARGO_PKG_VERSION"));
        let tracer = SharedTracer(Arc::new(provider.tracer_with_scope(scope.build())));
        Ok(Self { provider, tracer })
    }
}

fn sampler(settings::Sampler { is_parent_based, share }: settings::Sampler) -> Sampler {
    let of_roots = Sampler::TraceIdRatioBased(share);
    if is_parent_based { Sampler::ParentBased(Box::new(of_roots)) } else { of_roots }
}

/// A context with a child of the current span; `None` where no spans are sent.
pub(crate) fn child_span(describe: impl FnOnce() -> SpanBuilder) -> Option<Context> {
    let parent =
        Context::map_current(|context| context.get::<SharedTracer>().is_some().then(|| context.clone()))?;
    let tracer = parent.get::<SharedTracer>()?;
    let span = tracer.0.build_with_context(describe(), &parent);
    Some(parent.with_span(span))
}

/// Adds attributes to the current span, if it is recorded.
pub(crate) fn set_attributes<I: IntoIterator<Item = KeyValue>>(attributes: impl FnOnce() -> I) {
    Context::map_current(|context| {
        if context.has_active_span() && context.span().is_recording() {
            context.span().set_attributes(attributes());
        }
    });
}

/// The trace in the headers of a request; `None` without one or with an invalid one.
pub(crate) fn extract(headers: &HeaderMap) -> Option<Context> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next()?.to_str().ok()?.trim();
    if parents.next().is_some() || !is_traceparent(parent) {
        return None;
    }
    let states: Vec<&str> =
        headers.get_all(TRACESTATE).iter().filter_map(|state| state.to_str().ok()).collect();
    let state = Some(states.join(",")).filter(|state| state.len() <= MAX_STATE_BYTES).unwrap_or_default();
    let headers = IncomingHeaders { parent, state };
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    context.span().span_context().is_valid().then_some(context)
}

/// Whether `text` has the form of the header (W3C Trace Context, section 3.2.2), which the SDK does not check strictly:
/// version, trace, span and flags, each of its length, with more parts in later versions only.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let lengths = [2, 32, 16, 2];
    let has_form = parts.len() >= lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && is_hex(part));
    has_form && (parts.len() == lengths.len() || parts[0] != "00")
}

/// Records the id of `trace` in `span`, so that its log lines have it.
pub(crate) fn record_id(span: &tracing::Span, trace: Option<&Context>) {
    if let Some(trace) = trace {
        span.record("trace_id", display(trace.span().span_context().trace_id()));
    }
}

/// Adds the current trace, if any, to the headers of a call to another service.
pub(crate) fn inject(headers: &mut HeaderMap) {
    Context::map_current(|context| {
        if context.has_active_span() {
            TraceContextPropagator::new().inject_context(context, &mut OutgoingHeaders(headers));
        }
    });
}

struct IncomingHeaders<'a> {
    parent: &'a str,
    state: String,
}

impl Extractor for IncomingHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => Some(&self.state),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

struct OutgoingHeaders<'a>(&'a mut HeaderMap);

impl Injector for OutgoingHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        let header = HeaderName::try_from(key).ok().zip(HeaderValue::try_from(value).ok());
        // An empty state need not be sent.
        if let Some((name, value)) = header.filter(|(_, value)| !value.is_empty()) {
            self.0.insert(name, value);
        }
    }
}
