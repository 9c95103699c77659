//! What was learnt of a model's server from its refusals, and for how long it counts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Feature;
use super::capabilities::{AnswerLimit, ServerCapabilities};

/// After this time the strictest call is tried again: a refusal may have been temporary.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// A server that refused every form of a call without a reason is not tried with other forms for this time, unless
/// that costs no further calls.
const GUESS_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The capabilities of one model, shared by all calls to it.
#[derive(Default)]
pub(super) struct LearnedCapabilities(Mutex<State>);

#[derive(Default)]
struct State {
    now: ServerCapabilities,
    /// Whether a call with these capabilities has been answered.
    is_confirmed: bool,
    /// When all is forgotten.
    until: Option<Instant>,
    /// What they were before refusals without a reason, while no call has been answered since.
    before_guesses: Option<ServerCapabilities>,
    no_guesses_until: Option<Instant>,
}

impl LearnedCapabilities {
    /// What to call with now.
    pub(super) fn current(&self) -> ServerCapabilities {
        let mut state = self.state();
        if state.until.is_some_and(|until| Instant::now() >= until) {
            *state = State::default();
        }
        state.now
    }

    /// Whether a call with the current capabilities has been answered.
    pub(super) fn is_confirmed(&self) -> bool {
        self.state().is_confirmed
    }

    /// A call with `used` was answered.
    pub(super) fn confirm(&self, used: ServerCapabilities) {
        let mut state = self.state();
        if state.now == used {
            state.is_confirmed = true;
            state.before_guesses = None;
        }
    }

    /// The server said that it does not support `feature` in a call with `used`. Whether that makes a difference to
    /// the next call.
    pub(super) fn refused(&self, used: ServerCapabilities, feature: Feature) -> bool {
        self.state().change(used, |used| used.downgrade(feature))
    }

    /// The server said that a call with `used` asked for too long an answer.
    pub(super) fn limited(&self, used: ServerCapabilities, limit: AnswerLimit) -> bool {
        self.state().change(used, |used| used.limit_answers(limit))
    }

    /// The server refused a call with `used` without a reason: perhaps because of the form of the answer; the next
    /// call gets a weaker one. Returns the part that is left out; `None` when there is no weaker form, or when none
    /// helped a short while ago.
    ///
    /// `is_attempt`: the next call counts as an attempt and is made in any case. It skips a form.
    pub(super) fn guess(&self, used: ServerCapabilities, is_attempt: bool) -> Option<Feature> {
        let mut state = self.state();
        if !is_attempt && state.no_guesses_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let Some(part) = used.strictest_part() else {
            if let Some(before) = state.before_guesses.take().filter(|_| state.now == used) {
                state.now = before;
                if !is_attempt {
                    state.no_guesses_until = Some(Instant::now() + GUESS_AGAIN_AFTER);
                }
            }
            return None;
        };
        let refused = if is_attempt && part == Feature::JsonSchema { Feature::ResponseFormat } else { part };
        let before = state.now;
        if before == used {
            state.before_guesses.get_or_insert(before);
        }
        state.change(used, |used| used.downgrade(refused)).then_some(part)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes the capabilities, unless another call that was refused at the same time has done so.
    fn change(
        &mut self,
        used: ServerCapabilities,
        change: impl FnOnce(ServerCapabilities) -> Option<ServerCapabilities>,
    ) -> bool {
        if self.now != used {
            return true;
        }
        let Some(next) = change(used) else { return false };
        self.now = next;
        self.is_confirmed = false;
        self.until.get_or_insert(Instant::now() + FORGET_AFTER);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_asked_for_again_after_a_while() {
        let learned = LearnedCapabilities::default();
        let all = learned.current();
        assert!(learned.refused(all, Feature::Temperature));
        let less = learned.current();
        assert!(less != all && !learned.refused(less, Feature::Temperature));
        tokio::time::advance(FORGET_AFTER / 2).await;
        assert_eq!(learned.current(), less);
        tokio::time::advance(FORGET_AFTER / 2).await;
        assert_eq!(learned.current(), all);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guess_that_helps_stays_and_guesses_that_do_not_are_undone() {
        let learned = LearnedCapabilities::default();
        let all = learned.current();
        for part in [Feature::TightSchema, Feature::JsonSchema, Feature::ResponseFormat] {
            assert_eq!(learned.guess(learned.current(), false), Some(part));
        }
        assert_eq!(learned.guess(learned.current(), false), None, "text was refused as well");
        assert_eq!(learned.current(), all);
        assert_eq!(learned.guess(all, false), None, "nothing helped a moment ago");
        tokio::time::advance(GUESS_AGAIN_AFTER).await;
        assert_eq!(learned.guess(all, false), Some(Feature::TightSchema));
        let plain = learned.current();
        learned.confirm(plain);
        assert_eq!(learned.guess(plain, true), Some(Feature::JsonSchema));
        let text = learned.current();
        assert_eq!(text.strictest_part(), None, "the short cut");
        assert_eq!(learned.guess(text, true), None);
        assert_eq!(learned.current(), plain, "what was answered before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_met_nothing_but_failures_does_not_keep_the_next_from_guessing() {
        let learned = LearnedCapabilities::default();
        let all = learned.current();
        for part in [Some(Feature::TightSchema), Some(Feature::JsonSchema), None] {
            assert_eq!(learned.guess(learned.current(), true), part);
        }
        assert_eq!(learned.current(), all, "nothing helped");
        assert_eq!(learned.guess(all, true), Some(Feature::TightSchema), "the next request");
    }

    #[test]
    fn of_several_calls_that_were_refused_together_one_changes_the_next() {
        let learned = LearnedCapabilities::default();
        let all = learned.current();
        assert!(learned.refused(all, Feature::TightSchema));
        let plain = learned.current();
        assert!(learned.refused(all, Feature::TightSchema));
        assert_eq!(learned.guess(all, false), Some(Feature::TightSchema));
        assert_eq!(learned.current(), plain);
    }
}
