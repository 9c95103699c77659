//! What the calls for one request cost.

use crate::domain::prices;

/// Calls, tokens and cost of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UsageTotals {
    /// Calls made, failed ones included.
    pub attempts: u32,
    /// Prompt tokens of the calls that were answered.
    pub prompt_tokens: u64,
    /// Completion tokens of them.
    pub completion_tokens: u64,
    /// The cost of those with a known price, in US dollars.
    known_cost_usd: f64,
    /// Whether there are others.
    has_unknown_cost: bool,
}

impl UsageTotals {
    /// The cost of the answered calls in US dollars; `None` when that of one is unknown. Failed and cancelled calls
    /// count as free, as servers do not report their cost.
    pub fn cost_usd(&self) -> Option<f64> {
        (!self.has_unknown_cost).then(|| prices::rounded_usd(self.known_cost_usd))
    }

    /// Adds an answered call. Servers may report any number of tokens.
    pub(crate) fn add(&mut self, prompt_tokens: u64, completion_tokens: u64, cost_usd: Option<f64>) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(completion_tokens);
        self.known_cost_usd += cost_usd.unwrap_or_default();
        self.has_unknown_cost |= cost_usd.is_none();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_a_sum_and_unknown_if_one_is_unknown() {
        let mut usage_totals = UsageTotals::default();
        assert_eq!(usage_totals.cost_usd(), Some(0.0));
        usage_totals.add(1, 1, Some(0.1));
        usage_totals.add(u64::MAX, u64::MAX, Some(0.2));
        assert_eq!((usage_totals.prompt_tokens, usage_totals.cost_usd()), (u64::MAX, Some(0.3)));
        usage_totals.add(1, 1, None);
        usage_totals.add(1, 1, Some(0.1));
        assert_eq!(usage_totals.cost_usd(), None);
    }
}
