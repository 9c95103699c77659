//! Retries and circuit breakers, shared by everything that calls another service.

pub mod backoff;
pub mod breaker;
pub mod retry_after;

pub use self::backoff::Backoff;
pub use breaker::Breaker;
pub use retry_after::{rate_limit_reset, retry_after};
