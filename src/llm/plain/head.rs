//! Heads of messages: a request's as it is written, and those that a server says.

use std::io::{self, ErrorKind};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Version};
use tokio::net::TcpStream;

use super::chunks::Chunks;
use super::try_read;

/// The most that heads may have, all that a call is answered with together.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// The most headers of one.
const MOST_HEADERS: usize = 128;

/// The head of `request`.
pub(super) fn written<B>(request: &Request<B>) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

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
    answer: Option<Response<Framing>>,
    /// Whether the server says no more.
    is_over: bool,
}

impl Heads {
    /// Reads what is there of them.
    pub(super) fn read(&mut self, stream: &TcpStream) -> io::Result<()> {
        let Some(bytes) = try_read(stream)? else { return Ok(()) };
        self.is_over = bytes.is_empty();
        if self.bytes.is_empty() {
            self.bytes = bytes;
        } else {
            self.bytes.unsplit(bytes);
        }
        while self.answer.is_none() {
            let head = parsed(&self.bytes)?;
            let length = head.as_ref().map_or(self.bytes.len(), |(length, _)| *length);
            if self.passed + length > MOST_HEAD_BYTES {
                return Err(ErrorKind::InvalidData.into());
            }
            let Some((length, head)) = head else { return Ok(()) };
            self.bytes.advance(length);
            self.passed += length;
            if !head.status().is_informational() {
                let framing = framing(&head)?;
                self.answer = Some(head.map(|()| framing));
            }
        }
        Ok(())
    }

    /// Whether nothing is to be read any more.
    pub(super) fn are_complete(&self) -> bool {
        self.is_over || self.answer.is_some()
    }

    /// Whether the answer is known, and that nothing else need be sent for it.
    pub(super) fn are_of_a_refusal(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| !answer.status().is_success())
    }

    /// That of the answer, once it is there.
    pub(super) fn take(&mut self) -> io::Result<Option<Response<Framing>>> {
        if self.is_over && self.answer.is_none() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(self.answer.take())
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
    let body = body(head)?;
    let is_asked = |word| words(head.headers(), CONNECTION).any(|said| said.eq_ignore_ascii_case(word));
    let stays = if head.version() == Version::HTTP_10 { is_asked("keep-alive") } else { !is_asked("close") };
    Ok(Framing { keeps_connection: stays && body != Body::UntilClose, body })
}

fn body(head: &Response<()>) -> io::Result<Body> {
    if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status()) {
        return Ok(Body::Length(0));
    }
    if let Some(coding) = words(head.headers(), TRANSFER_ENCODING).last() {
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

/// The words of a list that may stand in several headers.
fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// What was read is no HTTP.
fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
