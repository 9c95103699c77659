//! The report of `/ready`.

use std::time::SystemTime;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::domain::Readiness;

use super::observe::CustomErrorBody;

/// The report of whether a service is ready, with the checks behind it.
pub(crate) fn readiness<'a>(ready: bool, checks: impl IntoIterator<Item = (&'a str, bool)>) -> Response {
    let checks = checks.into_iter().map(|(name, passed)| (name.to_owned(), passed)).collect();
    let report = Json(Readiness { ready, checks, timestamp: now() });
    if ready {
        return report.into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, report).into_response();
    response.extensions_mut().insert(CustomErrorBody);
    response
}

/// The current time (RFC 3339).
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
