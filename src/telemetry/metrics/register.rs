//! Metrics that every service has, and how all are made.

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::ALL_BUCKETS;

/// What is counted of HTTP requests, by every service alike.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    /// By route, method and status.
    requests: IntCounterVec,
    /// In seconds, by route and method.
    duration: HistogramVec,
}

impl HttpMetrics {
    /// Those of `service`, which their names begin with.
    pub(crate) fn new(register: &Register<'_>, service: &str) -> Self {
        Self {
            requests: register.counters(
                &format!("{service}_http_requests_total"),
                "HTTP requests by route, method and status.",
                &["route", "method", "status"],
            ),
            duration: register.histograms(
                &format!("{service}_http_request_duration_seconds"),
                "Duration of HTTP requests by route and method.",
                &["route", "method"],
                ALL_BUCKETS,
            ),
        }
    }

    /// Counts one request.
    pub(crate) fn count(&self, route: &str, method: &'static str, status: http::StatusCode, took: Duration) {
        self.requests.with_label_values(&[route, method, status.as_str()]).inc();
        self.duration.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }
}

/// All metrics of `registry` in Prometheus's text format.
pub(crate) fn render(registry: &Registry) -> String {
    let mut text = Vec::with_capacity(16 * 1024);
    TextEncoder::new()
        .encode(&registry.gather(), &mut text)
        .expect("names and labels were checked when they were registered");
    String::from_utf8(text).expect("the text format is UTF-8")
}

/// Makes metrics and registers them. All names are constants of this program, so that a fault is a bug here.
pub(crate) struct Register<'a>(pub(crate) &'a Registry);

impl Register<'_> {
    /// The version as `SERVICE_build_info`, and the process's own metrics (memory, processor time, files).
    pub(crate) fn process(&self, service: &str) {
        let name = format!("{service}_build_info");
        let opts = Opts::new(name, "Always 1; the version is in its label.");
        let build: IntGaugeVec = self.add(IntGaugeVec::new(opts, &["version"]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        self.0
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("metrics of their own names");
    }

    pub(crate) fn add<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<M>,
    ) -> M {
        let metric = metric.expect("a well-formed metric");
        self.0.register(Box::new(metric.clone())).expect("a metric of its own name");
        metric
    }

    pub(crate) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(crate) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }
}
