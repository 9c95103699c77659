//! Fits the steps to the number that a plan may have, and puts them in order.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use crate::planner::graph::topological_order;

use super::super::arms::Staff;
use super::super::wording::{lower_first, quoted};
use super::{CHECK_SECONDS, Node, ancestors};

/// Leaves out the least important steps until there are at most `room`; steps that waited for one of them wait for what
/// that one waited for.
pub(super) fn select(nodes: &mut Vec<Node>, room: usize) {
    let mut last_guards = last_guards_of(nodes);
    while nodes.len() > room {
        // Checks that guard something go last of their rank.
        let guards = |at: usize| {
            nodes[at].checks && nodes.iter().any(|node| node.needs_checks && node.needs.contains(&at))
        };
        let spare = (0..nodes.len())
            .filter(|&at| nodes[at].rank > 0 && !last_guards.contains(&at))
            .max_by_key(|&at| (nodes[at].rank, !guards(at), nodes[at].group, Reverse(at)));
        let Some(spare) = spare else { break };
        let needs: Vec<usize> = nodes[spare].needs.iter().copied().collect();
        let removed = remove(nodes, spare, &needs);
        // What waits for what remains the same but for a check that is gone.
        last_guards = if removed.checks {
            last_guards_of(nodes)
        } else {
            last_guards.into_iter().map(|at| at - usize::from(at > spare)).collect()
        };
    }
}

/// The checks that are the only ones before something that cannot be undone.
fn last_guards_of(nodes: &[Node]) -> HashSet<usize> {
    let finals = (0..nodes.len()).filter(|index| nodes[*index].needs_checks);
    let only_check = |index: usize| {
        let mut checks = ancestors(nodes, index).into_iter().filter(|before| nodes[*before].checks);
        checks.next().filter(|_| checks.next().is_none())
    };
    finals.filter_map(only_check).collect()
}

/// Takes the node at `at` out; what waited for it waits for `instead`.
pub(super) fn remove(nodes: &mut Vec<Node>, at: usize, instead: &[usize]) -> Node {
    let removed = nodes.remove(at);
    for node in nodes.iter_mut() {
        if node.needs.remove(&at) {
            node.needs.extend(instead);
        }
        node.needs = node.needs.iter().map(|need| need - usize::from(*need > at)).collect();
    }
    removed
}

/// The places of the nodes in an order in which each comes after what it needs; `None` if some wait for each other.
pub(super) fn order(nodes: &[Node]) -> Option<Vec<usize>> {
    let needs: Vec<Vec<usize>> = nodes.iter().map(|node| node.needs.iter().copied().collect()).collect();
    let rank: Vec<i64> = (0..nodes.len() as i64).collect();
    topological_order(&needs, &rank).ok()
}

/// Puts the nodes in an order in which each comes after what it needs, otherwise unchanged, and removes dependencies that
/// follow from others.
pub(super) fn sort(nodes: &mut Vec<Node>) {
    let order = order(nodes).expect("no step waits for one that waits for it");
    let mut place = vec![0; nodes.len()];
    for (at, &index) in order.iter().enumerate() {
        place[index] = at;
    }
    for index in 0..nodes.len() {
        let implied: HashSet<usize> =
            nodes[index].needs.iter().flat_map(|need| ancestors(nodes, *need)).collect();
        nodes[index].needs.retain(|need| !implied.contains(need));
    }
    for node in nodes.iter_mut() {
        node.needs = node.needs.iter().map(|need| place[*need]).collect();
    }
    let mut by_place: Vec<(usize, Node)> = place.into_iter().zip(nodes.drain(..)).collect();
    by_place.sort_by_key(|(place, _)| *place);
    nodes.extend(by_place.into_iter().map(|(_, node)| node));
}

/// Puts neighbours of the sorted `nodes` together where there are more parts than steps; two that cannot be undone only if
/// nothing else is left.
pub(super) fn merge(nodes: &mut Vec<Node>, room: usize, staff: &Staff) {
    while nodes.len() > room.max(1) {
        let pair = (0..nodes.len() - 1).min_by_key(|&at| {
            let (a, b) = (&nodes[at], &nodes[at + 1]);
            (
                a.needs_checks && b.needs_checks,
                a.needs_checks || b.needs_checks,
                a.closes || b.closes,
                a.arm != b.arm,
                a.action.len() + b.action.len(),
            )
        });
        let Some(at) = pair else { return };
        let second = remove(nodes, at + 1, &[at]);
        let first = &mut nodes[at];
        first.action = format!("{}; {}", first.action, lower_first(&second.action));
        first.criteria.extend(second.criteria);
        if second.is_core && !first.is_core || staff.verifies(first.arm) && !staff.verifies(second.arm) {
            first.arm = second.arm;
        }
        first.seconds = first.seconds.saturating_add(second.seconds);
        first.cost_tier = first.cost_tier.max(second.cost_tier);
        first.is_core |= second.is_core;
        first.needs_checks |= second.needs_checks;
        first.needs.extend(second.needs.into_iter().filter(|need| *need != at));
    }
}

/// Further looks at a step, for plans that must have more steps than the goal asks for: how the action begins, and a
/// criterion.
const FACETS: [(&str, &str); 4] = [
    ("Review the result of", "Every acceptance criterion of that step is met, or its failure is explained"),
    ("List open risks and assumptions of", "Each risk has a likelihood, an effect and a way to meet it"),
    (
        "Try edge cases against the result of",
        "At least three edge cases are tried and their outcomes recorded",
    ),
    ("Describe how to use and maintain the result of", "Somebody who was not involved can use the result"),
];

/// Adds looks at the work until there are `fewest` steps.
pub(in super::super) fn fill(nodes: &mut Vec<Node>, fewest: usize, staff: &Staff) {
    let closing = if nodes.len() > 1 { nodes.pop_if(|last| last.closes) } else { None };
    let work = nodes.len();
    for index in 0..fewest.saturating_sub(work + usize::from(closing.is_some())) {
        let (place, round) = (index % work, index / work);
        let (lead, criterion) = FACETS[round % FACETS.len()];
        let action = format!("{lead} step {} ({})", place + 1, quoted(&nodes[place].action));
        let criteria = vec![criterion.to_owned(), "The outcome is written down".to_owned()];
        let node = Node::new(action, nodes[place].arm, criteria, CHECK_SECONDS, staff);
        let needs = if staff.takes_own_results(node.arm) { [place].into() } else { BTreeSet::new() };
        nodes.push(Node { needs, ..node });
    }
    nodes.extend(closing);
}

/// Ends the plan with a step of the verifying arm that waits for everything; a new one where the last step is no such
/// check, or the plan has fewer than `min_steps`, and there is `has_room`.
pub(in super::super) fn close(
    nodes: &mut Vec<Node>,
    verifier: usize,
    min_steps: usize,
    has_room: bool,
    goal: &str,
    staff: &Staff,
) {
    let is_closed = nodes.last().is_some_and(|last| last.closes || staff.verifies(last.arm) && last.checks);
    if (!is_closed || nodes.len() < min_steps) && has_room {
        let action = format!("Verify that the whole result does what was asked: {}", quoted(goal));
        let criteria = vec![
            "The result as a whole does what was asked".to_owned(),
            "Every acceptance criterion of the earlier steps is met, or its failure is reported".to_owned(),
        ];
        let node = Node::new(action, verifier, criteria, CHECK_SECONDS, staff);
        nodes.push(Node { closes: true, checks: true, ..node });
    }
    let needed: HashSet<usize> = nodes.iter().flat_map(|node| node.needs.iter().copied()).collect();
    let Some((last, others)) = nodes.split_last_mut() else { return };
    if !staff.verifies(last.arm) {
        last.arm = verifier;
    }
    last.needs.extend((0..others.len()).filter(|at| !needed.contains(at)));
}

/// Makes actions distinct, and the criteria of each step.
pub(in super::super) fn distinct(nodes: &mut [Node]) {
    let mut taken = HashSet::new();
    for (index, node) in nodes.iter_mut().enumerate() {
        if !taken.insert(node.action.to_lowercase()) {
            node.action = format!("{} (step {})", node.action, index + 1);
            taken.insert(node.action.to_lowercase());
        }
        let mut seen = HashSet::new();
        node.criteria.retain(|criterion| !criterion.trim().is_empty() && seen.insert(criterion.clone()));
    }
}
