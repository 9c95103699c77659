//! Where each constraint of a request becomes an acceptance criterion.

use std::collections::{BTreeMap, HashMap};

use crate::text::{fold, shorten};

use super::arms::{Arms, Intent};
use super::compose::Task;
use super::lexicon::{Lexicon, is_one_of};
use super::reading::Kind;
use super::timing;

/// Longest constraint in a criterion, in characters.
const CONSTRAINT_CHARS: usize = 400;
/// Most words of a constraint that are looked at.
const MOST_WORDS: usize = 60;
/// Shorter words say nothing about which step is meant.
const TELLING_CHARS: usize = 4;

/// Words that are in constraints of all kinds.
const COMMON: &[&str] = &[
    "must", "should", "only", "with", "without", "that", "this", "from", "have", "than", "never", "always",
    "make", "using", "into", "them", "their", "when", "each", "every", "part", "parts", "goal", "does",
    "step", "result",
];
const FORBIDDING: &[&str] =
    &["not", "never", "no", "don't", "dont", "without", "avoid", "keep", "nicht", "kein", "ohne"];
#[rustfmt::skip]
const CHANGING: &[&str] = &[
    "modify", "change", "changes", "alter", "touch", "break", "breaking", "delete", "drop", "write",
    "edit", "remove", "downtime", "migrate", "production", "schema", "ändern",
];
const TESTING: &[&str] = &["test", "tests", "tested", "coverage"];

/// Adds each of `constraints` (tidy, none blank) to the tasks that it concerns.
pub(super) fn place(constraints: &[String], tasks: &mut [Task], arms: &Arms, lexicon: &Lexicon) {
    let named = Named::new(tasks);
    for constraint in constraints {
        let criterion = criterion_of(constraint);
        for at in concerned(constraint, tasks, &named, arms, lexicon) {
            if !tasks[at].criteria.contains(&criterion) {
                tasks[at].criteria.push(criterion.clone());
            }
        }
    }
}

/// The criterion that a tidy constraint becomes.
pub(super) fn criterion_of(constraint: &str) -> String {
    format!("Constraint respected: {}", shorten(constraint, CONSTRAINT_CHARS))
}

/// The tasks that `constraint` is about: those that do the work when none stands out.
fn concerned(constraint: &str, tasks: &[Task], named: &Named, arms: &Arms, lexicon: &Lexicon) -> Vec<usize> {
    let all = |fits: &dyn Fn(&Task) -> bool| -> Vec<usize> {
        (0..tasks.len()).filter(|&at| fits(&tasks[at])).collect()
    };
    let words: Vec<&str> = constraint.split_whitespace().take(MOST_WORDS).collect();
    let text = words.join(" ");
    if timing::limit(std::iter::once(text.as_str())).is_some() {
        return vec![tasks.len() - 1];
    }
    let has = |table: &[&str]| words.iter().any(|word| is_one_of(word, table));
    let folded = fold(&text);
    let senses = || lexicon.scan(&folded).map(|(_, senses)| senses);
    let changes = |task: &Task| matches!(task.intent, Intent::Make | Intent::Run | Intent::Guard);

    let by_kind = if has(TESTING) {
        all(&|task| task.kind == Kind::Tests)
    } else if senses().any(|senses| senses.sensitive) || arms.guards_against(&folded) {
        all(&|task| task.intent == Intent::Guard)
    } else if has(FORBIDDING) && has(CHANGING) {
        all(&|task| task.is_part && changes(task))
    } else {
        Vec::new()
    };
    if !by_kind.is_empty() {
        return by_kind;
    }
    let by_name = named.most_alike(&folded);
    if !by_name.is_empty() {
        return by_name;
    }
    let software = senses().any(|senses| senses.software);
    let made = |task: &Task| software && task.is_part && task.intent == Intent::Make;
    let done = |task: &Task| task.is_part && matches!(task.intent, Intent::Make | Intent::Run);
    let parts = |task: &Task| task.is_part;
    [all(&made), all(&done), all(&parts)]
        .into_iter()
        .find(|places| !places.is_empty())
        .unwrap_or_else(|| vec![tasks.len() - 1])
}

/// Which tasks name which words.
struct Named(HashMap<String, Vec<usize>>);

impl Named {
    fn new(tasks: &[Task]) -> Self {
        let mut named: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, task) in tasks.iter().enumerate().filter(|(_, task)| task.is_part) {
            for word in fold(&task.action).split(' ').filter(|word| is_telling(word)) {
                let places = named.entry(word.to_owned()).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        Self(named)
    }

    /// The first two of the tasks that share the most words with the folded `text`.
    fn most_alike(&self, text: &str) -> Vec<usize> {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for at in text.split(' ').filter_map(|word| self.0.get(word)).flatten() {
            *shared.entry(*at).or_default() += 1;
        }
        let most = shared.values().copied().max().unwrap_or(0);
        shared.into_iter().filter(|&(_, count)| count == most).map(|(at, _)| at).take(2).collect()
    }
}

fn is_telling(word: &str) -> bool {
    word.chars().count() >= TELLING_CHARS && !COMMON.contains(&word)
}
