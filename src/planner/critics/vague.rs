//! Actions that do not say what to do, and criteria that cannot be checked: texts of nothing but empty words.

use std::sync::LazyLock;

use crate::domain::{FindingCode, SubTask, WarningCode};
use crate::text::lowercase;

use super::words::{first_bytes, is_unspaced};
use super::{Critic, Finding, FindingSeverity, Review};

/// Flags none of 104 good plans (docs/critics.md).
const ACTION_SEVERITY: FindingSeverity = FindingSeverity::Soft;
/// A criterion such as "It works" is not worth a call of its own.
const CRITERION_SEVERITY: FindingSeverity = FindingSeverity::Warning;

/// Empty words, by language.
#[derive(Debug)]
struct EmptyWords {
    /// Sorted, with the first bytes of each as a number.
    spaced: Vec<(u64, &'static str)>,
    /// Of scripts without spaces, the longest first.
    unspaced: Vec<&'static str>,
}

static ACTIONS: LazyLock<EmptyWords> = LazyLock::new(|| EmptyWords::read("[action]"));
static CRITERIA: LazyLock<EmptyWords> = LazyLock::new(|| EmptyWords::read("[criterion]"));

impl EmptyWords {
    /// Those of one section of the table, and those of `[any]`.
    fn read(section: &str) -> Self {
        let mut words = Self { spaced: Vec::new(), unspaced: Vec::new() };
        let mut is_wanted = false;
        for line in include_str!("empty_words.txt").lines() {
            match line {
                line if line.starts_with('[') => is_wanted = line == section || line == "[any]",
                line if !is_wanted || line.starts_with('#') => {}
                line => {
                    for word in line.split_whitespace() {
                        if word.chars().any(is_unspaced) {
                            words.unspaced.push(word);
                        } else {
                            words.spaced.push((first_bytes(word), word));
                        }
                    }
                }
            }
        }
        words.spaced.sort_unstable();
        words.unspaced.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words
    }

    /// Whether `text` has words, and all of them are empty. Numbers count as empty.
    fn are_all_of(&self, text: &str) -> bool {
        let mut words =
            text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
        let is_empty = |word: &str| {
            let word = lowercase(word);
            word.chars().all(char::is_numeric)
                || self.spaced.binary_search(&(first_bytes(&word), &*word)).is_ok()
                || !word.is_ascii() && word.chars().any(is_unspaced) && self.is_unspaced_and_empty(&word)
        };
        let first = words.next();
        first.is_some_and(is_empty) && words.all(is_empty)
    }

    /// Whether a run of characters consists of empty words and numbers only.
    fn is_unspaced_and_empty(&self, word: &str) -> bool {
        let mut rest = word;
        while let Some(c) = rest.chars().next() {
            let empty = self.unspaced.iter().find_map(|empty| rest.strip_prefix(empty));
            match empty {
                Some(behind) => rest = behind,
                None if c.is_numeric() => rest = &rest[c.len_utf8()..],
                None => return false,
            }
        }
        true
    }
}

/// Finds steps with an empty action, such as "Do task 2".
#[derive(Debug)]
pub(super) struct VagueActions;

impl Critic for VagueActions {
    fn review(&self, review: &Review<'_>) -> Vec<Finding> {
        let vague = review.open_steps().filter(|step| ACTIONS.are_all_of(&step.action));
        vague
            .map(|step| Finding {
                code: FindingCode::Warning(WarningCode::VagueAction),
                severity: ACTION_SEVERITY,
                step: Some(step.step),
                field: Some("action"),
                to_llm: format!(
                    "The action of step {} did not say what to do. Say exactly what is done, and to what.",
                    step.step
                ),
                to_caller: "the action does not say what to do".into(),
            })
            .collect()
    }
}

/// Finds steps without a checkable criterion, such as "It works".
#[derive(Debug)]
pub(super) struct VagueCriteria;

impl Critic for VagueCriteria {
    fn review(&self, review: &Review<'_>) -> Vec<Finding> {
        let is_vague =
            |step: &&SubTask| step.acceptance_criteria.iter().all(|text| CRITERIA.are_all_of(text));
        review
            .open_steps()
            .filter(is_vague)
            .map(|step| Finding {
                code: FindingCode::Warning(WarningCode::VagueCriterion),
                severity: CRITERION_SEVERITY,
                step: Some(step.step),
                field: Some("acceptance_criteria"),
                to_llm: format!(
                    "Step {} had no criterion that somebody else can check as true or false.",
                    step.step
                ),
                to_caller: "no criterion of the step can be checked".into(),
            })
            .collect()
    }
}
