//! An OpenAI-compatible server that does exactly what its script says and remembers its calls: in HTTP/1.1,
//! plain or over TLS, and in HTTP/2 over TLS. It also acts as a planner, at `/plan`.

mod acts;
mod http1;
mod http2;
pub mod tls;

use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{TempFile, lock};
use acts::are_portable;
pub use acts::{Act, Reply, completion, drip, send, send_json, send_without_end};
use tls::Certificate;

/// How the server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 in plain text.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 over TLS.
    Http2,
}

impl Transport {
    /// Whether `acts` can be done over it, within seconds on a busy machine too: TLS without optimisation takes that
    /// long for bodies of megabytes.
    pub fn carries(self, acts: &[Act]) -> bool {
        let is_large = |act: &Act| matches!(act, Act::Body(bytes) if bytes.len() > 1024 * 1024);
        match self {
            Self::Http => true,
            Self::Https => !acts.iter().any(is_large),
            Self::Http2 => are_portable(acts) && !acts.iter().any(is_large),
        }
    }
}

/// One call, as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    pub clock: SystemTime,
    pub headers: HeaderMap,
    pub body: Value,
    /// When the peer disconnected before everything was done.
    pub left: Option<Instant>,
}

impl Call {
    pub fn model(&self) -> &str {
        self.body["model"].as_str().expect("a model")
    }
}

/// The server. It ends with the value.
pub struct FakeLlm {
    /// Where chat completions are.
    pub base_url: String,
    /// Where the planner is.
    pub origin: String,
    /// The authority of its certificate.
    authority: Option<TempFile>,
    /// Keeps the port while nobody listens.
    port: TcpSocket,
    server: Arc<Server>,
    tasks: Mutex<JoinSet<()>>,
}

type Script = dyn Fn(usize, &Value) -> Vec<Act> + Send + Sync;

/// What all connections share.
struct Server {
    script: Box<Script>,
    tls: Option<(TlsAcceptor, Transport)>,
    calls: Mutex<Vec<Call>>,
    forgets: bool,
    keeps_alive: bool,
    /// What it lists at `/models`; nothing while this is empty.
    models: Mutex<Vec<String>>,
    number: AtomicUsize,
    open: AtomicUsize,
}

/// A request as it came in.
struct Request {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A connection, with TLS or without.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Connection for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// How a server is set up, but for its script.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub transport: Transport,
    pub certificate: Certificate,
    /// Calls are counted and not remembered: for more of them than there is memory for.
    pub forgets: bool,
    /// In HTTP/1.1, whether a connection carries more than one call. The client resends a call whose connection
    /// is closed before the answer if others went over it, as it cannot tell whether the server saw it.
    pub keeps_alive: bool,
}

impl From<Transport> for Setup {
    fn from(transport: Transport) -> Self {
        Self { transport, certificate: Certificate::Valid, forgets: false, keeps_alive: true }
    }
}

impl FakeLlm {
    /// In plain HTTP: the first reply to the first call, and so on; the last is repeated.
    pub async fn start<R: Into<Reply>>(script: impl IntoIterator<Item = R>) -> Self {
        Self::over(Transport::Http, script).await
    }

    /// As [`start`](Self::start), set up otherwise.
    #[expect(clippy::unused_async, reason = "as all servers of these tests are started")]
    pub async fn over<R: Into<Reply>>(setup: impl Into<Setup>, script: impl IntoIterator<Item = R>) -> Self {
        let script: Vec<_> = script.into_iter().map(|reply| reply.into().acts()).collect();
        Self::new(setup, move |call, _| script[call.min(script.len() - 1)].clone())
    }

    /// With a script that maps the number of a call, from 0, and its body to acts.
    pub fn new(
        setup: impl Into<Setup>,
        script: impl Fn(usize, &Value) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let Setup { transport, certificate, forgets, keeps_alive } = setup.into();
        let protocol = if transport == Transport::Http2 { "h2" } else { "http/1.1" };
        let tls = (transport != Transport::Http).then(|| (tls::acceptor(certificate, protocol), transport));
        let authority = tls.is_some().then(|| TempFile::new("authority.pem", &tls::authority_pem()));
        let port = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", port.local_addr().expect("an address"));
        let server = Arc::new(Server {
            script: Box::new(script),
            tls,
            calls: Mutex::default(),
            forgets,
            keeps_alive,
            models: Mutex::default(),
            number: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let base_url = format!("{origin}/v1");
        let llm = Self { base_url, origin, authority, port, server, tasks: Mutex::default() };
        llm.listen();
        llm
    }

    /// Lists these models from now on.
    pub fn offer(&self, models: &[&str]) {
        *lock(&self.server.models) = models.iter().map(|model| (*model).to_owned()).collect();
    }

    /// The settings that connect the service with it.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        let authority = self.authority.as_ref().map(|file| ("PLANNER_LLM_CA_FILE", file.path.as_str()));
        std::iter::once(("PLANNER_LLM_BASE_URL", self.base_url.as_str())).chain(authority).collect()
    }

    pub fn address(&self) -> SocketAddr {
        self.port.local_addr().expect("an address")
    }

    /// Takes connections, after having refused them.
    pub fn listen(&self) {
        let listener = socket(self.address()).listen(1_024).expect("a listener");
        lock(&self.tasks).spawn(take_connections(listener, self.server.clone()));
    }

    /// Closes every connection and refuses new ones.
    pub async fn refuse(&self) {
        let mut tasks = take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
        while self.open() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.server.open.load(Ordering::SeqCst)
    }

    pub fn number_of_calls(&self) -> usize {
        self.server.number.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> Vec<Call> {
        lock(&self.server.calls).clone()
    }

    /// The bodies of the calls so far.
    pub fn bodies(&self) -> Vec<Value> {
        lock(&self.server.calls).iter().map(|call| call.body.clone()).collect()
    }

    /// A header of each call.
    pub fn headers(&self, name: &str) -> Vec<Option<String>> {
        let value = |call: &Call| Some(call.headers.get(name)?.to_str().ok()?.to_owned());
        lock(&self.server.calls).iter().map(value).collect()
    }

    /// A header of the first call.
    pub fn first_header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next().flatten()
    }

    /// Resolves when it has been called so often.
    pub async fn called(&self, times: usize) {
        while self.number_of_calls() < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Resolves with when the peer disconnected in the middle of a call, counted from 0.
    pub async fn left(&self, call: usize) -> Instant {
        let left = async {
            loop {
                if let Some(left) = self.calls().get(call).and_then(|call| call.left) {
                    return left;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), left).await.expect("the peer disconnects")
    }
}

/// A socket at `address`, which others of ours may share.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).and_then(|()| socket.bind(address)).expect("a port");
    socket
}

async fn take_connections(listener: TcpListener, server: Arc<Server>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("a connection");
                let open = Open::new(&server);
                connections.spawn(async move {
                    // An error means that the peer has gone, or did not trust the certificate.
                    let _ = serve(stream, &open.0).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, server: &Arc<Server>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some((acceptor, transport)) = &server.tls else {
        return http1::serve(Box::new(stream), server).await;
    };
    let stream = Box::new(acceptor.accept(stream).await?);
    match transport {
        Transport::Http2 => http2::serve(stream, server).await,
        Transport::Http | Transport::Https => http1::serve(stream, server).await,
    }
}

impl Server {
    /// The number of a call, and what is done with it.
    fn answer(&self, request: Request) -> (Option<usize>, Vec<Act>) {
        if request.method == "GET" && request.path == "/ready" {
            // A planner is asked how it is; that is no part of the script.
            let ready = json!({ "ready": true, "checks": {}, "timestamp": "" });
            return (None, send_json(200, &ready));
        }
        let path = request.path.split('?').next().unwrap_or_default();
        let models = lock(&self.models).clone();
        if request.method == "GET" && path.ends_with("/models") && !models.is_empty() {
            let entry = |id| json!({ "id": id, "object": "model", "created": 1, "owned_by": "library" });
            let data: Vec<Value> = models.into_iter().map(entry).collect();
            return (None, send_json(200, &json!({ "object": "list", "data": data })));
        }
        let body = match (request.method.as_str(), path) {
            ("GET", "/arms") => Some(Value::Null),
            ("POST", "/plan" | "/replan" | "/validate") => serde_json::from_slice(&request.body).ok(),
            ("POST", path) if path.ends_with("/chat/completions") => {
                serde_json::from_slice(&request.body).ok()
            }
            _ => None,
        };
        let Some(body) = body else {
            return (None, send(404, "", "this server answers as an LLM, and as a planner"));
        };
        let number = {
            let mut calls = lock(&self.calls);
            if !self.forgets {
                let (at, clock, headers) = (Instant::now(), SystemTime::now(), request.headers);
                calls.push(Call { at, clock, headers, body: body.clone(), left: None });
            }
            self.number.fetch_add(1, Ordering::SeqCst)
        };
        (Some(number), (self.script)(number, &body))
    }

    /// The peer of a call has left before everything was done.
    fn peer_left(&self, call: Option<usize>) {
        let mut calls = lock(&self.calls);
        if let Some(call) = call.and_then(|number| calls.get_mut(number)) {
            call.left = Some(Instant::now());
        }
    }
}

/// A connection, counted for as long as it is open.
struct Open(Arc<Server>);

impl Open {
    fn new(server: &Arc<Server>) -> Self {
        server.open.fetch_add(1, Ordering::SeqCst);
        Self(server.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Each test over each transport.
macro_rules! over_each_transport {
    ($($name:ident),* $(,)?) => {
        mod http {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name($crate::support::fake_llm::Transport::Http).await;
                }
            )*
        }
        mod https {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name($crate::support::fake_llm::Transport::Https).await;
                }
            )*
        }
        mod http2 {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name($crate::support::fake_llm::Transport::Http2).await;
                }
            )*
        }
    };
}
pub(crate) use over_each_transport;
