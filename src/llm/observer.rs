//! Receiving answers as they arrive.

use std::sync::Arc;

/// Receives the answers to one request as they arrive, interleaved if calls overlap.
pub trait StreamObserver: Send + Sync {
    /// The next part of the answer to the request's `call`th call, without reasoning and refusals.
    fn on_delta(&self, call: u32, delta: &str);

    /// The call has ended, with an answer or without.
    fn on_end(&self, call: u32, is_answered: bool);
}

/// The observer of one call.
#[derive(Clone)]
pub struct CallObserver {
    observer: Arc<dyn StreamObserver>,
    call: u32,
}

impl CallObserver {
    /// `observer` for the request's `call`th call.
    pub(super) fn new(observer: Arc<dyn StreamObserver>, call: u32) -> Self {
        Self { observer, call }
    }

    /// Passes on the next part of the answer.
    pub fn on_delta(&self, delta: &str) {
        if !delta.is_empty() {
            self.observer.on_delta(self.call, delta);
        }
    }

    pub(super) fn on_end(&self, is_answered: bool) {
        self.observer.on_end(self.call, is_answered);
    }
}
