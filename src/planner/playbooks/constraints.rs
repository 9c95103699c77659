//! Where each constraint of a request becomes an acceptance criterion.

use std::collections::HashSet;

use crate::text::{fold, shorten};

use super::compose::Node;
use super::limit;

/// Longest constraint in a criterion, in characters.
const CONSTRAINT_CHARS: usize = 400;
/// Shorter words do not show which step is meant.
const TELLING_CHARS: usize = 4;

/// Adds each of `constraints` (on one line, none blank) to the step that it concerns.
pub(super) fn place(constraints: &[String], is_limited: bool, nodes: &mut [Node]) {
    for constraint in constraints {
        let criterion = criterion_of(constraint);
        let at = if is_limited && limit::of(constraint).is_some() {
            nodes.len() - 1
        } else {
            concerned(constraint, nodes)
        };
        if !nodes[at].criteria.contains(&criterion) {
            nodes[at].criteria.push(criterion);
        }
    }
}

/// The criterion that a constraint becomes.
pub(super) fn criterion_of(constraint: &str) -> String {
    format!("Constraint met: {}", shorten(constraint, CONSTRAINT_CHARS))
}

/// The step that shares the most words with `constraint`; what was asked for itself where none does.
fn concerned(constraint: &str, nodes: &[Node]) -> usize {
    let words = words(constraint);
    let shared = |node: &Node| {
        let text = format!("{} {}", node.action, node.criteria.join(" "));
        self::words(&text).intersection(&words).count()
    };
    let best =
        (0..nodes.len()).map(|at| (shared(&nodes[at]), nodes[at].is_core, std::cmp::Reverse(at))).max();
    match best {
        Some((shared, _, at)) if shared > 0 => at.0,
        _ => nodes.iter().position(|node| node.is_core).unwrap_or(nodes.len() - 1),
    }
}

fn words(text: &str) -> HashSet<String> {
    fold(text).split(' ').filter(|word| word.chars().count() >= TELLING_CHARS).map(str::to_owned).collect()
}
