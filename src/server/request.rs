//! What is read from a request's headers: its id, its deadline, what it accepts.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderName};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{FieldError, MAX_REQUEST_ID_CHARS};
use crate::headers::list_entries;

/// Header that names a request.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header with which a caller lowers the deadline, in milliseconds.
pub(crate) const X_REQUEST_TIMEOUT_MS: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// A request's id and arrival, shared by the middleware and the handlers.
///
/// tower-http's `SetRequestId` would fix the id before the body is read; here a body's `request_id` counts when no
/// header gives one, and an id is generated only if neither does.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    id: Arc<OnceLock<String>>,
    /// When the head of the request had been read.
    pub(crate) arrived: Instant,
}

impl RequestContext {
    /// The context of a request that has just arrived. Its id may be in the header.
    pub(crate) fn new(headers: &HeaderMap) -> Self {
        let context = Self { id: Arc::default(), arrived: Instant::now() };
        if let Some(id) =
            headers.get(X_REQUEST_ID).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
        {
            context.propose_id(id);
        }
        context
    }

    /// Takes `id` unless the request has one, or it is blank, too long or not fit for a header.
    pub(crate) fn propose_id(&self, id: &str) {
        let id = id.trim();
        let fits = !id.is_empty()
            && id.chars().count() as u64 <= MAX_REQUEST_ID_CHARS
            && !id.chars().any(char::is_control);
        if fits && self.id.set(id.to_owned()).is_ok() {
            tracing::Span::current().record("request_id", id);
        }
    }

    /// The id; a new one when the caller gave none.
    pub(crate) fn id(&self) -> &str {
        if self.id.get().is_none() {
            self.propose_id(&Uuid::new_v4().to_string());
        }
        self.id.get().map_or("", String::as_str)
    }
}

/// The address that a request comes from; `None` if there is none (in-process tests).
pub(crate) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

/// When the request must be answered: the service's own limit, or the caller's if it is lower. tower-http's timeout
/// is the same for all requests, and would cancel an answer that a fallback can still give.
pub(crate) fn deadline(
    headers: &HeaderMap,
    arrived: Instant,
    limit: Duration,
) -> Result<Instant, FieldError> {
    let Some(value) = headers.get(X_REQUEST_TIMEOUT_MS) else { return Ok(arrived + limit) };
    let text = value.to_str().unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for the type does not lower the deadline.
    match text.parse::<u64>().unwrap_or(u64::MAX) {
        ms if is_number && ms > 0 => Ok(arrived + limit.min(Duration::from_millis(ms))),
        _ => Err(FieldError::new("X-Request-Timeout-Ms", "must be a whole number of milliseconds above 0")),
    }
}

/// Whether the caller does not want a cached answer (RFC 9111, section 5.2.1).
pub(crate) fn wants_no_cache(headers: &HeaderMap) -> bool {
    list_entries(headers, CACHE_CONTROL).any(|word| word.eq_ignore_ascii_case("no-cache"))
}

/// Whether the caller prefers server-sent events to JSON (RFC 9110, section 12.5.1): `Accept` names them, with a
/// weight no lower than that of JSON.
pub(crate) fn prefers_events(headers: &HeaderMap) -> bool {
    let ranges: Vec<(&str, f32)> = list_entries(headers, ACCEPT).map(weighted).collect();
    let weight = |range: &str| {
        let named = ranges.iter().filter(|(name, _)| name.eq_ignore_ascii_case(range));
        named.map(|(_, weight)| *weight).reduce(f32::max)
    };
    let json = weight("application/json").or_else(|| weight("application/*")).or_else(|| weight("*/*"));
    weight("text/event-stream").is_some_and(|events| events > 0.0 && events >= json.unwrap_or(0.0))
}

/// A media range and its weight, 0.0 to 1.0; one that is malformed weighs nothing.
fn weighted(range: &str) -> (&str, f32) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(1.0, |(_, weight)| weight.trim().parse().unwrap_or(0.0));
    (name, if (0.0..=1.0).contains(&weight) { weight } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_preferred_when_named_with_a_weight_no_lower_than_json() {
        let prefers = |lists: &[&str]| {
            let header = |list: &&str| (ACCEPT, http::HeaderValue::from_str(list).expect("a value"));
            prefers_events(&lists.iter().map(header).collect())
        };
        for lists in [
            &["text/event-stream"][..],
            &["Text/Event-Stream; charset=utf-8"],
            &["application/json, text/event-stream"],
            &["application/json", "text/event-stream"],
            &["text/event-stream, */*"],
            &["text/event-stream;q=0.5, */*;q=0.1"],
            &["application/json;q=0.2,text/event-stream ; Q=0.3"],
            &["text/event-stream;q=0.1, text/html"],
            &["text/event-stream;q=0.3, application/json;q=0.3, */*"],
        ] {
            assert!(prefers(lists), "{lists:?}");
        }
        for lists in [
            &[][..],
            &[""],
            &["*/*"],
            &["text/*"],
            &["application/json"],
            &["text/event-stream;q=0"],
            &["text/event-stream;q=0.5, application/json"],
            &["text/event-stream;q=0.5, application/*;q=0.6"],
            &["text/event-stream;q=0.5, */*"],
            &["text/event-stream;q=high"],
            &["text/event-stream;q=1.5"],
            &["text/event-streams", "x-text/event-stream"],
        ] {
            assert!(!prefers(lists), "{lists:?}");
        }
    }

    #[test]
    fn a_caller_can_lower_the_deadline_and_not_raise_it() {
        let arrived = Instant::now();
        let limit = Duration::from_secs(10);
        let with = |value: &str| {
            let headers = HeaderMap::from_iter([(
                X_REQUEST_TIMEOUT_MS,
                http::HeaderValue::from_str(value).expect("a value"),
            )]);
            deadline(&headers, arrived, limit).map(|deadline| deadline - arrived)
        };
        assert_eq!(with("1500"), Ok(Duration::from_millis(1_500)));
        assert_eq!(with("60000"), Ok(limit));
        assert_eq!(with("99999999999999999999999"), Ok(limit));
        assert_eq!(deadline(&HeaderMap::new(), arrived, limit), Ok(arrived + limit));
        for bad in ["0", "-1", "1.5", "soon", ""] {
            assert!(with(bad).is_err(), "{bad:?}");
        }
    }
}
