//! The arms that a step can be given to.
//!
//! Prompt, JSON Schema, validation, repair and the embedded planner all work from the registry, so an
//! installation with other arms changes nothing but its settings file.

mod builtin;
pub(crate) mod choice;
mod list;
mod names;
mod relevance;
mod resolve;
mod shortlist;
mod types;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::FieldError;

pub use choice::{ArmChoice, MAX_REQUEST_ARMS, MAX_REQUEST_ARMS_BYTES};
pub use list::{ArmList, ArmSourceStatus, ListedArm, SourceState};
pub use names::{fold_name, is_same_name};
use resolve::Index;
pub use resolve::{ArmQuery, MatchedBy, RankedArm, Resolution};

/// The capability that makes an arm fit to verify a finished plan.
pub const VALIDATION: &str = "validation";

/// Longest arm id, in characters.
pub const MAX_ARM_ID_CHARS: usize = 100;

/// With more arms than these, prompts carry the ones that fit a goal best.
pub const DEFAULT_MAX_PROMPT_ARMS: usize = 100;

/// One arm: a specialised service that carries out steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Unique name, any script, at most 100 characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$",
        example = "invoices"
    )]
    pub id: String,
    /// What the arm does, in one line for the LLM.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub description: String,
    /// Machine-readable abilities; `validation` marks an arm that can verify a plan.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Words and phrases in a goal that point to this arm. An arm without any gets what fits no other arm.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    pub keywords: Vec<String>,
    /// What a step of this arm usually costs, 1 (cheap) to 5 (expensive).
    #[schema(value_type = Option<u8>, minimum = 1, maximum = 5)]
    #[serde(default = "default_cost_tier")]
    pub cost_tier: u8,
    /// Other names that LLMs use for it.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Names of the types that a step of this arm consumes (`text`, `image`, …); empty if unknown.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Names of the types that a step of this arm produces; empty if unknown.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    pub outputs: Vec<String>,
}

fn default_cost_tier() -> u8 {
    2
}

/// The arms of an installation or of one request: never empty, ids unique.
#[derive(Clone)]
pub struct ArmRegistry {
    arms: Vec<Arm>,
    /// Ids of arms that exist and are not offered at present.
    unavailable: Vec<String>,
    index: OnceLock<Index>,
}

impl PartialEq for ArmRegistry {
    fn eq(&self, other: &Self) -> bool {
        self.arms == other.arms && self.unavailable == other.unavailable
    }
}

impl Eq for ArmRegistry {}

impl std::fmt::Debug for ArmRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArmRegistry").field("arms", &self.arms).finish_non_exhaustive()
    }
}

impl ArmRegistry {
    /// Checks `arms` and makes a registry of them.
    ///
    /// # Errors
    /// Every fault of the list, one sentence each.
    pub fn new(arms: Vec<Arm>, verification_required: bool) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        check_arms(&arms, |index| format!("arms[{index}]"), &mut faults);
        let mut faults: Vec<String> =
            faults.into_iter().map(|FieldError { field, message }| format!("{field} {message}")).collect();
        if arms.is_empty() {
            faults.push("arms is empty; add at least one".to_owned());
        }
        for (index, arm) in arms.iter().enumerate() {
            if arms[..index].iter().any(|earlier| earlier.id == arm.id) {
                faults.push(format!("arms[{index}].id `{}` is listed twice", arm.id));
            }
        }
        let registry = Self::of(arms);
        if verification_required && !registry.arms.is_empty() && registry.verifier().is_none() {
            faults.push(format!(
                "no arm has the capability `{VALIDATION}`; give it to one, or set PLANNER_REQUIRE_VERIFICATION_STEP=false"
            ));
        }
        if faults.is_empty() { Ok(registry) } else { Err(faults) }
    }

    fn of(arms: Vec<Arm>) -> Self {
        Self { arms, unavailable: Vec::new(), index: OnceLock::new() }
    }

    /// All arms, in the order of the settings.
    pub fn arms(&self) -> &[Arm] {
        &self.arms
    }

    /// The arm with exactly this id.
    pub fn get(&self, id: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.id == id)
    }

    /// Whether an arm with this id exists that is not offered at present.
    pub fn is_unavailable(&self, id: &str) -> bool {
        self.unavailable.iter().any(|unavailable| unavailable == id)
    }

    /// Whether any arm says what it consumes and produces.
    pub fn has_types(&self) -> bool {
        self.arms.iter().any(|arm| !arm.inputs.is_empty())
            && self.arms.iter().any(|arm| !arm.outputs.is_empty())
    }

    /// Whether the arm with this id can verify a plan.
    pub fn verifies(&self, id: &str) -> bool {
        self.get(id).is_some_and(Arm::verifies)
    }

    /// The first arm that can verify a plan (judge by default).
    pub fn verifier(&self) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.verifies())
    }

    /// The arms that cannot verify a plan; none when all can.
    pub fn without_verifiers(&self) -> Option<Self> {
        let arms: Vec<Arm> = self.arms.iter().filter(|arm| !arm.verifies()).cloned().collect();
        (!arms.is_empty()).then(|| Self::of(arms))
    }
}

/// Notes the faults of each of `arms`; `place` gives its path.
fn check_arms(arms: &[Arm], place: impl Fn(usize) -> String, faults: &mut Vec<FieldError>) {
    for (index, arm) in arms.iter().enumerate() {
        let mut fault = |field: &str, message: String| {
            let place = place(index);
            let dot = if field.is_empty() { "" } else { "." };
            faults.push(FieldError::new(format!("{place}{dot}{field}"), message));
        };
        if arm.id.trim().is_empty() {
            fault("id", "is blank".into());
        } else if arm.id.trim() != arm.id || arm.id.chars().any(char::is_control) {
            fault("id", "has white space around it or a control character in it".into());
        }
        if arm.id.chars().count() > MAX_ARM_ID_CHARS {
            fault("id", format!("is longer than {MAX_ARM_ID_CHARS} characters"));
        }
        let words = [&arm.keywords, &arm.aliases, &arm.capabilities, &arm.inputs, &arm.outputs];
        if words.into_iter().flatten().any(|word| word.trim().is_empty()) {
            fault("", "has a blank keyword, alias, capability, input or output".into());
        }
        if !(1..=5).contains(&arm.cost_tier) {
            fault("cost_tier", format!("is {}; it must be from 1 to 5", arm.cost_tier));
        }
    }
}

impl Arm {
    /// The names of its fields.
    pub(crate) const FIELDS: [&'static str; 8] =
        ["id", "description", "capabilities", "keywords", "cost_tier", "aliases", "inputs", "outputs"];

    /// Whether this arm can verify a plan.
    pub fn verifies(&self) -> bool {
        self.capabilities.iter().any(|c| c == VALIDATION)
    }

    /// Whether this arm takes what fits nowhere else.
    pub fn takes_the_rest(&self) -> bool {
        self.keywords.is_empty()
    }
}

#[cfg(test)]
mod tests;
