//! A plan as somebody wrote it down, before it is checked.

/// What an engine proposes: any of it may be missing, contradictory or out of range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// The steps in the order in which they were written.
    pub steps: Vec<DraftStep>,
    /// Why the goal was broken down this way.
    pub rationale: Option<String>,
    /// How sure the engine is.
    pub confidence: Option<f64>,
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
    /// Numbers of the steps it needs; `None` for an entry in which no number could be read.
    pub depends_on: Vec<Option<i64>>,
    /// Cost as written, in tiers.
    pub cost_tier: Option<f64>,
    /// Duration as written, in seconds.
    pub seconds: Option<f64>,
}
