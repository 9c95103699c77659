//! What HTTP servers are built from: connections, graceful shutdown, request ids, bodies, problem documents.

pub(crate) mod asset;
pub(crate) mod body;
pub mod lifecycle;
pub(crate) mod observe;
pub(crate) mod openapi;
pub(crate) mod origin;
pub(crate) mod problem;
pub(crate) mod process;
pub(crate) mod readiness;
pub(crate) mod request;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::Service;
use tracing::{debug, info, warn};

use body::DrainedBody;
use lifecycle::{Lifecycle, Phase};

/// How long a connection may be idle, and how long the head of a request may take: longer than load balancers (60 s
/// are usual) and our own clients ([`crate::http_client::IDLE_TIMEOUT`]) keep an idle connection, so that none sends
/// into a closing one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The longest head of a request; a usual one has 200 bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long connections may take to close once all plans are done.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Listens on `host` and `port`.
///
/// # Errors
/// When the address is not available, with what to do about it; `prefix` is that of the settings.
pub(crate) async fn bind(host: &str, port: u16, prefix: &str) -> Result<TcpListener, String> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        format!(
            "cannot listen on {host}:{port} ({error}); free the port, or set {prefix}HOST and {prefix}PORT"
        )
    })
}

/// Lets this process open as many files as the system lets it: a plan in flight has two connections, and most shells
/// start programs with a limit of 1,024 that these may raise. Returns that number; `None` if there is no limit.
pub fn raise_open_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        debug!(%error, "the limit of open files could not be raised");
        return limit.current;
    }
    limit.maximum
}

/// Serves `router` until `stop` resolves, then drains it for at most `grace`; `lifecycle` enters its phases.
pub(crate) async fn serve(
    mut listener: TcpListener,
    router: Router,
    lifecycle: &Lifecycle,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut connections = Connections::new(router);
    lifecycle.enter(Phase::Serving);
    let end = async {
        stop.await;
        lifecycle.enter(Phase::Draining);
        info!(
            grace_seconds = grace.as_secs_f64(),
            "shutting down: requests in flight may finish, new ones are refused"
        );
        if timeout(grace, lifecycle.idle()).await.is_err() {
            warn!("the grace period is over; requests still in flight end with an error");
            lifecycle.enter(Phase::Aborting);
        }
    };
    let mut end = pin!(end);
    loop {
        tokio::select! {
            // `Listener::accept` waits while the process has no file descriptors left.
            (connection, peer) = Listener::accept(&mut listener) => connections.open(connection, peer),
            Some(_) = connections.served.join_next() => {}
            () = &mut end => break,
        }
    }
    drop(listener);
    connections.close().await;
}

/// The connections of callers.
struct Connections {
    http: http1::Builder,
    router: Router,
    graceful: GracefulShutdown,
    served: JoinSet<()>,
}

impl Connections {
    fn new(router: Router) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_HEAD_BYTES);
        Self { http, router, graceful: GracefulShutdown::new(), served: JoinSet::new() }
    }

    /// Serves requests on `connection` until either side closes it.
    fn open(&mut self, connection: TcpStream, peer: SocketAddr) {
        // Small writes go out at once: without this a response can wait 40 ms for an acknowledgement.
        if let Err(error) = connection.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY could not be set");
        }
        let router = self.router.clone();
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().call(DrainedBody::of(request))
        });
        let served = self.http.serve_connection(TokioIo::new(connection), service);
        self.served.spawn(self.graceful.watch(served).map(|served| {
            // Usually the caller disconnected.
            if let Err(error) = served {
                debug!(%error, "a connection failed");
            }
        }));
    }

    /// Waits a moment for the requests in flight, then closes the connections; requests are logged either way.
    async fn close(mut self) {
        let _ = timeout(CLOSE_TIMEOUT, self.graceful.shutdown()).await;
        self.served.shutdown().await;
    }
}

/// Counts the SIGTERM and SIGINT signals that the process has received.
#[derive(Debug, Clone)]
pub(crate) struct StopSignals(watch::Receiver<u32>);

impl StopSignals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the process cannot listen for signals.
    pub(crate) fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        let (mut terminate, mut interrupt) =
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let (count, signals) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(signals))
    }

    /// Resolves at the first signal.
    pub(crate) async fn first(mut self) {
        let _ = self.0.wait_for(|count| *count >= 1).await;
    }

    /// Calls `on_second` at the second signal.
    pub(crate) fn on_second(&self, on_second: impl FnOnce() + Send + 'static) {
        let mut signals = self.0.clone();
        tokio::spawn(async move {
            if signals.wait_for(|count| *count >= 2).await.is_ok() {
                on_second();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    /// Serves nothing in particular; ends when the sender is dropped.
    async fn served() -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            serve(listener, Router::new(), &Lifecycle::new(1), Duration::from_secs(1), stop).await;
        });
        (address, stop, serving)
    }

    /// What `head` is answered with, to the end of the connection.
    async fn answer_to(address: SocketAddr, head: &[u8]) -> String {
        let mut connection = TcpStream::connect(address).await.expect("a connection");
        connection.write_all(head).await.expect("sent");
        let mut answer = Vec::new();
        // A connection that is reset is closed too.
        let _ = connection.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_sends_no_complete_head_is_closed() {
        let (address, _stop, _) = served().await;
        let began = tokio::time::Instant::now();
        assert_eq!(answer_to(address, b"GET / HTTP/1.1\r\nHost: plan").await, "");
        assert_eq!(answer_to(address, b"").await, "");
        assert!(
            began.elapsed() >= 2 * HEAD_TIMEOUT && began.elapsed() < 3 * HEAD_TIMEOUT,
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test]
    async fn idle_connections_are_closed_with_the_service() {
        let (address, stop, serving) = served().await;
        let mut idle = TcpStream::connect(address).await.expect("a connection");
        idle.write_all(b"GET / HTTP/1.1\r\nHost: planner\r\n\r\n").await.expect("sent");
        let mut answer = [0; 12];
        idle.read_exact(&mut answer).await.expect("an answer");
        let began = tokio::time::Instant::now();
        drop(stop);
        serving.await.expect("no panic");
        assert!(began.elapsed() < CLOSE_TIMEOUT, "{:?}", began.elapsed());
    }
}
