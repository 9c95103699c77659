//! The wait that a server asks for.

use std::time::{Duration, SystemTime};

use http::header::HeaderMap;

use crate::text::units::leading_seconds;

/// Longer waits count as one day.
const MAX_WAIT_SECONDS: f64 = 86_400.0;
/// Larger numbers are a time since 1970, in seconds or milliseconds, and not a wait.
const FIRST_EPOCH_SECONDS: f64 = 1e9;
const FIRST_EPOCH_MILLISECONDS: f64 = 1e12;

/// The wait in `retry-after-ms`, or in `Retry-After` in seconds, as a date (RFC 9110, section 10.2.3) or with a unit
/// (`60s`, `2 seconds`, `PT2S`, `0:00:02`). Some servers put something in front of these names (`x-retry-after`).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let named = |end: &str| {
        let names = headers.keys().map(http::HeaderName::as_str).filter(move |name| name.ends_with(end));
        // The standard name is the shortest.
        text(headers, names.min_by_key(|name| name.len())?)
    };
    let milliseconds = named("retry-after-ms").and_then(|ms| wait_of(ms.parse::<f64>().ok()? / 1_000.0));
    milliseconds.or_else(|| moment(named("retry-after")?))
}

/// The wait until a rate limit is reset, as large providers send it in headers when there is no `Retry-After`:
/// `x-ratelimit-reset-requests: 6m0s` (OpenAI, Groq), `anthropic-ratelimit-tokens-reset: 2025-01-01T00:00:00Z`,
/// `x-ratelimit-reset: 1735689600` (`OpenRouter`, GitHub), `ratelimit-reset: 30` or `ratelimit: "x";r=0;t=30` (drafts
/// of the IETF).
///
/// Of several limits those count that are used up, by their `remaining` headers; without any, the one that is reset
/// first.
pub fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    let limits = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let is_reset = name.contains("ratelimit") && name.split('-').any(|word| word == "reset");
        let wait = moment(value.to_str().ok().filter(|_| is_reset)?.trim())?;
        let remaining = text(headers, &name.replace("reset", "remaining"));
        Some((wait, remaining.and_then(|left| left.parse::<f64>().ok()).is_some_and(|left| left <= 0.0)))
    });
    let (used_up, others): (Vec<_>, Vec<_>) = limits.partition(|(_, is_used_up)| *is_used_up);
    let waits = |limits: Vec<(Duration, bool)>| limits.into_iter().map(|(wait, _)| wait);
    waits(used_up).max().or_else(|| waits(others).min()).or_else(|| parameter(text(headers, "ratelimit")?))
}

/// The reset in a list of limits and their parameters: `"default";r=0;t=30`, `limit=10, remaining=0, reset=30`.
fn parameter(limits: &str) -> Option<Duration> {
    let mut parameters = limits.split([',', ';']).map(str::trim);
    let seconds =
        parameters.find_map(|part| part.strip_prefix("t=").or_else(|| part.strip_prefix("reset=")))?;
    wait_of(seconds.parse().ok()?)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The wait until a moment that is given in seconds from now or from 1970, with units, as a clock shows it, or as a
/// date.
pub(crate) fn moment(value: &str) -> Option<Duration> {
    let until = |moment: SystemTime| {
        wait_of(moment.duration_since(SystemTime::now()).unwrap_or_default().as_secs_f64())
    };
    if let Ok(number) = value.parse::<f64>() {
        let since_1970 = |seconds| until(SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(seconds).ok()?);
        return match number {
            number if number >= FIRST_EPOCH_MILLISECONDS => since_1970((number / 1_000.0).min(1e10)),
            number if number >= FIRST_EPOCH_SECONDS => since_1970(number),
            number => wait_of(number),
        };
    }
    let iso8601 = value.strip_prefix("PT").or_else(|| value.strip_prefix("pt"));
    leading_duration(iso8601.unwrap_or(value)).or_else(|| clock(value)).or_else(|| {
        let date = httpdate::parse_http_date(value).ok();
        until(date.or_else(|| humantime::parse_rfc3339_weak(value).ok())?)
    })
}

/// `0:01:30` and `1:30`.
fn clock(value: &str) -> Option<Duration> {
    let parts: Vec<f64> =
        value.split(':').map(|part| part.parse::<u32>().map(f64::from)).collect::<Result<_, _>>().ok()?;
    (2..=3).contains(&parts.len()).then(|| wait_of(parts.iter().fold(0.0, |sum, part| sum * 60.0 + part)))?
}

/// The duration at the beginning of a text: `1h2m3.5s`, `120ms`, `7 seconds`, `20 秒`.
pub(crate) fn leading_duration(text: &str) -> Option<Duration> {
    let (seconds, _) = leading_seconds(&text.to_lowercase())?;
    wait_of(seconds)
}

/// A wait of `seconds`, if that is a valid one.
pub(crate) fn wait_of(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_WAIT_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(headers: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).expect("a value"))
        };
        headers.iter().map(header).collect()
    }

    #[test]
    fn retry_after_has_many_forms() {
        for (name, value, milliseconds) in [
            ("retry-after", "2", Some(2_000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after", "60s", Some(60_000)),
            ("retry-after", "2 seconds", Some(2_000)),
            ("retry-after", "1 Minute 5 s", Some(65_000)),
            ("retry-after", "PT1M30S", Some(90_000)),
            ("retry-after", "0:01:30", Some(90_000)),
            ("x-ms-retry-after-ms", "1500", Some(1_500)),
            ("x-retry-after", "2", Some(2_000)),
            ("retry-after", "2 Sekunden", Some(2_000)),
            ("retry-after", "1e300", Some(86_400_000)),
            ("retry-after", "9999999999999999", Some(86_400_000)),
            ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400_000)),
            ("retry-after", "1999-12-31T23:59:59Z", Some(0)),
            ("retry-after", "1000000000", Some(0)),
            ("retry-after-ms", "1500", Some(1_500)),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
            ("retry-after", "NaN", None),
            ("retry-after", "", None),
        ] {
            let wait = retry_after(&headers(&[(name, value)]));
            assert_eq!(wait, milliseconds.map(Duration::from_millis), "{name}: {value}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
        let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(60));
        assert_eq!(retry_after(&headers(&[("retry-after", &past)])), Some(Duration::ZERO));
        let soon = SystemTime::now() + Duration::from_secs(60);
        let since_1970 = soon.duration_since(SystemTime::UNIX_EPOCH).expect("later").as_secs().to_string();
        for soon in [httpdate::fmt_http_date(soon), humantime::format_rfc3339(soon).to_string(), since_1970] {
            let wait = retry_after(&headers(&[("retry-after", &soon)])).expect("a wait");
            assert!((50..=60).contains(&wait.as_secs()), "{soon}: {wait:?}");
        }
    }

    #[test]
    fn the_reset_of_the_limit_that_is_used_up_counts() {
        let seconds = Duration::from_secs;
        for (limits, wait) in [
            (vec![("x-ratelimit-reset-requests", "6m0s")], Some(seconds(360))),
            (
                vec![("x-ratelimit-reset-requests", "8h"), ("x-ratelimit-reset-tokens", "7s")],
                Some(seconds(7)),
            ),
            (
                vec![
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "20s"),
                    ("x-ratelimit-remaining-tokens", "900"),
                    ("x-ratelimit-reset-tokens", "7s"),
                ],
                Some(seconds(20)),
            ),
            (vec![("anthropic-ratelimit-tokens-reset", "2001-01-01T00:00:00Z")], Some(Duration::ZERO)),
            (vec![("ratelimit-reset", "30")], Some(seconds(30))),
            (vec![("ratelimit", "\"default\";r=0;t=30")], Some(seconds(30))),
            (vec![("ratelimit", "limit=10, remaining=0, reset=30")], Some(seconds(30))),
            (vec![("x-ratelimit-remaining", "0")], None),
            (vec![("x-ratelimit-reset", "later")], None),
            (vec![("x-password-reset", "30")], None),
        ] {
            assert_eq!(rate_limit_reset(&headers(&limits)), wait, "{limits:?}");
        }
    }
}
