//! Hearing answers while they are written.

use std::sync::Arc;

/// Hears the answers to one request while they are written: of several calls at once where they overlap.
pub trait StreamObserver: Send + Sync {
    /// More of the answer to this call, the request's `call`th; reasoning and refusals are no answer.
    fn on_delta(&self, call: u32, piece: &str);

    /// The call is over: answered, or nothing more will come of it.
    fn on_end(&self, call: u32, is_answered: bool);
}

/// A observer's place at one call.
#[derive(Clone)]
pub struct CallObserver {
    observer: Arc<dyn StreamObserver>,
    call: u32,
}

impl CallObserver {
    /// The place of `observer` at the request's `call`th call.
    pub(super) fn new(observer: Arc<dyn StreamObserver>, call: u32) -> Self {
        Self { observer, call }
    }

    /// More of the answer.
    pub fn on_delta(&self, piece: &str) {
        if !piece.is_empty() {
            self.observer.on_delta(self.call, piece);
        }
    }

    pub(super) fn on_end(&self, is_answered: bool) {
        self.observer.on_end(self.call, is_answered);
    }
}
