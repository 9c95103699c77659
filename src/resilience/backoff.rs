//! How long to wait before the next retry. The only module that uses the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Exponential backoff with full jitter: each wait is drawn evenly from zero to a bound that doubles.
///
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Debug)]
pub struct Backoff(ExponentialBackoff);

impl Backoff {
    /// Waits of at most `first` at first, and never above `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        // The crate draws from `interval ± factor · interval`; a factor of 1 around half the bound is
        // zero to the bound.
        let interval = first.min(cap) / 2;
        Self(ExponentialBackoff {
            current_interval: interval,
            initial_interval: interval,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_interval: cap / 2,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        self.0.next_backoff().expect("without a limit of elapsed time there is always a next wait")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_doubling_bound_and_its_cap() {
        let (first, cap) = (Duration::from_millis(100), Duration::from_millis(350));
        let mut highest = [Duration::ZERO; 6];
        for _ in 0..500 {
            let mut backoff = Backoff::new(first, cap);
            for highest in &mut highest {
                *highest = (*highest).max(backoff.next_wait());
            }
        }
        let bounds = [100, 200, 350, 350, 350, 350].map(Duration::from_millis);
        for (highest, bound) in highest.into_iter().zip(bounds) {
            // 500 draws all in the lower half of the bound: one in 2^500.
            assert!(
                highest <= bound + Duration::from_micros(1) && highest > bound / 2,
                "{highest:?} of {bound:?}"
            );
        }
    }
}
