//! The budget of a request: a limit, not a wish.

use crate::domain::{Budget, FindingCode};

use super::{Critic, Finding, FindingSeverity, Review, seconds};

/// Finds every limit of the budget that the plan breaks.
#[derive(Debug)]
pub(super) struct BudgetCritic;

impl Critic for BudgetCritic {
    fn review(&self, review: &Review<'_>) -> Vec<Finding> {
        let Some(budget) = review.request.budget else { return Vec::new() };
        let Budget { max_duration_seconds, max_cost_tier, max_steps } = budget;
        let mut findings = Vec::new();
        let taken = review.schedule.critical_path_seconds;
        if let Some(most) = max_duration_seconds.filter(|most| taken > *most) {
            let (taken, most) = (seconds(taken), seconds(most));
            findings.push(finding(
                None,
                format!("Its critical path took {taken}; the budget allows {most}. Shorten steps, or let more of them run in parallel."),
                format!("the critical path takes {taken}; the budget allows {most}: shorten or parallelise"),
            ));
        }
        for step in review.steps {
            let (number, tier) = (step.step, step.estimated_cost_tier);
            if let Some(most) = max_cost_tier.filter(|most| tier > *most) {
                findings.push(finding(
                    Some(number),
                    format!("Step {number} had cost tier {tier}; the budget allows {most}. Do it at less cost, or in another way."),
                    format!("step {number} has cost tier {tier}; the budget allows {most}"),
                ));
            }
        }
        if let Some(most) = max_steps.filter(|most| review.steps.len() > *most as usize) {
            let count = review.steps.len();
            findings.push(finding(
                None,
                format!(
                    "It had {count} steps; the budget allows {most}. Combine steps that belong together."
                ),
                format!("the plan has {count} steps; the budget allows {most}"),
            ));
        }
        findings
    }

    fn is_soft(&self) -> bool {
        false
    }
}

fn finding(step: Option<u32>, to_llm: String, to_caller: String) -> Finding {
    let field = step.map(|_| "estimated_cost_tier");
    Finding { code: FindingCode::Budget, severity: FindingSeverity::Hard, step, field, to_llm, to_caller }
}
