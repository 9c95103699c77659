//! The format of a playbook.

use serde::{Deserialize, Serialize};

/// How an organisation does one kind of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Unique name, lower case with dashes.
    pub name: String,
    /// What kind of work it is, in one sentence.
    pub description: String,
    /// What an experienced person minds, as guidance for LLMs.
    #[serde(default)]
    pub notes: String,
    /// Which goals it is for.
    #[serde(rename = "match")]
    pub matches: Match,
    /// Whether its steps are added to plans of other playbooks, and it is never followed by itself.
    #[serde(default)]
    pub addon: bool,
    /// Its steps, in the order in which they are usually done.
    pub steps: Vec<PlaybookStep>,
}

/// Which goals a playbook is for. Phrases match whole words in any case, with English endings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Phrases that point to it; each one found counts, longer ones more.
    pub keywords: Vec<String>,
    /// Groups of phrases: of each group at least one must be found.
    pub any_of: Vec<Vec<String>>,
    /// Phrases with which it does not match.
    pub none_of: Vec<String>,
    /// Whether a keyword must stand at the beginning.
    pub starts_with: bool,
}

/// One step of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybookStep {
    /// Its name, for dependencies within the playbook.
    pub id: String,
    /// What to do. Slots: `{object}` what the part of the goal is about, `{part}` the part itself, `{part:Verb}` the
    /// same, or `Verb` and the object where the part has no verb, `{goal}` the whole goal.
    pub action: String,
    /// Capabilities of the arm that does it, the most fitting first.
    #[serde(default)]
    pub capability: Vec<String>,
    /// The arm itself, where the playbook is for one installation.
    #[serde(default)]
    pub arm: Option<String>,
    /// Earlier steps of the playbook that must be done before.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// How to tell that it is done.
    pub acceptance_criteria: Vec<String>,
    /// Relative cost, 1 to 5.
    pub cost_tier: u8,
    /// How long it usually takes, in seconds.
    pub duration_seconds: u32,
    /// Whether several parts of a goal are done side by side in this step, rather than one after the other.
    #[serde(default)]
    pub parallel: bool,
    /// Importance: 1 is always wanted; where there is no room, 3 is left out first, then 2.
    #[serde(default = "one")]
    pub rank: u8,
    /// The step is only for goals with one of these phrases in them.
    #[serde(default)]
    pub when: Vec<String>,
    /// Names of results that it uses, if another part of the plan produces them.
    #[serde(default)]
    pub consumes: Vec<String>,
    /// Names of results that it produces.
    #[serde(default)]
    pub produces: Vec<String>,
    /// Whether it cannot be undone: it comes after everything that checks.
    #[serde(default)]
    pub irreversible: bool,
    /// Whether people outside notice it: likewise.
    #[serde(default)]
    pub outward: bool,
}

fn one() -> u8 {
    1
}

impl PlaybookStep {
    /// Whether the step is what the part of the goal asks for: it has the part itself as its action.
    pub fn is_core(&self) -> bool {
        self.action.starts_with("{part")
    }

    /// Whether it is a check rather than work.
    pub fn checks(&self) -> bool {
        const CHECKING: [&str; 3] = ["validation", "fact_checking", "quality_assurance"];
        self.capability.first().is_some_and(|first| CHECKING.contains(&first.as_str()))
    }

    /// Whether nothing must happen after it that was not checked before.
    pub fn needs_checks(&self) -> bool {
        self.irreversible || self.outward
    }
}

impl Playbook {
    /// Every fault of the playbook, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("playbook `{}`: {what}", self.name));
        if self.name.trim().is_empty() {
            fault("has no name".into());
        }
        if self.matches.keywords.is_empty() {
            fault("match.keywords is empty; name the words that point to it".into());
        }
        if self.steps.is_empty() {
            fault("has no steps".into());
        }
        for (index, step) in self.steps.iter().enumerate() {
            let place = format!("steps[{index}]");
            if self.steps[..index].iter().any(|earlier| earlier.id == step.id) {
                fault(format!("{place}.id `{}` is used twice", step.id));
            }
            if step.action.trim().is_empty() {
                fault(format!("{place}.action is blank"));
            }
            if step.acceptance_criteria.iter().all(|text| text.trim().is_empty()) {
                fault(format!("{place}.acceptance_criteria is empty"));
            }
            if step.capability.is_empty() && step.arm.is_none() {
                fault(format!("{place} has neither capability nor arm"));
            }
            if !(1..=5).contains(&step.cost_tier) {
                fault(format!("{place}.cost_tier must be from 1 to 5"));
            }
            if step.duration_seconds == 0 {
                fault(format!("{place}.duration_seconds must be at least 1"));
            }
            for needed in &step.depends_on {
                if !self.steps[..index].iter().any(|earlier| earlier.id == *needed) {
                    fault(format!("{place}.depends_on names `{needed}`, which is no earlier step"));
                }
            }
            for slot in unknown_slots(&step.action) {
                fault(format!("{place}.action has the unknown slot `{{{slot}}}`"));
            }
        }
        faults
    }
}

fn unknown_slots(action: &str) -> Vec<&str> {
    let slots = action.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(slot, _)| slot));
    slots.filter(|slot| !["object", "part", "goal"].contains(slot) && !slot.starts_with("part:")).collect()
}
