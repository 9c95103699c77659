//! The policies of an installation.

use std::sync::Arc;

use crate::domain::WarningCode;
use crate::policies::{Policies, PolicyInput, Severity, Violation};

use super::{Critic, Finding, FindingSeverity, Review};

/// Maximum number of characters of all messages that the LLM gets from the start.
const MAX_STATED_CHARS: usize = 4_000;
/// Maximum number of steps that are named as breaking one policy.
const MAX_STEPS_NAMED: usize = 10;

/// Finds every policy that the plan breaks.
#[derive(Debug)]
pub struct PolicyCritic(Arc<Policies>);

impl PolicyCritic {
    /// A critic for these `policies`.
    pub fn new(policies: Arc<Policies>) -> Self {
        Self(policies)
    }
}

impl Critic for PolicyCritic {
    fn review(&self, review: &Review<'_>) -> Vec<Finding> {
        self.0.violations(&input(review)).iter().flat_map(findings).collect()
    }

    fn review_done(&self, review: &Review<'_>) -> Vec<Finding> {
        if review.done.is_empty() {
            return Vec::new();
        }
        let mut violations = self.0.violations(&input(review));
        violations.retain(|violation| violation.is_of_each_step && violation.severity == Severity::Error);
        for violation in &mut violations {
            violation.steps.retain(|step| review.is_done(*step));
        }
        violations.retain(|violation| !violation.steps.is_empty());
        violations.iter().flat_map(findings).collect()
    }

    fn is_soft(&self) -> bool {
        false
    }

    fn stated(&self) -> Vec<String> {
        let mut left = MAX_STATED_CHARS;
        let messages = self.0.sources().map(|source| source.message.clone());
        let fits = |message: &String| {
            left = left.saturating_sub(message.chars().count());
            left > 0
        };
        messages.take_while(fits).collect()
    }
}

fn input<'a>(review: &Review<'a>) -> PolicyInput<'a> {
    PolicyInput {
        goal: &review.request.goal,
        constraints: &review.request.constraints,
        context: &review.request.context,
        steps: review.steps,
        schedule: review.schedule,
        arms: review.registry.arms(),
    }
}

/// One for each step that breaks the policy, or one for the whole plan.
fn findings(violation: &Violation) -> Vec<Finding> {
    let Violation { policy, severity, message, steps, .. } = violation;
    let message = message.trim_end_matches('.');
    let finding = |step: Option<u32>| Finding {
        code: WarningCode::Policy.into(),
        severity: match severity {
            Severity::Error => FindingSeverity::Hard,
            Severity::Warning => FindingSeverity::Warning,
        },
        step,
        field: None,
        to_llm: match step {
            Some(step) => format!("Step {step} broke a rule: {message}."),
            None => format!("It broke a rule: {message}."),
        },
        to_caller: format!("the policy `{policy}` does not hold: {message}"),
    };
    if steps.is_empty() {
        return vec![finding(None)];
    }
    steps.iter().take(MAX_STEPS_NAMED).map(|step| finding(Some(*step))).collect()
}
