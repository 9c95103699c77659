//! What calls cost against a limit: reserved before each call, settled when its cost is known.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::prices::Price;

use super::{BoxFuture, CallError, CallFailure, Completion, Prompt};

/// Bytes for one token of a prompt, by which its cost is estimated. Most texts have more; few have fewer.
const BYTES_PER_TOKEN: usize = 3;

/// An amount that was counted before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// In billionths of a US dollar.
    pub nano_usd: u64,
    /// The period of time that it is counted in, for the limit alone.
    pub period: u64,
}

/// A limit on what calls may cost within some time.
pub trait SpendLimit: Send + Sync {
    /// Counts `nano_usd`, unless the limit is used up already.
    ///
    /// # Errors
    /// Time until part of it is available again.
    fn reserve(&self, nano_usd: u64) -> BoxFuture<'_, Result<Reservation, Duration>>;

    /// Counts `nano_usd` instead of what was reserved.
    fn settle(&self, reservation: Reservation, nano_usd: u64);
}

/// A limit, and how calls are counted against it.
pub(super) struct Spending {
    pub(super) limit: Arc<dyn SpendLimit>,
    /// Used in place of an unknown price.
    pub(super) highest_price: Price,
    /// Maximum number of tokens of an answer.
    pub(super) max_tokens: u32,
}

impl Spending {
    /// Reserves the most that a call with `prompt` may cost.
    pub(super) async fn reserve(
        &self,
        price: Option<&Price>,
        prompt: &Prompt,
    ) -> Result<Reservation, Duration> {
        let texts = prompt.messages.iter().map(|message| message.content.len());
        let bytes = texts.sum::<usize>() + prompt.schema.tight.get().len();
        let tokens = bytes.div_ceil(BYTES_PER_TOKEN) as u64;
        let usd = price.unwrap_or(&self.highest_price).at_most(tokens, self.max_tokens.into());
        self.limit.reserve(nano_usd(usd)).await
    }

    /// Counts what a call has cost instead of what was reserved for it, as far as that is known: a call that failed
    /// before there was an answer is free; one that timed out may not be, and one whose server reports no tokens
    /// neither.
    pub(super) fn settle(
        &self,
        reservation: Reservation,
        price: Option<&Price>,
        result: &Result<Completion, CallError>,
    ) {
        let usd = match result {
            Ok(answer) => {
                price.unwrap_or(&self.highest_price).of(answer.prompt_tokens, answer.completion_tokens)
            }
            Err(error) => match error.failure {
                CallFailure::Timeout | CallFailure::Malformed => None,
                _ => Some(0.0),
            },
        };
        if let Some(usd) = usd {
            self.limit.settle(reservation, nano_usd(usd));
        }
    }
}

/// `usd` in billionths, rounded up. Amounts that no limit allows are all the same.
fn nano_usd(usd: f64) -> u64 {
    (usd * 1e9).ceil().clamp(0.0, 1e17) as u64
}
