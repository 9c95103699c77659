//! Playbooks: how each kind of work is done, as data, and the engine that plans from them without an LLM.
//!
//! After the hierarchical task networks of classical planning: the goal is split into its parts, each part is
//! matched with a playbook, the steps of the playbooks are instantiated and joined, and what no playbook fits gets
//! an honest outline of its own clauses.

mod arms;
mod compose;
mod constraints;
mod language;
pub(in crate::planner) mod limit;
mod parts;
mod remaining;
mod tools;
mod wording;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::arms::ArmRegistry;
use crate::domain::playbooks::{Library, Mode, NO_PLAYBOOK, Playbook, PlaybookStep};
use crate::domain::{Budget, PlanRequest, PlanRules};
use crate::text::duration;

use super::draft::{Draft, DraftStep};
use arms::Staff;
use compose::{Frame, Node};
use parts::{Goal, Part};
use wording::Filler;

/// Confidence in a plan whose parts all follow a playbook.
const FULL_CONFIDENCE: f64 = 0.65;
/// Confidence in a plan with parts that follow none: at least, and what it adds that nearly all follow one.
const OUTLINE_CONFIDENCE: f64 = 0.3;
const RECOGNISED_CONFIDENCE: f64 = 0.1;
/// Confidence in a plan for arms that are known by their descriptions only: at least, and what it adds that one fits each part.
const LEAST_TOOLS_CONFIDENCE: f64 = 0.2;
const TOOLS_CONFIDENCE: f64 = 0.2;

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

/// A part of a goal and the playbook that fits it.
struct Matched<'a> {
    part: Part,
    playbook: Option<&'a Playbook>,
}

/// A goal, read with the playbooks of an installation.
struct ReadGoal<'a> {
    /// What the plan is made of; never empty.
    matched: Vec<Matched<'a>>,
    /// Parts that the playbook which the caller asked for has no step for.
    aside: Vec<String>,
    /// Sentences that describe the state of things.
    background: Vec<String>,
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
            && read.matched.iter().all(|part| part.playbook.is_none())
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
        let playbook = read.matched.first()?.playbook.filter(|playbook| playbook.mode == Mode::Fixed)?;
        let fits = |part: &Matched<'_>| part.playbook.is_some_and(|other| other.name == playbook.name);
        read.matched.iter().all(fits).then(|| self.follow(request, &read))
    }

    /// The parts of `goal`, each with the name of the playbook that it would follow.
    pub fn matches(&self, goal: &str) -> Vec<(String, Option<&str>)> {
        let request = PlanRequest { goal: goal.to_owned(), ..PlanRequest::default() };
        let matched = self.read(&request).matched.into_iter();
        matched.map(|part| (part.part.text, part.playbook.map(|playbook| playbook.name.as_str()))).collect()
    }

    /// The parts of the goal, each with its playbook: the one that fits, or what the caller asked for.
    fn read(&self, request: &PlanRequest) -> ReadGoal<'_> {
        let Goal { parts, background } = parts::split(&request.goal);
        let matched = parts.into_iter().enumerate().map(|(index, part)| {
            // What is said before the first part belongs to it.
            let before = if index == 0 { background.join(" ") } else { String::new() };
            let best = self.library.best(format!("{before} {}", part.text).trim_start());
            Matched { part, playbook: best.filter(|playbook| self.staff.can_follow(playbook)) }
        });
        let mut matched: Vec<Matched<'_>> = matched.collect();
        part_from_work(&mut matched);
        let mut aside = Vec::new();
        let asked = request.playbook.as_deref();
        if asked == Some(NO_PLAYBOOK) {
            for part in &mut matched {
                part.playbook = None;
            }
        } else if let Some(playbook) = asked.and_then(|name| self.library.named(name))
            && playbook.steps.iter().any(|step| self.staff.for_step(step).is_some())
        {
            let fits = |part: &Matched<'_>| part.playbook.is_some_and(|other| other.name == playbook.name);
            // Without a part that it fits, the first one says what the plan is about.
            let first = matched.iter().position(fits).unwrap_or(0);
            let (follow, others): (Vec<_>, Vec<_>) =
                matched.into_iter().enumerate().partition(|(index, part)| *index == first || fits(part));
            aside.extend(others.into_iter().map(|(_, other)| other.part.text));
            matched =
                follow.into_iter().map(|(_, part)| Matched { playbook: Some(playbook), ..part }).collect();
        }
        ReadGoal { matched, aside, background }
    }

    /// The plan for a goal that was read.
    fn follow(&self, request: &PlanRequest, read: &ReadGoal<'_>) -> Proposal {
        let ReadGoal { matched, aside, background } = read;
        let (constraints, limit) = constraints_of(request);
        let budget = request.budget.unwrap_or_default();
        let rules = budget.within(&self.rules);
        let goal = wording::one_line(&request.goal);
        let frame = Frame {
            staff: &self.staff,
            library: &self.library,
            rules: &rules,
            filler: Filler { goal: &goal, constraints: &constraints },
            guard: self.guard(request, &constraints),
            limit,
        };
        let mut nodes = compose::compose(matched, &frame);
        constraints::place(&constraints, limit.is_some(), &mut nodes);
        note_background(&mut nodes, background, request);
        note_aside(&mut nodes, aside);
        let playbooks = names(matched);
        let (steps, is_scaled) = self.steps(nodes, limit, &budget);
        let rationale = rationale(request, matched, &playbooks, limit.filter(|_| is_scaled));
        let draft = Draft {
            steps,
            rationale: Some(rationale),
            confidence: Some(confidence(matched)),
            ..Draft::default()
        };
        Proposal { draft, playbooks }
    }

    /// The plan for arms that are known by their descriptions only; `None` if none fits.
    fn propose_tools(&self, request: &PlanRequest) -> Option<Draft> {
        let (constraints, limit) = constraints_of(request);
        let budget = request.budget.unwrap_or_default();
        let rules = budget.within(&self.rules);
        let tools::ToolPlan { mut nodes, matched, unmatched } =
            tools::plan(&request.goal, &self.registry, &self.staff, &rules)?;
        constraints::place(&constraints, limit.is_some(), &mut nodes);
        note_background(&mut nodes, &[], request);
        let count = matched + unmatched;
        Some(Draft {
            steps: self.steps(nodes, limit, &budget).0,
            rationale: Some(format!(
                "An arm was found by its description for {matched} of the {count} parts of the goal. Made by the \
                 embedded planner, without a language model."
            )),
            confidence: Some(tools_confidence(matched, count)),
            ..Draft::default()
        })
    }

    /// The step that protects personal data and secrets, where the request speaks of any.
    fn guard(&self, request: &PlanRequest, constraints: &[String]) -> Option<&PlaybookStep> {
        let keys = request.context.keys().map(String::as_str);
        let texts =
            std::iter::once(request.goal.as_str()).chain(constraints.iter().map(String::as_str)).chain(keys);
        (!language::asks(&request.goal)).then(|| self.library.guard_for(texts))?
    }

    /// The steps of a plan, and whether their durations were scaled to a limit.
    fn steps(&self, mut nodes: Vec<Node>, limit: Option<u32>, budget: &Budget) -> (Vec<DraftStep>, bool) {
        let usual: Vec<u32> = nodes.iter().map(|node| node.seconds).collect();
        let needs: Vec<_> = nodes.iter().map(|node| &node.needs).collect();
        let seconds = limit::fitted(usual.clone(), &needs, limit);
        let is_scaled = seconds != usual;
        if let Some(most) = budget.max_cost_tier {
            for node in &mut nodes {
                node.cost_tier = node.cost_tier.min(most);
            }
        }
        let steps = nodes.into_iter().zip(seconds).enumerate();
        (steps.map(|(index, (node, seconds))| self.step(index, node, seconds)).collect(), is_scaled)
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

/// Takes parts that cannot be undone out of a playbook that is not for them: "Prepare the accounts and file them" files
/// what was checked.
fn part_from_work(matched: &mut [Matched<'_>]) {
    for index in 1..matched.len() {
        let Some(playbook) = matched[index].playbook else { continue };
        let continues = matched[index - 1].playbook.is_some_and(|before| before.name == playbook.name);
        let mut cores = playbook.steps.iter().filter(|step| step.is_core()).peekable();
        let is_for_work = cores.peek().is_some() && cores.all(|step| !step.needs_checks());
        if continues && is_for_work && language::Language::get().is_final(&matched[index].part.text) {
            matched[index].playbook = None;
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
    let said = limit::tightest(texts.map(String::as_str));
    let given = request.budget.and_then(|budget| budget.max_duration_seconds);
    let given = given.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    (constraints, said.into_iter().chain(given).min())
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

fn rationale(
    request: &PlanRequest,
    matched: &[Matched<'_>],
    playbooks: &[String],
    limit: Option<u32>,
) -> String {
    let (recognised, count) = (recognised(matched), matched.len());
    let how = match playbooks {
        [] if request.playbook.as_deref() == Some(NO_PLAYBOOK) => {
            "Outlines the goal's own words, as no playbook was requested".to_owned()
        }
        [] => "No part of the goal was recognised, so the steps only outline its own words".to_owned(),
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
    let time = limit.map_or(String::new(), |seconds| {
        format!(" Durations are scaled to the limit of {}.", duration(seconds.into()))
    });
    format!("{how}{advice}. Made by the embedded planner, without a language model.{time}")
}

fn recognised(matched: &[Matched<'_>]) -> usize {
    matched.iter().filter(|part| part.playbook.is_some()).count()
}

fn confidence(matched: &[Matched<'_>]) -> f64 {
    let (recognised, count) = (recognised(matched), matched.len());
    if recognised == count {
        return FULL_CONFIDENCE;
    }
    let share = recognised as f64 / count as f64;
    ((OUTLINE_CONFIDENCE + RECOGNISED_CONFIDENCE * share) * 100.0).round() / 100.0
}

fn tools_confidence(matched: usize, count: usize) -> f64 {
    let share = matched as f64 / count.max(1) as f64;
    ((LEAST_TOOLS_CONFIDENCE + TOOLS_CONFIDENCE * share) * 100.0).round() / 100.0
}
