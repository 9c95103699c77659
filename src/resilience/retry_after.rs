//! The wait that a server asks for.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, RETRY_AFTER};

/// Longer waits count as one day.
const MAX_WAIT_SECONDS: f64 = 86_400.0;

/// The wait in `retry-after-ms`, or in `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok());
    if let Some(wait) = milliseconds.and_then(|ms| wait_of(ms / 1_000.0)) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Some(wait) = value.parse().ok().and_then(wait_of) {
        return Some(wait);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    wait_of(date.duration_since(SystemTime::now()).unwrap_or_default().as_secs_f64())
}

/// A wait of `seconds`, if that is a valid one.
pub(crate) fn wait_of(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_WAIT_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_has_three_forms() {
        let headers = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                http::HeaderValue::from_str(value).expect("a value"),
            )])
        };
        assert_eq!(retry_after(&headers("retry-after", "2")), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&headers("retry-after", "0.5")), Some(Duration::from_millis(500)));
        assert_eq!(retry_after(&headers("retry-after-ms", "1500")), Some(Duration::from_millis(1_500)));
        assert_eq!(retry_after(&headers("retry-after", "soon")), None);
        assert_eq!(retry_after(&headers("retry-after", "-1")), None);
        assert_eq!(retry_after(&headers("retry-after", "1e300")), Some(Duration::from_secs(86_400)));
        assert_eq!(retry_after(&HeaderMap::new()), None);
        let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(60));
        assert_eq!(retry_after(&headers("retry-after", &past)), Some(Duration::ZERO));
        let far = "Fri, 31 Dec 9999 23:59:59 GMT";
        assert_eq!(retry_after(&headers("retry-after", far)), Some(Duration::from_secs(86_400)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let wait = retry_after(&headers("retry-after", &soon)).expect("a wait");
        assert!((50..=60).contains(&wait.as_secs()), "{wait:?}");
    }
}
