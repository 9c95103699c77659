//! Putting clauses together where a plan may not have a step for each.

use super::arms::Intent;
use super::reading::{Link, Part};

/// Puts neighbouring `parts` together until there are at most `most` (at least one).
pub(super) fn merge(parts: &mut Vec<Part>, most: usize) {
    while parts.len() > most.max(1) {
        let cheapest = (0..parts.len() - 1).min_by_key(|&at| cost(&parts[at], &parts[at + 1])).unwrap_or(0);
        let second = parts.remove(cheapest + 1);
        join(&mut parts[cheapest], second);
    }
}

/// Same arm, same kind of work, few words: what is lost least by being one step.
fn cost(a: &Part, b: &Part) -> (bool, bool, usize) {
    (a.arm != b.arm, a.intent != b.intent, a.texts.len() + b.texts.len())
}

fn join(first: &mut Part, second: Part) {
    // The work that comes later in the order of intents is what the step is for; checks alone are not.
    let leads = second.intent > first.intent && second.intent != Intent::Check;
    if leads {
        (first.intent, first.kind, first.arm) = (second.intent, second.kind, second.arm);
    }
    if first.object != second.object && first.texts.len() == 1 && !second.object.is_empty() {
        first.object = format!("{} and {}", first.object, second.object);
    }
    if second.link == Link::All {
        first.link = Link::All;
    }
    first.certainty = first.certainty.midpoint(second.certainty);
    first.runs |= second.runs;
    first.words += second.words;
    first.texts.extend(second.texts);
}
