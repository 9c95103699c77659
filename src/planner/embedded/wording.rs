//! The sentences of steps: what is done, and how to tell that it is.

use std::fmt::Write as _;

use crate::text::shorten;

use super::arms::Intent;
use super::reading::{Kind, Part};

/// Longest action of a step that several clauses were put into, in characters.
const MERGED_CHARS: usize = 1_000;
/// Most clauses that such an action names one by one.
const MOST_NAMED: usize = 10;

/// The action of a part.
pub(super) fn action(part: &Part) -> String {
    let texts = &part.texts;
    if let [text] = texts.as_slice() {
        return text.clone();
    }
    let named = texts.len().min(MOST_NAMED);
    let each = (MERGED_CHARS / named).max(24);
    let mut action = texts[..named].iter().map(|text| shorten(text, each)).collect::<Vec<_>>().join("; ");
    if texts.len() > named {
        let _ = write!(action, "; and {} further parts of the goal", texts.len() - named);
    }
    action
}

/// What a part is about.
pub(super) fn subject(part: &Part) -> &str {
    if part.object.is_empty() { "the result" } else { &part.object }
}

/// How to tell that a part is done.
pub(super) fn criteria(part: &Part) -> Vec<String> {
    let o = subject(part);
    let lines = match (part.intent, part.kind) {
        _ if part.texts.len() > 1 => [
            format!("All {} parts of this step are done, each with a result of its own", part.texts.len()),
            format!("The results fit together and cover {o}"),
        ],
        (_, Kind::Unclear) => [
            format!("The result addresses all of {o}"),
            "What was assumed about its meaning is written down".into(),
        ],
        (_, Kind::Tests) => [
            format!("The tests cover normal, edge and failure cases of {o}"),
            "Each test fails when the behaviour that it covers is broken".into(),
        ],
        (_, Kind::Fix) => [
            format!("The cause of {o} is named, and what was reported no longer happens"),
            "No other behaviour has changed".into(),
        ],
        (_, Kind::Compare) => [
            format!("The same measures are applied to all of {o}"),
            "Strengths and weaknesses are listed with their evidence, and a recommendation with its reason"
                .into(),
        ],
        (_, Kind::Prose) => [
            "The text has the form, length and tone that were asked for".into(),
            format!("It keeps to {o}, and no fact in it is invented"),
        ],
        (_, Kind::Ship) => [
            format!("StepRef the target a first check of {o} passes"),
            "The way back to the state before is written down".into(),
        ],
        (Intent::Gather, _) => {
            [format!("The findings answer what was asked about {o}"), "Each finding names its source".into()]
        }
        (Intent::Think, _) => [
            format!("The answer covers all of {o}, in plain words"),
            "Each statement can be traced to a source or a stated reason".into(),
        ],
        (Intent::Make, _) => [
            format!("The result for {o} is complete and does what the goal asks for"),
            "It loads or builds without errors, and wrong or empty input is handled".into(),
        ],
        (Intent::Guard, _) => [
            format!("No personal data or secret is left unprotected in {o}"),
            "What was found is listed by place and kind, without repeating the data itself".into(),
        ],
        (Intent::Run, _) => [
            format!("The work on {o} ends without an unexpected error"),
            "Commands, output and exit status are recorded".into(),
        ],
        (Intent::Check, _) => [
            format!("Each finding about {o} names its place and how serious it is"),
            "The verdict is clear: accepted, or a list of what has to change".into(),
        ],
    };
    lines.into()
}

/// Ways to look at one part once more, for plans that must have more steps than the goal asks for, in the
/// order in which they are worth having: the intent, what stands before the part's text, a criterion.
#[rustfmt::skip]
pub(super) const FACETS: &[(Intent, &str, &str)] = &[
    (Intent::Check, "Review the intermediate result of",
        "Every acceptance criterion of that step is ticked or its failure explained"),
    (Intent::Think, "List open risks and assumptions of",
        "Each risk has a likelihood, an effect and a way to meet it"),
    (Intent::Check, "Try edge cases against the result of",
        "StepRef least three edge cases are tried and their outcomes recorded"),
    (Intent::Think, "Write down how to use and maintain the result of",
        "Somebody who was not involved can use the result with this note alone"),
    (Intent::Gather, "Look for known pitfalls of",
        "Each pitfall names its source and whether it applies here"),
];
