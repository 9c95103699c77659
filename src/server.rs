//! Serving until told to stop, and stopping without losing a plan.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::{interval, timeout};
use tracing::{info, warn};

use crate::app::{App, router};
use crate::lifecycle::{Lifecycle, Phase};

/// How long connections may take to close once all plans are done.
const CLOSING_TIME: Duration = Duration::from_secs(2);
/// How often callers whose rate limit is whole again are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Listens on `host` and `port`.
///
/// # Errors
/// When that cannot be done, with what to do about it; `prefix` is that of the settings.
pub(crate) async fn bind(host: &str, port: u16, prefix: &str) -> Result<TcpListener, String> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        format!(
            "cannot listen on {host}:{port} ({error}); free the port, or set {prefix}HOST and {prefix}PORT"
        )
    })
}

/// Serves plans on `listener` until `stop` resolves; then lets plans in flight finish for up to `grace`.
///
/// While it drains it keeps answering: `/ready` with 503, new plans with 503 `shutting_down`.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    listener: TcpListener,
    app: Arc<App>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let housekeeping = tokio::spawn(keep_house(app.clone()));
    let ended = serve(listener, router(app.clone()), &app.lifecycle, grace, stop).await;
    housekeeping.abort();
    info!("stopped");
    ended
}

/// Serves `router` until `stop` resolves, and leads `lifecycle` from its start to its end.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    lifecycle: &Lifecycle,
    grace: Duration,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    // Small writes go out at once: without this a response can wait 40 ms for an acknowledgement.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    let (close, closed) = oneshot::channel::<()>();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async {
        let _ = closed.await;
    });
    let mut server = tokio::spawn(server.into_future());
    lifecycle.enter(Phase::Serving);

    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = stop => None,
    };
    if let Some(ended) = ended {
        return ended.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    }

    lifecycle.enter(Phase::Draining);
    info!(grace_seconds = grace.as_secs_f64(), "stopping: plans in flight finish, no new ones begin");
    if timeout(grace, lifecycle.idle()).await.is_err() {
        warn!("the grace time is up; work on what is still in flight ends");
        lifecycle.enter(Phase::Over);
    }
    let _ = close.send(());
    if timeout(CLOSING_TIME, &mut server).await.is_err() {
        server.abort();
    }
    Ok(())
}

/// How many times the process was told to stop, by SIGTERM or SIGINT.
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

    /// Does `hurry` at the second.
    pub(crate) fn on_second(&self, hurry: impl FnOnce() + Send + 'static) {
        let mut signals = self.0.clone();
        tokio::spawn(async move {
            if signals.wait_for(|count| *count >= 2).await.is_ok() {
                hurry();
            }
        });
    }
}

async fn keep_house(app: Arc<App>) {
    let mut rounds = interval(HOUSEKEEPING);
    loop {
        rounds.tick().await;
        app.limiter.forget_idle();
    }
}
