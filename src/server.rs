//! Serving until told to stop, and stopping without losing a plan.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};
use tracing::{info, warn};

use crate::app::{App, router};
use crate::lifecycle::Phase;

/// How long connections may take to close once all plans are done.
const CLOSING_TIME: Duration = Duration::from_secs(2);
/// How often callers whose rate limit is whole again are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Serves on `listener` until `stop` resolves; then lets plans in flight finish for up to `grace`.
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
    // Small writes go out at once: without this a response can wait 40 ms for an acknowledgement.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    let (close, closed) = oneshot::channel::<()>();
    let service = router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async {
        let _ = closed.await;
    });
    let mut server = tokio::spawn(server.into_future());
    let housekeeping = tokio::spawn(keep_house(app.clone()));
    app.lifecycle.enter(Phase::Serving);

    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = stop => None,
    };
    if let Some(ended) = ended {
        housekeeping.abort();
        return ended.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    }

    app.lifecycle.enter(Phase::Draining);
    info!(grace_seconds = grace.as_secs_f64(), "stopping: plans in flight finish, no new ones begin");
    if timeout(grace, app.lifecycle.idle()).await.is_err() {
        warn!("the grace time is up; plans still in flight end with an error");
        app.lifecycle.enter(Phase::Over);
    }
    let _ = close.send(());
    if timeout(CLOSING_TIME, &mut server).await.is_err() {
        server.abort();
    }
    housekeeping.abort();
    info!("stopped");
    Ok(())
}

async fn keep_house(app: Arc<App>) {
    let mut rounds = interval(HOUSEKEEPING);
    loop {
        rounds.tick().await;
        app.limiter.forget_idle();
    }
}
