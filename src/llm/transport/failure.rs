//! What went wrong below HTTP, from the types in reqwest's chain of errors.

use std::error::Error;
use std::io;
use std::iter::successors;

use http::Extensions;
use hyper_util::client::legacy::connect::HttpInfo;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::llm::{CallFailure, TlsFailure};

/// Why a request could not be sent or its answer not be read.
pub(super) fn transport_failure(error: &reqwest::Error) -> CallFailure {
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<TlsError>()) {
        return tls_failure(error);
    }
    let is_no_http = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
    };
    match error {
        error if error.is_timeout() => CallFailure::Timeout,
        error if causes(error).any(is_no_http) => CallFailure::NotHttp,
        _ => CallFailure::Connection,
    }
}

fn tls_failure(error: &TlsError) -> CallFailure {
    use CertificateError as Certificate;
    CallFailure::Tls(match error {
        // Behind TLS, a server that fails or closes is a server that fails or closes.
        TlsError::DecryptError | TlsError::AlertReceived(AlertDescription::InternalError) => {
            return CallFailure::Connection;
        }
        TlsError::InvalidMessage(_) => TlsFailure::NotSpoken,
        TlsError::InvalidCertificate(error) => match error {
            Certificate::UnknownIssuer | Certificate::BadSignature => TlsFailure::UnknownIssuer,
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => TlsFailure::Expired,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                TlsFailure::WrongName
            }
            _ => TlsFailure::InvalidCertificate,
        },
        TlsError::NoCertificatesPresented => TlsFailure::InvalidCertificate,
        _ => TlsFailure::Handshake,
    })
}

/// The HTTP/1 connection of a request that the server closed or reset without an answer.
pub(super) fn closed_connection(error: &reqwest::Error) -> Option<HttpInfo> {
    if !causes(error).any(is_close) {
        return None;
    }
    let client_error =
        causes(error).find_map(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>())?;
    // HTTP/2 reports which requests were not started.
    let connection = client_error.connect_info().filter(|connection| !connection.is_negotiated_h2())?;
    let mut extras = Extensions::new();
    connection.get_extras(&mut extras);
    extras.remove()
}

/// Whether the server says, in HTTP/2, that it did not begin to work on the request.
pub(super) fn was_not_started(error: &reqwest::Error) -> bool {
    let is_refusal = |error: &h2::Error| {
        error.is_remote()
            && (error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
                || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
    };
    causes(error).filter_map(|cause| cause.downcast_ref()).any(is_refusal)
}

fn is_close(cause: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let is_close = |kind| matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
        || cause.downcast_ref::<io::Error>().is_some_and(|error| is_close(error.kind()))
}

/// `error` and what caused it. An [`io::Error`] leaves itself out of its own chain: what it wraps is asked for.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    })
}
