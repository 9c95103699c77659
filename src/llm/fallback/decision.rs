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
        return FollowUp::GiveUp(LlmError::Refused(error.clone()));
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
    LlmError::Unavailable { cause: Some(error.clone()), retry_after: error.retry_after }
}

/// Until when a model may be called: the last one to the deadline; one before it leaves two fifths to the others.
pub(super) fn model_deadline(now: Instant, deadline: Instant, is_last: bool) -> Instant {
    if is_last { deadline } else { now + deadline.saturating_duration_since(now).mul_f64(0.6) }
}

/// How long to wait for a call before a second one is made in parallel: 1.5 times as long as the model's slower answers
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_failed_call_is_retried_if_that_can_help_and_fits() {
        use CallFailure::{BadKey, RateLimited, ServerError, Timeout};
        let outage = |failure, retry_after| {
            let cause = Some(CallError { retry_after, ..CallError::from(failure) });
            FollowUp::GiveUp(LlmError::Unavailable { cause, retry_after })
        };
        for (failure, retry_after, attempts_left, left, follow_up) in [
            (ServerError, None, 2, 9 * SECOND, FollowUp::RetryAfter(SECOND)),
            (ServerError, Some(SECOND / 2), 2, 9 * SECOND, FollowUp::RetryAfter(SECOND)),
            (RateLimited, Some(3 * SECOND), 1, 9 * SECOND, FollowUp::RetryAfter(3 * SECOND)),
            (RateLimited, Some(9 * SECOND), 1, 9 * SECOND, outage(RateLimited, Some(9 * SECOND))),
            (ServerError, None, 0, 9 * SECOND, outage(ServerError, None)),
            (ServerError, None, 2, SECOND, outage(ServerError, None)),
            (Timeout, None, 1, 9 * SECOND, FollowUp::RetryAfter(Duration::ZERO)),
            (Timeout, None, 1, Duration::ZERO, FollowUp::GiveUp(LlmError::Deadline)),
            (Timeout, None, 0, 9 * SECOND, outage(Timeout, None)),
            (BadKey, None, 2, 9 * SECOND, FollowUp::GiveUp(LlmError::Refused(BadKey.into()))),
        ] {
            let error = CallError { retry_after, ..CallError::from(failure) };
            assert_eq!(
                decide(&error, attempts_left, left, SECOND),
                follow_up,
                "{error:?} {attempts_left} {left:?}"
            );
        }
    }

    #[test]
    fn a_call_is_hedged_by_the_models_pace_within_bounds() {
        for (usual, after) in [(0, 7_500), (1_000, 4_000), (4_000, 6_000), (6_000, 7_500)] {
            let usual = Duration::from_millis(usual);
            assert_eq!(hedge_after(10 * SECOND, usual), Duration::from_millis(after), "{usual:?}");
        }
    }
}
