//! The arms as they are described to an LLM.

use std::fmt::Write as _;

use crate::domain::arms::{Arm, ArmRegistry};
use crate::text::{shorten, without_controls};

/// Maximum size of the list of arms in bytes; beyond that, descriptions are shortened and finally left out.
const MAX_BYTES: usize = 20 * 1024;
/// A description is not cut shorter than this, in characters.
const MIN_DESCRIPTION_CHARS: usize = 24;
/// Longest list of types where descriptions are shortened, in characters.
const MAX_TYPES_CHARS: usize = 40;

/// What the rules say of types where arms have them.
pub(super) const ABOUT_TYPES: &str = " Where an arm says what it takes and makes, a step depends on the steps that \
                                      make what it takes.";

/// Adds a line for each arm, with what it costs, does, takes and makes.
pub(super) fn write_in_full(registry: &ArmRegistry, prompt: &mut String) {
    write_within(registry, prompt, |arm, description, is_short, prompt| {
        let _ = write!(prompt, "- \"{}\" (cost tier {})", arm.id, arm.cost_tier);
        if !description.is_empty() {
            let _ = write!(prompt, ": {description}");
        }
        if !arm.capabilities.is_empty() && !is_short {
            let _ = write!(prompt, " [{}]", on_one_line(&arm.capabilities.join(", ")));
        }
        let types = |types: &[String]| {
            let most = if is_short { MAX_TYPES_CHARS } else { usize::MAX };
            shorten(&on_one_line(&types.join(", ")), most)
        };
        let _ = match (types(&arm.inputs), types(&arm.outputs)) {
            (takes, makes) if takes.is_empty() && makes.is_empty() => Ok(()),
            (takes, makes) if makes.is_empty() => write!(prompt, " (takes {takes})"),
            (takes, makes) if takes.is_empty() => write!(prompt, " (makes {makes})"),
            (takes, makes) => write!(prompt, " (takes {takes}; makes {makes})"),
        };
        prompt.push('\n');
    });
}

/// Adds a line for each arm with its description alone.
pub(super) fn write_in_short(registry: &ArmRegistry, prompt: &mut String) {
    write_within(registry, prompt, |arm, description, _, prompt| {
        let _ = write!(prompt, "\n- {}: {description}", arm.id);
    });
}

/// Adds what `write` says of each arm and its description, which is shortened until all of it fits.
fn write_within(registry: &ArmRegistry, prompt: &mut String, write: impl Fn(&Arm, &str, bool, &mut String)) {
    let (start, arms) = (prompt.len(), registry.arms());
    let described: usize = arms.iter().map(|arm| arm.description.len()).sum();
    let mut max_chars = if described > MAX_BYTES { MAX_BYTES / arms.len() } else { usize::MAX };
    loop {
        for arm in arms {
            // Cut first: reading the white space of all takes longer than everything else.
            let description = on_one_line(&shorten(&arm.description, max_chars));
            write(arm, &description, max_chars < usize::MAX, prompt);
        }
        if prompt.len() - start <= MAX_BYTES || max_chars == 0 {
            return;
        }
        max_chars = match max_chars {
            usize::MAX => MAX_BYTES / arms.len(),
            length if length > MIN_DESCRIPTION_CHARS => length / 2,
            _ => 0,
        };
        prompt.truncate(start);
    }
}

/// What an arm says of itself is data: it stays on the line of its arm and starts no section of the prompt.
fn on_one_line(text: &str) -> String {
    without_controls(text.to_owned()).split_whitespace().collect::<Vec<_>>().join(" ")
}
