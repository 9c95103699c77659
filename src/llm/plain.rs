//! Plain HTTP/1.1 to one server, with little held for each call: a call that waits for its answer has a socket and
//! no buffers, which of thousands at once would be most of the memory. Messages are those of RFC 9112; `httparse`
//! reads heads, and hyper's connector connects.

mod answer;
mod chunks;
mod head;
mod idle;
mod outgoing;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpStream;
use tower::Service;
use tower_http::decompression::Decompression;

use crate::http_client;
use crate::telemetry::traces;

use super::exchange::read;
use super::pieces::Pieces;
use super::{BoxFuture, CallError, CallFailure, CallObserver};

use answer::Answer;
use head::Heads;
use idle::Idle;
use outgoing::Outgoing;

/// The most that is read at once.
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
        headers.insert(USER_AGENT, HeaderValue::from_static(http_client::OUR_NAME));
        let path = uri.path_and_query().cloned()?.into();
        Some(Self { connections: Decompression::new(Connections::new(uri)), path, headers })
    }

    /// Sends `body` once.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn send(
        &self,
        body: Pieces,
        observer: Option<CallObserver>,
    ) -> Result<Bytes, CallError> {
        let response = self.connections.clone().call(self.request(body)).await;
        let mut response = response.map_err(|_| CallFailure::Connection)?;
        read(&mut response, observer).await
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
        let (server, outgoing) = (self.0.clone(), Outgoing::new(request));
        Box::pin(async move { server.exchange(outgoing).await })
    }
}

impl Connections {
    fn new(address: Uri) -> Self {
        let mut connector = HttpConnector::new();
        // Small writes go out at once: without this a call can wait 40 ms for an acknowledgement.
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(http_client::CONNECT_TIMEOUT));
        Self(Arc::new(Server { address, connector, idle: Arc::default() }))
    }
}

impl Server {
    /// Sends a request, and gives its answer as soon as the head of that is there: what is not sent by then, the
    /// answer sends on while it is read.
    async fn exchange(&self, mut outgoing: Outgoing) -> io::Result<Response<Answer>> {
        let stream = self.connection().await?;
        let mut heads = Heads::default();
        let response = poll_fn(|context| {
            outgoing.send(&stream, context);
            heads.poll_answer(&stream, context)
        });
        let response = response.await?;
        let idle = self.idle.clone();
        Ok(response.map(|framing| Answer::new(framing, stream, outgoing, heads.into_rest(), idle)))
    }

    async fn connection(&self) -> io::Result<TcpStream> {
        if let Some(connection) = self.idle.take() {
            return Ok(connection);
        }
        let connecting = self.connector.clone().call(self.address.clone());
        Ok(connecting.await.map_err(io::Error::other)?.into_inner())
    }
}

/// What is there to be read, with nothing in it at the end; `None` when nothing is there yet. It takes up no more
/// room than it has bytes.
fn try_read(stream: &TcpStream) -> io::Result<Option<BytesMut>> {
    let mut room = [0; READ_BYTES];
    match stream.try_read(&mut room) {
        Ok(bytes) => Ok(Some(BytesMut::from(&room[..bytes]))),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
