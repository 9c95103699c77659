//! What a careful person adds to what the goal asks for, as far as the limits allow and require.

use super::arms::Intent;
use super::compose::Brief;
use super::reading::{Kind, Part};

/// What is added to the goal's own parts; arms by their place in the registry.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each addition is there or not, independently")]
pub(super) struct Extras {
    /// Looks at personal data and secrets before they are used.
    pub guard: Option<usize>,
    /// Gathers context before anything is changed.
    pub gather: Option<usize>,
    /// Runs what was made.
    pub run: Option<usize>,
    /// Joins and verifies everything at the end.
    pub closing: bool,
    pub clarify: bool,
    pub outline: bool,
    pub summary: bool,
    /// How many further looks at the parts.
    pub facets: usize,
}

impl Extras {
    /// First what is good to have while there is room, the most needed first; then what fills a plan that
    /// would be too short, the most useful first.
    pub(super) fn choose(parts: &[Part], brief: &Brief<'_>, guard: Option<usize>, closing: bool) -> Self {
        let arms = brief.arms;
        let mut count = parts.len() + usize::from(closing);
        let mut while_below = |limit: usize, wanted: bool| {
            let taken = wanted && count < limit;
            count += usize::from(taken);
            taken
        };
        let gatherer = arms.serving(Intent::Gather).filter(|_| parts[0].intent != Intent::Gather);
        let changes = parts.iter().any(|part| part.intent >= Intent::Make && part.kind != Kind::Unclear);
        let weighs = parts.iter().any(|part| part.kind == Kind::Compare);
        let unclear = parts[0].kind == Kind::Unclear || parts[0].object.is_empty();
        let tested = parts.iter().any(|part| part.kind == Kind::Tests);
        let only_gathers = parts.iter().all(|part| part.intent == Intent::Gather);

        let most = brief.max_steps;
        let guard = guard.filter(|_| while_below(most, true));
        let closing = closing || while_below(most, true);
        let fewest = brief.min_steps;
        let runner = arms.serving(Intent::Run).filter(|_| needs_run(parts));
        // Tests that nobody runs prove nothing.
        let first_run = runner.filter(|_| while_below(most, tested));
        let clarify_first = while_below(fewest, unclear);
        let gather = gatherer.filter(|_| while_below(most, changes || weighs));
        let run = first_run.or_else(|| runner.filter(|_| while_below(most, true)));

        let summary = while_below(fewest, only_gathers);
        let gather = gather.or_else(|| gatherer.filter(|_| while_below(fewest, true)));
        let clarify = clarify_first || while_below(fewest, true);
        let outline = while_below(fewest, true);
        Self { guard, gather, run, closing, clarify, outline, summary, facets: fewest.saturating_sub(count) }
    }
}

/// Code was made, and nothing that the goal asks for runs it; where there are tests, these are run.
fn needs_run(parts: &[Part]) -> bool {
    let Some(last) = parts.iter().rposition(|part| part.runs) else { return false };
    let tests = parts.iter().any(|part| part.kind == Kind::Tests);
    !parts[last..].iter().any(|part| part.intent == Intent::Run && (part.kind == Kind::Trial || !tests))
}
