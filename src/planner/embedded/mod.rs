//! The engine without an LLM: rules, no network, deterministic.
//!
//! The goal is split into its clauses; each clause is read (what it wants, which arm takes it, what it
//! is about); the parts become steps with what a careful person would add: context first, a trial run, a
//! guard where personal data is touched, a verification at the end. It knows a few hundred words and the
//! registry, and says through its confidence how much of the goal it understood.

mod arms;
mod choice;
mod clauses;
mod compose;
mod constraints;
mod extras;
mod fit;
mod lexicon;
mod lines;
mod objects;
mod reading;
mod rest;
mod timing;
mod tools;
mod vocabulary;
mod wording;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::PlanRequest;
use crate::domain::arms::{Arm, ArmRegistry};
use crate::text::{fold, shorten};

use super::draft::{Draft, DraftStep};
use crate::domain::PlanRules;
use arms::{Arms, Intent};
use choice::FAMILIAR;
use clauses::Clause;
use compose::{Brief, Task};
use lexicon::Lexicon;
use reading::{Kind, Reading};

/// Longest piece of the goal that is quoted, in characters.
const GOAL_CHARS: usize = 300;
/// Longest name of a context entry, in characters, and most of them.
const KEY_CHARS: usize = 30;
const MOST_KEYS: usize = 5;
/// Rules are never as sure as a model may be.
const LOWEST_CONFIDENCE: f64 = 0.2;
const HIGHEST_CONFIDENCE: f64 = 0.65;
/// What it adds that for each part of a goal a fitting description was found.
const TOOLS_CONFIDENCE: f64 = 0.2;
/// What it costs in confidence that clauses had to be put together.
const MERGED_CONFIDENCE: f64 = 0.05;

/// Plans by rules alone.
#[derive(Debug)]
pub struct EmbeddedPlanner {
    rules: PlanRules,
    lexicon: Lexicon,
    arms: Arms,
}

impl EmbeddedPlanner {
    /// Prepares what does not depend on a request.
    pub fn new(registry: Arc<ArmRegistry>, rules: PlanRules) -> Self {
        let lexicon = Lexicon::new(&registry);
        let arms = Arms::new(registry, &lexicon);
        Self { rules, lexicon, arms }
    }

    /// A plan for `request`: always a draft that `repair::normalize` accepts without a single repair.
    pub fn propose(&self, request: &PlanRequest) -> Draft {
        let mut constraints: Vec<String> =
            request.constraints.iter().map(|text| tidy(text)).filter(|text| !text.is_empty()).collect();
        if let Some(draft) = self.propose_tools(request, &constraints) {
            return draft;
        }
        let clauses = clauses::split(&request.goal, &self.lexicon);
        let limit = timing::limit(
            clauses.iter().map(|clause| clause.text.as_str()).chain(constraints.iter().map(String::as_str)),
        );
        let is_constraint = |clause: &Clause| {
            let only_limits = || timing::limit(std::iter::once(clause.text.as_str())).is_some();
            clause.requires || self.lexicon.lead(&fold(&clause.text)).is_none() && only_limits()
        };
        let (required, work): (Vec<_>, Vec<_>) = clauses.into_iter().partition(is_constraint);
        // A goal of requirements alone is read as work all the same.
        let (clauses, required) = if work.is_empty() { (required, work) } else { (work, required) };
        constraints.extend(required.into_iter().map(|clause| clause.text));
        let reading = reading::read(&clauses, &self.lexicon, &self.arms);
        let explains = reading.parts.iter().all(|part| part.kind == Kind::Explain);
        let brief = self.brief(request, &constraints, limit, explains);

        let (background, understood, count) =
            (reading.background.clone(), understood(&reading), reading.parts.len());
        let recognised = reading.parts.iter().filter(|part| part.certainty >= FAMILIAR).count();
        let hinted = reading.parts.iter().any(|part| part.certainty > 0.0);
        let mut tasks = compose::compose(reading.parts, &brief);
        let merged = tasks.iter().filter(|task| task.is_part).count() + 1 < count;
        for statement in background {
            let criterion = format!("Takes into account: “{}”", shorten(&statement, GOAL_CHARS));
            if !tasks[0].criteria.contains(&criterion) {
                tasks[0].criteria.push(criterion);
            }
        }
        constraints::place(&constraints, &mut tasks, &self.arms, &self.lexicon);
        finish(&mut tasks, limit);
        let parallel = (1..tasks.len()).any(|at| !tasks[at].needs.contains(&(at - 1)));
        Draft {
            steps: self.steps(tasks),
            nulls: Vec::new(),
            rationale: Some(rationale((recognised, hinted), count, parallel, limit)),
            confidence: Some(confidence(understood, merged)),
        }
    }

    /// The plan for arms of which only descriptions are known; `None` where more is, or where none fits.
    fn propose_tools(&self, request: &PlanRequest, constraints: &[String]) -> Option<Draft> {
        if !self.arms.are_tools() {
            return None;
        }
        let PlanRules { min_steps, max_steps, require_verification } = self.rules;
        let verifier = self.arms.serving(Intent::Check).filter(|_| require_verification);
        let verifier = verifier.filter(|arm| self.arms.list()[*arm].verifies() && max_steps > 1);
        let fixed = usize::from(verifier.is_some());
        let room = (min_steps.saturating_sub(fixed), max_steps - fixed);
        let plan = tools::plan(&request.goal, self.arms.registry(), &self.lexicon, room)?;
        let mut tasks = plan.tasks;
        if let Some(verifier) = verifier {
            tasks.push(tools::closing(verifier, &shorten(&tidy(&request.goal), GOAL_CHARS), &tasks));
        }
        constraints::place(constraints, &mut tasks, &self.arms, &self.lexicon);
        let limit = timing::limit(constraints.iter().map(String::as_str).chain([request.goal.as_str()]));
        finish(&mut tasks, limit);
        let all = plan.matched + plan.unmatched;
        let share = plan.matched as f64 / all.max(1) as f64;
        Some(Draft {
            steps: self.steps(tasks),
            nulls: Vec::new(),
            rationale: Some(format!(
                "Rule-based plan, made without a language model: for {} of the {all} parts of the goal an arm was found \
                 by its description.",
                plan.matched
            )),
            confidence: Some(((LOWEST_CONFIDENCE + TOOLS_CONFIDENCE * share) * 100.0).round() / 100.0),
        })
    }

    fn brief(
        &self,
        request: &PlanRequest,
        constraints: &[String],
        limit: Option<u32>,
        explains: bool,
    ) -> Brief<'_> {
        let keys: Vec<String> = request
            .context
            .keys()
            .map(|key| shorten(&tidy(key), KEY_CHARS))
            .filter(|key| !key.is_empty())
            .take(MOST_KEYS)
            .collect();
        let PlanRules { min_steps, max_steps, require_verification } = self.rules;
        // Every step takes a second at least.
        let within_limit = limit.map_or(max_steps, |seconds| max_steps.min(min_steps.max(seconds as usize)));
        Brief {
            arms: &self.arms,
            goal: shorten(&tidy(&request.goal), GOAL_CHARS),
            context: if keys.is_empty() { String::new() } else { format!("({})", keys.join(", ")) },
            sensitive: self.is_sensitive(request, constraints, explains),
            has_constraints: !constraints.is_empty(),
            min_steps,
            max_steps: within_limit,
            must_verify: require_verification && self.arms.list().iter().any(Arm::verifies),
        }
    }

    /// Whether the goal, a constraint or the name of a context entry speaks of personal data or secrets; who
    /// only has them explained touches none.
    fn is_sensitive(&self, request: &PlanRequest, constraints: &[String], explains: bool) -> bool {
        let texts = (!explains).then_some(request.goal.as_str()).into_iter();
        let texts = texts.chain(constraints.iter().map(String::as_str));
        texts.chain(request.context.keys().map(String::as_str)).map(fold).any(|text| {
            self.arms.guards_against(&text) || self.lexicon.scan(&text).any(|(_, senses)| senses.sensitive)
        })
    }

    fn steps(&self, tasks: Vec<Task>) -> Vec<DraftStep> {
        let step = |(number, task): (i64, Task)| {
            let arm = &self.arms.list()[task.arm];
            DraftStep {
                number: Some(number),
                action: task.action,
                arm: arm.id.clone(),
                criteria: task.criteria,
                depends_on: task.needs.into_iter().map(|need| i64::try_from(need + 1).ok()).collect(),
                cost_tier: Some(f64::from(arm.cost_tier)),
                seconds: Some(f64::from(task.seconds)),
            }
        };
        (1..).zip(tasks).map(step).collect()
    }
}

/// Makes actions distinct and durations fit the time limit.
fn finish(tasks: &mut [Task], limit: Option<u32>) {
    let mut taken: HashSet<String> = HashSet::with_capacity(tasks.len());
    for (index, task) in tasks.iter_mut().enumerate() {
        if !taken.insert(task.action.to_lowercase()) {
            task.action = format!("{} (step {})", task.action, index + 1);
            taken.insert(task.action.to_lowercase());
        }
    }
    if let Some(limit) = limit {
        let mut seconds: Vec<u32> = tasks.iter().map(|task| task.seconds).collect();
        timing::fit(&mut seconds, limit);
        for (task, seconds) in tasks.iter_mut().zip(seconds) {
            task.seconds = seconds;
        }
    }
}

/// How much of the goal was understood, 0.0 to 1.0; a statement counts half.
fn understood(reading: &Reading) -> f64 {
    let statements = reading.background.len() as f64;
    let sum: f64 = reading.parts.iter().map(|part| part.certainty).sum::<f64>() + 0.5 * statements;
    sum / (reading.parts.len() as f64 + statements)
}

fn confidence(understood: f64, merged: bool) -> f64 {
    let span = HIGHEST_CONFIDENCE - LOWEST_CONFIDENCE;
    let confidence = LOWEST_CONFIDENCE + span * understood - if merged { MERGED_CONFIDENCE } else { 0.0 };
    (confidence.clamp(LOWEST_CONFIDENCE, HIGHEST_CONFIDENCE) * 100.0).round() / 100.0
}

fn rationale(
    (recognised, hinted): (usize, bool),
    count: usize,
    parallel: bool,
    limit: Option<u32>,
) -> String {
    let what = match (recognised, count) {
        (0, _) if hinted => "single words of the goal were recognised".to_owned(),
        (0, _) => "nothing in the goal was recognised, so the steps are general".to_owned(),
        (1, 1) => "the goal was recognised as one piece of work".to_owned(),
        (2, 2) => "both parts of the goal were recognised".to_owned(),
        (all, count) if all == count => format!("all {count} parts of the goal were recognised"),
        (some, count) => format!("{some} of the {count} parts of the goal were recognised"),
    };
    let how = if parallel { "; steps that do not need each other can run in parallel" } else { "" };
    let time =
        limit.map_or(String::new(), |s| format!(" The durations are fitted to the limit of {s} seconds."));
    format!("Rule-based plan, made without a language model: {what}{how}.{time}")
}

/// `text` on one line, without control characters.
fn tidy(text: &str) -> String {
    let text: String = text.chars().map(|c| if lines::is_unseen(c) { ' ' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
