//! What is counted of calls to LLMs under the names that everybody knows: OpenTelemetry's semantic conventions for
//! generative AI, version 1.41.1, as Prometheus has them (dots as underscores, the unit behind).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, HistogramVec};

use crate::domain::ServerAddress;

use super::Register;

/// The kind of call, as OpenTelemetry's conventions name it.
pub(crate) const OPERATION: &str = "chat";
/// Whose API is spoken, likewise. The conventions mean the form of what is told, so that it stays the same for every
/// server that speaks OpenAI's: which one it is, the address and the models tell.
pub(crate) const PROVIDER: &str = "openai";

/// The conventions' buckets for tokens.
const TOKEN_BUCKETS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// The conventions' buckets for the duration of one call, in seconds.
const DURATION_BUCKETS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// What is common to both; an empty value is none.
const LABELS: [&str; 6] = [
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "server_address",
    "server_port",
];

/// Names of models that servers say they answer with are a label up to this many for each configured one.
const MOST_NAMES: usize = 10;
/// What stands for all further ones.
const OTHER: &str = "_OTHER";

/// Tokens and durations of calls to LLMs.
#[derive(Debug)]
pub struct GenAiMetrics {
    /// Tokens of each answered call, as the server counted them.
    token_usage: HistogramVec,
    /// How long each call took, in seconds.
    operation_duration: HistogramVec,
}

/// The same for the calls of one model.
#[derive(Debug)]
pub struct ModelMetrics {
    token_usage: HistogramVec,
    operation_duration: HistogramVec,
    request_model: String,
    server_address: String,
    server_port: String,
    /// By the name that answers came with, so that labels are looked up once.
    answered: Mutex<Vec<Answered>>,
}

/// Calls that were answered in one name.
#[derive(Debug)]
struct Answered {
    response_model: String,
    duration: Histogram,
    /// Input and output; `None` until the server counts.
    tokens: Option<[Histogram; 2]>,
}

impl GenAiMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let with = |label| [&LABELS[..], &[label]].concat();
        Self {
            token_usage: register.histograms(
                "gen_ai_client_token_usage",
                "Number of input and output tokens used by answered calls to LLMs, as the servers counted them.",
                &with("gen_ai_token_type"),
                TOKEN_BUCKETS,
            ),
            operation_duration: register.histograms(
                "gen_ai_client_operation_duration_seconds",
                "GenAI operation duration: one call to an LLM, however it ended.",
                &with("error_type"),
                DURATION_BUCKETS,
            ),
        }
    }

    /// For the calls of `request_model`.
    pub fn of(&self, request_model: &str, server: Option<&ServerAddress>) -> ModelMetrics {
        ModelMetrics {
            token_usage: self.token_usage.clone(),
            operation_duration: self.operation_duration.clone(),
            request_model: request_model.to_owned(),
            server_address: server.map(|server| server.host.clone()).unwrap_or_default(),
            server_port: server.map(|server| server.port.to_string()).unwrap_or_default(),
            answered: Mutex::default(),
        }
    }
}

impl ModelMetrics {
    /// Counts an answered call, its answer in the name of `response_model`. Tokens of 0 were not counted.
    pub fn answered(&self, response_model: Option<&str>, took: Duration, input: u64, output: u64) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = self.in_name_of(&mut answered, response_model.unwrap_or_default());
        answered.duration.observe(took.as_secs_f64());
        if input == 0 && output == 0 {
            return;
        }
        let name = &answered.response_model;
        let of_kind = |kind| self.token_usage.with_label_values(&self.labels(name, kind));
        let [inputs, outputs] = answered.tokens.get_or_insert_with(|| ["input", "output"].map(of_kind));
        for (counted, tokens) in [(inputs, input), (outputs, output)] {
            if tokens > 0 {
                counted.observe(tokens as f64);
            }
        }
    }

    /// Counts a call that was not answered.
    pub fn failed(&self, error_type: &'static str, took: Duration) {
        let duration = self.operation_duration.with_label_values(&self.labels("", error_type));
        duration.observe(took.as_secs_f64());
    }

    fn in_name_of<'a>(&self, known: &'a mut Vec<Answered>, name: &str) -> &'a mut Answered {
        let is = |name: &str, known: &[Answered]| known.iter().position(|one| one.response_model == name);
        let name = if known.len() < MOST_NAMES || is(name, known).is_some() { name } else { OTHER };
        let index = is(name, known).unwrap_or_else(|| {
            known.push(Answered {
                response_model: name.to_owned(),
                duration: self.operation_duration.with_label_values(&self.labels(name, "")),
                tokens: None,
            });
            known.len() - 1
        });
        &mut known[index]
    }

    fn labels<'a>(&'a self, response_model: &'a str, last: &'a str) -> [&'a str; 7] {
        let (server, port) = (&self.server_address, &self.server_port);
        [OPERATION, PROVIDER, &self.request_model, response_model, server, port, last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn a_server_with_ever_new_names_does_not_fill_the_memory() {
        let metrics = Metrics::new();
        let model = metrics.gen_ai.of("m", None);
        for number in 0..1_000 {
            model.answered(Some(&format!("m-{number}")), Duration::from_millis(1), 1, 1);
        }
        let text = metrics.render();
        let lines =
            text.lines().filter(|line| line.starts_with("gen_ai_client_operation_duration_seconds_count"));
        assert_eq!(lines.count(), MOST_NAMES + 1);
        assert!(text.contains("gen_ai_response_model=\"_OTHER\""), "{text}");
    }

    #[test]
    fn tokens_that_nobody_counted_are_not_reported() {
        let metrics = Metrics::new();
        let model = metrics.gen_ai.of("m", None);
        model.answered(None, Duration::from_millis(1), 0, 0);
        model.failed("timeout", Duration::from_millis(1));
        let text = metrics.render();
        assert!(!text.contains("gen_ai_client_token_usage_count"), "{text}");
        model.answered(None, Duration::from_millis(1), 0, 7);
        let text = metrics.render();
        let counts = text.lines().filter(|line| line.starts_with("gen_ai_client_token_usage_count"));
        let counts: Vec<_> = counts.map(|line| (line.contains("\"output\""), line.ends_with(" 1"))).collect();
        assert_eq!(counts, [(false, false), (true, true)], "{text}");
        assert!(
            text.contains("gen_ai_client_operation_duration_seconds_count{error_type=\"timeout\""),
            "{text}"
        );
    }
}
