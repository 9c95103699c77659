//! What callers are told about their rate limit (draft-ietf-httpapi-ratelimit-headers-11).

use http::header::{HeaderName, HeaderValue};

use crate::domain::problem::whole_seconds;
use crate::service::rate_limit::Allowance;

/// What a caller has left.
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The limit itself.
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Everything that is said about a caller's limit.
pub(crate) const LIMIT_HEADERS: [HeaderName; 2] = [RATELIMIT, RATELIMIT_POLICY];

/// The headers of every response that counted, and of a refusal.
pub(super) fn limit_headers(allowance: Allowance) -> [(HeaderName, HeaderValue); 2] {
    let Allowance { per_minute, left, wait } = allowance;
    let until = wait.map(|wait| format!(";t={}", whole_seconds(wait))).unwrap_or_default();
    let value = |text: String| HeaderValue::try_from(text).expect("ASCII");
    [
        (RATELIMIT, value(format!("\"plans\";r={left}{until}"))),
        (RATELIMIT_POLICY, value(format!("\"plans\";q={per_minute};w=60"))),
    ]
}
