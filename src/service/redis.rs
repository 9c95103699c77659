//! A Redis that replicas share. It helps where it is there, and holds nobody up where it is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::domain::RedisOperation;
use crate::telemetry::metrics::Metrics;

/// How long one question waits for its answer; a request asks at most two.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often a Redis that is away is looked for, and how long that may take.
const LOOKING: Duration = Duration::from_secs(1);

/// A connection to Redis that is left alone while it does not answer.
pub struct Redis {
    connection: ConnectionManager,
    is_available: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Redis {
    /// Begins to look for the Redis at `url`, which need not be there. Must be called within a runtime.
    ///
    /// # Errors
    /// When the URL or TLS cannot be used, with what to do about it.
    pub fn new(url: &SecretString, metrics: Arc<Metrics>) -> Result<Arc<Self>, String> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(LOOKING))
            .set_response_timeout(Some(LOOKING));
        let manager = |client| ConnectionManager::new_lazy_with_config(client, config);
        let connection = Client::open(url.expose_secret()).and_then(manager).map_err(|error| {
            // Its words may quote the URL.
            format!("PLANNER_REDIS_URL cannot be used ({:?}); check its form", error.kind())
        })?;
        let redis = Arc::new(Self { connection, is_available: AtomicBool::new(false), metrics });
        tokio::spawn(reconnect(Arc::downgrade(&redis)));
        Ok(redis)
    }

    /// Whether it answers.
    pub fn is_available(&self) -> bool {
        self.is_available.load(Ordering::Relaxed)
    }

    /// Its answer; `None` when it is away, slow, or answers with an error.
    pub(crate) async fn ask<T>(
        self: &Arc<Self>,
        purpose: RedisOperation,
        question: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Option<T> {
        if !self.is_available() {
            return None;
        }
        let what = match timeout(PATIENCE, question(self.connection.clone())).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => format!("{:?}", error.kind()),
            Err(_) => "it is slow".to_owned(),
        };
        self.metrics.cache.record_redis_failure(purpose);
        if self.is_available.swap(false, Ordering::Relaxed) {
            warn!(what, "Redis does not help; plans are made without it until it answers again");
            tokio::spawn(reconnect(Arc::downgrade(self)));
        }
        None
    }
}

/// Looks for Redis until it is there.
async fn reconnect(redis: Weak<Redis>) {
    while let Some(redis) = redis.upgrade() {
        let mut connection = redis.connection.clone();
        let ping = redis::cmd("PING");
        if let Ok(Ok(())) = timeout(LOOKING, ping.exec_async(&mut connection)).await {
            redis.is_available.store(true, Ordering::Relaxed);
            info!("Redis answers");
            return;
        }
        drop(redis);
        sleep(LOOKING).await;
    }
}
