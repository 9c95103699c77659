//! Parts behind a colon: what the work of the part before it consists of.

use super::{Group, Node, ends_of, instantiate, leaves, members, rewire, select, steps, waiting_for};
use crate::domain::playbooks::PlaybookStep;

/// Puts the listed parts of each work between what leads up to it and what follows it; several of them replace the work as a
/// whole, which the first step then names.
pub(super) fn nest(groups: &[Group<'_>], nodes: &mut Vec<Node>) {
    for head in 0..groups.len() {
        let listed = groups[head + 1..].iter().take_while(|group| group[0].is_listed).count();
        if listed > 0 && groups[head].iter().any(|matched| matched.part.heads) {
            rewire(nodes, |nodes| nest_list(nodes, groups, head, head + listed));
        }
    }
}

/// The same for the groups behind `head` up to `last`.
fn nest_list(nodes: &mut Vec<Node>, groups: &[Group<'_>], head: usize, last: usize) {
    let is_whole = |at: &usize| steps(&groups[head]).nth(nodes[*at].step).is_some_and(PlaybookStep::is_core);
    let wholes: Vec<usize> = members(nodes, head).filter(is_whole).collect();
    // Without a single step for the work as a whole, its last check comes after the list.
    let last_check = || members(nodes, head).find(|&at| nodes[at].closes);
    let (core, is_replaced) = match wholes.as_slice() {
        &[whole] => (whole, !nodes[whole].needs_checks),
        _ => match last_check() {
            Some(check) => (check, false),
            None => return,
        },
    };
    let mut behind = waiting_for(nodes, core);
    behind.retain(|at| nodes[*at].group == head);
    behind.insert(core);
    let before = nodes[core].needs.clone();
    let inside: Vec<usize> =
        (0..nodes.len()).filter(|&at| (head + 1..=last).contains(&nodes[at].group)).collect();
    if inside.is_empty() {
        return;
    }
    for &at in &inside {
        nodes[at].needs.retain(|need| !behind.contains(need));
        if nodes[at].needs.iter().all(|need| !inside.contains(need)) {
            nodes[at].needs.extend(&before);
        }
    }
    let ends = ends_of(nodes, &inside);
    let follow = leaves(nodes, head);
    for node in nodes.iter_mut().filter(|node| node.group > last) {
        if node.needs.iter().any(|need| inside.contains(need)) {
            node.needs.extend(&follow);
        }
    }
    nodes[core].needs.extend(&ends);
    let parts: usize = groups[head + 1..=last].iter().map(Vec::len).sum();
    if parts > 1 && is_replaced && members(nodes, head).count() > 1 {
        let work = select::remove(nodes, core, &ends);
        let Some(first) = members(nodes, head).next() else { return };
        nodes[first].rank = 0;
        if !nodes[first].action.contains(&work.action) {
            instantiate::cover(&mut nodes[first], groups[head].iter().copied());
        }
    }
}
