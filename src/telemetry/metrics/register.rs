//! How metrics are declared and registered.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Declares a struct of metrics and `register`, which makes and registers them. A field's doc comment is the help text
/// of its metric; the call after `=` is a method of [`Register`] with the metric's name first.
macro_rules! metric_set {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $set:ident$(($parameter:ident: $parameter_type:ty))? {
            $(
                $(#[doc = $help:literal])+
                $field_visibility:vis $field:ident: $type:ty = $kind:ident($name:expr $(, $argument:expr)*);
            )+
        }
    ) => {
        $(#[$attribute])*
        // Help texts are plain text.
        #[allow(clippy::doc_markdown)]
        #[derive(Debug)]
        $visibility struct $set {
            $($(#[doc = $help])+ $field_visibility $field: $type,)+
        }

        impl $set {
            /// Makes every metric of the set and registers it.
            pub(crate) fn register(
                register: &$crate::telemetry::metrics::Register<'_>
                $(, $parameter: $parameter_type)?
            ) -> Self {
                Self { $($field: register.$kind($name, concat!($($help),+).trim() $(, $argument)*),)+ }
            }
        }
    };
}
pub(crate) use metric_set;

/// Makes metrics and registers them. All names are constants of this program, so an invalid one is a bug here.
pub(crate) struct Register<'a>(pub(crate) &'a Registry);

impl Register<'_> {
    /// Registers the version as `SERVICE_build_info`, and the metrics of the process (memory, processor time, files).
    pub(crate) fn process(&self, service: &str) {
        let name = format!("{service}_build_info");
        let build = self.gauges(&name, "Always 1; the label holds the version.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        self.0
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("metrics of their own names");
    }

    pub(crate) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    pub(crate) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(crate) fn float_counters(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.add(CounterVec::new(Opts::new(name, help), labels))
    }

    pub(crate) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    pub(crate) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(crate) fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.add(GaugeVec::new(Opts::new(name, help), labels))
    }

    pub(crate) fn float_gauge(&self, name: &str, help: &str) -> prometheus::Gauge {
        self.add(prometheus::Gauge::new(name, help))
    }

    pub(crate) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
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

    fn add<M: Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("a well-formed metric");
        self.0.register(Box::new(metric.clone())).expect("a metric of its own name");
        metric
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
