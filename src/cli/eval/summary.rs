//! The summary of all scores.

use serde::Serialize;

use crate::domain::prices::rounded_usd;

use super::labels::Similarity;
use super::score::Score;

/// The summary of a run, or of one kind in it, as in the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Scenarios run.
    pub(super) scenarios: usize,
    /// How many of them have a valid plan.
    pub(super) valid: usize,
    /// The share of them, 0.0 to 1.0.
    pub(super) success_rate: f64,
    /// Answers, including failures, of another engine than the configured one or of another model than its first.
    pub(super) fallbacks: usize,
    /// Median time to an answer, in milliseconds, failures included.
    pub(super) latency_p50_ms: f64,
    /// The 95th percentile of the same.
    pub(super) latency_p95_ms: f64,
    /// Number of LLM calls, failed scenarios included.
    pub(super) calls: u64,
    /// These calls for each valid plan; null without one.
    pub(super) calls_per_plan: Option<f64>,
    /// Repairs of the LLM's answers.
    pub(super) repairs: usize,
    /// Warnings about the plans.
    pub(super) warnings: usize,
    /// Prompt tokens of all calls.
    pub(super) prompt_tokens: u64,
    /// Completion tokens of all calls.
    pub(super) completion_tokens: u64,
    /// Cost of all answered calls, failed scenarios included, in US dollars; null when one is unknown.
    pub(super) cost_usd: Option<f64>,
    /// This cost for each valid plan; null without one.
    pub(super) cost_usd_per_plan: Option<f64>,
    /// Expected arms that the plans use.
    pub(super) expected_arms: Proportion,
    /// How much the plans are like the labelled ones, in the mean over the scenarios that have one; null without any.
    pub(super) labelled: Option<Similarity>,
    /// Constraints that the plans cover.
    pub(super) constraints: Proportion,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Proportion {
    /// The part.
    pub(super) count: usize,
    /// The whole.
    pub(super) total: usize,
    /// One over the other; null when there is nothing to count.
    pub(super) share: Option<f64>,
}

/// The [`Summary`] of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct KindSummary {
    /// The kind.
    pub(super) kind: String,
    /// Its figures.
    #[serde(flatten)]
    pub(super) summary: Summary,
}

impl Proportion {
    fn new(count: usize, total: usize) -> Self {
        Self { count, total, share: (total > 0).then(|| rounded(count as f64 / total as f64)) }
    }
}

impl Summary {
    /// The figures of `scores`, which must not be empty.
    pub(super) fn of(scores: &[&Score]) -> Self {
        let sum = |count: fn(&Score) -> usize| scores.iter().map(|score| count(score)).sum::<usize>();
        let sum_long = |count: fn(&Score) -> u64| scores.iter().map(|score| count(score)).sum::<u64>();
        let mut latencies: Vec<f64> = scores.iter().map(|score| score.latency_ms).collect();
        latencies.sort_by(f64::total_cmp);
        let (scenarios, valid) = (scores.len(), sum(|score| score.valid.into()));
        let calls = sum_long(|score| score.attempts.into());
        let cost: Option<f64> = scores.iter().map(|score| score.cost_usd).sum();
        Self {
            scenarios,
            valid,
            success_rate: valid as f64 / scenarios as f64,
            fallbacks: sum(|score| score.fallback.into()),
            latency_p50_ms: percentile(&latencies, 50),
            latency_p95_ms: percentile(&latencies, 95),
            calls,
            calls_per_plan: (valid > 0).then(|| rounded(calls as f64 / valid as f64)),
            repairs: sum(|score| score.repairs.count),
            warnings: sum(|score| score.warnings.count),
            prompt_tokens: sum_long(|score| score.prompt_tokens),
            completion_tokens: sum_long(|score| score.completion_tokens),
            cost_usd: cost.map(rounded_usd),
            cost_usd_per_plan: cost.filter(|_| valid > 0).map(|cost| rounded_usd(cost / valid as f64)),
            expected_arms: Proportion::new(
                sum(|score| score.arms.expected.len() - score.arms.missing.len()),
                sum(|score| score.arms.expected.len()),
            ),
            labelled: Similarity::mean(scores.iter().map(|score| score.labelled)),
            constraints: Proportion::new(
                sum(|score| score.constraints.covered),
                sum(|score| score.constraints.total),
            ),
        }
    }

    /// The figures of each kind, in order of first appearance.
    pub(super) fn by_kind(scores: &[Score]) -> Vec<KindSummary> {
        let mut kinds: Vec<&str> = Vec::new();
        for score in scores {
            if !kinds.contains(&score.kind.as_str()) {
                kinds.push(&score.kind);
            }
        }
        let summary = |kind: &str| {
            let of_kind: Vec<&Score> = scores.iter().filter(|score| score.kind == kind).collect();
            KindSummary { kind: kind.to_owned(), summary: Self::of(&of_kind) }
        };
        kinds.into_iter().map(summary).collect()
    }
}

/// The value at the nearest rank: the smallest of the `sorted` ones that at least `percent` of 100 do not
/// exceed. It is always one of them; 0 when there is none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// Four decimals are enough for shares.
fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::score;
    use super::*;

    #[test]
    fn percentiles_are_values_at_the_nearest_rank() {
        let of = |n: u32| (1..=n).map(f64::from).collect::<Vec<_>>();
        for (values, percent, expected) in [
            (of(1), 50, 1.0),
            (of(1), 95, 1.0),
            (of(2), 50, 1.0),
            (of(3), 50, 2.0),
            (of(4), 50, 2.0),
            (of(10), 95, 10.0),
            (of(20), 95, 19.0),
            (of(21), 95, 20.0),
            (of(100), 95, 95.0),
            (of(0), 50, 0.0),
        ] {
            let found = percentile(&values, percent);
            assert!((found - expected).abs() < 1e-9, "p{percent} of {}: {found}", values.len());
        }
    }

    #[test]
    fn totals_are_sums_over_all_and_by_kind() {
        let mut scores = [score("a", "one", true), score("b", "two", true), score("c", "one", false)];
        for (index, score) in scores.iter_mut().enumerate() {
            score.attempts = index as u32 + 1;
            score.prompt_tokens = 100;
            score.cost_usd = Some(0.1);
            score.latency_ms = 30.0 - index as f64;
        }
        scores[1].constraints.total = 3;
        scores[1].constraints.covered = 2;
        scores[2].fallback = true;

        let all = Summary::of(&scores.iter().collect::<Vec<_>>());
        assert_eq!((all.scenarios, all.valid, all.fallbacks), (3, 2, 1));
        assert_eq!((all.calls, all.calls_per_plan), (6, Some(3.0)));
        assert_eq!((all.prompt_tokens, all.cost_usd, all.cost_usd_per_plan), (300, Some(0.3), Some(0.15)));
        assert_eq!((all.latency_p50_ms as u32, all.latency_p95_ms as u32), (29, 30));
        assert_eq!(all.constraints, Proportion { count: 2, total: 3, share: Some(0.6667) });
        assert_eq!(all.expected_arms, Proportion { count: 0, total: 0, share: None });

        let kinds = Summary::by_kind(&scores);
        let figures: Vec<_> = kinds
            .iter()
            .map(|kind| (kind.kind.as_str(), kind.summary.scenarios, kind.summary.valid))
            .collect();
        assert_eq!(figures, [("one", 2, 1), ("two", 1, 1)]);
    }

    #[test]
    fn an_unknown_cost_makes_the_sums_unknown() {
        let mut scores = [score("a", "one", true), score("b", "two", true)];
        scores[1].cost_usd = None;
        let costs = Summary::by_kind(&scores).into_iter().map(|kind| kind.summary.cost_usd);
        assert_eq!(costs.collect::<Vec<_>>(), [Some(0.0), None]);
        let all = Summary::of(&scores.iter().collect::<Vec<_>>());
        assert_eq!((all.cost_usd, all.cost_usd_per_plan), (None, None));
    }

    #[test]
    fn without_a_valid_plan_there_are_no_calls_and_no_cost_for_each() {
        let all = Summary::of(&[&score("a", "one", false)]);
        assert_eq!((all.calls_per_plan, all.cost_usd, all.cost_usd_per_plan), (None, Some(0.0), None));
    }
}
