//! An answer in several texts: calls of tools, or choices; and several plans in one.

use super::arm_names::ArmNames;
use super::decode::REASONING;
use super::{Doubt, Reading, read_for, read_tolerantly};
use crate::domain::arms::ArmRegistry;
use crate::planner::draft::Draft;
use crate::planner::error::ParseError;

/// The plan in the only text that holds one, or in texts that each hold a part of it, as calls of a tool that takes one
/// step, or some of them. Of different plans the first is the likeliest.
///
/// # Errors
/// When there is none in them: what is wrong with the first.
pub fn read_several(texts: &[&str], registry: &ArmRegistry) -> Result<Reading, ParseError> {
    let readings: Vec<_> = texts.iter().map(|text| read_for(text, registry)).collect();
    let is_plan = |reading: &Reading| reading.draft.steps.len() > 1;
    if !readings.iter().flatten().any(is_plan) {
        let together = read_tolerantly(&texts.join("\n"), &ArmNames::new(registry));
        return match together {
            Ok(reading) if is_plan(&reading) => Ok(reading),
            _ => readings.into_iter().next().unwrap_or(Err(ParseError::Empty)),
        };
    }
    let readings = readings.into_iter().flatten().filter(|reading| !reading.draft.steps.is_empty());
    let mut plans: Vec<Reading> = Vec::new();
    for reading in readings {
        if !plans.iter().any(|plan| plan.draft.steps == reading.draft.steps) {
            plans.push(reading);
        }
    }
    if are_parts(&plans) {
        return Ok(joined(plans));
    }
    let is_ambiguous = plans.len() > 1;
    let mut likeliest = plans.into_iter().find(is_plan).ok_or(ParseError::NoSteps)?;
    if is_ambiguous {
        likeliest.doubts.push(Doubt::UnusedSteps);
    }
    Ok(likeliest)
}

/// Beginnings of words that say, between two plans, that the second replaces the first.
#[rustfmt::skip]
const REPLACING: [&str; 24] = [
    "final", "correct", "revis", "instead", "improv", "wait", "actual", "better", "updat", "fix", "rather", "answer",
    "refin", "korrig", "überarbeit", "endg", "corrig", "mejor", "definitiv", "исправ", "итог", "最终", "修正", "更正",
];

/// Whether the text between two plans says that the second replaces the first, or ends a block of reasoning.
pub(super) fn announces_a_better_one(text: &str) -> bool {
    let text = text.to_lowercase();
    let ends_reasoning = REASONING.iter().any(|(_, end)| text.contains(end));
    ends_reasoning
        || REPLACING.iter().any(|start| {
            text.match_indices(start)
                .any(|(at, _)| !start.is_ascii() || !text[..at].ends_with(|c: char| c.is_alphabetic()))
        })
}

/// Whether plans continue each other's count of steps.
fn are_parts(plans: &[Reading]) -> bool {
    let steps = plans.iter().flat_map(|plan| &plan.draft.steps);
    let numbers: Option<Vec<i64>> = steps.map(|step| step.number).collect();
    let counts = |numbers: Vec<i64>| {
        numbers.first().is_some_and(|first| (0..=1).contains(first))
            && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
    };
    plans.len() > 1 && numbers.is_some_and(counts)
}

fn joined(parts: Vec<Reading>) -> Reading {
    let mut whole = Reading { draft: Draft::default(), doubts: Vec::new(), is_strict: false };
    for Reading { draft, doubts, .. } in parts {
        let before = whole.draft.steps.len();
        whole.doubts.extend(doubts.into_iter().map(|doubt| doubt.behind(before)));
        whole.draft.steps.extend(draft.steps);
        whole.draft.rationale = whole.draft.rationale.or(draft.rationale);
        whole.draft.confidence = whole.draft.confidence.or(draft.confidence);
        whole.draft.open_questions.extend(draft.open_questions);
        whole.draft.unused.extend(draft.unused);
    }
    whole
}
