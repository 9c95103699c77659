//! The decisions of a fallback chain, free of I/O.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::llm::{CallError, CallFailure, LlmError};

use super::MIN_CALL_TIME;

/// What follows a failed call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FollowUp {
    RetryAfter(Duration),
    GiveUp(LlmError),
}

/// Whether to call the same model again after `error`, with `left` until the deadline.
pub(super) fn decide(error: &CallError, attempts_left: u32, left: Duration, backoff: Duration) -> FollowUp {
    let failure = error.failure;
    if !failure.is_transient() {
        return FollowUp::GiveUp(LlmError::Refused(failure));
    }
    let wait = match failure {
        CallFailure::Timeout if left < MIN_CALL_TIME => return FollowUp::GiveUp(LlmError::Deadline),
        // The time-out was the wait.
        CallFailure::Timeout => Duration::ZERO,
        _ => backoff.max(error.retry_after.unwrap_or_default()),
    };
    if attempts_left == 0 || wait + MIN_CALL_TIME > left {
        return FollowUp::GiveUp(unavailable(error));
    }
    FollowUp::RetryAfter(wait)
}

pub(super) fn unavailable(error: &CallError) -> LlmError {
    LlmError::Unavailable { cause: Some(error.failure), retry_after: error.retry_after }
}

/// Until when a model may be called: the last one to the deadline; one before it leaves two fifths to the others.
pub(super) fn model_deadline(now: Instant, deadline: Instant, is_last: bool) -> Instant {
    if is_last { deadline } else { now + deadline.saturating_duration_since(now).mul_f64(0.6) }
}

/// How long a call is waited for before another is made beside it: 1.5 times as long as the model's slower answers
/// take, but between two fifths and three quarters of what is left; the latter while no answer is known.
pub(super) fn hedge_after(left: Duration, usual: Duration) -> Duration {
    let longest = left.mul_f64(0.75);
    if usual.is_zero() { longest } else { usual.mul_f64(1.5).clamp(left.mul_f64(0.4), longest) }
}

/// Whether a request has clearly less time than the service grants, because its caller asked for less.
pub(super) fn is_short(time: Duration, request_time: Duration) -> bool {
    time < request_time.mul_f64(0.9)
}

/// Whether a model that timed out had a fair chance: a model at the end of a chain, or one that is asked again, may
/// have little time left.
pub(super) fn was_fair(took: Duration, request_time: Duration) -> bool {
    took >= request_time / 4
}

/// How long a model's slower answers took lately; zero until it has answered.
#[derive(Debug, Default)]
pub(super) struct ModelPace(Mutex<Duration>);

impl ModelPace {
    /// A slower answer counts at once; a slow one is forgotten over some dozens of quicker ones.
    pub(super) fn answered_in(&self, took: Duration) {
        let mut usual = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *usual = took.max(usual.mul_f64(0.97));
    }

    pub(super) fn usual(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
