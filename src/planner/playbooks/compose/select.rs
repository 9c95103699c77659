//! Fits the steps to the number that a plan may have, and puts them in order.

use std::collections::HashSet;

use super::super::Matched;
use super::super::arms::Staff;
use super::super::wording::{lower_first, quoted};
use super::{CHECK_SECONDS, Node, ancestors};

/// Leaves out the least important steps until there are at most `room`; steps that waited for one of them wait for what
/// that one waited for.
pub(super) fn select(mut nodes: Vec<Node>, room: usize) -> Vec<Node> {
    let mut kept: Vec<bool> = vec![true; nodes.len()];
    let mut count = nodes.len();
    // Checks that guard something go last of their rank.
    let guards = |nodes: &[Node], at: usize| {
        nodes[at].checks && nodes.iter().any(|node| node.needs_checks && node.needs.contains(&at))
    };
    while count > room {
        let spare = (0..nodes.len())
            .filter(|&at| kept[at] && nodes[at].rank > 0)
            .max_by_key(|&at| (nodes[at].rank, !guards(&nodes, at), nodes[at].group, std::cmp::Reverse(at)));
        let Some(spare) = spare else { break };
        kept[spare] = false;
        count -= 1;
        let needs = nodes[spare].needs.clone();
        for node in nodes.iter_mut().filter(|node| node.needs.contains(&spare)) {
            node.needs.retain(|need| *need != spare);
            node.needs.extend(&needs);
        }
    }
    renumbered(nodes, &kept)
}

/// The nodes that are `kept`, with their needs by their new places.
fn renumbered(nodes: Vec<Node>, kept: &[bool]) -> Vec<Node> {
    let mut place = 0;
    let places: Vec<Option<usize>> = kept
        .iter()
        .map(|kept| {
            kept.then(|| {
                place += 1;
                place - 1
            })
        })
        .collect();
    let mut nodes: Vec<Node> =
        nodes.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(node, _)| node).collect();
    for node in &mut nodes {
        node.needs = node.needs.iter().filter_map(|need| places[*need]).collect();
        node.needs.sort_unstable();
        node.needs.dedup();
    }
    nodes
}

/// Puts neighbours together where there are more parts than steps, never two that cannot be undone.
pub(super) fn merge(nodes: &mut Vec<Node>, room: usize, staff: &Staff) {
    while nodes.len() > room.max(1) {
        let pair = (0..nodes.len() - 1).min_by_key(|&at| {
            let (a, b) = (&nodes[at], &nodes[at + 1]);
            (
                a.needs_checks || b.needs_checks,
                a.closes || b.closes,
                a.arm != b.arm,
                a.action.len() + b.action.len(),
            )
        });
        let Some(at) = pair else { return };
        let second = nodes.remove(at + 1);
        let first = &mut nodes[at];
        first.action = format!("{}; {}", first.action, lower_first(&second.action));
        for criterion in second.criteria {
            if !first.criteria.contains(&criterion) {
                first.criteria.push(criterion);
            }
        }
        if second.is_core && !first.is_core || staff.verifies(first.arm) && !staff.verifies(second.arm) {
            first.arm = second.arm;
        }
        first.seconds = first.seconds.saturating_add(second.seconds);
        first.cost_tier = first.cost_tier.max(second.cost_tier);
        first.is_core |= second.is_core;
        first.needs_checks |= second.needs_checks;
        first.needs.extend(second.needs);
        for (index, node) in nodes.iter_mut().enumerate() {
            for need in &mut node.needs {
                *need -= usize::from(*need > at);
            }
            node.needs.retain(|need| *need != index);
            node.needs.sort_unstable();
            node.needs.dedup();
        }
    }
}

/// The nodes in an order in which each comes after what it needs, otherwise unchanged.
pub(super) fn sorted(nodes: Vec<Node>) -> Vec<Node> {
    let mut order: Vec<usize> = Vec::with_capacity(nodes.len());
    let mut placed = vec![false; nodes.len()];
    while order.len() < nodes.len() {
        let next =
            (0..nodes.len()).find(|&at| !placed[at] && nodes[at].needs.iter().all(|need| placed[*need]));
        // A cycle cannot come about; if it did, the order of the text would break it.
        let next = next.unwrap_or_else(|| placed.iter().position(|placed| !placed).expect("one is left"));
        placed[next] = true;
        order.push(next);
    }
    let mut place = vec![0; nodes.len()];
    for (at, &index) in order.iter().enumerate() {
        place[index] = at;
    }
    let mut by_place: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut sorted: Vec<Node> =
        order.iter().map(|&index| by_place[index].take().expect("each once")).collect();
    for (at, node) in sorted.iter_mut().enumerate() {
        node.needs = node.needs.iter().map(|need| place[*need]).filter(|need| *need < at).collect();
        node.needs.sort_unstable();
        node.needs.dedup();
    }
    reduced(&mut sorted);
    sorted
}

/// Removes dependencies that follow from others.
fn reduced(nodes: &mut [Node]) {
    for index in 0..nodes.len() {
        let needs = nodes[index].needs.clone();
        let implied: HashSet<usize> = needs.iter().flat_map(|need| ancestors(nodes, *need)).collect();
        nodes[index].needs.retain(|need| !implied.contains(need));
    }
}

/// Adds general steps around the first ones until there are `min` of them.
pub(super) fn pad(nodes: &mut Vec<Node>, min: usize, staff: &Staff) {
    const BEFORE: [(&str, &str); 2] = [
        (
            "Clarify what is wanted, what is given and when it is done",
            "What is wanted and how it will be checked is written down",
        ),
        ("Gather what is needed for it", "Everything that is needed is at hand"),
    ];
    const AROUND: [(&str, &str); 4] = [
        ("Look for what could go wrong with", "Each risk has an answer"),
        ("Record the result of", "The result can be found again"),
        ("Ask those concerned about", "Their answers are taken into account"),
        ("Check the outcome of", "Deviations are named"),
    ];
    let closing = nodes.last().is_some_and(|node| node.closes);
    let mut missing = min.saturating_sub(nodes.len() - usize::from(closing));
    let general = |action: String, criterion: &str, needs: Vec<usize>, staff: &Staff| {
        let arm = staff.for_text(&action);
        Node {
            needs,
            cost_tier: 1,
            ..Node::new(action, arm, vec![criterion.to_owned()], CHECK_SECONDS, staff)
        }
    };
    for (action, criterion) in BEFORE.into_iter().rev() {
        if missing == 0 {
            return;
        }
        if missing == 1 && action.starts_with("Gather") && !closing && min < 4 {
            continue;
        }
        for node in nodes.iter_mut() {
            node.needs.iter_mut().for_each(|need| *need += 1);
            if node.needs.is_empty() {
                node.needs.push(0);
            }
        }
        nodes.insert(0, general(action.into(), criterion, Vec::new(), staff));
        missing -= 1;
    }
    let work = nodes.len() - usize::from(closing);
    for index in 0..missing {
        let (lead, criterion) = AROUND[index % AROUND.len()];
        let of = index % work;
        let at = nodes.len() - usize::from(closing);
        let step = general(format!("{lead} {}", quoted(&nodes[of].action)), criterion, vec![of], staff);
        nodes.insert(at, step);
        if closing {
            let last = nodes.len() - 1;
            nodes[last].needs.push(at);
        }
    }
}

/// Ends the plan with a step of the verifying arm that waits for everything.
pub(super) fn close(
    nodes: &mut Vec<Node>,
    verifier: usize,
    min_steps: usize,
    max_steps: usize,
    parts: &[Matched<'_>],
    staff: &Staff,
) {
    let is_closed = nodes.last().is_some_and(|last| last.closes || staff.verifies(last.arm) && last.checks);
    if (!is_closed || nodes.len() < min_steps) && nodes.len() < max_steps {
        let goal = parts.iter().map(|matched| matched.part.object.as_str()).collect::<Vec<_>>();
        let action = match goal.as_slice() {
            [one] => format!("Verify that the result does what was asked about {one}"),
            _ => "Verify that the results together do everything that was asked".to_owned(),
        };
        let criteria =
            vec!["Every acceptance criterion of the earlier steps is met, or its failure is reported".into()];
        nodes.push(Node {
            closes: true,
            checks: true,
            ..Node::new(action, verifier, criteria, CHECK_SECONDS, staff)
        });
    }
    let needed: HashSet<usize> = nodes.iter().flat_map(|node| node.needs.iter().copied()).collect();
    let Some((last, others)) = nodes.split_last_mut() else { return };
    if !staff.verifies(last.arm) {
        last.arm = verifier;
    }
    last.needs.extend((0..others.len()).filter(|at| !needed.contains(at)));
    last.needs.sort_unstable();
    last.needs.dedup();
}

/// Makes actions distinct.
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
