//! The names of keys: those that the prompt asks for, those that LLMs write instead, and what a key's words say
//! about the direction of dependencies.

use serde_json::{Map, Value};

/// Maximum number of members of an object that is read: no plan and no step has more.
const MAX_MEMBERS: usize = 1_000;

pub(super) const STEPS: &[&str] = &["plan", "steps", "subtasks", "tasks", "actions"];
pub(super) const RATIONALE: &[&str] = &["rationale", "reasoning", "explanation"];
pub(super) const CONFIDENCE: &[&str] = &["confidence", "confidencescore"];
pub(super) const QUESTIONS: &[&str] = &["openquestions", "questions", "clarifyingquestions"];
/// What a response says of a plan in addition, and what wraps one.
pub(super) const DETAILS: &[&str] =
    &["schedule", "repairs", "warnings", "usage", "metadata", "meta", "schema", "error", "errors"];
pub(super) const NUMBER: &[&str] = &["step", "stepnumber", "number", "stepid", "id", "index", "order"];
pub(super) const NAME: &[&str] =
    &["id", "stepid", "step", "taskid", "key", "name", "title", "action", "task", "description"];
pub(super) const ACTION: &[&str] = &["action", "description", "task", "instruction", "title", "name"];
pub(super) const ARM: &[&str] =
    &["requiredarm", "arm", "armid", "assignedarm", "agent", "assignedto", "assignee"];
pub(super) const CRITERIA: &[&str] =
    &["acceptancecriteria", "criteria", "successcriteria", "acceptancecriterion", "donewhen"];
pub(super) const DEPENDS_ON: &[&str] =
    &["dependson", "dependencies", "dependency", "deps", "requires", "prerequisites", "after"];
pub(super) const COST: &[&str] = &["estimatedcosttier", "costtier", "estimatedcost", "cost"];
pub(super) const SECONDS: &[&str] = &[
    "estimateddurationseconds",
    "durationseconds",
    "estimatedduration",
    "estimatedseconds",
    "durationinseconds",
    "duration",
    "seconds",
    "estimatedtime",
    "time",
];
pub(super) const MINUTES: &[&str] =
    &["estimateddurationminutes", "durationminutes", "estimatedminutes", "minutes"];

/// Beginnings of words in keys whose value says which arm does a step.
pub(super) const ARM_WORDS: &[&str] = &[
    "arm",
    "agent",
    "tool",
    "worker",
    "assign",
    "owner",
    "executor",
    "actor",
    "handler",
    "responsible",
    "role",
];
/// Beginnings of words in keys whose value says how to tell that a step is done.
pub(super) const CRITERIA_WORDS: &[&str] = &[
    "criteri", "accept", "success", "done", "verif", "valid", "expect", "deliver", "outcome", "check",
    "test", "result", "output",
];
/// Beginnings of words in keys whose value says what to do.
pub(super) const ACTION_WORDS: &[&str] = &[
    "action",
    "task",
    "descri",
    "instruct",
    "what",
    "do",
    "todo",
    "work",
    "activit",
    "objective",
    "goal",
    "title",
];
/// Beginnings of words in keys whose value says why.
pub(super) const RATIONALE_WORDS: &[&str] = &["rational", "reason", "explan", "why", "justif", "strateg"];
/// Beginnings of words in keys whose value holds the parts of a step.
pub(super) const PARTS_WORDS: &[&str] = &[
    "step",
    "substep",
    "subtask",
    "subaction",
    "child",
    "parts",
    "action",
    "task",
    "checklist",
    "todo",
    "procedur",
    "schritt",
    "teilschritt",
    "unterschritt",
    "aufgabe",
    "paso",
    "subpaso",
    "étape",
    "sousétape",
    "passo",
    "шаг",
    "подшаг",
    "步骤",
    "子步骤",
    "子任务",
    "手順",
];

/// Keys of what describes a step for programs, and is not part of a plan.
const METADATA: &[&str] =
    &["status", "state", "type", "kind", "version", "priority", "uuid", "label", "created"];

/// Whether what is under a key says nothing that a plan could keep: another name of the step, or metadata.
pub(super) fn is_metadata(key: &str) -> bool {
    is_one_of(key, NAME) || is_one_of(key, METADATA) || words(key).is_empty()
}

/// Which way a list of steps points from the step that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// To steps that come before.
    Back,
    /// To steps that come after.
    Forward,
}

impl Direction {
    fn reversed(self) -> Self {
        match self {
            Self::Back => Self::Forward,
            Self::Forward => Self::Back,
        }
    }
}

const BACK_WORDS: &[&str] = &[
    "depend",
    "dep",
    "need",
    "requir",
    "prereq",
    "predecess",
    "preced",
    "after",
    "wait",
    "upstream",
    "parent",
    "input",
    "prev",
    "follow",
    "use",
    "using",
    "rel",
    "condition",
    "await",
    "ancest",
    "consum",
    "from",
    "source",
];
const FORWARD_WORDS: &[&str] = &[
    "next",
    "then",
    "unlock",
    "block",
    "enabl",
    "success",
    "feed",
    "before",
    "lead",
    "trigger",
    "downstream",
    "child",
    "dependent",
    "dependant",
    "output",
    "target",
    "allow",
    "gate",
    "goto",
    "to",
];
/// Verbs that turn round in the passive: `blocks` and `blocked_by`, `requires` and `required_for`.
const TURNING: &[&str] = &["by", "for"];
/// Words without a direction.
const NEUTRAL_WORDS: &[&str] = &[
    "step", "task", "id", "index", "number", "no", "nr", "on", "run", "must", "come", "go", "the", "these",
    "is", "in",
];

/// Which way a key points, by its words; `None` where they do not say. A step's `blockers` come before it, what it
/// `blocks` comes after it.
pub(super) fn direction(key: &str) -> Option<Direction> {
    let words = words(key);
    let turns = words.iter().any(|word| TURNING.contains(&word.as_str()))
        && !words.iter().any(|word| word.starts_with("wait"));
    let direction = words.iter().find_map(|word| direction_of_word(word))?;
    // `preceded_by`, but `precedes`.
    let direction =
        if words.iter().any(|word| word.starts_with("preced")) { Direction::Forward } else { direction };
    // `blocked` alone may mean either.
    let is_participle = words.iter().any(|word| word.starts_with("block") && word.ends_with("ed"));
    if is_participle && !turns {
        return None;
    }
    Some(if turns { direction.reversed() } else { direction })
}

fn direction_of_word(word: &str) -> Option<Direction> {
    if matches!(word, "prior" | "blocker" | "blockers" | "enabler" | "enablers") {
        return Some(Direction::Back);
    }
    let is_any = |stems: &[&str]| {
        stems.iter().any(|stem| if stem.len() < 4 { stems_equal(word, stem) } else { word.starts_with(stem) })
    };
    if word != "dependency" && word != "dependencies" && is_any(FORWARD_WORDS) {
        Some(Direction::Forward)
    } else if is_any(BACK_WORDS) {
        Some(Direction::Back)
    } else {
        None
    }
}

/// Short stems are whole words: `to` is not the beginning of `tool`.
fn stems_equal(word: &str, stem: &str) -> bool {
    word == stem || word.strip_prefix(stem).is_some_and(|rest| matches!(rest, "s" | "d" | "ed" | "es"))
}

/// Whether a key's words are about the order of steps and nothing else: `after`, not `timeout_after`.
pub(super) fn is_about_order(key: &str) -> bool {
    let is_neutral = |word: &String| {
        let singular = word.strip_suffix('s').unwrap_or(word);
        NEUTRAL_WORDS.contains(&singular)
            || NEUTRAL_WORDS.contains(&word.as_str())
            || TURNING.contains(&word.as_str())
    };
    let words = words(key);
    direction(key).is_some() && words.iter().all(|word| is_neutral(word) || direction_of_word(word).is_some())
}

/// Whether a word of `key` begins with one of `stems`; stems of up to three letters are whole words.
pub(super) fn has_word(key: &str, stems: &[&str]) -> bool {
    words(key).iter().any(|word| {
        stems.iter().any(|stem| if stem.len() < 4 { stems_equal(word, stem) } else { word.starts_with(stem) })
    })
}

/// The words of a key in lower case: `requires_steps`, `blockedBy`, `Next Step`.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in key.chars().take(80) {
        if !c.is_alphanumeric() || was_lower && c.is_uppercase() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The member under the first of `names` that exists and is not null, in any spelling of the key.
pub(super) fn member<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<(&'a str, &'a Value)> {
    let names = if object.len() > MAX_MEMBERS { &[] } else { names };
    names.iter().find_map(|name| {
        object
            .iter()
            .find(|(key, value)| !value.is_null() && is_key(key, name))
            .map(|(key, value)| (key.as_str(), value))
    })
}

/// Its value.
pub(super) fn field<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    member(object, names).map(|(_, value)| value)
}

/// Whether `key` is `name` but for case and separators (`stepNumber`, `Step Number`, `step_number`).
pub(super) fn is_key(key: &str, name: &str) -> bool {
    key.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).eq(name.bytes())
}

/// Whether `key` is any of `names`.
pub(super) fn is_one_of(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| is_key(key, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_key_say_which_way_it_points() {
        for key in [
            "depends_on",
            "blocked_by",
            "blockedBy",
            "needs",
            "predecessors",
            "requires_steps",
            "dependencies_ids",
            "inputs",
            "after",
            "run_after",
            "waits for",
            "preceded_by",
            "triggered_by",
            "upstream",
            "parents",
            "enabled_by",
            "previous_step",
            "follows",
            "uses",
            "blockers",
            "blocker_ids",
        ] {
            assert_eq!(direction(key), Some(Direction::Back), "{key}");
        }
        for key in [
            "next",
            "then",
            "unlocks",
            "blocks",
            "blocking",
            "followed_by",
            "required_by",
            "needed_for",
            "before",
            "successors",
            "dependents",
            "on_success",
            "feeds_into",
            "downstream",
            "next_steps",
            "goTo",
            "precedes",
        ] {
            assert_eq!(direction(key), Some(Direction::Forward), "{key}");
        }
        for key in ["context", "tools", "refs", "blocked", "links"] {
            assert_eq!(direction(key), None, "{key}");
        }
    }

    #[test]
    fn a_key_about_something_else_says_nothing_about_the_order() {
        assert!(
            ["after", "next_step", "depends_on", "blockedBy", "run_after"].into_iter().all(is_about_order)
        );
        assert!(!["timeout_after", "retry_after", "input_tokens", "context"].into_iter().any(is_about_order));
    }
}
