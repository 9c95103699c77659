//! A Redis that replicas share. It is used while it is available, and delays no request while it is not.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::domain::RedisOperation;
use crate::telemetry::metrics::Metrics;

/// How long one command may take; a request sends at most two, and one for each LLM call where spend is limited.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(20);
/// Timeouts in a row after which Redis counts as unavailable: one alone is a pause of the network or the scheduler.
const MAX_TIMEOUTS: u32 = 3;
/// How often a connection to an unavailable Redis is retried, and how long one attempt may take.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// A connection to Redis, unused while Redis does not answer.
pub struct Redis {
    connection: ConnectionManager,
    is_available: AtomicBool,
    timeouts_in_a_row: AtomicU32,
    metrics: Arc<Metrics>,
}

impl Redis {
    /// Starts to connect to the Redis at `url`, which need not be running. Must be called within a runtime.
    ///
    /// # Errors
    /// When the URL or TLS cannot be used, with what to do about it.
    pub fn new(url: &SecretString, metrics: Arc<Metrics>) -> Result<Arc<Self>, String> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(RECONNECT_INTERVAL))
            .set_response_timeout(Some(RECONNECT_INTERVAL));
        let manager = |client| ConnectionManager::new_lazy_with_config(client, config);
        let connection = Client::open(url.expose_secret()).and_then(manager).map_err(|error| {
            // The error's own text may quote the URL.
            format!("PLANNER_REDIS_URL cannot be used ({:?}); check its format", error.kind())
        })?;
        let redis = Arc::new(Self {
            connection,
            is_available: AtomicBool::new(false),
            timeouts_in_a_row: AtomicU32::new(0),
            metrics,
        });
        tokio::spawn(reconnect(Arc::downgrade(&redis)));
        Ok(redis)
    }

    /// Whether Redis answers.
    pub fn is_available(&self) -> bool {
        self.is_available.load(Ordering::Relaxed)
    }

    /// The answer to `command`; `None` when Redis is unavailable, too slow, or answers with an error.
    pub(crate) async fn query<T>(
        self: &Arc<Self>,
        operation: RedisOperation,
        command: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Option<T> {
        if !self.is_available() {
            return None;
        }
        let cause = match timeout(COMMAND_TIMEOUT, command(self.connection.clone())).await {
            Ok(Ok(answer)) => {
                self.timeouts_in_a_row.store(0, Ordering::Relaxed);
                return Some(answer);
            }
            Ok(Err(error)) => Some(format!("{:?}", error.kind())),
            Err(_) => {
                let timeouts = self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
                (timeouts >= MAX_TIMEOUTS).then(|| format!("{timeouts} timeouts in a row"))
            }
        };
        self.metrics.cache.record_redis_failure(operation);
        if let Some(cause) = cause {
            self.mark_unavailable(&cause);
        }
        None
    }

    fn mark_unavailable(self: &Arc<Self>, cause: &str) {
        if self.is_available.swap(false, Ordering::Relaxed) {
            warn!(
                cause,
                "Redis is unavailable; until it answers again each replica counts and caches on its own"
            );
            tokio::spawn(reconnect(Arc::downgrade(self)));
        }
    }
}

/// Retries until Redis answers or is no longer used.
async fn reconnect(redis: Weak<Redis>) {
    while let Some(redis) = redis.upgrade() {
        let mut connection = redis.connection.clone();
        let ping = redis::cmd("PING");
        if let Ok(Ok(())) = timeout(RECONNECT_INTERVAL, ping.exec_async(&mut connection)).await {
            redis.timeouts_in_a_row.store(0, Ordering::Relaxed);
            redis.is_available.store(true, Ordering::Relaxed);
            info!("Redis is available");
            return;
        }
        drop(redis);
        sleep(RECONNECT_INTERVAL).await;
    }
}
