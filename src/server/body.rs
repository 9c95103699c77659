//! Request bodies: limits, compression, reading, and draining what was not read.
//!
//! tower-http limits and unpacks them. Ours is what no crate does: a bound on the memory of all bodies together
//! ([`read_body`]), and an answer that survives an unread body ([`DrainedBody`]).

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::domain::FieldError;
use crate::domain::problem::{ErrorCode, Problem};
use crate::text::shorten;

use super::problem::too_large;

/// Largest request body after decompression, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// When callers should retry while all permits or the memory for bodies are taken, or the service shuts down.
pub(crate) const OVERLOAD_WAIT: Duration = Duration::from_secs(1);
/// How long an unread body is received after its request was answered.
const DRAIN_TIME: Duration = Duration::from_millis(500);
/// What some editors and .NET clients write before UTF-8; RFC 8259, section 8.1, lets readers skip it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The layers of routes that read bodies: the body is decompressed, then limited to [`MAX_BODY_BYTES`].
///
/// Unknown encodings pass through, so that [`require_known_encoding`] can name them.
pub(crate) fn body_layers() -> (RequestDecompressionLayer, RequestBodyLimitLayer) {
    let decompression = RequestDecompressionLayer::new().pass_through_unaccepted(true);
    (decompression, RequestBodyLimitLayer::new(MAX_BODY_BYTES))
}

/// Requires a body that is declared as JSON, in an encoding that was decoded.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    if !has_media_type(headers, "application/json") {
        return Err(unsupported_media_type());
    }
    require_known_encoding(headers)
}

/// Requires that no content encoding is left to decode: the layers remove the one that they know.
pub(crate) fn require_known_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    match encodings.map(http::HeaderValue::as_bytes).find(|name| !name.eq_ignore_ascii_case(b"identity")) {
        None => Ok(()),
        Some(unknown) => {
            let name = shorten(&String::from_utf8_lossy(unknown), 40);
            let detail = format!(
                "The Content-Encoding `{name}` is not supported; send the body with gzip or uncompressed."
            );
            Err(Problem::new(ErrorCode::UnsupportedMediaType, detail))
        }
    }
}

/// The problem for a body that is not declared as JSON.
pub(crate) fn unsupported_media_type() -> Problem {
    Problem::new(
        ErrorCode::UnsupportedMediaType,
        "The body must be JSON; send the header Content-Type: application/json.",
    )
}

/// Whether the body is declared to be of `media_type`, whatever its parameters.
pub(crate) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|declared| declared.trim().eq_ignore_ascii_case(media_type))
}

/// Memory for the bodies that are being read, in bytes. What counts is the bytes that have arrived, so that a slow
/// caller who declares a long body takes nothing from the others.
static FREE_BYTES: Semaphore = Semaphore::const_new(64 * MAX_BODY_BYTES);

/// The bytes of `body`, without a byte order mark, if they arrive by `deadline`. The [layers](body_layers) limit
/// its length.
pub(crate) async fn read_body(body: Body, deadline: Instant) -> Result<Bytes, Problem> {
    timeout_at(deadline, collect(body, &FREE_BYTES)).await.unwrap_or_else(|_| {
        Err(Problem::new(
            ErrorCode::DeadlineExceeded,
            "The time for the request ran out while its body was being read; send it faster.",
        ))
    })
}

async fn collect(mut body: Body, free_bytes: &Semaphore) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    let mut held: Option<SemaphorePermit<'_>> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        let permit = free_bytes.try_acquire_many(data.len() as u32).map_err(|_| overloaded())?;
        match &mut held {
            Some(held) => held.merge(permit),
            None => held = Some(permit),
        }
        bytes.extend_from_slice(&data);
    }
    let mut bytes = bytes.freeze();
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes = bytes.slice(BYTE_ORDER_MARK.len()..);
    }
    Ok(bytes)
}

/// The problem for a body that could not be read.
fn unreadable(error: &(dyn Error + 'static)) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return too_large();
        }
        cause = error.source();
    }
    let message = "could not be read completely; if it is compressed, it must be one complete gzip stream";
    Problem::from(vec![FieldError::new("body", message)])
}

fn overloaded() -> Problem {
    let detail = "Too many bodies are being received at the moment; retry shortly.";
    Problem::new(ErrorCode::Overloaded, detail).retry_after(OVERLOAD_WAIT)
}

/// A body whose unread rest is received for a moment after its request was answered. A connection that is
/// closed while its caller still writes can lose the answer (RFC 9112, section 9.6); hyper closes it at once.
pub(super) struct DrainedBody<B: HttpBody + Send + Unpin + 'static> {
    /// `None` once it is being drained.
    body: Option<B>,
    /// Whether the caller sends without being asked to (`Expect: 100-continue`).
    is_sent: bool,
}

impl<B: HttpBody + Send + Unpin + 'static> DrainedBody<B> {
    /// `request` with a body that is drained.
    pub(super) fn of(request: Request<B>) -> Request<Self> {
        let is_sent = !request.headers().contains_key(EXPECT);
        request.map(|body| Self { body: Some(body), is_sent })
    }
}

impl<B: HttpBody + Send + Unpin + 'static> HttpBody for DrainedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        // Polling is what asks the caller to send.
        self.is_sent = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl<B: HttpBody + Send + Unpin + 'static> Drop for DrainedBody<B> {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| self.is_sent && !body.is_end_stream());
        if let (Some(mut body), Ok(runtime)) = (unread, Handle::try_current()) {
            runtime.spawn(async move {
                let rest = async { while let Some(Ok(_)) = body.frame().await {} };
                let _ = timeout(DRAIN_TIME, rest).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(chunks: usize, bytes: usize) -> Body {
        let chunk = Bytes::from(vec![b' '; bytes]);
        let chunks = (0..chunks).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
        Body::from_stream(futures_util::stream::iter(chunks))
    }

    #[tokio::test]
    async fn bodies_hold_memory_only_while_they_are_read_and_more_than_there_is_are_refused() {
        let free_bytes = Semaphore::new(10);
        let refused = collect(chunks(6, 2), &free_bytes).await.expect_err("12 bytes");
        assert_eq!((refused.code, refused.retry_after), (ErrorCode::Overloaded, Some(OVERLOAD_WAIT)));
        for _ in 0..3 {
            assert_eq!(collect(chunks(5, 2), &free_bytes).await.map(|body| body.len()), Ok(10));
        }
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_skipped_once_and_only_at_the_start() {
        for (sent, read) in [
            ("\u{feff}{}", "{}"),
            ("\u{feff}\u{feff}{}", "\u{feff}{}"),
            ("{}\u{feff}", "{}\u{feff}"),
            ("\u{feff}", ""),
        ] {
            let deadline = Instant::now() + Duration::from_secs(5);
            let body = read_body(Body::from(sent), deadline).await.expect("a body");
            assert_eq!(body, read.as_bytes());
        }
    }

    #[test]
    fn an_encoding_that_nobody_decodes_is_named() {
        let check = |value: &'static str| {
            require_known_encoding(&HeaderMap::from_iter([(
                CONTENT_ENCODING,
                http::HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(check("Identity"), Ok(()));
        for unknown in ["br", "gzip, gzip", "zstd"] {
            let problem = check(unknown).expect_err("unknown");
            assert!(problem.detail.contains(&format!("`{unknown}`")), "{}", problem.detail);
        }
    }
}
