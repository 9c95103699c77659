//! Where traces go: the standard variables of OpenTelemetry, which have a prefix of their own.

use std::collections::HashMap;
use std::time::Duration;

use ::config::Value;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use super::reader::SettingsReader;
use super::show::{MASK, mask_url};
use super::{Environment, Sampler, TraceSettings};

const PREFIX: &str = "OTEL_";

/// The resource attribute that names the service.
const SERVICE_NAME: &str = "service.name";

/// What `variables` say of traces; `None` when they are off. Faults are added to `faults`.
pub(super) fn read(
    variables: &HashMap<String, String>,
    service: &str,
    environment: Environment,
    faults: &mut Vec<String>,
) -> Option<TraceSettings> {
    let values = variables.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(PREFIX)?.to_lowercase();
        Some((name, Value::new(None, value.clone())))
    });
    let mut reader = SettingsReader::new(PREFIX, &[], values.collect());
    let settings = settings(&mut reader, service, environment);
    faults.append(&mut reader.faults);
    settings
}

fn settings(reader: &mut SettingsReader, service: &str, environment: Environment) -> Option<TraceSettings> {
    let is_wanted = ["exporter_otlp_traces_endpoint", "exporter_otlp_endpoint"];
    // Without a place to send them to, the other variables are for others.
    if !is_wanted.iter().any(|name| reader.is_set(name))
        || reader.flag_or("sdk_disabled", false)
        || reader.choice("traces_exporter", false, &[("otlp", false), ("none", true)])
    {
        return None;
    }
    protocol(reader);
    certificates(reader);
    let compression = of_traces(reader, "compression");
    let endpoint = endpoint(reader);
    let timeout = of_traces(reader, "timeout");
    let max_queue_size = reader.number_within("bsp_max_queue_size", 2_048, 1..=1_000_000);
    Some(TraceSettings {
        headers: headers(reader),
        is_compressed: reader.choice(&compression, false, &[("none", false), ("gzip", true)]),
        timeout: Duration::from_millis(reader.number_within(&timeout, 10_000, 1..=600_000)),
        resource: resource(reader, service, environment),
        sampler: sampler(reader),
        schedule_delay: Duration::from_millis(reader.number_within(
            "bsp_schedule_delay",
            5_000,
            1..=3_600_000,
        )),
        max_queue_size,
        max_export_batch_size: reader.number_within(
            "bsp_max_export_batch_size",
            max_queue_size.min(512),
            1..=max_queue_size,
        ),
        endpoint: endpoint?,
    })
}

/// The name of an exporter's variable: the one for traces alone where it is set, else the one for everything.
fn of_traces(reader: &SettingsReader, what: &str) -> String {
    let own = format!("exporter_otlp_traces_{what}");
    if reader.is_set(&own) { own } else { format!("exporter_otlp_{what}") }
}

/// Reports a protocol other than the one that is supported.
fn protocol(reader: &mut SettingsReader) {
    let name = of_traces(reader, "protocol");
    if let Some(protocol) = reader.given(&name).filter(|protocol| protocol != "http/protobuf") {
        let rule = "must be http/protobuf, which collectors take on port 4318";
        reader.fault(&name, &format!("is \"{protocol}\""), rule);
    }
}

/// Reports certificates for the collector, which are not supported.
fn certificates(reader: &mut SettingsReader) {
    for what in ["certificate", "client_certificate", "client_key"] {
        let name = of_traces(reader, what);
        if reader.is_set(&name) {
            let rule = "is not supported: add the authority's certificate to those of the system";
            reader.fault(&name, "is set", rule);
        }
    }
}

/// The URL for traces as it is, or the general one with the usual path appended.
fn endpoint(reader: &mut SettingsReader) -> Option<Url> {
    let name = of_traces(reader, "endpoint");
    let rule = "must be an http or https URL such as http://localhost:4318";
    let mut url = reader.url_given(&name, &["http", "https"], rule)?;
    if !url.username().is_empty() || url.password().is_some() {
        let rule = "must not contain a user or password; put them into OTEL_EXPORTER_OTLP_HEADERS";
        reader.fault(&name, &format!("is \"{}\"", mask_url(url.as_str())), rule);
        return None;
    }
    if name == "exporter_otlp_endpoint"
        && let Ok(mut path) = url.path_segments_mut()
    {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    Some(url)
}

/// Headers that may hold secrets.
fn headers(reader: &mut SettingsReader) -> HeaderMap {
    let name = of_traces(reader, "headers");
    let mut headers = HeaderMap::new();
    for pair in pairs(reader, &name).unwrap_or_default() {
        let named = pair.and_then(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        });
        let Some((header, mut value)) = named else {
            let rule = "must be a comma-separated list of NAME=VALUE, with special characters in values percent-encoded (%20)";
            reader.fault(&name, "has an entry that is not a header", rule);
            break;
        };
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    headers
}

/// The attributes of this process. OpenTelemetry's variables take precedence over the settings.
fn resource(reader: &mut SettingsReader, service: &str, environment: Environment) -> Vec<(String, String)> {
    let mut resource = vec![
        (SERVICE_NAME.to_owned(), service.to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("deployment.environment.name".to_owned(), environment.as_str().to_owned()),
    ];
    for pair in pairs(reader, "resource_attributes").unwrap_or_default() {
        let Some(pair) = pair else {
            let rule = "must be a comma-separated list of NAME=VALUE, with special characters in values percent-encoded (%20)";
            reader.fault("resource_attributes", "has an entry without a name or a value", rule);
            break;
        };
        put(&mut resource, pair);
    }
    if let Some(service) = reader.given("service_name") {
        put(&mut resource, (SERVICE_NAME.to_owned(), service));
    }
    resource
}

fn put(resource: &mut Vec<(String, String)>, (name, value): (String, String)) {
    resource.retain(|(there, _)| *there != name);
    resource.push((name, value));
}

/// The pairs of a comma-separated list as baggage has them (W3C Baggage, without properties); `None` if the text is invalid.
fn pairs(reader: &mut SettingsReader, name: &str) -> Option<Vec<Option<(String, String)>>> {
    let text = reader.given(name)?;
    let pair = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    };
    Some(text.split(',').filter(|entry| !entry.trim().is_empty()).map(pair).collect())
}

fn sampler(reader: &mut SettingsReader) -> Sampler {
    let words = [
        ("always_on", (false, Some(1.0))),
        ("always_off", (false, Some(0.0))),
        ("traceidratio", (false, None)),
        ("parentbased_always_on", (true, Some(1.0))),
        ("parentbased_always_off", (true, Some(0.0))),
        ("parentbased_traceidratio", (true, None)),
    ];
    let (is_parent_based, share) = reader.choice("traces_sampler", (true, Some(1.0)), &words);
    let share = share.unwrap_or_else(|| reader.number_within("traces_sampler_arg", 1.0, 0.0..=1.0));
    Sampler { is_parent_based, share }
}

/// The variables in force, secrets masked.
pub(super) fn shown(settings: &TraceSettings) -> Vec<(&'static str, String)> {
    let join = |pairs: Vec<String>| pairs.join(",");
    let base = if settings.sampler.is_parent_based { "parentbased_" } else { "" };
    vec![
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", mask_url(settings.endpoint.as_str())),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            join(settings.headers.keys().map(|name| format!("{name}={MASK}")).collect()),
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", if settings.is_compressed { "gzip" } else { "none" }.to_owned()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", settings.timeout.as_millis().to_string()),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            join(settings.resource.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        ),
        ("OTEL_TRACES_SAMPLER", format!("{base}traceidratio")),
        ("OTEL_TRACES_SAMPLER_ARG", settings.sampler.share.to_string()),
        ("OTEL_BSP_SCHEDULE_DELAY", settings.schedule_delay.as_millis().to_string()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", settings.max_queue_size.to_string()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", settings.max_export_batch_size.to_string()),
    ]
}
