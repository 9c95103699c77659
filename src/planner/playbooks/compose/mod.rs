//! From parts and their playbooks to the steps of one plan.

use std::collections::{BTreeSet, HashSet};

use crate::domain::PlanRules;
use crate::domain::playbooks::{Library, PhraseMatches, PlaybookStep};

use super::Matched;
use super::arms::Staff;
use super::parts::Turn;
use super::wording::Filler;

mod instantiate;
mod lists;
mod select;

pub(super) use select::{close, distinct, fill};

const CHECK_SECONDS: u32 = 300;

/// A step in the making.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub(super) struct Node {
    pub(super) action: String,
    /// The arm's place in the registry.
    pub(super) arm: usize,
    pub(super) criteria: Vec<String>,
    /// Places of the steps that must be done before.
    pub(super) needs: BTreeSet<usize>,
    pub(super) cost_tier: u8,
    pub(super) seconds: u32,
    /// The group of parts that it belongs to.
    group: usize,
    /// The place of its step in the playbook of that group.
    step: usize,
    /// 0: cannot be left out; then 1 to 3.
    rank: u8,
    /// Whether it is what a part asks for.
    pub(super) is_core: bool,
    /// Whether it is the last check of the plan.
    closes: bool,
    /// Nothing unchecked may come before it.
    needs_checks: bool,
    /// Whether it checks, or its results count as checked.
    checks: bool,
    /// Whether no arm is known to fit it.
    pub(super) is_misfit: bool,
    produces: Vec<String>,
    consumes: Vec<String>,
}

impl Node {
    /// A single step of an arm, with the cost of that arm.
    pub(super) fn new(
        action: String,
        arm: usize,
        criteria: Vec<String>,
        seconds: u32,
        staff: &Staff,
    ) -> Self {
        Self { action, arm, criteria, cost_tier: staff.cost_tier(arm), seconds, ..Self::default() }
    }
}

/// What steps are made with and must keep to.
pub(super) struct Frame<'a> {
    pub(super) staff: &'a Staff,
    pub(super) library: &'a Library,
    /// The phrases of playbooks in the goal.
    pub(super) found: &'a PhraseMatches,
    pub(super) rules: &'a PlanRules,
    /// Fills the slots of playbooks.
    pub(super) filler: Filler<'a>,
    /// Steps that are needed whatever the goal is about.
    pub(super) addons: Vec<&'a PlaybookStep>,
    /// How long the work may take, in seconds.
    pub(super) limit: Option<u32>,
}

impl Frame<'_> {
    /// Whether the plan has a step that waits for what the goal makes a condition.
    fn waits(&self) -> bool {
        self.addons.iter().any(|step| step.checks())
    }
}

/// The steps of a plan for `parts`, each after all that it needs.
pub(super) fn compose(parts: &[Matched<'_>], frame: &Frame<'_>) -> Vec<Node> {
    let Frame { staff, rules, limit, .. } = frame;
    let verifier = staff.verifier().filter(|_| rules.require_verification);
    // Every step takes at least a second.
    let max_steps =
        limit.map_or(rules.max_steps, |seconds| rules.max_steps.min(rules.min_steps.max(seconds as usize)));
    let groups = ordered(&grouped(parts, frame.library));
    let mut nodes = Vec::new();
    for place in 0..groups.len() {
        instantiate::instantiate(&groups, place, verifier.is_some(), frame, &mut nodes);
    }
    instantiate::drop_inner_checks(&groups, &mut nodes);
    join_groups(&mut nodes);
    lists::nest(&groups, &mut nodes);
    put_checks_before_final_steps(&groups, &mut nodes);
    put_lists_before_notices(&groups, &mut nodes);
    for step in &frame.addons {
        rewire(&mut nodes, |nodes| add_step(nodes, step, &groups, frame));
    }
    put_final_steps_last(&mut nodes);
    let room = max_steps
        - usize::from(verifier.is_some() && !nodes.iter().any(|node| node.closes)).min(max_steps - 1);
    select::select(&mut nodes, room);
    select::sort(&mut nodes);
    select::merge(&mut nodes, room, staff);
    select::fill(&mut nodes, rules.min_steps.saturating_sub(usize::from(verifier.is_some())), staff);
    if let Some(verifier) = verifier {
        let has_room = nodes.len() < max_steps;
        select::close(&mut nodes, verifier, rules.min_steps, has_room, frame.filler.goal, staff);
    }
    distinct(&mut nodes);
    nodes
}

/// Neighbouring parts that follow the same playbook.
type Group<'a> = Vec<&'a Matched<'a>>;

fn grouped<'a>(parts: &'a [Matched<'a>], library: &Library) -> Vec<Group<'a>> {
    let (covered, whole): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.step.is_some());
    let mut groups: Vec<Group<'a>> = Vec::new();
    for part in whole {
        let joins = |group: &Group<'_>| {
            group[0].playbook.name == part.playbook.name
                && group[0].is_listed == part.is_listed
                && instantiate::asked_for(part, part.playbook, library).is_empty()
        };
        // What goes on with the work of a list joins it.
        let is_near = |group: &&mut Group<'_>| part.is_listed || !group[0].is_listed;
        let skipped = groups.iter().rev().take_while(|group| !part.is_listed && group[0].is_listed).count();
        match groups.iter_mut().rev().find(is_near) {
            Some(group) if joins(group) && (skipped == 0 || group.iter().any(|part| part.part.heads)) => {
                group.push(part);
            }
            _ => groups.push(vec![part]),
        }
    }
    for part in covered {
        if let Some(group) = groups.iter_mut().find(|group| group[0].playbook.name == part.playbook.name) {
            group.push(part);
        }
    }
    groups
}

/// The groups as written, but what cannot be undone or is public comes after all that it consumes and does not make
/// itself.
fn ordered<'a>(groups: &[Group<'a>]) -> Vec<Group<'a>> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    for group in (0..groups.len()).filter(|group| is_final(&groups[*group])) {
        let feeds = |other: &usize| {
            let (produced, own) = (produced(&groups[*other]), produced(&groups[group]));
            let is_fed = |step: &PlaybookStep| {
                step.consumes.iter().any(|result| produced.contains(result) && !own.contains(result))
            };
            let feeds_back = |step: &PlaybookStep| step.consumes.iter().any(|result| own.contains(result));
            // "Publish version 2 and post about it"
            let tells = |group: &Group<'a>| {
                steps(group).any(|step| step.outward && !step.irreversible)
                    && !steps(group).any(|step| step.is_core() && step.irreversible)
            };
            let is_told = steps(&groups[group]).any(|step| step.irreversible) && tells(&groups[*other]);
            !is_told && steps(&groups[group]).any(is_fed) && !steps(&groups[*other]).any(feeds_back)
        };
        let at = order.iter().position(|other| *other == group).expect("each once");
        if let Some(last) = order.iter().rposition(feeds).filter(|last| *last > at) {
            order[at..=last].rotate_left(1);
        }
    }
    order.into_iter().map(|group| groups[group].clone()).collect()
}

/// The steps of the playbook that a group follows.
fn steps<'a>(group: &Group<'a>) -> impl Iterator<Item = &'a PlaybookStep> {
    group[0].playbook.steps.iter()
}

/// The results of a group.
fn produced<'a>(group: &Group<'a>) -> HashSet<&'a String> {
    steps(group).flat_map(|step| &step.produces).collect()
}

/// Whether a group does what cannot be undone or what others notice.
fn is_final(group: &Group<'_>) -> bool {
    steps(group).any(PlaybookStep::needs_checks)
}

/// Links the groups: what consumes a result waits for what produces it, all else for the group before. A group of which
/// only side steps are linked by results still does what it is about after the group before.
fn join_groups(nodes: &mut [Node]) {
    let groups = nodes.iter().map(|node| node.group + 1).max().unwrap_or(0);
    for group in 1..groups {
        let linked = link_results(nodes, group);
        // What the group is about, and what must be done for that within the group.
        let mut for_core: HashSet<usize> = members(nodes, group).filter(|&at| nodes[at].is_core).collect();
        for core in for_core.clone() {
            for_core.extend(ancestors(nodes, core));
        }
        let is_linked = linked.iter().any(|at| for_core.contains(at) || for_core.is_empty());
        let leaves = (0..group).rev().map(|before| leaves(nodes, before)).find(|leaves| !leaves.is_empty());
        let waiting: Vec<usize> = members(nodes, group)
            .filter(|at| linked.is_empty() || for_core.contains(at))
            // What checks the work before waits for it, what prepares its own does not.
            .filter(|at| if is_linked { nodes[*at].checks } else { nodes[*at].needs.is_empty() })
            .collect();
        for at in waiting {
            nodes[at].needs.extend(leaves.iter().flatten());
        }
    }
}

/// "Write the advertisements and have them checked", "Rotate the keys and tell the owners": what somebody is to check comes
/// before the playbook of the part before hands it on, and what others are told before it does what cannot be undone,
/// unless that part asks for just that.
fn put_checks_before_final_steps(groups: &[Group<'_>], nodes: &mut Vec<Node>) {
    for group in 1..groups.len() {
        let tells = steps(&groups[group]).any(|step| step.is_core() && step.outward);
        let makes_checked = |result: &&String| *result == instantiate::CHECKED;
        let checks = !is_final(&groups[group]) && produced(&groups[group]).iter().any(makes_checked);
        let waits = |step: &PlaybookStep| checks && step.needs_checks() || tells && step.irreversible;
        let is_before = |at: &usize| steps(&groups[group - 1]).nth(nodes[*at].step).is_some_and(waits);
        let finals = members(nodes, group - 1)
            .filter(|at| nodes[*at].needs_checks && !nodes[*at].is_core && is_before(at));
        for last in finals.collect::<Vec<_>>() {
            rewire(nodes, |nodes| put_before(nodes, group, last));
        }
    }
}

/// Puts the steps of `group` before the step at `last` of an earlier group, unless what was asked for waits for that.
fn put_before(nodes: &mut [Node], group: usize, last: usize) {
    let mut behind = waiting_for(nodes, last);
    behind.retain(|at| nodes[*at].group < group);
    if behind.iter().any(|at| nodes[*at].is_core) {
        return;
    }
    behind.insert(last);
    let before = nodes[last].needs.clone();
    for at in members(nodes, group).collect::<Vec<_>>() {
        if nodes[at].needs.iter().any(|need| behind.contains(need)) {
            nodes[at].needs.retain(|need| !behind.contains(need));
            nodes[at].needs.extend(&before);
        }
    }
    // The last check of the plan stays the last.
    let (ends, work): (Vec<usize>, Vec<usize>) = members(nodes, group).partition(|at| nodes[*at].closes);
    nodes[last].needs.extend(work);
    for at in 0..nodes.len() {
        if nodes[at].group > group && nodes[at].needs.iter().any(|need| nodes[*need].group == group) {
            nodes[at].needs.extend(&behind);
        }
    }
    for at in ends {
        nodes[at].needs.insert(last);
    }
}

/// "Delete the buckets and notify the owners first": the notice comes after the first step of what cannot be undone, which
/// finds out what and whom it concerns.
fn put_lists_before_notices(groups: &[Group<'_>], nodes: &mut [Node]) {
    let is_first = |group: &Group<'_>| group.iter().any(|matched| matched.part.turn == Turn::First);
    for group in 1..groups.len() {
        if !steps(&groups[group]).any(|step| step.irreversible) {
            continue;
        }
        let Some(list) =
            members(nodes, group).next().filter(|&at| !nodes[at].is_core && !nodes[at].needs_checks)
        else {
            continue;
        };
        let notices: Vec<usize> = members(nodes, group - 1)
            .filter(|&at| nodes[at].needs_checks && is_first(&groups[group - 1]))
            .collect();
        for notice in notices {
            let behind = waiting_for(nodes, notice);
            nodes[list].needs.retain(|need| *need != notice && !behind.contains(need));
            nodes[notice].needs.insert(list);
        }
    }
}

/// The places of the steps of `group`.
fn members(nodes: &[Node], group: usize) -> impl Iterator<Item = usize> + '_ {
    (0..nodes.len()).filter(move |at| nodes[*at].group == group)
}

/// Makes a change unless steps would then wait for each other.
fn rewire(nodes: &mut Vec<Node>, change: impl FnOnce(&mut Vec<Node>)) {
    let mut changed = nodes.clone();
    change(&mut changed);
    if select::order(&changed).is_some() {
        *nodes = changed;
    }
}

/// Makes the steps of `group` wait for the last producer of what they consume in each group before; returns the steps that
/// then wait.
fn link_results(nodes: &mut [Node], group: usize) -> Vec<usize> {
    let mut linked = Vec::new();
    let places: Vec<usize> = members(nodes, group).collect();
    for index in places {
        for result in nodes[index].consumes.clone() {
            let producers = (0..index)
                .rev()
                .filter(|&at| nodes[at].group < group && nodes[at].produces.contains(&result));
            let mut seen = HashSet::new();
            let producers: Vec<usize> = producers.filter(|&at| seen.insert(nodes[at].group)).collect();
            if !producers.is_empty() {
                linked.push(index);
            }
            nodes[index].needs.extend(producers);
        }
    }
    linked
}

/// The steps of a group that no other step of it waits for.
fn leaves(nodes: &[Node], group: usize) -> Vec<usize> {
    ends_of(nodes, &members(nodes, group).collect::<Vec<_>>())
}

/// Those of the steps at `places` that no other one of them waits for.
fn ends_of(nodes: &[Node], places: &[usize]) -> Vec<usize> {
    let needed: HashSet<usize> = places.iter().flat_map(|&at| nodes[at].needs.iter().copied()).collect();
    places.iter().copied().filter(|at| !needed.contains(at)).collect()
}

/// Adds a step that is needed whatever the goal is about. One that checks, such as an approval, comes between the work and
/// what is final; one that consumes results, such as a repetition, after the work; another one, such as the protection of
/// personal data, before the work, unless its arm works on it anyway.
fn add_step(nodes: &mut Vec<Node>, step: &PlaybookStep, groups: &[Group<'_>], frame: &Frame<'_>) {
    let Some(arm) = frame.staff.for_step(step) else { return };
    let count = nodes.len();
    let (group, needs, waiting): (usize, BTreeSet<usize>, Vec<usize>) = if step.checks() {
        let finals: Vec<usize> = (0..count).filter(|&at| nodes[at].needs_checks).collect();
        let Some(group) = finals.first().map(|&at| nodes[at].group) else { return };
        let behind: HashSet<usize> = finals.iter().flat_map(|&at| waiting_for(nodes, at)).collect();
        let is_before =
            |at: &usize| nodes[*at].group <= group && !finals.contains(at) && !behind.contains(at);
        (group, (0..count).filter(is_before).collect(), finals)
    } else if !step.consumes.is_empty() {
        let (checks, work): (Vec<usize>, Vec<usize>) = (0..count).partition(|&at| nodes[at].closes);
        (groups.len() - 1, work.into_iter().collect(), checks)
    } else if nodes.iter().any(|node| node.arm == arm) {
        return;
    } else {
        let works = |at: usize| nodes[at].is_core || nodes[at].needs_checks;
        let leads_up = |&at: &usize| !works(at) && !ancestors(nodes, at).into_iter().any(works);
        let first = (0..count).find(leads_up);
        (0, first.into_iter().collect(), (0..count).filter(|&at| works(at)).collect())
    };
    let part = &groups[group][0].part;
    nodes.push(Node {
        action: frame.filler.fill(&step.action, part),
        arm,
        criteria: frame.filler.criteria(step, part),
        needs,
        cost_tier: step.cost_tier,
        seconds: step.duration_seconds,
        group,
        rank: step.rank - 1,
        checks: step.consumes.is_empty(),
        ..Node::default()
    });
    for at in waiting {
        nodes[at].needs.insert(count);
    }
}

/// Steps that cannot be undone or that others notice wait for every check that does not itself wait for them, and for
/// everything that was asked for before them.
fn put_final_steps_last(nodes: &mut [Node]) {
    let finals: Vec<usize> = (0..nodes.len()).filter(|&at| nodes[at].needs_checks).collect();
    for &index in &finals {
        let behind = waiting_for(nodes, index);
        let group = nodes[index].group;
        let comes_before =
            |node: &Node| node.group < group || node.group == group && node.checks && !node.closes;
        let before: Vec<usize> = (0..nodes.len())
            .filter(|&at| at != index && comes_before(&nodes[at]) && !behind.contains(&at))
            .collect();
        nodes[index].needs.extend(before);
    }
    // Checks that final steps depend on are kept.
    for index in finals {
        for before in ancestors(nodes, index) {
            if nodes[before].checks {
                nodes[before].rank = nodes[before].rank.min(1);
            }
        }
    }
}

/// The steps that wait for `index`, directly or through others.
fn waiting_for(nodes: &[Node], index: usize) -> HashSet<usize> {
    let mut waiting = vec![Vec::new(); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        node.needs.iter().for_each(|need| waiting[*need].push(at));
    }
    reached(index, |at| waiting[at].iter().copied(), nodes.len())
}

/// The steps that `index` waits for, directly or through others.
fn ancestors(nodes: &[Node], index: usize) -> HashSet<usize> {
    reached(index, |at| nodes[at].needs.iter().copied(), nodes.len())
}

/// All of `count` that `next` leads to from `start`.
fn reached<N: Iterator<Item = usize>>(
    start: usize,
    next: impl Fn(usize) -> N,
    count: usize,
) -> HashSet<usize> {
    let mut is_found = vec![false; count];
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for to in next(at) {
            if !std::mem::replace(&mut is_found[to], true) {
                open.push(to);
            }
        }
    }
    (0..count).filter(|at| is_found[*at]).collect()
}
