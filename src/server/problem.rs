//! Problems as HTTP responses.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::domain::problem::{ErrorCode, PROBLEM_JSON, Problem, whole_seconds};

impl IntoResponse for Problem {
    /// A bare status with the problem as an extension: [`observe`](super::observe) writes the document, since it
    /// knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The problem for a bare `status` that a library answered with.
pub(crate) fn of_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(
            ErrorCode::NotFound,
            "There is nothing at this path; GET /openapi.json lists what there is.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            ErrorCode::MethodNotAllowed,
            "This path does not take this method; the Allow header lists those that it takes.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status if status.is_client_error() => {
            Problem::new(ErrorCode::InvalidRequest, "The request could not be understood.")
        }
        _ => Problem::internal(),
    }
}

/// The problem for a body over the limit.
pub(super) fn too_large() -> Problem {
    Problem::new(ErrorCode::PayloadTooLarge, "The body is over 1 MiB; send less.")
}

/// Writes the headers that go with `problem`.
pub(super) fn write_headers(problem: &Problem, headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(wait) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    if problem.code == ErrorCode::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}
