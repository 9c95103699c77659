//! What a plan will take: duration, complexity, schedule.

use crate::domain::{Schedule, SubTask};

use super::graph;

/// Sum of all durations, in seconds.
pub fn total_seconds(steps: &[SubTask]) -> u64 {
    steps.iter().map(|step| u64::from(step.estimated_duration_seconds)).sum()
}

/// How complex a plan is, 0.0 to 1.0 in steps of 0.01, from its shape alone.
///
/// `0.35·size + 0.20·coupling + 0.15·depth + 0.15·cost + 0.15·spread`, each from 0 to 1:
/// - size: steps out of 10
/// - coupling: dependencies, out of two for each step but the first
/// - depth: levels that must follow each other, out of the steps
/// - cost: mean cost tier, from 1 (none) to 5 (all)
/// - spread: different arms, out of 5
pub fn complexity(steps: &[SubTask]) -> f64 {
    if steps.is_empty() {
        return 0.0;
    }
    let n = steps.len() as f64;
    let links: usize = steps.iter().map(|step| step.depends_on.len()).sum();
    let tiers: u32 = steps.iter().map(|step| u32::from(step.estimated_cost_tier)).sum();
    let mut arms: Vec<&str> = steps.iter().map(|step| step.required_arm.as_str()).collect();
    arms.sort_unstable();
    arms.dedup();

    let size = (n / 10.0).min(1.0);
    let coupling = (links as f64 / (2.0 * (n - 1.0).max(1.0))).min(1.0);
    let depth = graph::levels(steps).len() as f64 / n;
    let cost = ((f64::from(tiers) / n - 1.0) / 4.0).clamp(0.0, 1.0);
    let spread = (arms.len() as f64 / 5.0).min(1.0);
    let score = 0.35 * size + 0.20 * coupling + 0.15 * depth + 0.15 * cost + 0.15 * spread;
    (score * 100.0).round() / 100.0
}

/// The schedule of a plan.
pub fn schedule(steps: &[SubTask]) -> Schedule {
    let (critical_path, critical_path_seconds) = graph::critical_path(steps);
    Schedule { levels: graph::levels(steps), critical_path, critical_path_seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MAX_STEP_SECONDS;

    fn chain(n: u32, arm: impl Fn(u32) -> String, tier: u8) -> Vec<SubTask> {
        (1..=n)
            .map(|step| SubTask {
                step,
                action: format!("do {step}"),
                required_arm: arm(step),
                acceptance_criteria: vec!["done".into()],
                depends_on: if step > 1 { vec![step - 1] } else { vec![] },
                estimated_cost_tier: tier,
                estimated_duration_seconds: MAX_STEP_SECONDS,
            })
            .collect()
    }

    #[test]
    fn complexity_stays_within_its_bounds() {
        let least = complexity(&chain(1, |_| "a".into(), 1));
        let most = complexity(&chain(50, |step| format!("arm {step}"), 5));
        assert!((0.0..0.3).contains(&least), "{least}");
        assert!((0.7..=1.0).contains(&most), "{most}");
        assert!(complexity(&[]) == 0.0);
    }

    #[test]
    fn more_steps_arms_and_cost_are_more_complex() {
        let base = complexity(&chain(3, |_| "a".into(), 1));
        assert!(complexity(&chain(5, |_| "a".into(), 1)) > base);
        assert!(complexity(&chain(3, |step| format!("{step}"), 1)) > base);
        assert!(complexity(&chain(3, |_| "a".into(), 4)) > base);
    }

    #[test]
    fn totals_do_not_overflow() {
        assert_eq!(total_seconds(&chain(50, |_| "a".into(), 1)), 50 * u64::from(MAX_STEP_SECONDS));
    }

    #[test]
    fn a_schedule_has_every_step_once() {
        let schedule = schedule(&chain(4, |_| "a".into(), 1));
        assert_eq!(schedule.levels, vec![vec![1], vec![2], vec![3], vec![4]]);
        assert_eq!(schedule.critical_path, vec![1, 2, 3, 4]);
        assert_eq!(schedule.critical_path_seconds, 4 * u64::from(MAX_STEP_SECONDS));
    }
}
