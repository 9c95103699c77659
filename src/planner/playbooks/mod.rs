//! Playbooks: how each kind of work is done, as data, and the engine that plans from them without an LLM.
//!
//! After the hierarchical task networks of classical planning: the goal is split into its parts, each part is
//! matched with a playbook, and the steps of the playbooks are instantiated and joined. What no playbook fits gets an
//! outline: the usual course of its kind of work, with a low confidence.

mod arms;
mod clauses;
mod compose;
mod constraints;
mod language;
pub(in crate::planner) mod limit;
mod objects;
mod parts;
mod reading;
mod remaining;
mod sentences;
mod tools;
mod wording;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::arms::ArmRegistry;
use crate::domain::playbooks::{Library, Mode, NO_PLAYBOOK, Playbook, PlaybookStep};
use crate::domain::{Budget, PlanRequest, PlanRules};

use super::budget;
use super::draft::{Draft, DraftStep};
use super::error::list;
use arms::Staff;
use compose::{Frame, Node};
use language::Language;
use reading::{Matched, ReadGoal};
use wording::Filler;

/// Confidence in a plan whose parts all follow a playbook.
const FULL_CONFIDENCE: f64 = 0.65;
/// The same, if the score of one of the playbooks is too low to guide an LLM.
const UNCERTAIN_CONFIDENCE: f64 = 0.5;
/// Confidence in a plan with parts that follow none: at least, and what it adds that nearly all follow one.
const OUTLINE_CONFIDENCE: f64 = 0.3;
const RECOGNISED_CONFIDENCE: f64 = 0.1;
/// Confidence in a plan for arms that are known by their descriptions only: at least, and what it adds that one fits each part.
const LEAST_TOOLS_CONFIDENCE: f64 = 0.2;
const TOOLS_CONFIDENCE: f64 = 0.2;

/// Where a sentence without a request of its own says how often something is done, in words.
const HEADING_WORDS: usize = 3;
/// Work that takes as long as there is time, in seconds.
const LONG_WORK_SECONDS: u32 = 4 * 604_800;
/// Shorter times in a goal are properties of what it is about, in seconds: "answers in under 2 seconds".
const SHORTEST_WORK_SECONDS: u32 = 60;
/// A time in a goal is also such a property if the work usually takes more than this many times as long.
const MOST_TIMES_TOO_SHORT: u32 = 500;
/// What every rationale says.
const MADE_BY: &str = "Made by the embedded planner, without a language model.";

/// Plans from playbooks alone: no network, deterministic.
#[derive(Debug)]
pub struct EmbeddedPlanner {
    registry: Arc<ArmRegistry>,
    rules: PlanRules,
    library: Arc<Library>,
    staff: Staff,
}

/// What the embedded planner proposes.
#[derive(Debug)]
pub struct Proposal {
    /// A plan that passes normalization without a single repair.
    pub draft: Draft,
    /// The names of the playbooks that it follows, in order.
    pub playbooks: Vec<String>,
}

impl EmbeddedPlanner {
    /// A planner for the arms of `registry` with the playbooks of `library`.
    pub fn new(registry: Arc<ArmRegistry>, rules: PlanRules, library: Arc<Library>) -> Self {
        Self { staff: Staff::new(registry.clone()), registry, rules, library }
    }

    /// The same planner for plans that are like `rules`.
    #[must_use]
    pub fn with_rules(&self, rules: PlanRules) -> Self {
        Self::new(self.registry.clone(), rules, self.library.clone())
    }

    /// A plan for `request`.
    pub fn propose(&self, request: &PlanRequest) -> Proposal {
        let read = self.read(request);
        if self.staff.are_tools()
            && recognised(&read.matched) == 0
            && let Some(draft) = self.propose_tools(request)
        {
            return Proposal { draft, playbooks: Vec::new() };
        }
        self.follow(request, &read)
    }

    /// The plan that the playbook of mode `fixed` asks for that `request` names or that fits every part of its goal;
    /// `None` where there is none, or no arms for it.
    pub fn compiled(&self, request: &PlanRequest) -> Option<Proposal> {
        if request.playbook.is_none()
            && !self.library.playbooks().any(|playbook| playbook.mode == Mode::Fixed)
        {
            return None;
        }
        let read = self.read(request);
        let playbook = read.matched.first()?.playbook;
        let fits = |part: &Matched<'_>| playbook.mode == Mode::Fixed && part.playbook.name == playbook.name;
        read.matched.iter().all(fits).then(|| self.follow(request, &read))
    }

    /// The parts of `goal`, each with the playbook or the outline that it would follow.
    pub fn matches(&self, goal: &str) -> Vec<(String, &Playbook)> {
        let request = PlanRequest { goal: goal.to_owned(), ..PlanRequest::default() };
        self.read(&request).matched.into_iter().map(|part| (part.part.text, part.playbook)).collect()
    }

    /// The plan for a goal that was read.
    fn follow(&self, request: &PlanRequest, read: &ReadGoal<'_>) -> Proposal {
        let ReadGoal { matched, aside, background, found } = read;
        let (constraints, given) = constraints_of(request);
        let said = limit_in_goal(request);
        let mut limit = said.into_iter().chain(given).min();
        let budget = request.budget.unwrap_or_default();
        let rules = budget.within(&self.rules);
        let goal = wording::one_line(&request.goal);
        let frame = Frame {
            staff: &self.staff,
            library: &self.library,
            found,
            rules: &rules,
            filler: Filler { goal: &goal, constraints: &constraints },
            addons: self.addons(request, read, &constraints),
            limit,
        };
        let mut nodes = compose::compose(matched, &frame);
        // "Run 10 km in under 55 minutes"
        let is_property = said.is_some_and(|seconds| {
            limit::compares(&request.goal) && total(&nodes) / MOST_TIMES_TOO_SHORT > seconds
        });
        if is_property {
            limit = given;
        }
        if limit.is_none()
            && let Some((seconds, must_fit)) = limit::frame(&request.goal)
            && !(is_property && said == Some(seconds))
        {
            stretch(&mut nodes, seconds);
            limit = must_fit.then_some(seconds);
        }
        constraints::place(&constraints, limit.is_some(), &mut nodes);
        note_background(&mut nodes, background, request);
        note_aside(&mut nodes, aside);
        note_demands(&mut nodes, matched, &goal);
        let playbooks = names(matched);
        let rationale = rationale(request, matched, &playbooks);
        let draft = self.draft(nodes, rationale, confidence(matched), &budget, limit);
        Proposal { draft, playbooks }
    }

    /// The plan for arms that are known by their descriptions only; `None` if none fits.
    fn propose_tools(&self, request: &PlanRequest) -> Option<Draft> {
        let (constraints, given) = constraints_of(request);
        let limit = limit_in_goal(request).into_iter().chain(given).min();
        let budget = request.budget.unwrap_or_default();
        let rules = budget.within(&self.rules);
        let tools::ToolPlan { mut nodes, matched, unmatched } =
            tools::plan(&request.goal, &self.registry, &self.staff, &rules)?;
        constraints::place(&constraints, limit.is_some(), &mut nodes);
        note_background(&mut nodes, &[], request);
        let count = matched + unmatched;
        let how = if unmatched == 0 {
            "Each part of the goal is given to the arm whose description fits it best".to_owned()
        } else {
            format!("Arms whose descriptions fit were found for {matched} of the {count} parts of the goal")
        };
        let rationale = format!("{how}. {MADE_BY}");
        Some(self.draft(nodes, rationale, tools_confidence(matched, count), &budget, limit))
    }

    /// The steps that the request calls for whatever it is about: one that protects personal data, and one that waits for
    /// what a final part depends on.
    fn addons(
        &self,
        request: &PlanRequest,
        read: &ReadGoal<'_>,
        constraints: &[String],
    ) -> Vec<&PlaybookStep> {
        if language::asks(&request.goal) {
            return Vec::new();
        }
        let finals = read.matched.iter();
        let finals = finals.filter(|part| part.playbook.steps.iter().any(PlaybookStep::needs_checks));
        let finals: Vec<&str> = finals.map(|matched| matched.part.text.as_str()).collect();
        // "Every Friday: …", but what happens every Monday is not done every Monday.
        let beginning = |text: &String| text.split(' ').take(HEADING_WORDS).collect::<Vec<_>>().join(" ");
        let headings: Vec<String> = read.background.iter().map(beginning).collect();
        let asked = read.matched.iter().map(|matched| &matched.part.text).chain(&headings);
        let asked: Vec<&str> = asked.chain(constraints).map(String::as_str).collect();
        let keys = request.context.keys().map(String::as_str);
        let goal = std::iter::once(request.goal.as_str());
        let all: Vec<&str> = goal.chain(constraints.iter().map(String::as_str)).chain(keys).collect();
        let addons = |texts: &[&str]| self.library.addons(texts).into_iter();
        let repeats = |step: &&PlaybookStep| !step.checks() && !step.consumes.is_empty();
        let protects = |step: &&PlaybookStep| !step.checks() && step.consumes.is_empty();
        let waits = |step: &&PlaybookStep| step.checks();
        addons(&all)
            .filter(protects)
            .chain(addons(&asked).filter(repeats))
            .chain(addons(&finals).filter(waits))
            .collect()
    }

    /// The plan of these steps, with estimates that keep `budget` and `limit`.
    fn draft(
        &self,
        nodes: Vec<Node>,
        mut rationale: String,
        confidence: f64,
        budget: &Budget,
        limit: Option<u32>,
    ) -> Draft {
        rationale += &self.misfits(&nodes);
        let steps = nodes.into_iter().enumerate().map(|(index, node)| self.step(index, node)).collect();
        let (rationale, confidence) = (Some(rationale), Some(confidence));
        let mut draft = Draft { steps, rationale, confidence, ..Draft::default() };
        budget::fit(&mut draft, budget, limit, &[]);
        draft
    }

    /// Which steps no arm fits.
    fn misfits(&self, nodes: &[Node]) -> String {
        let misfits: Vec<usize> =
            (1..).zip(nodes).filter(|(_, node)| node.is_misfit).map(|(at, _)| at).collect();
        let Some(node) = nodes.iter().find(|node| node.is_misfit) else { return String::new() };
        let (steps, they) = if misfits.len() == 1 { ("step", "it is") } else { ("steps", "they are") };
        let arm = &self.registry.arms()[node.arm].id;
        format!(" No arm fits {steps} {}; {they} given to {arm} for want of a better one.", list(&misfits))
    }

    fn step(&self, index: usize, node: Node) -> DraftStep {
        DraftStep {
            number: Some(index as i64 + 1),
            action: node.action,
            arm: self.registry.arms()[node.arm].id.clone(),
            criteria: node.criteria,
            depends_on: node.needs.into_iter().map(|need| Some(need as i64 + 1)).collect(),
            cost_tier: Some(f64::from(node.cost_tier)),
            seconds: Some(f64::from(node.seconds)),
        }
    }
}

/// The parts of a goal, each in its own words.
pub(in crate::planner) fn clauses(goal: &str) -> Vec<String> {
    parts::split(goal).parts.into_iter().map(|part| part.text).collect()
}

/// How long the work may take as the goal itself says.
fn limit_in_goal(request: &PlanRequest) -> Option<u32> {
    limit::of(&request.goal).filter(|seconds| *seconds >= SHORTEST_WORK_SECONDS)
}

/// How long all steps take, one after the other.
fn total(nodes: &[Node]) -> u32 {
    nodes.iter().fold(0, |total, node| total.saturating_add(node.seconds))
}

/// The constraints of `request`, each on one line, and the tightest time limit in them or in its budget.
fn constraints_of(request: &PlanRequest) -> (Vec<String>, Option<u32>) {
    let lines = request.constraints.iter().map(|text| wording::one_line(text));
    let constraints: Vec<String> = lines.filter(|text| !text.is_empty()).collect();
    let said = constraints.iter().filter_map(|text| limit::of(text)).min();
    let given = request.budget.and_then(|budget| budget.max_duration_seconds);
    let given = given.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    (constraints, said.into_iter().chain(given).min())
}

/// Lets work that takes weeks use the whole time that the goal names for it: "Learn Spanish in six months".
fn stretch(nodes: &mut [Node], frame: u32) {
    let total = total(nodes).saturating_add(1);
    if let Some(longest) = nodes.iter_mut().max_by_key(|node| node.seconds)
        && longest.seconds >= LONG_WORK_SECONDS
    {
        longest.seconds += frame.saturating_sub(total);
    }
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

/// Names what a playbook has no step for in the step that does what was asked.
fn note_aside(nodes: &mut [Node], aside: &[String]) {
    let at = nodes.iter().position(|node| node.is_core).unwrap_or_default();
    if let Some(node) = nodes.get_mut(at) {
        let covers = |text: &String| format!("Covers what was asked: {}", wording::quoted(text));
        node.criteria.extend(aside.iter().map(covers));
    }
}

/// Lets the last step check what the goal demands beside the work itself, and its numbers and dates.
fn note_demands(nodes: &mut [Node], matched: &[Matched<'_>], goal: &str) {
    let Some(last) = nodes.last_mut() else { return };
    let language = Language::get();
    let texts = matched.iter().map(|matched| matched.part.text.as_str());
    let demands: Vec<String> = texts.flat_map(|text| language.demands(text)).map(wording::quoted).collect();
    if !demands.is_empty() {
        last.criteria.push(format!("Kept as the goal demands: {}", demands.join(", ")));
    } else if language.names_date(goal) {
        last.criteria.push(format!("The figures and dates of the goal are kept: {}", wording::quoted(goal)));
    }
}

/// The names of the playbooks that are followed, each once, in order.
fn names(matched: &[Matched<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for playbook in matched.iter().map(|part| part.playbook).filter(|playbook| !playbook.outline) {
        if !names.contains(&playbook.name) {
            names.push(playbook.name.clone());
        }
    }
    names
}

fn rationale(request: &PlanRequest, matched: &[Matched<'_>], playbooks: &[String]) -> String {
    let (recognised, count) = (recognised(matched), matched.len());
    let how = match playbooks {
        [] if request.playbook.as_deref() == Some(NO_PLAYBOOK) => {
            "Outlines the usual course of such work, as no playbook was requested".to_owned()
        }
        [] => "No part of the goal fits a playbook, so the plan only outlines the usual course of such work"
            .to_owned(),
        [name] if recognised == count => format!("Follows the playbook {name}"),
        names if recognised == count => format!("Follows the playbooks {}", names.join(", ")),
        names => format!(
            "{recognised} of {count} parts of the goal were recognised (playbooks: {})",
            names.join(", ")
        ),
    };
    let advice = if recognised == count {
        ""
    } else {
        "; connect a language model for a better plan (PLANNER_OPENAI_API_KEY or PLANNER_LLM_BASE_URL)"
    };
    format!("{how}{advice}. {MADE_BY}")
}

fn recognised(matched: &[Matched<'_>]) -> usize {
    matched.iter().filter(|part| !part.playbook.outline).count()
}

fn confidence(matched: &[Matched<'_>]) -> f64 {
    let (recognised, count) = (recognised(matched), matched.len());
    if recognised == count {
        let is_certain = matched.iter().all(|part| part.is_certain);
        return if is_certain { FULL_CONFIDENCE } else { UNCERTAIN_CONFIDENCE };
    }
    let share = recognised as f64 / count as f64;
    ((OUTLINE_CONFIDENCE + RECOGNISED_CONFIDENCE * share) * 100.0).round() / 100.0
}

fn tools_confidence(matched: usize, count: usize) -> f64 {
    let share = matched as f64 / count.max(1) as f64;
    ((LEAST_TOOLS_CONFIDENCE + TOOLS_CONFIDENCE * share) * 100.0).round() / 100.0
}
