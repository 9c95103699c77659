//! The heads that a server says.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version};
use tokio::net::TcpStream;

use crate::headers::words;

use super::chunks::Chunks;
use super::try_read;

/// The most that heads may have, all that a call is answered with together.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// The most headers of one.
const MOST_HEADERS: usize = 128;

/// Where the body of an answer ends (RFC 9112, section 6.3), and whether its connection can be used behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) body: Body,
    pub(super) keeps_connection: bool,
}

/// How the end of a body is found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left of it.
    Length(u64),
    /// It tells.
    Chunked(Chunks),
    /// The connection ends with it.
    UntilClose,
}

/// The heads that a call is answered with: any number of informational ones, then that of the answer.
#[derive(Default)]
pub(super) struct Heads {
    /// What was read and not yet understood.
    bytes: BytesMut,
    /// Bytes of those that are over.
    passed: usize,
}

impl Heads {
    /// That of the answer, once it is there.
    pub(super) fn poll_answer(
        &mut self,
        stream: &TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Response<Framing>>> {
        loop {
            // With this others have their session while a server goes on and on.
            ready!(stream.poll_read_ready(context))?;
            let Some(bytes) = try_read(stream)? else { continue };
            if bytes.is_empty() {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            if let Some(answer) = self.understand(bytes)? {
                return Poll::Ready(Ok(answer));
            }
        }
    }

    fn understand(&mut self, bytes: BytesMut) -> io::Result<Option<Response<Framing>>> {
        self.bytes.unsplit(bytes);
        loop {
            let head = parsed(&self.bytes)?;
            let length = head.as_ref().map_or(self.bytes.len(), |(length, _)| *length);
            if self.passed + length > MOST_HEAD_BYTES {
                return Err(ErrorKind::InvalidData.into());
            }
            let Some((length, head)) = head else { return Ok(None) };
            self.bytes.advance(length);
            self.passed += length;
            if !head.status().is_informational() {
                let framing = framing(&head)?;
                return Ok(Some(head.map(|()| framing)));
            }
        }
    }

    /// What was read behind them.
    pub(super) fn into_rest(self) -> Bytes {
        self.bytes.freeze()
    }
}

/// A head at the beginning of `bytes` and its length, once it is there as a whole.
fn parsed(bytes: &[u8]) -> io::Result<Option<(usize, Response<()>)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(broken)? else { return Ok(None) };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.code.unwrap_or_default()).map_err(broken)?;
    if head.version == Some(0) {
        *response.version_mut() = Version::HTTP_10;
    }
    // No other protocol was asked for.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ErrorKind::InvalidData.into());
    }
    for header in head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(broken)?;
        let value = HeaderValue::from_bytes(header.value).map_err(broken)?;
        response.headers_mut().append(name, value);
    }
    Ok(Some((length, response)))
}

fn framing(head: &Response<()>) -> io::Result<Framing> {
    let is_said = |word| words(head.headers(), CONNECTION).any(|said| said.eq_ignore_ascii_case(word));
    let keeps_connection = !is_said("close") && (head.version() != Version::HTTP_10 || is_said("keep-alive"));
    Ok(Framing { body: body(head)?, keeps_connection })
}

fn body(head: &Response<()>) -> io::Result<Body> {
    if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status()) {
        return Ok(Body::Length(0));
    }
    if let Some(coding) = words(head.headers(), TRANSFER_ENCODING).filter(|word| !word.is_empty()).last() {
        let is_chunked = head.version() != Version::HTTP_10 && coding.eq_ignore_ascii_case("chunked");
        return Ok(if is_chunked { Body::Chunked(Chunks::default()) } else { Body::UntilClose });
    }
    let mut lengths = words(head.headers(), CONTENT_LENGTH).map(length);
    match lengths.next() {
        None => Ok(Body::UntilClose),
        Some(Some(length)) if lengths.all(|other| other == Some(length)) => Ok(Body::Length(length)),
        Some(_) => Err(ErrorKind::InvalidData.into()),
    }
}

fn length(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What was read is no HTTP.
fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
