//! The headers about a caller's rate limit (draft-ietf-httpapi-ratelimit-headers-11).

use http::header::{HeaderName, HeaderValue};

use crate::domain::problem::whole_seconds;
use crate::service::rate_limit::RateLimitStatus;

/// How many plans remain.
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The limit itself.
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Both headers.
pub(crate) const LIMIT_HEADERS: [HeaderName; 2] = [RATELIMIT, RATELIMIT_POLICY];

/// The headers of every response that counts against the limit, and of a refusal.
pub(super) fn limit_headers(status: RateLimitStatus) -> [(HeaderName, HeaderValue); 2] {
    let RateLimitStatus { per_minute, remaining, wait } = status;
    let until = wait.map(|wait| format!(";t={}", whole_seconds(wait))).unwrap_or_default();
    let value = |text: String| HeaderValue::try_from(text).expect("ASCII");
    [
        (RATELIMIT, value(format!("\"plans\";r={remaining}{until}"))),
        (RATELIMIT_POLICY, value(format!("\"plans\";q={per_minute};w=60"))),
    ]
}
