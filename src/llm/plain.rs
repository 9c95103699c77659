//! Plain HTTP/1.1 to one server, with little held for each call: a call that waits for its answer has a socket and
//! no buffers, which of thousands at once would be most of the memory. Messages are those of RFC 9112; `httparse`
//! reads heads, and hyper's connector connects.

mod answer;
mod chunks;
mod head;
mod idle;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::iter::once;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tower::Service;
use tower_http::decompression::Decompression;

use crate::outbound;
use crate::telemetry::traces;

use super::exchange::read;
use super::pieces::Pieces;
use super::{BoxFuture, CallError, CallFailure, Ear};

use answer::Answer;
use head::{Heads, written};
use idle::Idle;

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

impl Service<Request<Pieces>> for Connections {
    type Response = Response<Answer>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Response<Answer>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Pieces>) -> Self::Future {
        // Written here, so that the request, which is large, is not kept.
        let (server, head, body) = (self.0.clone(), written(&request), request.into_body());
        Box::pin(async move { server.exchange(head, body).await })
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
    async fn exchange(&self, head: Vec<u8>, body: Pieces) -> io::Result<Response<Answer>> {
        let stream = self.connection().await?;
        let mut heads = Heads::default();
        let is_sent = send(&stream, once(&*head).chain(body.iter()), &mut heads).await?;
        drop((head, body));
        let response = loop {
            if let Some(response) = heads.take()? {
                break response;
            }
            // Unlike `readable`, this lets others have their turn while a server goes on and on.
            poll_fn(|context| stream.poll_read_ready(context)).await?;
            heads.read(&stream)?;
        };
        // A connection over which not all was sent is of no further use.
        let idle = is_sent.then(|| self.idle.clone());
        Ok(response.map(|framing| Answer::new(framing, stream, heads.into_rest(), idle)))
    }

    async fn connection(&self) -> io::Result<TcpStream> {
        if let Some(connection) = self.idle.take() {
            return Ok(connection);
        }
        let connecting = self.connector.clone().call(self.address.clone());
        Ok(connecting.await.map_err(io::Error::other)?.into_inner())
    }
}

/// Sends the `pieces`, and whether that came to its end: a server that refuses before is heard, and `heads` has what
/// it said.
async fn send(
    stream: &TcpStream,
    pieces: impl Iterator<Item = &[u8]>,
    heads: &mut Heads,
) -> io::Result<bool> {
    let mut pieces: Vec<IoSlice<'_>> = pieces.map(IoSlice::new).collect();
    let mut left = &mut pieces[..];
    while !left.is_empty() {
        match stream.try_write_vectored(left) {
            Ok(bytes) => IoSlice::advance_slices(&mut left, bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let reading = if heads.are_complete() { None } else { Some(Interest::READABLE) };
                let ready =
                    stream.ready(reading.map_or(Interest::WRITABLE, |reading| reading | Interest::WRITABLE));
                if ready.await?.is_readable() && reading.is_some() {
                    heads.read(stream)?;
                    if heads.are_of_a_refusal() {
                        return Ok(false);
                    }
                }
            }
            // It may have said why before it closed.
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// What is there to be read, with nothing in it at the end; `None` when nothing is there yet, for which no room is
/// kept either.
fn try_read(stream: &TcpStream) -> io::Result<Option<BytesMut>> {
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    match stream.try_read_buf(&mut (&mut bytes).limit(READ_BYTES)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
