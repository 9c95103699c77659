//! A plan as it was written, before it is checked.

use crate::domain::{PlanResponse, SubTask};

/// What an engine proposes: any of it may be missing, contradictory or out of range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// The steps in the order in which they were written.
    pub steps: Vec<DraftStep>,
    /// Places in the list of steps, from 0, at which there was no step but `null`.
    pub nulls: Vec<usize>,
    /// Why the goal was broken down this way.
    pub rationale: Option<String>,
    /// How sure the engine is.
    pub confidence: Option<f64>,
    /// What the engine would like to know.
    pub open_questions: Vec<String>,
    /// Keys of what else was written and has no place in a plan.
    pub unused: Vec<String>,
}

/// One proposed step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DraftStep {
    /// Its number as written.
    pub number: Option<i64>,
    /// What to do.
    pub action: String,
    /// The arm as named.
    pub arm: String,
    /// How to tell that it is done.
    pub criteria: Vec<String>,
    /// Numbers of the steps it needs; `None` for an entry that is not a number.
    pub depends_on: Vec<Option<i64>>,
    /// Cost as written, in tiers.
    pub cost_tier: Option<f64>,
    /// Duration as written, in seconds.
    pub seconds: Option<f64>,
}

/// A plan that was sent is proposed again.
impl From<PlanResponse> for Draft {
    fn from(response: PlanResponse) -> Self {
        Self {
            steps: response.plan.into_iter().map(DraftStep::from).collect(),
            nulls: Vec::new(),
            rationale: Some(response.rationale),
            confidence: Some(response.confidence),
            open_questions: response.open_questions.unwrap_or_default(),
            unused: Vec::new(),
        }
    }
}

impl From<SubTask> for DraftStep {
    fn from(step: SubTask) -> Self {
        Self {
            number: Some(step.step.into()),
            action: step.action,
            arm: step.required_arm,
            criteria: step.acceptance_criteria,
            depends_on: step.depends_on.into_iter().map(|needed| Some(needed.into())).collect(),
            cost_tier: Some(step.estimated_cost_tier.into()),
            seconds: Some(step.estimated_duration_seconds.into()),
        }
    }
}
