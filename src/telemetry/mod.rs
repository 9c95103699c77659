//! Logs, [metrics] and [traces]. Logs are text in development and one JSON object a line otherwise.
//!
//! No line contains constraints, contexts, answers of LLMs or keys; goals appear at trace level only. Other crates log
//! from warnings up. async-openai, which quotes answers in its errors, and rmcp, which quotes callers and reports each
//! that disconnects as an error, do not log at all.

pub mod metrics;
pub mod settings;
pub mod traces;
mod writer;

use std::io::{IsTerminal, Write};

use json_subscriber::JsonLayer;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use settings::{LogFormat, LogLevel};

pub use writer::LogGuard;

/// Sends the logs of this process to standard output.
pub fn init(level: LogLevel, format: LogFormat, service: &str) -> LogGuard {
    init_to(std::io::stdout(), level, format, service)
}

/// Sends the logs to standard error, for a service that uses standard output as its connection.
pub fn init_on_stderr(level: LogLevel, format: LogFormat, service: &str) -> LogGuard {
    init_to(std::io::stderr(), level, format, service)
}

fn init_to(
    output: impl Write + IsTerminal + Send + 'static,
    level: LogLevel,
    format: LogFormat,
    service: &str,
) -> LogGuard {
    let colours = output.is_terminal();
    let (writer, guard) = writer::queued(output);
    install(subscriber(level, format, service, colours, writer));
    guard
}

/// Logs to `writer`, which is standard error, for commands that print a result and report their own failures: nothing
/// but errors, unless the level is debug or trace.
pub fn init_for_command<W>(level: LogLevel, colours: bool, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = if level < LogLevel::Debug { LogLevel::Error } else { level };
    install(subscriber(level, LogFormat::Pretty, "", colours, writer));
}

/// A logger that writes to `writer`.
pub fn subscriber<W>(
    level: LogLevel,
    format: LogFormat,
    service: &str,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(targets(level));
    match format {
        LogFormat::Pretty => {
            Box::new(registry.with(tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours)))
        }
        LogFormat::Json => Box::new(registry.with(json_lines(service, writer))),
    }
}

/// One flat JSON object a line: timestamp, level, service, target, the fields of the spans (`request_id`, `trace_id`)
/// and those of the event. tracing-subscriber's own JSON format nests the fields of spans.
fn json_lines<S, W>(service: &str, writer: W) -> JsonLayer<S, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    let mut lines = JsonLayer::new(writer);
    lines.with_timer("timestamp", SystemTime).with_level("level").with_target("target");
    lines.add_static_field("service", service.into());
    lines.with_top_level_flattened_span_list().with_flattened_event();
    lines
}

/// Makes `subscriber` the logger of this process. Panics are logged with their place and without their message, which
/// may quote anything.
fn install(subscriber: Box<dyn Subscriber + Send + Sync>) {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
    // Only a second call can fail, and then the first logger stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn targets(level: LogLevel) -> Targets {
    let level: LevelFilter = level.as_str().parse().expect("a level of tracing");
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("planner_arm", level)
        .with_target("async_openai", LevelFilter::OFF)
        .with_target("rmcp", LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a logger with these settings writes of `events`.
    pub(super) fn logged(level: LogLevel, format: LogFormat, events: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(level, format, "the \"arm\"", false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, events);
        let bytes = sink.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn json_lines_are_flat_and_carry_the_span() {
        let text = logged(LogLevel::Info, LogFormat::Json, || {
            let span =
                tracing::info_span!(target: "planner_arm", "request", request_id = tracing::field::Empty);
            span.record("request_id", "id \"7\"");
            let _entered = span.enter();
            tracing::info!(target: "planner_arm", ms = 1.5, status = 200, well = true, "it's \"done\"\n");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).expect("one JSON object");
        assert_eq!(line["request_id"], "id \"7\"");
        assert_eq!(line["message"], "it's \"done\"\n");
        assert_eq!((&line["ms"], &line["status"], &line["well"]), (&1.5.into(), &200.into(), &true.into()));
        assert_eq!((&line["level"], &line["service"]), (&"INFO".into(), &"the \"arm\"".into()));
        assert!(line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
    }

    #[test]
    fn other_crates_log_from_warnings_up_and_async_openai_never() {
        let text = logged(LogLevel::Trace, LogFormat::Pretty, || {
            tracing::info!(target: "hyper::client", "chatter");
            tracing::warn!(target: "hyper::client", "trouble");
            tracing::error!(target: "async_openai::error", "an answer");
            tracing::trace!(target: "planner_arm::planner", "detail");
        });
        assert!(text.contains("trouble") && text.contains("detail"), "{text}");
        assert!(!text.contains("chatter") && !text.contains("an answer"), "{text}");
    }

    #[test]
    fn less_severe_events_than_the_setting_are_not_logged() {
        let text = logged(LogLevel::Error, LogFormat::Json, || {
            tracing::warn!(target: "planner_arm", "quiet");
            tracing::warn!(target: "hyper", "quiet too");
        });
        assert_eq!(text, "");
    }
}
