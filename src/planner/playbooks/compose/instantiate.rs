//! From a group of parts and its playbook to steps.

use std::collections::BTreeSet;

use super::super::Matched;
use super::super::language::{Language, Opening, first_word};
use super::super::limit;
use super::super::parts::Part;
use super::super::wording::{capitalized, quoted};
use super::select::remove;
use super::{Frame, Group, Node, is_final, steps};
use crate::domain::playbooks::{GENERAL_OUTLINE, Library, Mode, Playbook, PlaybookStep};

/// The result of steps that make a copy, which serves later parts too.
const BACKUP: &str = "backup";
/// Results of which a plan needs one, whatever it is about.
const SAME_EVERYWHERE: [&str; 3] = ["tests", "reviewed", BACKUP];
/// Duration of the check of a condition, in seconds.
const GATE_SECONDS: u32 = 1_800;
/// A goal of so many parts has only what they ask for done, what leads up to the first, and what checks it.
const MANY_PARTS: usize = 3;
/// The result of steps after which something may be handed on.
pub(super) const CHECKED: &str = "checked";

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
    let playbook = group[0].playbook;
    let applies = frame.library.applicable(playbook, frame.found);
    let is_fixed = playbook.mode == Mode::Fixed;
    // A goal of many parts says itself how they are done, and an outline does not know.
    let is_brief =
        part_count(groups) >= MANY_PARTS && !is_opened(group) || playbook.outline && groups.len() > 1;
    let core_arm = playbook.steps.iter().filter(|step| step.is_core()).find_map(|step| staff.for_step(step));
    // For each step of the playbook its nodes: its own, or those that a left-out step needs.
    let mut places: Vec<Vec<usize>> = Vec::new();
    for (index, step) in playbook.steps.iter().enumerate() {
        let needs: BTreeSet<usize> = step
            .depends_on
            .iter()
            .filter_map(|id| playbook.steps.iter().position(|other| other.id == *id))
            .flat_map(|place| places[place].iter().copied())
            .collect();
        // What the goal asks for is done in this step: the work as a whole, or parts that it covers.
        let is_covering = group.iter().any(|matched| matched.step == Some(index));
        let is_core = step.is_core() || is_covering;
        let ends = step.checks() && index + 1 == playbook.steps.len();
        let closes = ends && must_verify;
        let must_be_done = step.needs_checks() || step.rank == 1 || is_covering;
        let arm = staff.for_step(step).or(core_arm.filter(|_| must_be_done));
        let arm = arm.or_else(|| outline_arm(step, group, place, frame, nodes));
        let is_spare = !is_covering && is_spare(groups, place, index, frame.library);
        let is_wanted = is_covering
            || applies[index]
                && !is_spare
                && (!ends || closes || guards(&step.produces, &groups[place + 1..]));
        let Some(arm) = arm.filter(|_| is_wanted) else {
            places.push(needs.into_iter().collect());
            continue;
        };
        if !is_core && let Some(done) = done_before(groups, place, index, &needs, nodes) {
            places.push(needs.into_iter().chain([done]).collect());
            continue;
        }
        let mut before = needs.clone();
        let mut copies = Vec::new();
        for (part, action) in &texts(group, index, frame.library) {
            if let Some(condition) = part.condition.as_ref().filter(|_| is_core && !frame.waits()) {
                nodes.push(gate(condition, part, place, arm, &before, frame));
                before = [nodes.len() - 1].into();
            }
            let action = frame.filler.fill(if is_brief { without_manner(action) } else { action }, part);
            let own_arm = if is_core && step.arm.is_none() { staff.named_in(&action) } else { None };
            nodes.push(Node {
                action,
                arm: own_arm.unwrap_or(arm),
                criteria: frame.filler.criteria(step, part),
                needs: before.clone(),
                cost_tier: step.cost_tier,
                seconds: limit::waiting(&part.text).filter(|_| is_core).unwrap_or(step.duration_seconds),
                group: place,
                step: index,
                rank: if is_fixed || is_core || step.needs_checks() { 0 } else { step.rank },
                is_core,
                closes,
                needs_checks: step.needs_checks(),
                checks: step.checks()
                    || step.produces.iter().any(|result| [CHECKED, BACKUP].contains(&result.as_str())),
                is_misfit: playbook.outline && staff.for_step(step).is_none() && !staff.fits(arm, &part.text),
                produces: step.produces.clone(),
                consumes: step.consumes.clone(),
            });
            copies.push(nodes.len() - 1);
            before = if step.parallel { needs.clone() } else { [nodes.len() - 1].into() };
        }
        places.push(if step.parallel { copies } else { before.into_iter().collect() });
    }
    if !playbook.steps.iter().any(PlaybookStep::is_core) {
        name_parts(group, place, frame, nodes);
    }
}

/// Whether what the group is about stands before a colon: it is asked for as a whole.
fn is_opened(group: &Group<'_>) -> bool {
    group.iter().any(|matched| matched.part.heads)
}

/// How many parts of the goal there are.
fn part_count(groups: &[Group<'_>]) -> usize {
    groups.iter().map(Vec::len).sum()
}

/// Whether the step at `index` of the playbook of a group is left out because the goal has other parts: what leads up to
/// later parts or follows earlier ones, and what others notice or cannot be undone, those parts say.
fn is_spare(groups: &[Group<'_>], place: usize, index: usize, library: &Library) -> bool {
    let (group, count) = (&groups[place], part_count(groups));
    let playbook = group[0].playbook;
    let (step, core) = (&playbook.steps[index], playbook.steps.iter().position(PlaybookStep::is_core));
    let is_whole = is_opened(group) || groups.len() == 1 && count < MANY_PARTS;
    if is_whole || step.is_core() || playbook.mode == Mode::Fixed {
        return false;
    }
    if playbook.outline {
        // It is not known what outlined parts have in common: what leads up to later ones, or ends the last of them, is not
        // for all of them.
        let ends = step.checks() && index + 1 == playbook.steps.len();
        return groups.len() > 1
            && (ends || step.rank > 1 && (place > 0 || playbook.name == GENERAL_OUTLINE));
    }
    let is_asked_for = || group.iter().any(|part| asked_for(part, playbook, library).contains(&index));
    // Without a step for the work itself, the first one is named after it.
    let leads_up = place > 0 && step.rank > 1 && (index > 0 || core.is_some());
    let is_used = || {
        let consumed = |result: &String| {
            groups[place..].iter().flat_map(steps).any(|step| step.consumes.contains(result))
        };
        step.produces.iter().any(|result| result == CHECKED || consumed(result))
    };
    let follows =
        place + 1 < groups.len() && core.is_some_and(|core| index > core) && !step.checks() && !is_used();
    let is_spare = match count {
        MANY_PARTS.. => leads_up || follows || step.needs_checks(),
        _ => follows && step.rank > 1,
    };
    is_spare && !is_asked_for()
}

/// The template of the work itself without how it is done: "{part:Hold}, and measure the times".
fn without_manner(template: &str) -> &str {
    match template.find('}') {
        Some(end) if template.starts_with("{part") => &template[..=end],
        _ => template,
    }
}

/// The parts of `group` that ask for its work as a whole; what one before a colon asks for, several behind it do.
fn whole_parts<'g, 'a>(group: &'g Group<'a>) -> impl Iterator<Item = &'a Matched<'a>> + use<'g, 'a> {
    let whole = || group.iter().copied().filter(|matched| matched.step.is_none());
    let items = whole().skip_while(|matched| !matched.part.heads).skip(1);
    let is_opened = items.filter(|matched| !matched.part.heads).count() > 1;
    whole().filter(move |matched| !(is_opened && matched.part.heads))
}

/// What the step at `index` of the playbook of `group` is about, once or for several parts, and the action to fill in.
fn texts<'a>(group: &Group<'a>, index: usize, library: &Library) -> Vec<(Part, &'a str)> {
    let playbook = group[0].playbook;
    let step = &playbook.steps[index];
    // "Sign the contract" asks for the last step of a review, which the review itself comes before.
    let of_core = |matched: &Matched<'_>| {
        let mut others = asked_for(matched, playbook, library).into_iter();
        let is_another = matched.part.opening == Some(Opening::English)
            && others.any(|at| playbook.steps[at].needs_checks());
        let part = matched.part.clone();
        if is_another { Part { opening: None, ..part } } else { part }
    };
    let covered = group.iter().filter(|matched| matched.step == Some(index));
    let covered = covered.map(|matched| (matched.part.clone(), "{part}"));
    if step.is_core() {
        let whole = whole_parts(group).map(|matched| (of_core(matched), step.action.as_str()));
        return whole.chain(covered).collect();
    }
    let covered: Vec<_> = covered.collect();
    if covered.is_empty() {
        vec![(Part::of_all(whole_parts(group).map(|matched| &matched.part)), step.action.as_str())]
    } else {
        covered
    }
}

/// The node of an earlier group that has done already what the step at `index` does; what it checked was not yet what
/// this group makes.
fn done_before(
    groups: &[Group<'_>],
    place: usize,
    index: usize,
    needs: &BTreeSet<usize>,
    nodes: &[Node],
) -> Option<usize> {
    let playbook = groups[place][0].playbook;
    let step = &playbook.steps[index];
    let is_first = needs.iter().all(|need| nodes[*need].group < place);
    if !is_first && step.produces.iter().any(|result| result != BACKUP) {
        return None;
    }
    let is_done = |node: &Node| {
        let is_same = groups[node.group][0].playbook.name == playbook.name && node.step == index;
        let makes_it =
            || !step.produces.is_empty() && step.produces.iter().all(|result| node.produces.contains(result));
        node.group < place && (is_same && !step.checks() || !step.needs_checks() && makes_it())
    };
    nodes.iter().rposition(is_done)
}

/// Names the parts of a group, whose playbook has no step for the work as a whole, in what it does first, after the check
/// of the condition that all of them have.
fn name_parts(group: &Group<'_>, place: usize, frame: &Frame<'_>, nodes: &mut Vec<Node>) {
    let Some(first) = nodes.iter_mut().find(|node| node.group == place) else { return };
    first.rank = 0;
    let (action, arm) = (first.action.to_lowercase(), first.arm);
    cover(first, whole_parts(group).filter(|matched| !action.contains(&matched.part.text.to_lowercase())));
    let conditions = |matched: &'_ Matched<'_>| Some((matched.part.condition.clone()?, matched.part.clone()));
    let is_conditional = whole_parts(group).all(|matched| matched.part.condition.is_some());
    let condition = whole_parts(group).find_map(conditions).filter(|_| is_conditional && !frame.waits());
    if let Some((condition, part)) = condition {
        let at = nodes.len();
        let waiting = |node: &&mut Node| node.group == place && node.needs.is_empty();
        nodes.iter_mut().filter(waiting).for_each(|node| node.needs = [at].into());
        nodes.push(gate(&condition, &part, place, arm, &BTreeSet::new(), frame));
    }
}

/// The check of what must be so before `part` is done.
fn gate(
    condition: &str,
    part: &Part,
    group: usize,
    arm: usize,
    needs: &BTreeSet<usize>,
    frame: &Frame<'_>,
) -> Node {
    let action = match part.opening {
        Some(Opening::English) => format!("Check whether {condition}"),
        _ => format!("Check the condition first: {}", quoted(condition)),
    };
    let criteria = vec![
        "It is known for certain whether this is so".to_owned(),
        "Until it is, the next step is not taken".to_owned(),
    ];
    let arm = frame.staff.verifier().filter(|_| frame.rules.require_verification).unwrap_or(arm);
    let node = Node::new(action, arm, criteria, GATE_SECONDS, frame.staff);
    Node { group, step: usize::MAX, needs: needs.clone(), rank: 1, checks: true, ..node }
}

/// Whether a check with these results comes before groups that may only follow one.
fn guards(produces: &[String], later: &[Group<'_>]) -> bool {
    produces.iter().any(|result| result == CHECKED) && later.iter().any(is_final)
}

/// Whether a group does what cannot be undone without a check of its own before.
fn is_unguarded(groups: &[Group<'_>], group: usize, nodes: &[Node]) -> bool {
    is_final(&groups[group]) && !nodes.iter().any(|node| node.group == group && node.checks && !node.closes)
}

/// Leaves only the last group its last check, and others those that guard what comes after them.
pub(super) fn drop_inner_checks(groups: &[Group<'_>], nodes: &mut Vec<Node>) {
    // What is listed comes before the end of the work that it is a list of.
    let ends = nodes.iter().map(|node| node.group).filter(|group| !groups[*group][0].is_listed);
    let last = ends.max().unwrap_or(0);
    for at in (0..nodes.len()).rev() {
        let Node { group, closes: true, .. } = nodes[at] else { continue };
        if group == last {
            nodes[at].rank = 0;
        } else if nodes[at].is_core
            || guards(&nodes[at].produces, &groups[group + 1..])
            || (group + 1..groups.len()).any(|later| is_unguarded(groups, later, nodes))
        {
            nodes[at].closes = false;
        } else {
            let needs: Vec<usize> = nodes[at].needs.iter().copied().collect();
            remove(nodes, at, &needs);
        }
    }
}

/// The places of the steps of `playbook` that `part` asks for: they begin with the same verb, which does not stand for
/// the work as a whole, or the part has the words for which a step that cannot be undone is there.
pub(super) fn asked_for(part: &Matched<'_>, playbook: &Playbook, library: &Library) -> Vec<usize> {
    let text = &part.part.text;
    let verb = first_word(Language::get().caused(text).as_deref().unwrap_or(text));
    let stands_for_all = playbook.matches.keywords.contains(&verb);
    let applies = library.applicable(playbook, &library.phrases_in(&part.part.text));
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
        let (playbook, own) = (groups[node.group][0].playbook, group[0].playbook);
        let may_do_it = if own.outline { node.needs_checks } else { own.name == playbook.name };
        let is_asked_for = may_do_it && asked_for(group[0], playbook, library).contains(&node.step);
        let is_same = |result: &&String| SAME_EVERYWHERE.contains(&result.as_str());
        let makes_it = !produced.is_empty()
            && produced.iter().all(|result| is_same(result) && node.produces.contains(result));
        !node.is_core && (is_asked_for || makes_it)
    };
    // Parts that steps of this group cover need the group.
    if group.iter().any(|matched| matched.step.is_some()) {
        return false;
    }
    let Some(at) = nodes.iter().position(does_it) else { return false };
    let is_needed = nodes.iter().any(|node| !node.closes && node.needs.contains(&at));
    let node = &mut nodes[at];
    node.rank = 0;
    node.is_core = true;
    if node.needs_checks && !is_needed {
        // It comes after what was asked for in the meantime.
        node.group = place;
        node.action = capitalized(&group[0].part.text);
        nodes
            .iter_mut()
            .filter(|node| node.closes && node.needs.contains(&at))
            .for_each(|node| node.group = place);
    } else {
        cover(node, group.iter().copied());
    }
    true
}

/// Names the parts of `group` in a step that does them.
pub(super) fn cover<'a>(node: &mut Node, group: impl Iterator<Item = &'a Matched<'a>>) {
    let covers = |matched: &Matched<'_>| format!("Covers what was asked: {}", quoted(&matched.part.text));
    node.criteria.extend(group.map(covers));
}

/// The arm for a step of an outline that has none by its capabilities: the one that its words point to. What was asked
/// for itself is otherwise done by the arm of the previous part, or the one that fits best.
fn outline_arm(
    step: &PlaybookStep,
    group: &Group<'_>,
    place: usize,
    frame: &Frame<'_>,
    nodes: &[Node],
) -> Option<usize> {
    let staff = frame.staff;
    if !group[0].playbook.outline {
        return None;
    }
    if !step.is_core() {
        return staff.for_words(&step.action);
    }
    let mut before = nodes.iter().rev().filter(|node| node.group + 1 == place && node.is_core);
    let text = &group[0].part.text;
    let by_words = staff.for_words(text).or_else(|| Some(before.find(|node| !staff.verifies(node.arm))?.arm));
    by_words.or_else(|| Some(staff.for_text(text)))
}
