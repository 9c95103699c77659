//! Why a source could not be read, in words without its URL, which may hold a secret.

use std::error::Error;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::StreamableHttpError;

use crate::text::{shorten, without_controls};

/// Longest quotation of a source's own words, in characters.
const MAX_QUOTED_CHARS: usize = 200;
/// What to do about a refusal.
const WANTS_A_TOKEN: &str = "it requires a token; name the variable that holds one in `token_env`";

/// Why a request failed.
pub(super) fn http(error: &reqwest::Error) -> String {
    if let Some(status) = error.status() {
        return self::status(status.as_u16());
    }
    if error.is_timeout() {
        return "does not answer in time".into();
    }
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_connect() { "cannot be reached" } else { "the connection failed" };
    // The outermost error is the one that has the URL in it.
    let cause = if cause.is::<reqwest::Error>() {
        String::new()
    } else {
        format!(": {}", quoted(&cause.to_string()))
    };
    format!("{what}{cause}")
}

/// The meaning of a status that is not a success.
pub(super) fn status(status: u16) -> String {
    match status {
        401 | 403 => format!("answers with status {status}: {WANTS_A_TOKEN}"),
        300..=399 => format!("answers with status {status}: redirects are not followed; use the final URL"),
        _ => format!("answers with status {status}"),
    }
}

/// Why no session with an MCP server began.
pub(super) fn start(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => transport(error),
        ClientInitializeError::ConnectionClosed(_) => "ended the connection before it was set up".into(),
        ClientInitializeError::JsonRpcError(error) => format!("refuses: {}", quoted(&error.message)),
        _ => "does not answer as an MCP server".into(),
    }
}

/// Why an MCP server did not list its tools.
pub(super) fn listing(error: &ServiceError) -> String {
    match error {
        ServiceError::McpError(error) => format!("does not list its tools: {}", quoted(&error.message)),
        ServiceError::TransportSend(error) => transport(error),
        ServiceError::TransportClosed => "ended the connection".into(),
        _ => "does not list its tools as an MCP server".into(),
    }
}

fn transport(error: &DynamicTransportError) -> String {
    type HttpError = StreamableHttpError<reqwest::Error>;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.error.as_ref());
    while let Some(error) = cause {
        match error.downcast_ref::<HttpError>() {
            Some(HttpError::Client(error)) => return http(error),
            Some(HttpError::HttpStatus(error)) => return status(error.status),
            Some(HttpError::AuthRequired(_)) => return status(401),
            Some(HttpError::InsufficientScope(_)) => return status(403),
            Some(HttpError::ResponseBodyTooLarge { .. }) => return TOO_LARGE.into(),
            Some(HttpError::UnexpectedContentType(_) | HttpError::Deserialize(_)) => {
                return "does not answer as an MCP server".into();
            }
            Some(other) => return quoted(&other.to_string()),
            None => {}
        }
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return http(error);
        }
        cause = error.source();
    }
    "the connection failed".into()
}

/// The fault for an answer that is too long.
pub(super) const TOO_LARGE: &str = "answers with more than 4 MiB";

/// What another program says, as far as it is shown.
pub(super) fn quoted(text: &str) -> String {
    shorten(without_controls(text.to_owned()).trim(), MAX_QUOTED_CHARS)
}
