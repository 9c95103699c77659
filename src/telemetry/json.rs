//! Log lines for machines: one flat JSON object each.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write as _};
use std::time::SystemTime;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Flat JSON: timestamp, level, target, service, then the fields of the spans (`request_id`) and of the event.
pub(super) struct JsonLines<W> {
    /// The service's name as a JSON string.
    service: String,
    writer: W,
}

impl<W> JsonLines<W> {
    /// The lines of `service`, to `writer`.
    pub(super) fn new(service: &str, writer: W) -> Self {
        Self { service: serde_json::Value::from(service).to_string(), writer }
    }
}

thread_local! {
    /// The line in hand.
    static LINE: RefCell<Vec<u8>> = RefCell::default();
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut members = Members::default();
        attributes.record(&mut members);
        span.extensions_mut().insert(members);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(members) = span.extensions_mut().get_mut::<Members>() {
            values.record(members);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        LINE.with(|line| {
            // Only an event within the writing of an event finds it taken; such a line is left out.
            let Ok(mut line) = line.try_borrow_mut() else { return };
            line.clear();
            if self.write(event, &context, &mut line).is_ok() {
                // Nobody is left to tell when the log cannot be written.
                let _ = self.writer.make_writer().write_all(&line);
            }
        });
    }
}

impl<W> JsonLines<W> {
    fn write<S>(&self, event: &Event<'_>, context: &Context<'_, S>, line: &mut Vec<u8>) -> io::Result<()>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        write!(
            line,
            "{{\"timestamp\":\"{}\",\"level\":\"{}\",\"target\":\"{}\",\"service\":{}",
            humantime::format_rfc3339_micros(SystemTime::now()),
            metadata.level(),
            metadata.target(),
            self.service
        )?;
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(members) = span.extensions().get::<Members>() {
                line.extend_from_slice(&members.0);
            }
        }
        let mut members = Members(std::mem::take(line));
        event.record(&mut members);
        *line = members.0;
        line.extend_from_slice(b"}\n");
        Ok(())
    }
}

/// Fields as JSON members, each with a comma before it.
#[derive(Default)]
struct Members(Vec<u8>);

impl Members {
    fn add(&mut self, field: &Field, value: &impl Serialize) {
        for text in [",\"", field.name(), "\":"] {
            self.0.extend_from_slice(text.as_bytes());
        }
        // Writing to memory does not fail, and none of the values has a key that is not a string.
        let _ = serde_json::to_writer(&mut self.0, value);
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, &value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, &value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, &value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, &value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, &value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format_args!("{value:?}"));
    }
}
