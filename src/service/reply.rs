//! What front ends present: the plan or the problem, with its metadata.

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::playbooks::PlaybookUse;
use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::{CacheStatus, FieldError, PlanResponse, Usage};
use crate::planner::normalize::PlanDetails;
use crate::planner::serialized::SerializedPlan;
use crate::planner::{Origin, estimate};

use super::cache::PlanOutcome;

/// The metadata of a plan or a failure, for headers, logs and traces.
#[derive(Debug, Clone)]
pub(crate) struct PlanMetadata {
    /// The engine and model that made the plan, or failed to.
    pub origin: Origin,
    /// What the cache did for it.
    pub cache: CacheStatus,
    /// The number of repairs; `None` without a plan.
    pub repairs: Option<usize>,
    /// The number of warnings; `None` without a plan.
    pub warnings: Option<usize>,
    /// The number of steps; `None` without a plan.
    pub steps: Option<usize>,
    /// The playbooks that the plan was made with.
    pub playbooks: Option<PlaybookUse>,
}

/// The answer to a request for a plan.
pub(crate) struct PlanReply {
    /// A `PlanResponse` as JSON, or the problem.
    pub(crate) result: Result<Bytes, Problem>,
    /// `None` when no engine was asked.
    pub(crate) metadata: Option<PlanMetadata>,
}

impl PlanReply {
    pub(crate) fn new(PlanOutcome { origin, cache, plan }: PlanOutcome, include: Include) -> Self {
        let count = |counted: fn(&SerializedPlan) -> usize| plan.as_ref().ok().map(|plan| counted(plan));
        let repairs = count(|plan| plan.repairs().len());
        let warnings = count(|plan| plan.warnings().len());
        let steps = count(SerializedPlan::steps);
        let playbooks = plan.as_ref().ok().and_then(|plan| plan.playbooks().cloned());
        let result = plan.map(|plan| present(&plan, &origin, include)).map_err(Problem::from);
        Self { result, metadata: Some(PlanMetadata { origin, cache, repairs, warnings, steps, playbooks }) }
    }
}

impl From<Problem> for PlanReply {
    fn from(problem: Problem) -> Self {
        Self { result: Err(problem), metadata: None }
    }
}

/// A plan as JSON, with the extras that were requested.
fn present(plan: &SerializedPlan, origin: &Origin, include: Include) -> Bytes {
    if include == Include::default() {
        return plan.json().clone();
    }
    let mut response = plan.response();
    include.add_to(&mut response, plan.details(), origin);
    serde_json::to_vec(&response).expect("strings and numbers serialise").into()
}

/// The extras of a response, as requested with `include`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in the query")]
pub(crate) struct Include {
    pub(crate) schedule: bool,
    pub(crate) usage: bool,
    pub(crate) repairs: bool,
    pub(crate) id: bool,
    pub(crate) warnings: bool,
    pub(crate) questions: bool,
}

impl Include {
    pub(crate) const WORDS: [&'static str; 6] =
        ["schedule", "usage", "repairs", "id", "warnings", "questions"];

    /// The extras in all the parameters `include` of a query.
    pub(crate) fn from_query(query: &str) -> Result<Self, Problem> {
        let parameters = url::form_urlencoded::parse(query.as_bytes());
        Self::from_lists(parameters.filter(|(name, _)| name == "include").map(|(_, list)| list))
    }

    /// The extras in comma-separated lists.
    pub(crate) fn from_lists(lists: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Problem> {
        let mut include = Self::default();
        let mut unknown = Vec::new();
        for list in lists {
            for word in list.as_ref().split(',').map(str::trim).filter(|word| !word.is_empty()) {
                match word {
                    "schedule" => include.schedule = true,
                    "usage" => include.usage = true,
                    "repairs" => include.repairs = true,
                    "id" => include.id = true,
                    "warnings" => include.warnings = true,
                    "questions" => include.questions = true,
                    _ => unknown.push(FieldError {
                        field: "include".into(),
                        message: format!("`{}` does not exist", crate::text::shorten(word, 40)),
                    }),
                }
            }
        }
        if unknown.is_empty() {
            return Ok(include);
        }
        let detail = format!("include takes a comma-separated list of {}.", Self::WORDS.join(", "));
        Err(Problem::new(ErrorCode::UnknownInclude, detail).with_errors(unknown))
    }

    /// Adds the extras to a response that has none.
    pub(crate) fn add_to(self, response: &mut PlanResponse, details: &PlanDetails, origin: &Origin) {
        let totals = &origin.usage_totals;
        response.schedule = self.schedule.then(|| estimate::schedule(&response.plan));
        response.usage = self.usage.then(|| Usage {
            model: origin.model.to_string(),
            attempts: totals.attempts,
            prompt_tokens: totals.prompt_tokens,
            completion_tokens: totals.completion_tokens,
            cost_usd: totals.cost_usd(),
        });
        response.repairs = self.repairs.then(|| details.repairs.clone());
        response.warnings = self.warnings.then(|| details.warnings.clone());
        response.open_questions = self.questions.then(|| details.open_questions.clone());
        response.plan_id = self.id.then(|| format!("plan_{}", Uuid::new_v4().simple()));
    }
}

/// The outcome of a request, one of a closed set: `ok`, the `code` of its error, or `client_closed` when its caller
/// disconnected before the answer.
pub(crate) fn outcome(is_answered: bool, code: Option<ErrorCode>) -> &'static str {
    if is_answered { code.map_or("ok", ErrorCode::as_str) } else { "client_closed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_takes_lists_and_reports_every_unknown_word() {
        let some = Include { schedule: true, id: true, ..Include::default() };
        for query in ["include=schedule,id", "include=id&include=schedule", "x=1&include=%20id%20,,schedule"]
        {
            assert_eq!(Include::from_query(query), Ok(some), "{query}");
        }
        assert_eq!(Include::from_query(""), Ok(Include::default()));
        let problem = Include::from_query("include=cost,id,time").expect_err("unknown words");
        assert_eq!((problem.code, problem.errors.len()), (ErrorCode::UnknownInclude, 2));
    }
}
