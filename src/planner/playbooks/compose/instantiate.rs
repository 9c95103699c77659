//! From a group of parts and its playbook to steps.

use std::collections::BTreeSet;

use super::super::Matched;
use super::super::arms::Staff;
use super::super::language::{Language, first_word};
use super::super::parts::Part;
use super::super::wording::{capitalized, quoted};
use super::{CHECK_SECONDS, Frame, Group, Node, is_final, steps};
use crate::domain::playbooks::{Library, Mode, Playbook, PlaybookStep};

/// The result of steps that make a copy, which serves later parts too.
const BACKUP: &str = "backup";
/// The result of steps after which something may be handed on.
const CHECKED: &str = "checked";
/// Duration of work about which nothing is known, in seconds.
const UNKNOWN_SECONDS: u32 = 900;

/// Adds the steps of the group at `place` to `nodes`.
pub(super) fn instantiate(
    groups: &[Group<'_>],
    place: usize,
    must_verify: bool,
    frame: &Frame<'_>,
    nodes: &mut Vec<Node>,
) {
    let staff = frame.staff;
    let group = &groups[place];
    if absorbed(groups, place, frame.library, nodes) {
        return;
    }
    let Some(playbook) = group[0].playbook else {
        // If the words give no hint, the arm of the previous part continues.
        let before = nodes
            .iter()
            .rfind(|node| node.group + 1 == place && node.is_core && !staff.verifies(node.arm))
            .map(|node| node.arm);
        outline(&group[0].part, place, before, staff, nodes);
        return;
    };
    let applies = frame.library.applicable(playbook, frame.filler.goal);
    let is_fixed = playbook.mode == Mode::Fixed;
    let is_last = must_verify && place + 1 == groups.len();
    let core_arm = playbook.steps.iter().filter(|step| step.is_core()).find_map(|step| staff.for_step(step));
    let whole = Part::of_all(group.iter().map(|matched| &matched.part));
    // "Sign the contract" asks for the last step of a review, which the review itself comes before.
    let of_core = |matched: &Matched<'_>| {
        let mut others = asked_for(matched, playbook, frame.library).into_iter();
        let is_another = others.any(|at| playbook.steps[at].needs_checks());
        let part = matched.part.clone();
        if is_another { Part { opening: None, ..part } } else { part }
    };
    // For each step of the playbook its nodes: its own, or those that a left-out step needs.
    let mut places: Vec<Vec<usize>> = Vec::new();
    for (index, step) in playbook.steps.iter().enumerate() {
        let needs: BTreeSet<usize> = step
            .depends_on
            .iter()
            .filter_map(|id| playbook.steps.iter().position(|other| other.id == *id))
            .flat_map(|place| places[place].iter().copied())
            .collect();
        let ends = step.checks() && index + 1 == playbook.steps.len();
        let closes = ends && is_last;
        let arm =
            staff.for_step(step).or(if step.needs_checks() || step.rank == 1 { core_arm } else { None });
        let guards = || {
            step.produces.iter().any(|result| result == CHECKED) && groups[place + 1..].iter().any(is_final)
        };
        let is_wanted = applies[index] && (!ends || is_last || guards());
        let Some(arm) = arm.filter(|_| is_wanted) else {
            places.push(needs.into_iter().collect());
            continue;
        };
        // An earlier group has done this already; what it checked was not yet what this group makes.
        let is_first = needs.iter().all(|need| nodes[*need].group < place);
        let is_done = |node: &Node| {
            node.group < place
                && !step.produces.is_empty()
                && step.produces.iter().all(|result| node.produces.contains(result))
        };
        if (is_first || step.produces.iter().all(|result| result == BACKUP))
            && !step.is_core()
            && !step.needs_checks()
            && let Some(done) = nodes.iter().rposition(is_done)
        {
            places.push(needs.into_iter().chain([done]).collect());
            continue;
        }
        let texts = if step.is_core() {
            group.iter().map(|part| of_core(part)).collect()
        } else {
            vec![whole.clone()]
        };
        let mut before = needs.clone();
        let mut copies = Vec::new();
        for part in &texts {
            let action = frame.filler.fill(&step.action, part);
            let own_arm = if step.is_core() && step.arm.is_none() { staff.named_in(&action) } else { None };
            nodes.push(Node {
                action,
                arm: own_arm.unwrap_or(arm),
                criteria: frame.filler.criteria(step, part),
                needs: before.clone(),
                cost_tier: step.cost_tier,
                seconds: step.duration_seconds,
                group: place,
                step: index,
                rank: if is_fixed || step.is_core() || step.needs_checks() || closes { 0 } else { step.rank },
                is_core: step.is_core(),
                closes,
                needs_checks: step.needs_checks(),
                checks: step.checks()
                    || step.produces.iter().any(|result| [CHECKED, BACKUP].contains(&result.as_str())),
                produces: step.produces.clone(),
                consumes: step.consumes.clone(),
            });
            copies.push(nodes.len() - 1);
            before = if step.parallel { needs.clone() } else { [nodes.len() - 1].into() };
        }
        places.push(if step.parallel { copies } else { before.into_iter().collect() });
    }
    // A playbook without a step for the part itself: the parts are named in what it does first.
    if !playbook.steps.iter().any(PlaybookStep::is_core)
        && let Some(first) = nodes.iter_mut().find(|node| node.group == place)
    {
        first.rank = 0;
        let action = first.action.to_lowercase();
        cover(first, group.iter().filter(|matched| !action.contains(&matched.part.text.to_lowercase())));
    }
}

/// The places of the steps of `playbook` that `part` asks for: they begin with the same verb, which does not stand for
/// the work as a whole, or the part has the words for which a step that cannot be undone is there.
pub(super) fn asked_for(part: &Matched<'_>, playbook: &Playbook, library: &Library) -> Vec<usize> {
    let verb = first_word(&part.part.text);
    let stands_for_all = playbook.matches.keywords.contains(&verb);
    let applies = library.applicable(playbook, &part.part.text);
    let is_asked_for = |at: &usize| {
        let step = &playbook.steps[*at];
        let has_verb = first_word(&step.action) == verb;
        let is_named = has_verb || !step.when.is_empty() && applies[*at];
        !step.is_core() && if step.needs_checks() { is_named } else { has_verb && !stands_for_all }
    };
    (0..playbook.steps.len()).filter(is_asked_for).collect()
}

/// Whether a step of an earlier group already does what this group is about ("fix it and add tests"): then that step
/// cannot be left out, and names what was asked.
fn absorbed(groups: &[Group<'_>], place: usize, library: &Library, nodes: &mut [Node]) -> bool {
    let group = &groups[place];
    let produced: Vec<&String> =
        steps(group).filter(|step| step.is_core()).flat_map(|step| &step.produces).collect();
    let does_it = |node: &Node| {
        let is_asked_for = groups[node.group][0].playbook.is_some_and(|playbook| {
            group[0].playbook.map_or(node.needs_checks, |own| own.name == playbook.name)
                && asked_for(group[0], playbook, library).contains(&node.step)
        });
        let makes_it = !produced.is_empty() && produced.iter().all(|result| node.produces.contains(result));
        !node.is_core && (is_asked_for || makes_it)
    };
    let Some(at) = nodes.iter().position(does_it) else { return false };
    let is_needed = nodes.iter().any(|node| node.needs.contains(&at));
    let node = &mut nodes[at];
    node.rank = 0;
    node.is_core = true;
    if node.needs_checks && !is_needed {
        // It comes after what was asked for in the meantime.
        node.group = place;
        node.action = capitalized(&group[0].part.text);
    } else {
        cover(node, group.iter());
    }
    true
}

/// Names the parts of `group` in a step that does them.
fn cover<'a>(node: &mut Node, group: impl Iterator<Item = &'a &'a Matched<'a>>) {
    let covers = |matched: &&Matched<'_>| format!("Covers what was asked: {}", quoted(&matched.part.text));
    node.criteria.extend(group.map(covers));
}

/// Adds the step for a part that no playbook fits: its own words, and criteria without invented detail. What cannot be
/// undone is checked before.
fn outline(part: &Part, group: usize, before: Option<usize>, staff: &Staff, nodes: &mut Vec<Node>) {
    let arm = staff.for_words(&part.text).or(before).unwrap_or_else(|| staff.for_text(&part.text));
    let is_final = Language::get().is_final(&part.text);
    let mut needs = BTreeSet::new();
    if let Some(verifier) = staff.verifier().filter(|_| is_final) {
        let action = format!(
            "Check that everything is ready, and agreed with those concerned, for this: {}",
            quoted(&part.text)
        );
        let criteria = vec!["Nothing that it depends on is open, and those who decide have agreed".into()];
        needs.insert(nodes.len());
        let node = Node::new(action, verifier, criteria, CHECK_SECONDS, staff);
        nodes.push(Node { group, rank: 1, checks: true, ..node });
    }
    let criteria = vec!["It is done as described, and the result is available to the next step".into()];
    let node = Node::new(capitalized(&part.text), arm, criteria, UNKNOWN_SECONDS, staff);
    let checks = staff.verifies(arm);
    nodes.push(Node { group, needs, is_core: true, needs_checks: is_final, checks, ..node });
}
