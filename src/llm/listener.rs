//! Hearing answers while they are written.

use std::sync::Arc;

/// Hears the answers to one request while they are written: of several calls at once where they overlap.
pub trait Listener: Send + Sync {
    /// More of the answer to this call, the request's `call`th; reasoning and refusals are no answer.
    fn says(&self, call: u32, piece: &str);

    /// The call is over: answered, or nothing more will come of it.
    fn ends(&self, call: u32, is_answered: bool);
}

/// A listener's place at one call.
#[derive(Clone)]
pub struct Ear {
    listener: Arc<dyn Listener>,
    call: u32,
}

impl Ear {
    /// The place of `listener` at the request's `call`th call.
    pub(super) fn new(listener: Arc<dyn Listener>, call: u32) -> Self {
        Self { listener, call }
    }

    /// More of the answer.
    pub fn hears(&self, piece: &str) {
        if !piece.is_empty() {
            self.listener.says(self.call, piece);
        }
    }

    pub(super) fn call_ends(&self, is_answered: bool) {
        self.listener.ends(self.call, is_answered);
    }
}
