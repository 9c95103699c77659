//! Durations: against a limit in the constraints, and against what a step says itself.

use crate::domain::{FindingCode, WarningCode};
use crate::planner::playbooks::limit;

use super::{Critic, Finding, FindingSeverity, Review, seconds};

/// Each flags none of 104 good plans (docs/critics.md).
const LIMIT_SEVERITY: FindingSeverity = FindingSeverity::Soft;
const DURATION_SEVERITY: FindingSeverity = FindingSeverity::Soft;

/// Finds a critical path that is longer than a constraint such as "in under 5 minutes" allows.
#[derive(Debug)]
pub(super) struct TimeLimit;

impl Critic for TimeLimit {
    fn review(&self, review: &Review<'_>) -> Vec<Finding> {
        let tightest = (1..).zip(review.limits).filter_map(|(number, limit)| Some(((*limit)?, number))).min();
        let taken = review.schedule.critical_path_seconds;
        let Some((limit, number)) = tightest.filter(|(limit, _)| taken > u64::from(*limit)) else {
            return Vec::new();
        };
        let (taken, limit) = (seconds(taken), seconds(limit.into()));
        vec![Finding {
            code: FindingCode::Warning(WarningCode::TimeLimit),
            severity: LIMIT_SEVERITY,
            step: None,
            field: None,
            to_llm: format!(
                "Its critical path took {taken}; constraint {number} of the request allows {limit}. Shorten steps, or let \
                 more of them run in parallel."
            ),
            to_caller: format!(
                "the critical path takes {taken}; constraint {number} of the request allows {limit}"
            ),
        }]
    }
}

/// Finds steps that say how long they wait and are estimated to take less than half of that.
#[derive(Debug)]
pub(super) struct ImplausibleDurations;

impl Critic for ImplausibleDurations {
    fn review(&self, review: &Review<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for step in review.open_steps() {
            let estimated = step.estimated_duration_seconds;
            let Some(stated) = limit::waiting(&step.action).filter(|stated| estimated < stated / 2) else {
                continue;
            };
            let (stated, estimated) = (seconds(stated.into()), seconds(estimated.into()));
            findings.push(Finding {
                code: FindingCode::Warning(WarningCode::DurationImplausible),
                severity: DURATION_SEVERITY,
                step: Some(step.step),
                field: Some("estimated_duration_seconds"),
                to_llm: format!(
                    "Step {} waits for {stated} and was estimated at {estimated}. Durations are in seconds.",
                    step.step
                ),
                to_caller: format!("the step waits for {stated} and is estimated at {estimated}"),
            });
        }
        findings
    }
}
