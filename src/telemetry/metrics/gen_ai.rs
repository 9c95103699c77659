//! LLM calls under names that common dashboards know: OpenTelemetry's semantic conventions for generative AI, version
//! 1.41.1, in Prometheus's form (underscores for dots, the unit at the end).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, HistogramVec};

use crate::domain::ServerAddress;

use super::metric_set;

/// The conventions' name of the kind of call.
pub(crate) const OPERATION: &str = "chat";
/// The conventions' name of the API, which is the same for every OpenAI-compatible server; address and model tell them
/// apart.
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

/// Labels of the tokens. Values that do not apply are empty.
const TOKEN_LABELS: &[&str] = &[
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "server_address",
    "server_port",
    "gen_ai_token_type",
];
/// Labels of the duration.
const DURATION_LABELS: &[&str] = &[
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "server_address",
    "server_port",
    "error_type",
];

/// How many names of models that servers report in their answers become labels, for each configured model.
const MAX_NAMES: usize = 10;
/// The label of all further names.
const OTHER: &str = "_OTHER";

metric_set! {
    /// Tokens and duration of LLM calls.
    pub struct GenAiMetrics {
        /// Number of input and output tokens used by answered LLM calls, as the servers counted them.
        token_usage: HistogramVec = histograms("gen_ai_client_token_usage", TOKEN_LABELS, TOKEN_BUCKETS);
        /// GenAI operation duration: one LLM call, regardless of its outcome.
        operation_duration: HistogramVec =
            histograms("gen_ai_client_operation_duration_seconds", DURATION_LABELS, DURATION_BUCKETS);
    }
}

/// The metrics for the calls of one configured model.
#[derive(Debug)]
pub struct ModelMetrics {
    token_usage: HistogramVec,
    operation_duration: HistogramVec,
    request_model: String,
    server_address: String,
    server_port: String,
    /// By the model that answers name, so that labels are looked up once.
    by_response_model: Mutex<Vec<ResponseModel>>,
}

/// The metrics for answers that name one model.
#[derive(Debug)]
struct ResponseModel {
    name: String,
    duration: Histogram,
    /// Of input and output; `None` until the server reports any.
    tokens: Option<[Histogram; 2]>,
}

impl GenAiMetrics {
    /// The metrics for the calls of `request_model`.
    pub fn for_model(&self, request_model: &str, server: Option<&ServerAddress>) -> ModelMetrics {
        ModelMetrics {
            token_usage: self.token_usage.clone(),
            operation_duration: self.operation_duration.clone(),
            request_model: request_model.to_owned(),
            server_address: server.map(|server| server.host.clone()).unwrap_or_default(),
            server_port: server.map(|server| server.port.to_string()).unwrap_or_default(),
            by_response_model: Mutex::default(),
        }
    }
}

impl ModelMetrics {
    /// Counts an answered call. `response_model` is the model that the answer names; tokens of 0 count as not reported.
    pub fn record_answer(&self, response_model: Option<&str>, took: Duration, input: u64, output: u64) {
        let mut models = self.by_response_model.lock().unwrap_or_else(PoisonError::into_inner);
        let model = self.response_model(&mut models, response_model.unwrap_or_default());
        model.duration.observe(took.as_secs_f64());
        if input == 0 && output == 0 {
            return;
        }
        let name = &model.name;
        let of_kind = |kind| self.token_usage.with_label_values(&self.labels(name, kind));
        let [inputs, outputs] = model.tokens.get_or_insert_with(|| ["input", "output"].map(of_kind));
        for (histogram, tokens) in [(inputs, input), (outputs, output)] {
            if tokens > 0 {
                histogram.observe(tokens as f64);
            }
        }
    }

    /// Counts a call that was not answered.
    pub fn record_failure(&self, error_type: &'static str, took: Duration) {
        let duration = self.operation_duration.with_label_values(&self.labels("", error_type));
        duration.observe(took.as_secs_f64());
    }

    /// The metrics for `name` among `known`, or for [`OTHER`] once there are enough.
    fn response_model<'a>(&self, known: &'a mut Vec<ResponseModel>, name: &str) -> &'a mut ResponseModel {
        let index = |name: &str, known: &[ResponseModel]| known.iter().position(|model| model.name == name);
        let name = if known.len() < MAX_NAMES || index(name, known).is_some() { name } else { OTHER };
        let index = index(name, known).unwrap_or_else(|| {
            known.push(ResponseModel {
                name: name.to_owned(),
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
    fn the_number_of_response_models_is_bounded() {
        let metrics = Metrics::new();
        let model = metrics.gen_ai.for_model("m", None);
        for number in 0..1_000 {
            model.record_answer(Some(&format!("m-{number}")), Duration::from_millis(1), 1, 1);
        }
        let text = metrics.render();
        let lines =
            text.lines().filter(|line| line.starts_with("gen_ai_client_operation_duration_seconds_count"));
        assert_eq!(lines.count(), MAX_NAMES + 1);
        assert!(text.contains("gen_ai_response_model=\"_OTHER\""), "{text}");
    }

    #[test]
    fn tokens_that_the_server_does_not_report_are_not_counted() {
        let metrics = Metrics::new();
        let model = metrics.gen_ai.for_model("m", None);
        model.record_answer(None, Duration::from_millis(1), 0, 0);
        model.record_failure("timeout", Duration::from_millis(1));
        let text = metrics.render();
        assert!(!text.contains("gen_ai_client_token_usage_count"), "{text}");
        model.record_answer(None, Duration::from_millis(1), 0, 7);
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
