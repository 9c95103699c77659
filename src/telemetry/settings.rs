//! Settings of logs and traces.

use std::time::Duration;

use http::HeaderMap;
use url::Url;

/// The least severe level that is logged; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// Warnings.
    Warn,
    /// One line for each request.
    Info,
    /// Each call to an LLM, and health checks and other probes.
    Debug,
    /// Goals.
    Trace,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl LogLevel {
    /// The name in the setting, which is also that of tracing.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl LogFormat {
    /// The name in the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

/// Where spans are sent, which of them, and how.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The URL that spans are posted to.
    pub endpoint: Url,
    /// Headers of each batch, such as a token.
    pub headers: HeaderMap,
    /// Whether batches are compressed with gzip.
    pub is_compressed: bool,
    /// The longest that sending one batch may take.
    pub timeout: Duration,
    /// Attributes of this process, such as the name of the service.
    pub resource: Vec<(String, String)>,
    /// Which traces are sent.
    pub sampler: Sampler,
    /// The longest that a span waits for its batch.
    pub schedule_delay: Duration,
    /// Spans that wait at most; further ones are dropped while the collector does not answer.
    pub max_queue_size: usize,
    /// Spans in one batch at most.
    pub max_export_batch_size: usize,
}

/// Which traces are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a caller's own decision, where there is one, counts instead.
    pub is_parent_based: bool,
    /// The share of the other traces that is sent, 0.0 to 1.0.
    pub share: f64,
}
