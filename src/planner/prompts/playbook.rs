//! A playbook as guidance in a prompt.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::playbooks::{Library, Playbook, PlaybookStep};

/// A playbook as an LLM reads it. Nothing in it comes from a request: slots are named, not filled.
#[derive(Debug, Clone)]
pub(in crate::planner) struct Guide {
    pub(super) name: String,
    pub(super) text: String,
}

impl Guide {
    /// Those of all playbooks of `library`, by name.
    pub(in crate::planner) fn all(library: &Library) -> HashMap<String, Arc<Self>> {
        library.playbooks().map(|playbook| (playbook.name.clone(), Arc::new(Self::new(playbook)))).collect()
    }

    fn new(playbook: &Playbook) -> Self {
        let mut text = format!(
            "Work of this kind is usually done as follows ({}). Take it as guidance: keep its order and its checks, leave \
             out what the request does not need, add what it lacks, and say in each step what the request is about.\n",
            playbook.description.trim_end_matches('.')
        );
        for (index, step) in playbook.steps.iter().enumerate() {
            let _ = write!(text, "{}. {}", index + 1, with_names_of_slots(&step.action));
            if !step.when.is_empty() {
                text.push_str(" (only where the request speaks of it)");
            }
            let needs: Vec<String> =
                step.depends_on.iter().filter_map(|id| number(&playbook.steps, id)).collect();
            if !needs.is_empty() {
                let _ = write!(text, " (after {})", needs.join(", "));
            }
            if step.needs_checks() {
                text.push_str(" (after everything that checks it)");
            }
            text.push('\n');
        }
        if !playbook.notes.trim().is_empty() {
            let _ = writeln!(text, "Note: {}", playbook.notes.trim());
        }
        text.push('\n');
        Self { name: playbook.name.clone(), text }
    }
}

fn number(steps: &[PlaybookStep], id: &str) -> Option<String> {
    steps.iter().position(|step| step.id == id).map(|place| (place + 1).to_string())
}

/// `action` with words in place of its slots.
fn with_names_of_slots(action: &str) -> String {
    let mut text = String::with_capacity(action.len());
    let mut rest = action;
    while let Some((before, (slot, behind))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        text += before;
        match slot.strip_prefix("part:") {
            Some(verb) => {
                let _ = write!(text, "{verb} [the subject]");
            }
            None if slot == "object" => text += "[the subject]",
            None if slot == "constraints" => text += "[the constraints]",
            None => text += "[what the request asks for]",
        }
        rest = behind;
    }
    text + rest
}
