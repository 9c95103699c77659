//! Playbooks: how an organisation does each kind of work, as data.

mod acts;
mod builtin;
mod examples;
mod format;
mod library;
mod list;
mod phrases;
mod usage;

#[cfg(test)]
mod tests;

pub use format::{Match, Mode, Playbook, PlaybookStep};
pub use library::{Library, NO_PLAYBOOK, Place};
pub use list::{ListedPlaybook, PlaybookList};
pub use usage::PlaybookUse;

pub(crate) use library::GENERAL_OUTLINE;
pub(crate) use phrases::{PhraseMatches, PhraseSet, PhraseSetBuilder};
