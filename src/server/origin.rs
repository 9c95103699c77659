//! Which web pages may call.
//!
//! A browser lets any page send requests to this service, and a page whose name was made to point at this machine
//! (DNS rebinding) reads the answers too. Without tokens, only the origin identifies such a page.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use http::uri::Authority;

use crate::domain::problem::{ErrorCode, Problem};

/// Checks that the page which sends a request, if a page does, may call: its origin is among `allowed`, or is this
/// service under an address or `localhost`. A name does not count: its owner can make it point here. The problem
/// names `setting`, which lists the allowed origins.
pub(crate) fn check_origin(
    headers: &HeaderMap,
    allowed: &[HeaderValue],
    setting: &str,
) -> Result<(), Problem> {
    let is_allowed = |origin: &HeaderValue| allowed.contains(origin) || is_own(origin, headers);
    if headers.get_all(ORIGIN).iter().all(is_allowed) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::OriginNotAllowed,
        format!("Pages of this origin may not call this service; to allow it, add it to {setting}."),
    ))
}

fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    authority.is_some_and(|(_, authority)| {
        headers.get(HOST).is_some_and(|host| host.as_bytes() == authority.as_bytes()) && is_address(authority)
    })
}

/// Whether `authority` names a machine without asking a name server.
fn is_address(authority: &str) -> bool {
    authority.parse::<Authority>().is_ok_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_configured_origins_and_of_the_service_itself_may_call() {
        let allowed = [HeaderValue::from_static("https://app.example.com")];
        for (host, origin, may) in [
            ("planner:8001", None, true),
            ("evil.example:8001", None, true),
            ("planner:8001", Some("https://app.example.com"), true),
            ("127.0.0.1:8001", Some("http://127.0.0.1:8001"), true),
            ("localhost:8001", Some("http://localhost:8001"), true),
            ("[::1]:8001", Some("http://[::1]:8001"), true),
            ("evil.example:8001", Some("http://evil.example:8001"), false),
            ("127.0.0.1:8001", Some("http://127.0.0.1:3000"), false),
            ("127.0.0.1:8001", Some("https://evil.example"), false),
            ("127.0.0.1:8001", Some("null"), false),
        ] {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
            assert_eq!(check_origin(&headers, &allowed, "ORIGINS").is_ok(), may, "{host} {origin:?}");
        }
    }
}
