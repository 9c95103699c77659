//! The arms as an LLM reads of them.

use std::fmt::Write as _;

use crate::domain::arms::{Arm, ArmRegistry};
use crate::text::shorten;

/// Most bytes for the list of arms; beyond that, descriptions are shortened and finally left out.
const MAX_BYTES: usize = 20 * 1024;
/// A description is not cut shorter than this, in characters.
const MIN_DESCRIPTION_CHARS: usize = 24;

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
            let _ = write!(prompt, " [{}]", arm.capabilities.join(", "));
        }
        match (arm.inputs.is_empty(), arm.outputs.is_empty()) {
            (true, true) => {}
            (false, true) => {
                let _ = write!(prompt, " (takes {})", arm.inputs.join(", "));
            }
            (true, false) => {
                let _ = write!(prompt, " (makes {})", arm.outputs.join(", "));
            }
            (false, false) => {
                let _ =
                    write!(prompt, " (takes {}; makes {})", arm.inputs.join(", "), arm.outputs.join(", "));
            }
        }
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
    let start = prompt.len();
    let mut max_chars = usize::MAX;
    loop {
        for arm in registry.arms() {
            // On one line each: descriptions of arms are data, not rules.
            let description = arm.description.split_whitespace().collect::<Vec<_>>().join(" ");
            write(arm, &shorten(&description, max_chars), max_chars < usize::MAX, prompt);
        }
        if prompt.len() - start <= MAX_BYTES || max_chars == 0 {
            return;
        }
        max_chars = match max_chars {
            usize::MAX => MAX_BYTES / registry.arms().len(),
            length if length > MIN_DESCRIPTION_CHARS => length / 2,
            _ => 0,
        };
        prompt.truncate(start);
    }
}
