//! Problems as HTTP responses.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::domain::problem::{ErrorCode, PROBLEM_JSON, Problem, whole_seconds};

use super::observe::CustomErrorBody;

impl IntoResponse for Problem {
    /// A bare status with the problem as an extension: `observe` writes the document, since it
    /// knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The problem for `response`; `None` if it is not an error, or already has an error body.
pub(crate) fn of_response(response: &Response) -> Option<Problem> {
    let extensions = response.extensions();
    if let Some(problem) = extensions.get::<Problem>() {
        return Some(problem.clone());
    }
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    // A library answered with a bare status.
    (is_error && extensions.get::<CustomErrorBody>().is_none()).then(|| of_status(status))
}

/// The problem for a bare `status` that a library answered with.
pub(crate) fn of_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(
            ErrorCode::NotFound,
            "This path does not exist; GET /openapi.json lists those that do.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            ErrorCode::MethodNotAllowed,
            "This path does not support this method; the Allow header lists those that it does.",
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
    Problem::new(
        ErrorCode::PayloadTooLarge,
        "The body is over 1 MiB, counted after decompression; send less.",
    )
}

/// Writes `problem` into `response`: its status and headers, and its document unless the body is already made.
pub(super) fn write(problem: &Problem, response: &mut Response, request_id: &str) {
    *response.status_mut() = problem.code.status();
    if response.extensions().get::<CustomErrorBody>().is_none() {
        *response.body_mut() = serde_json::to_vec(&problem.document(request_id)).unwrap_or_default().into();
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    }
    let headers = response.headers_mut();
    if let Some(wait) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    if problem.code == ErrorCode::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}
