//! Telling the names of arms from other texts, without deciding which arm is meant.

use serde_json::Value;

use super::keys::field;
use super::values::text;
use crate::domain::arms::ArmRegistry;
use crate::text::fold;

/// Longer texts are not names, in bytes.
const MAX_NAME: usize = 120;
/// Shorter names are not looked for inside of others.
const MIN_INNER_NAME: usize = 4;
/// More arms are not compared with inner names: each would be compared with each.
const MAX_COMPARED: usize = 200;

/// The names of all arms, without case and separators.
#[derive(Debug, Default)]
pub(super) struct ArmNames(Vec<String>);

impl ArmNames {
    /// The ids and aliases in `registry`.
    pub(super) fn new(registry: &ArmRegistry) -> Self {
        let names = registry.arms().iter().flat_map(|arm| std::iter::once(&arm.id).chain(&arm.aliases));
        let mut names: Vec<String> =
            names.map(|name| squashed(name)).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Whether `text` is an arm's name, but for case and separators.
    pub(super) fn is(&self, text: &str) -> bool {
        text.len() <= MAX_NAME && self.0.binary_search(&squashed(text)).is_ok()
    }

    /// Whether `text` is an arm's name, or one with affixes (`WebRetriever`, `coder-v2`).
    pub(super) fn has(&self, text: &str) -> bool {
        if self.0.is_empty() || text.len() > MAX_NAME {
            return false;
        }
        let name = squashed(text);
        self.0.binary_search(&name).is_ok()
            || self.0.len() <= MAX_COMPARED
                && text.split_whitespace().count() <= 3
                && self.0.iter().any(|known| known.len() >= MIN_INNER_NAME && name.contains(known.as_str()))
    }
}

/// An arm's name: alone, the first of several, or inside an object.
pub(super) fn arm(value: &Value) -> Option<String> {
    match value {
        Value::Array(arms) => arm(arms.first()?),
        Value::Object(object) => text(field(object, &["id", "name", "arm"])?),
        other => text(other),
    }
}

/// An arm's name, or several: which of them is meant is not clear then.
pub(super) fn arms_in(value: &Value) -> Option<String> {
    let mut names: Vec<String> = match value {
        Value::Array(arms) => arms.iter().filter_map(arm).collect(),
        Value::Object(members) if arm(value).is_none() => members.values().filter_map(arms_in).collect(),
        other => return arm(other),
    };
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

fn squashed(name: &str) -> String {
    fold(name).replace(' ', "")
}
