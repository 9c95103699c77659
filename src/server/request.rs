//! What is read from a request before it is handled: its id, its deadline, its body, what it accepts.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::{FieldError, MAX_REQUEST_ID_CHARS};
use crate::headers::words;

use super::problem::too_large;

/// Largest request body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Header that names a request.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header with which a caller lowers the deadline, in milliseconds.
pub(crate) const X_REQUEST_TIMEOUT_MS: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// How long a body that is too long is read on, so that its caller comes to read the answer.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// A request's id and arrival, shared by the middleware and the handlers.
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

    /// Takes `id` unless there is one already or it can be none: blank, too long, or not fit for a header.
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

/// The address that a request comes from; `None` where there is none (in-process tests).
pub(crate) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

/// When the request must be answered: the service's own limit, or the caller's if it is lower.
pub(crate) fn deadline(
    headers: &HeaderMap,
    arrived: Instant,
    limit: Duration,
) -> Result<Instant, FieldError> {
    let Some(value) = headers.get(X_REQUEST_TIMEOUT_MS) else { return Ok(arrived + limit) };
    let text = value.to_str().unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit are no lower limit.
    match text.parse::<u64>().unwrap_or(u64::MAX) {
        ms if is_number && ms > 0 => Ok(arrived + limit.min(Duration::from_millis(ms))),
        _ => Err(FieldError::new("X-Request-Timeout-Ms", "must be a whole number of milliseconds above 0")),
    }
}

/// Whether the caller wants nothing from a cache (RFC 9111, section 5.2.1).
pub(crate) fn wants_no_cache(headers: &HeaderMap) -> bool {
    words(headers, CACHE_CONTROL).any(|word| word.eq_ignore_ascii_case("no-cache"))
}

/// A body that has not been read.
pub(crate) struct RequestBody {
    body: Body,
    /// Whether its caller waits to be told that it may write.
    asks_first: bool,
}

impl RequestBody {
    /// The `body` behind `headers`.
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Self {
        Self { body, asks_first: headers.contains_key(EXPECT) }
    }

    /// The same, if it is declared as JSON.
    pub(crate) fn json(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        if !has_media_type(headers, "application/json") {
            return Err(unsupported_media_type());
        }
        Ok(Self::new(headers, body))
    }

    /// Its bytes, at most 1 MiB, if they are all there by `deadline`. One that says that it will be longer is not
    /// waited for.
    pub(crate) async fn read(mut self, deadline: Instant) -> Result<Bytes, Problem> {
        if self.body.size_hint().lower() > MAX_BODY_BYTES as u64 {
            // Who asks first has written nothing yet, and need not.
            if !self.asks_first {
                drain(&mut self.body).await;
            }
            return Err(too_large());
        }
        match timeout_at(deadline, Limited::new(&mut self.body, MAX_BODY_BYTES).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                drain(&mut self.body).await;
                Err(too_large())
            }
            Ok(Err(_)) => Err(Problem::from(vec![FieldError::new("body", "could not be read to its end")])),
            Err(_) => Err(Problem::new(
                ErrorCode::DeadlineExceeded,
                "The time for the request ran out while its body was being read; send it faster.",
            )),
        }
    }
}

/// The problem for a body that is not declared as JSON.
pub(crate) fn unsupported_media_type() -> Problem {
    Problem::new(
        ErrorCode::UnsupportedMediaType,
        "The body must be JSON; send the header Content-Type: application/json.",
    )
}

/// Reads on for a moment what nobody wants: a connection that is closed on a caller who still writes can take the
/// answer with it (RFC 9112, section 9.6).
async fn drain(body: &mut Body) {
    let _ = timeout(DRAIN_TIME, async { while let Some(Ok(_)) = body.frame().await {} }).await;
}

/// Whether the caller wants server-sent events rather than JSON (RFC 9110, section 12.5.1): only who names them
/// does, and likes them no less.
pub(crate) fn prefers_events(headers: &HeaderMap) -> bool {
    let ranges: Vec<(&str, f32)> = words(headers, ACCEPT).map(weighted).collect();
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

/// Whether the body is declared to be of `media_type`, parameters left aside.
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|declared| declared.trim().eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_who_names_them_and_likes_them_no_less_than_json() {
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
