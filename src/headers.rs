//! Reading headers, of requests and of answers.

use http::header::{HeaderMap, HeaderName};

/// The entries of a comma-separated list, which may be spread over several headers (RFC 9110, section 5.6.1). A value
/// that is not text is an empty entry.
pub(crate) fn list_entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim)
}
