//! OpenTelemetry's own variables.

use crate::support::settings;

#[test]
fn every_otel_variable_is_read() {
    let s = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.com/otlp/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=%C3%A4"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=theirs,service.namespace=a=b"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
    ])
    .expect("settings");
    let shown: Vec<String> =
        s.shown_of_traces().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        shown,
        [
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector.example.com/otlp/v1/traces",
            "OTEL_EXPORTER_OTLP_HEADERS=api-key=********",
            "OTEL_EXPORTER_OTLP_COMPRESSION=none",
            "OTEL_EXPORTER_OTLP_TIMEOUT=1500",
            concat!(
                "OTEL_RESOURCE_ATTRIBUTES=service.version=",
                env!("CARGO_PKG_VERSION"),
                ",deployment.environment.name=development,service.name=theirs,service.namespace=a=b"
            ),
            "OTEL_TRACES_SAMPLER=traceidratio",
            "OTEL_TRACES_SAMPLER_ARG=0.25",
            "OTEL_BSP_SCHEDULE_DELAY=100",
            "OTEL_BSP_MAX_QUEUE_SIZE=20",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=20",
        ]
    );
    for off in [
        &[("OTEL_TRACES_SAMPLER", "nonsense"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"), ("OTEL_SDK_DISABLED", "true")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317"), ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        assert!(settings(off).expect("settings").traces.is_none(), "{off:?}");
    }
}

#[test]
fn every_invalid_otel_variable_is_named() {
    let faults = settings(&[
        ("PLANNER_PORT", "x"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://canary:canary@localhost:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: canary"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nothing"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "101"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/canary.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/canary.key"),
    ])
    .expect_err("bad settings")
    .0;
    let text = faults.join("\n");
    assert_eq!(faults.len(), 11, "{text}");
    for (name, rule) in [
        ("PLANNER_PORT", "must be a whole number"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "put them into OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\"", "must be http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "NAME=VALUE"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT is \"10s\"", "a whole number from 1 to 600000"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "one of none, gzip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "NAME=VALUE"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1 to 100"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE is set", "to those of the system"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY is set", "is not supported"),
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(name) && fault.contains(rule)), "{name}: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}
