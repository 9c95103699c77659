//! Playbooks: how each kind of work is done, as data, and the engine that plans from them without an LLM.
//!
//! After the hierarchical task networks of classical planning: the goal is split into its parts, each part is
//! matched with a playbook, the steps of the playbooks are instantiated and joined, and what no playbook fits gets
//! an honest outline of its own clauses.

mod arms;
mod compose;
mod constraints;
mod format;
mod language;
mod library;
pub(in crate::planner) mod limit;
mod parts;
mod remaining;
mod tools;
mod wording;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::arms::ArmRegistry;
use crate::domain::{PlanRequest, PlanRules};

use super::draft::{Draft, DraftStep};
use arms::Staff;
use compose::Node;
use parts::Part;

pub use format::{Match, Playbook, PlaybookStep};
pub use library::Library;

/// Confidence in a plan of which every part follows a playbook.
const FULL_CONFIDENCE: f64 = 0.65;
/// Confidence in a plan without any playbook, at most.
const OUTLINE_CONFIDENCE: f64 = 0.35;
/// Confidence in a plan for arms of which only descriptions are known: at least, and what it adds that one fits each part.
const LEAST_TOOLS_CONFIDENCE: f64 = 0.2;
const TOOLS_CONFIDENCE: f64 = 0.2;

/// Plans from playbooks alone: no network, deterministic.
#[derive(Debug)]
pub struct EmbeddedPlanner {
    registry: Arc<ArmRegistry>,
    rules: PlanRules,
    library: Arc<Library>,
}

/// A part of a goal and the playbook that fits it.
struct Matched<'a> {
    part: Part,
    playbook: Option<&'a Playbook>,
}

impl EmbeddedPlanner {
    /// A planner for the arms of `registry` with the built-in playbooks.
    pub fn new(registry: Arc<ArmRegistry>, rules: PlanRules) -> Self {
        Self { registry, rules, library: Library::built_in() }
    }

    /// The same planner for plans that are like `rules`.
    #[must_use]
    pub fn with_rules(&self, rules: PlanRules) -> Self {
        Self { registry: self.registry.clone(), rules, library: self.library.clone() }
    }

    /// A plan for `request`: a draft that passes normalization without a single repair.
    pub fn propose(&self, request: &PlanRequest) -> Draft {
        let staff = Staff::new(&self.registry);
        if let Some(draft) = self.propose_tools(request, &staff) {
            return draft;
        }
        let goal = parts::split(&request.goal);
        let background = goal.background;
        let matched: Vec<Matched<'_>> = goal
            .parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| {
                // What is said before the first part belongs to it.
                let text = if index == 0 {
                    format!("{} {}", background.join(" "), part.text)
                } else {
                    part.text.clone()
                };
                let playbook = self.library.best(&text).filter(|playbook| staff.can_follow(playbook));
                Matched { part, playbook }
            })
            .collect();
        let (constraints, limit) = constraints_of(request);
        let guard = self.guard(request, &constraints);
        let (recognised, count) =
            (matched.iter().filter(|part| part.playbook.is_some()).count(), matched.len());
        let names = names(&matched);

        let mut nodes = compose::compose(&matched, guard, &staff, &self.rules, limit);
        constraints::place(&constraints, limit.is_some(), &mut nodes);
        note_background(&mut nodes, &background, request);
        Draft {
            steps: self.steps(nodes, limit),
            nulls: Vec::new(),
            rationale: Some(rationale(&names, recognised, count, limit)),
            confidence: Some(confidence(recognised, count)),
            open_questions: Vec::new(),
        }
    }

    /// The plan for arms of which only descriptions are known; `None` where more is, or where none fits.
    fn propose_tools(&self, request: &PlanRequest, staff: &Staff<'_>) -> Option<Draft> {
        if !staff.are_tools() {
            return None;
        }
        let tools::ToolPlan { mut nodes, matched, unmatched } =
            tools::plan(&request.goal, &self.registry, staff, &self.rules)?;
        let (constraints, limit) = constraints_of(request);
        constraints::place(&constraints, limit.is_some(), &mut nodes);
        note_background(&mut nodes, &[], request);
        let count = matched + unmatched;
        Some(Draft {
            steps: self.steps(nodes, limit),
            nulls: Vec::new(),
            rationale: Some(format!(
                "An arm was found by its description for {matched} of the {count} parts of the goal. Made by the \
                 embedded planner, without a language model."
            )),
            confidence: Some(tools_confidence(matched, count)),
            open_questions: Vec::new(),
        })
    }

    /// The step that protects personal data and secrets, where the request speaks of any.
    fn guard(&self, request: &PlanRequest, constraints: &[String]) -> Option<&PlaybookStep> {
        let keys = request.context.keys().map(String::as_str);
        let texts =
            std::iter::once(request.goal.as_str()).chain(constraints.iter().map(String::as_str)).chain(keys);
        (!language::asks(&request.goal)).then(|| self.library.guard_for(texts))?
    }

    fn steps(&self, nodes: Vec<Node>, limit: Option<u32>) -> Vec<DraftStep> {
        let seconds = limit::fitted(nodes.iter().map(|node| node.seconds).collect(), limit);
        let steps = nodes.into_iter().zip(seconds).enumerate();
        steps.map(|(index, (node, seconds))| self.step(index, node, seconds)).collect()
    }

    fn step(&self, index: usize, node: Node, seconds: u32) -> DraftStep {
        DraftStep {
            number: Some(index as i64 + 1),
            action: node.action,
            arm: self.registry.arms()[node.arm].id.clone(),
            criteria: node.criteria,
            depends_on: node.needs.into_iter().map(|need| Some(need as i64 + 1)).collect(),
            cost_tier: Some(f64::from(node.cost_tier)),
            seconds: Some(f64::from(seconds)),
        }
    }
}

/// The parts of a goal, each in its own words.
pub(in crate::planner) fn clauses(goal: &str) -> Vec<String> {
    parts::split(goal).parts.into_iter().map(|part| part.text).collect()
}

/// The constraints of `request`, each on one line, and the tightest time limit in it.
fn constraints_of(request: &PlanRequest) -> (Vec<String>, Option<u32>) {
    let lines = request.constraints.iter().map(|text| wording::one_line(text));
    let constraints: Vec<String> = lines.filter(|text| !text.is_empty()).collect();
    let texts = std::iter::once(&request.goal).chain(&constraints);
    let limit = limit::tightest(texts.map(String::as_str));
    (constraints, limit)
}

/// Puts what the goal says about the state of things, and the names of the context's entries, into the first step.
fn note_background(nodes: &mut [Node], background: &[String], request: &PlanRequest) {
    let Some(first) = nodes.first_mut() else { return };
    for statement in background {
        first.criteria.push(format!("Takes into account: {}", wording::quoted(statement)));
    }
    let keys = wording::list(request.context.keys().map(|key| wording::one_line(key)));
    if let Some(keys) = keys {
        first.criteria.push(format!("Uses the given context: {keys}"));
    }
}

/// The names of the playbooks that are followed, each once, in order.
fn names(matched: &[Matched<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for playbook in matched.iter().filter_map(|part| part.playbook) {
        if !names.contains(&playbook.name) {
            names.push(playbook.name.clone());
        }
    }
    names
}

fn rationale(names: &[String], recognised: usize, count: usize, limit: Option<u32>) -> String {
    let how = match (names.is_empty(), recognised == count) {
        (true, _) => "I recognised no part of the goal, so the steps only outline its own words".to_owned(),
        (false, true) if names.len() == 1 => format!("Follows the playbook {}", names[0]),
        (false, true) => format!("Follows the playbooks {}", names.join(", ")),
        (false, false) => {
            format!("I recognised {recognised} of {count} parts (playbooks: {})", names.join(", "))
        }
    };
    let advice = if recognised == count {
        ""
    } else {
        "; connect a language model for a better plan (PLANNER_OPENAI_API_KEY or PLANNER_LLM_BASE_URL)"
    };
    let time = limit
        .map_or(String::new(), |seconds| format!(" Durations are scaled to the limit of {seconds} seconds."));
    format!("{how}{advice}. Made by the embedded planner, without a language model.{time}")
}

fn confidence(recognised: usize, count: usize) -> f64 {
    let share = recognised as f64 / count.max(1) as f64;
    let confidence = OUTLINE_CONFIDENCE + (FULL_CONFIDENCE - OUTLINE_CONFIDENCE) * share;
    (confidence * 100.0).round() / 100.0
}

fn tools_confidence(matched: usize, count: usize) -> f64 {
    let share = matched as f64 / count.max(1) as f64;
    ((LEAST_TOOLS_CONFIDENCE + TOOLS_CONFIDENCE * share) * 100.0).round() / 100.0
}
