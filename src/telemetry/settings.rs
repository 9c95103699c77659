//! What logs and traces can be told to do.

use std::time::Duration;

use http::HeaderMap;
use url::Url;

/// Least severe log level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And one line for each request.
    Info,
    /// And each call to an LLM.
    Debug,
    /// And goals.
    Trace,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl LogLevel {
    /// As in the setting, and as tracing has it.
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
    /// As in the setting.
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
    /// Where they are posted to.
    pub endpoint: Url,
    /// What goes along with each batch, such as a token.
    pub headers: HeaderMap,
    /// Whether they are sent compressed.
    pub is_compressed: bool,
    /// How long one post may take.
    pub timeout: Duration,
    /// What is said of this process, its service's name among it.
    pub resource: Vec<(String, String)>,
    /// Which traces are sent.
    pub sampler: Sampler,
    /// How long spans are gathered.
    pub schedule_delay: Duration,
    /// Spans beyond this are left out while the collector stands still.
    pub max_queue_size: usize,
    /// Spans of one post at most.
    pub max_export_batch_size: usize,
}

/// Which traces are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether it is as the caller decided, where the caller says so.
    pub is_parent_based: bool,
    /// Share of the others, 0.0 to 1.0.
    pub share: f64,
}
