//! Follower and leaving alone: shared by everything that calls another service.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod retry_after;

pub use self::backoff::Backoff;
pub use breaker::Breaker;
pub use budget::RetryBudget;
pub use retry_after::retry_after;
