//! Metrics of HTTP requests, the same for every service.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

use super::{ALL_BUCKETS, metric_set};

metric_set! {
    /// HTTP requests of the service; its name is the prefix of the metrics.
    pub(crate) struct HttpMetrics(service: &str) {
        /// HTTP requests by route, method and status.
        requests: IntCounterVec =
            counters(&format!("{service}_http_requests_total"), &["route", "method", "status"]);
        /// Duration of HTTP requests by route and method.
        duration: HistogramVec =
            histograms(&format!("{service}_http_request_duration_seconds"), &["route", "method"], ALL_BUCKETS);
    }
}

impl HttpMetrics {
    /// Counts one request.
    pub(crate) fn record(&self, route: &str, method: &'static str, status: http::StatusCode, took: Duration) {
        self.requests.with_label_values(&[route, method, status.as_str()]).inc();
        self.duration.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }
}
