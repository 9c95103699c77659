//! Constraints and parts of the goal that no step takes up.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::domain::{FindingCode, PlanRequest, WarningCode};
use crate::planner::playbooks::clauses;

use super::words::{
    Vocabulary, in_lowercase, is_latin_greek_or_cyrillic, is_unspaced, significant_words, words,
};
use super::{Critic, Finding, FindingSeverity, Review, quoted};

/// Flags 1 of 104 good plans (docs/critics.md).
const CONSTRAINT_SEVERITY: FindingSeverity = FindingSeverity::Soft;
/// Flags none of them.
const GOAL_SEVERITY: FindingSeverity = FindingSeverity::Soft;
/// Parts of the goal with fewer significant words are not looked for: a plan may well use another word.
const MIN_PART_WORDS: usize = 2;

/// With one of these a constraint forbids something: a plan keeps it by not doing that, which needs no mention.
#[rustfmt::skip]
static FORBIDDING: LazyLock<HashSet<&str>> = LazyLock::new(|| HashSet::from([
    "no", "not", "never", "none", "without", "avoid", "don", "don't", "cannot", "nothing", "nobody", "zero", "exclude",
    "kein", "keine", "keinen", "keiner", "keinem", "nicht", "nie", "ohne", "sin", "ningún", "ninguna", "nunca", "evita",
    "evitar", "ne", "pas", "sans", "aucun", "aucune", "jamais", "non", "senza", "mai", "não", "nao", "sem", "nenhum",
    "не", "без", "нельзя", "никогда", "ingen", "inga", "inte", "utan", "nie", "bez", "yok", "olmadan", "niet", "geen",
    "لا", "بدون", "ليس", "يمنع", "नहीं", "बिना", "मत", "न",
]));
#[rustfmt::skip]
const FORBIDDING_UNSPACED: &[&str] = &["不", "勿", "禁", "无", "無", "没", "ない", "なし", "せず", "しない", "ません", "없", "않", "금지", "말", "ไม่", "ห้าม"];

/// A part of a goal of these words alone asks for the plan itself: "provide guidelines on how to accomplish this".
#[rustfmt::skip]
static ABOUT_THE_PLAN: LazyLock<HashSet<&str>> = LazyLock::new(|| HashSet::from([
    "accomplish", "achieve", "advice", "advise", "approach", "can", "could", "describe", "do", "done", "explain",
    "follow", "give", "go", "guidance", "guide", "guidelines", "help", "how", "i", "instructions", "know", "let",
    "list", "me", "need", "outline", "plan", "please", "process", "proceed", "provide", "required", "should", "show",
    "step", "steps", "suggest", "suggestions", "take", "tell", "through", "us", "walk", "want", "way", "we", "what", "you",
    "a", "about", "all", "an", "and", "are", "be", "by", "for", "if", "in", "is", "it", "of", "on", "that", "the",
    "these", "this", "to", "with", "detailed", "clear",
]));

/// The words of the plan.
fn vocabulary(review: &Review<'_>) -> Vocabulary {
    let texts = review.steps.iter().flat_map(|step| {
        std::iter::once(step.action.as_str())
            .chain(std::iter::once(step.required_arm.as_str()))
            .chain(step.acceptance_criteria.iter().map(String::as_str))
    });
    Vocabulary::of(texts.chain([review.rationale]))
}

/// Whether `text` has at least `least` significant words, none of which the plan mentions, though it is in the same script.
fn is_unmentioned(text: &str, vocabulary: &Vocabulary, least: usize) -> bool {
    let lower = in_lowercase(text);
    let words = significant_words(&lower);
    words.len() >= least
        && !words.iter().any(|word| vocabulary.mentions(word))
        && is_latin_greek_or_cyrillic(text) == is_latin_greek_or_cyrillic(vocabulary.text())
}

/// Finds constraints and parts of the goal that the plan does not mention.
#[derive(Debug)]
pub(super) struct Coverage;

impl Critic for Coverage {
    fn review(&self, review: &Review<'_>) -> Vec<Finding> {
        let PlanRequest { goal, constraints, .. } = review.request;
        let goal_in_lowercase = in_lowercase(goal);
        let goal_words = significant_words(&goal_in_lowercase);
        if goal_words.is_empty() {
            return Vec::new();
        }
        let vocabulary = vocabulary(review);
        let unmentioned = goal_words.iter().filter(|word| !vocabulary.mentions(word)).count();
        if unmentioned == goal_words.len() {
            // The plan is in another language than the request.
            return Vec::new();
        }
        // Limits are kept by the durations, and what is forbidden by not doing it: neither needs a mention.
        let limited = review.limits.iter().map(Option::is_some);
        let constraints = (1..).zip(constraints).zip(limited);
        let unlimited = constraints.filter(|(_, is_limit)| !is_limit).map(|(numbered, _)| numbered);
        let mut findings = unaddressed(unlimited, &vocabulary);
        if unmentioned >= MIN_PART_WORDS {
            findings.extend(uncovered(&clauses(goal), &vocabulary));
        }
        findings
    }
}

fn unaddressed<'c>(
    constraints: impl Iterator<Item = (usize, &'c String)>,
    vocabulary: &Vocabulary,
) -> Vec<Finding> {
    constraints
        .filter(|(_, text)| is_unmentioned(text, vocabulary, 1) && !forbids(text))
        .map(|(number, text)| Finding {
            code: FindingCode::Warning(WarningCode::ConstraintUnaddressed),
            severity: CONSTRAINT_SEVERITY,
            step: None,
            field: None,
            to_llm: format!(
                "Nothing in it addressed the constraint {}. Say in a step or a criterion how it is respected.",
                quoted(text)
            ),
            to_caller: format!("no step, criterion or rationale addresses constraint {number} of the request"),
        })
        .collect()
}

fn forbids(text: &str) -> bool {
    if text.chars().any(is_unspaced) {
        return FORBIDDING_UNSPACED.iter().any(|word| text.contains(word));
    }
    words(&in_lowercase(text)).iter().any(|word| FORBIDDING.contains(word))
}

fn asks_for_the_plan(part: &str) -> bool {
    words(&in_lowercase(part)).iter().all(|word| ABOUT_THE_PLAN.contains(word))
}

fn uncovered(parts: &[String], vocabulary: &Vocabulary) -> Vec<Finding> {
    if parts.len() < 2 {
        return Vec::new();
    }
    let is_uncovered =
        |part: &&String| is_unmentioned(part, vocabulary, MIN_PART_WORDS) && !asks_for_the_plan(part);
    parts
        .iter()
        .filter(is_uncovered)
        .map(|part| Finding {
            code: FindingCode::Warning(WarningCode::GoalUncovered),
            severity: GOAL_SEVERITY,
            step: None,
            field: None,
            to_llm: format!("No step did this part of the goal: {}. Add what it needs.", quoted(part)),
            to_caller: format!(
                "no step mentions this part of the goal: “{}”",
                crate::text::shorten(part, 100)
            ),
        })
        .collect()
}
