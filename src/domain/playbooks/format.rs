//! The format of a playbook.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::domain::MAX_STEP_SECONDS;

use super::NO_PLAYBOOK;

/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 64;
/// The slots of actions and criteria, in addition to `{part:Verb}`.
const SLOTS: [&str; 4] = ["object", "part", "goal", "constraints"];

/// How an organisation does one kind of work.
///
/// Fields that a playbook must have are read as empty where they are missing, so that [`Playbook::faults`] can name
/// all of them at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Unique name: lower-case letters, digits and dashes.
    #[serde(default)]
    pub name: String,
    /// What kind of work it is for, in one sentence.
    #[serde(default)]
    pub description: String,
    /// What an experienced person pays attention to, as guidance for LLMs.
    #[serde(default)]
    pub notes: String,
    /// Whether it guides plans or is followed exactly.
    #[serde(default)]
    pub mode: Mode,
    /// Which goals it is for.
    #[serde(rename = "match", default)]
    pub matches: Match,
    /// Whether its steps are added to plans of other playbooks, and it is never followed on its own.
    #[serde(default)]
    pub addon: bool,
    /// Whether it is the usual course of a kind of work, for parts of a goal that no other playbook fits.
    #[serde(default)]
    pub outline: bool,
    /// Its steps, in the order in which they are usually done.
    #[serde(default)]
    pub steps: Vec<PlaybookStep>,
    /// Whether it ships with the program.
    #[serde(skip)]
    pub built_in: bool,
}

/// How a playbook is followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As guidance for LLMs, which may deviate.
    #[default]
    Guide,
    /// Exactly, without calling an LLM.
    Fixed,
}

/// Which goals a playbook is for. Phrases match whole words in any case, with English endings; with an asterisk before
/// them also the end of a longer word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Phrases that point to it; each one found counts, longer ones more.
    pub keywords: Vec<String>,
    /// Goals that it is for, in any language; those that are like one of them are recognised without a keyword.
    pub examples: Vec<String>,
    /// Groups of phrases: keywords count only if at least one of each group is found.
    pub any_of: Vec<Vec<String>>,
    /// Phrases with which keywords do not count.
    pub none_of: Vec<String>,
    /// Whether keywords count only at the beginning.
    pub starts_with: bool,
    /// The score below which keywords do not count: with 3, a single word that is not at the beginning does not suffice.
    pub min_score: usize,
    /// In an outline: by how much the score of other playbooks must be higher where it fits, as its verbs say more than a
    /// single word further behind.
    pub outweighs: usize,
}

/// One step of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaybookStep {
    /// Its name, for dependencies within the playbook. Where it is missing, the number of the step.
    #[serde(default)]
    pub id: String,
    /// What to do. It may contain slots: `{object}` is what the part of the goal is about, `{part}` the part itself,
    /// `{part:Verb}` the same, or `Verb` and the object if the part has no verb, `{goal}` the whole goal, and
    /// `{constraints}` all constraints.
    #[serde(default)]
    pub action: String,
    /// Capabilities of the arm that does it, the most fitting first.
    #[serde(default, deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub capability: Vec<String>,
    /// The arm itself, where the playbook is for one installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// Earlier steps of the playbook that must be done before.
    #[serde(default, deserialize_with = "texts")]
    pub depends_on: Vec<String>,
    /// How to tell that it is done.
    #[serde(default)]
    pub acceptance_criteria: Vec<String>,
    /// Relative cost, 1 to 5.
    #[serde(default)]
    pub cost_tier: u8,
    /// How long it usually takes, in seconds: 1 to 31,536,000.
    #[serde(default)]
    pub duration_seconds: u32,
    /// Whether several parts of a goal are done side by side in this step, rather than one after the other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parallel: bool,
    /// Importance: 1 is always kept; if there is no room, 3 is left out first, then 2.
    #[serde(default = "one")]
    pub rank: u8,
    /// The step is only for goals with one of these phrases in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<String>,
    /// Phrases of what a goal may ask for by itself, and this step does: such a part of the goal becomes this step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<String>,
    /// Names of results that it uses, if another part of the plan produces them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumes: Vec<String>,
    /// Names of results that it produces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub produces: Vec<String>,
    /// Whether it cannot be undone; such a step comes after every check.
    #[serde(default, skip_serializing_if = "is_default")]
    pub irreversible: bool,
    /// Whether people outside will notice it; such a step comes after every check, too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outward: bool,
}

fn one() -> u8 {
    1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A text or a number, or a list of these, as texts.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Number(u64),
        Text(String),
    }
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a string or a list of strings")]
    enum Texts {
        One(Text),
        More(Vec<Text>),
    }
    let texts = match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::More(texts) => texts,
    };
    let written = |text: Text| match text {
        Text::Number(number) => number.to_string(),
        Text::Text(text) => text,
    };
    Ok(texts.into_iter().map(written).collect())
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

    /// Notes everything that is wrong with the step at `index`, with the field.
    fn check(&self, index: usize, earlier: &[Self], fault: &mut impl FnMut(String)) {
        let mut fault = |field: &str, what: &str| fault(format!("steps[{index}]{field} {what}"));
        if earlier.iter().any(|other| other.id == self.id) {
            fault(".id", &format!("`{}` is used twice; rename one", self.id));
        }
        if self.action.trim().is_empty() {
            fault(".action", "is missing or blank; say what to do");
        }
        if self.acceptance_criteria.iter().all(|text| text.trim().is_empty()) {
            fault(".acceptance_criteria", "is missing or empty; say how to tell that the step is done");
        }
        if !(1..=5).contains(&self.cost_tier) {
            fault(".cost_tier", "must be from 1 to 5");
        }
        if !(1..=3).contains(&self.rank) {
            fault(".rank", "must be from 1 to 3");
        }
        if !(1..=MAX_STEP_SECONDS).contains(&self.duration_seconds) {
            fault(".duration_seconds", &format!("must be from 1 to {MAX_STEP_SECONDS}"));
        }
        for needed in &self.depends_on {
            if !earlier.iter().any(|other| other.id == *needed) {
                fault(".depends_on", &format!("names `{needed}`, which is not an earlier step"));
            }
        }
        for slot in unknown_slots(&self.action) {
            fault(".action", &format!("has the unknown slot `{{{slot}}}`; the slots are {}", slots()));
        }
        for slot in self.acceptance_criteria.iter().flat_map(|text| unknown_slots(text)) {
            fault(
                ".acceptance_criteria",
                &format!("has the unknown slot `{{{slot}}}`; the slots are {}", slots()),
            );
        }
    }
}

impl Playbook {
    /// Whether it can be followed by itself.
    pub(super) fn is_candidate(&self) -> bool {
        !self.addon && !self.outline
    }

    /// The same with a name for each step that has none: its number.
    #[must_use]
    pub fn with_step_ids(mut self) -> Self {
        for (index, step) in self.steps.iter_mut().enumerate().filter(|(_, step)| step.id.is_empty()) {
            step.id = (index + 1).to_string();
        }
        self
    }

    /// Whether what it is about cannot be undone, or is noticed outside.
    pub fn is_final(&self) -> bool {
        self.steps.iter().any(|step| step.is_core() && step.needs_checks())
    }

    /// Every fault of the playbook with its field, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("playbook `{}`: {what}", self.name));
        let name = &self.name;
        let is_name_character = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.chars().all(is_name_character) {
            fault(format!("name must be 1 to {MAX_NAME_CHARS} lower-case letters, digits and dashes"));
        }
        if self.name == NO_PLAYBOOK {
            fault("name must not be `none`, with which requests turn playbooks off".into());
        }
        if self.description.trim().is_empty() {
            fault("description is missing or blank; say what kind of work it is for".into());
        }
        let Match { keywords, examples, .. } = &self.matches;
        if examples.iter().any(|text| text.trim().is_empty()) {
            fault("match.examples has a blank entry; remove it".into());
        }
        if (self.addon || self.outline) && keywords.iter().all(|text| text.trim().is_empty()) {
            fault(
                "match.keywords is missing or empty; addons and outlines are found by keywords alone".into(),
            );
        } else if keywords.iter().chain(examples).all(|text| text.trim().is_empty()) {
            fault("match.keywords and match.examples are missing or empty; name words that point to it, or goals that it is for".into());
        }
        if self.steps.is_empty() {
            fault("steps is missing or empty; add at least one".into());
        }
        for (index, step) in self.steps.iter().enumerate() {
            step.check(index, &self.steps[..index], &mut fault);
            // What an outline is about goes to the arm that the words of the goal point to.
            if step.capability.is_empty() && step.arm.is_none() && !self.outline {
                fault(format!("steps[{index}] has neither `capability` nor `arm`; say who does it"));
            }
        }
        faults
    }
}

fn slots() -> String {
    SLOTS.map(|slot| format!("{{{slot}}}")).join(", ") + " and {part:Verb}"
}

fn unknown_slots(text: &str) -> Vec<&str> {
    let slots = text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(slot, _)| slot));
    slots.filter(|slot| !SLOTS.contains(slot) && !slot.starts_with("part:")).collect()
}
