//! Plain HTTP/1.1 to one server, with little held for each call: a call that waits for its answer has a socket and
//! no buffers, which of thousands at once would be most of the memory. `ureq_proto` knows the protocol (RFC 9112),
//! hyper's connector how to connect; here is what goes between them.

mod answer;
mod idle;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, IoSlice};
use std::iter::once;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tower::Service;
use tower_http::decompression::Decompression;
use ureq_proto::Error as ProtocolError;
use ureq_proto::client::state::RecvResponse;
use ureq_proto::client::{Call, SendRequestResult};

use crate::outbound;
use crate::telemetry::traces;

use super::exchange::read;
use super::pieces::Pieces;
use super::{BoxFuture, CallError, CallFailure, Ear};

use answer::Answer;
use idle::Idle;

/// Room for the head of a request; one that is longer, for its key, gets more.
const USUAL_HEAD_BYTES: usize = 1024;
/// The longest head of an answer.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// Room for what is read at once.
const READ_BYTES: usize = 8 * 1024;

/// Straight to the chat completions of a server.
#[derive(Clone)]
pub(super) struct Plain {
    connections: Decompression<Connections>,
    path: Uri,
    headers: HeaderMap,
}

impl Plain {
    /// Calls of `uri` that carry `headers`; `None` where it names no server.
    pub(super) fn new(uri: Uri, mut headers: HeaderMap) -> Option<Self> {
        headers.insert(HOST, HeaderValue::try_from(uri.authority()?.as_str()).ok()?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(outbound::OUR_NAME));
        let path = uri.path_and_query().cloned()?.into();
        Some(Self { connections: Decompression::new(Connections::new(uri)), path, headers })
    }

    /// Sends `body` once.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn send(&self, body: Pieces, ear: Option<Ear>) -> Result<Bytes, CallError> {
        let response = self.connections.clone().call(self.request(body)).await;
        let mut response = response.map_err(|_| CallFailure::Connection)?;
        read(&mut response, ear).await
    }

    fn request(&self, body: Pieces) -> Request<Pieces> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_LENGTH, body.bytes().into());
        traces::pass_on(&mut headers);
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// The connections to a server.
#[derive(Clone)]
struct Connections(Arc<Server>);

struct Server {
    address: Uri,
    connector: HttpConnector,
    idle: Arc<Idle>,
}

/// A request as it is sent.
struct Outgoing {
    head: Vec<u8>,
    body: Pieces,
    /// The state once all of it is sent; in a place of its own, since it is large and moves often.
    call: Box<Call<RecvResponse>>,
}

impl Service<Request<Pieces>> for Connections {
    type Response = Response<Answer>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Response<Answer>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Pieces>) -> Self::Future {
        let (server, outgoing) = (self.0.clone(), Outgoing::of(request));
        Box::pin(async move { server.exchange(outgoing.map_err(broken)?).await })
    }
}

impl Connections {
    fn new(address: Uri) -> Self {
        let mut connector = HttpConnector::new();
        // Small writes go out at once: without this a call can wait 40 ms for an acknowledgement.
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(outbound::CONNECT_TIMEOUT));
        Self(Arc::new(Server { address, connector, idle: Arc::default() }))
    }
}

impl Server {
    /// Sends a request, and gives its answer as soon as the head of that is there.
    async fn exchange(&self, outgoing: Outgoing) -> io::Result<Response<Answer>> {
        let Outgoing { head, body, mut call } = outgoing;
        let stream = self.connection().await?;
        let mut incoming = BytesMut::new();
        let is_sent = send(&stream, once(&*head).chain(body.iter()), &mut incoming).await?;
        drop((head, body));
        let response = receive_head(&stream, &mut call, &mut incoming).await?;
        // A connection over which not all was sent is of no further use.
        let idle = is_sent.then(|| self.idle.clone());
        Ok(response.map(|()| Answer::new(*call, stream, incoming, idle)))
    }

    async fn connection(&self) -> io::Result<TcpStream> {
        if let Some(connection) = self.idle.take() {
            return Ok(connection);
        }
        let connecting = self.connector.clone().call(self.address.clone());
        Ok(connecting.await.map_err(io::Error::other)?.into_inner())
    }
}

/// Sends the `pieces`, and whether that came to its end: a server that answers before is heard, and `incoming` has
/// what it said so far.
async fn send(
    stream: &TcpStream,
    pieces: impl Iterator<Item = &[u8]>,
    incoming: &mut BytesMut,
) -> io::Result<bool> {
    let mut pieces: Vec<IoSlice<'_>> = pieces.map(IoSlice::new).collect();
    let mut left = &mut pieces[..];
    while !left.is_empty() {
        match stream.try_write_vectored(left) {
            Ok(bytes) => IoSlice::advance_slices(&mut left, bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let ready = stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
                if ready.is_readable() && try_read(stream, incoming)?.is_some() {
                    return Ok(false);
                }
            }
            // It may have said why before it closed.
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

impl Outgoing {
    fn of(request: Request<Pieces>) -> Result<Self, ProtocolError> {
        let (head, body) = request.into_parts();
        let mut call = Call::new(Request::from_parts(head, ()))?.proceed();
        let mut head = vec![0; USUAL_HEAD_BYTES];
        let mut length = 0;
        while !call.can_proceed() {
            match call.write(&mut head[length..]) {
                Ok(more) => length += more,
                Err(ProtocolError::OutputOverflow) => head.resize(2 * head.len(), 0),
                Err(error) => return Err(error),
            }
        }
        head.truncate(length);
        let call = match call.proceed()? {
            Some(SendRequestResult::SendBody(mut call)) => {
                call.consume_direct_write(body.bytes())?;
                call.proceed()
            }
            Some(SendRequestResult::RecvResponse(call)) => Some(call),
            Some(SendRequestResult::Await100(_)) | None => None,
        };
        Ok(Self { head, body, call: Box::new(call.ok_or(ProtocolError::BodyNotAllowed)?) })
    }
}

/// The head of an answer; `incoming` is left with what came behind it.
async fn receive_head(
    stream: &TcpStream,
    call: &mut Call<RecvResponse>,
    incoming: &mut BytesMut,
) -> io::Result<Response<()>> {
    loop {
        let (used, response) = call.try_response(incoming, false).map_err(broken)?;
        incoming.advance(used);
        match response {
            Some(response) => return Ok(response),
            // An informational answer, which another follows.
            None if used > 0 => {}
            None if incoming.len() > MOST_HEAD_BYTES => return Err(ErrorKind::InvalidData.into()),
            None => {
                stream.readable().await?;
                if try_read(stream, incoming)? == Some(0) {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

/// Reads what is there into `incoming`: how much that was, with 0 for the end; `None` when nothing is there yet.
fn try_read(stream: &TcpStream, incoming: &mut BytesMut) -> io::Result<Option<usize>> {
    incoming.reserve(READ_BYTES);
    match stream.try_read_buf(incoming) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            // No room is kept while nothing comes.
            *incoming = BytesMut::from(&incoming[..]);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What was read is no HTTP.
fn broken(error: ProtocolError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
