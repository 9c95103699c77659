//! All arms of an installation: those of its settings, and those that its sources have.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::{shorten, without_controls};

use super::{Arm, ArmRegistry, MAX_ARM_ID_CHARS};

/// Arms defined in the settings.
const SETTINGS: &str = "settings";
/// Longest description taken from a source, in characters.
const MAX_DESCRIPTION_CHARS: usize = 600;
/// Maximum number of left-out arms that are named.
const MAX_NAMED: usize = 3;

/// All arms, and where they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArmList {
    /// The arms that steps can be assigned to, and those that are currently unavailable.
    pub arms: Vec<ListedArm>,
    /// Where arms come from, other than the settings.
    pub sources: Vec<ArmSourceStatus>,
}

/// One arm, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedArm {
    /// The arm itself.
    #[serde(flatten)]
    pub arm: Arm,
    /// Where it comes from: `settings`, or a source.
    #[schema(example = "settings")]
    pub source: String,
    /// Whether it is offered to plans now.
    pub available: bool,
}

/// The state of an arm source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArmSourceStatus {
    /// Its name.
    pub source: String,
    /// Whether its arms are offered to plans now.
    pub available: bool,
    /// How many arms it has.
    pub arms: usize,
    /// Why it could not be read, or which of its arms are left out and why.
    pub error: Option<String>,
    /// When its arms were last read (RFC 3339).
    pub refreshed_at: Option<String>,
}

/// What is known of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceState {
    /// Its name.
    pub source: String,
    /// The arms that it had when it was last read.
    pub arms: Vec<Arm>,
    /// Tools that cannot be arms, and why.
    pub left_out: Vec<String>,
    /// Whether its arms may be offered.
    pub is_available: bool,
    /// Why it could not be read the last time.
    pub error: Option<String>,
    /// When it was last read, in RFC 3339.
    pub refreshed_at: Option<String>,
}

impl ArmList {
    /// The arms of the settings.
    pub fn of(registry: &ArmRegistry) -> Self {
        Self::with_sources(registry, &[])
    }

    /// The arms of the settings and of `sources`. If several have the same id, the first wins: the one in the settings, then
    /// the one of the first available source.
    pub fn with_sources(own: &ArmRegistry, sources: &[SourceState]) -> Self {
        let listed = |arm: &Arm| ListedArm { arm: arm.clone(), source: SETTINGS.into(), available: true };
        let mut list = Self { arms: own.arms().iter().map(listed).collect(), sources: Vec::new() };
        let mut taken: HashSet<String> = own.arms().iter().map(|arm| arm.id.clone()).collect();
        let mut left_out: Vec<Vec<String>> = sources.iter().map(|state| state.left_out.clone()).collect();
        let mut counts = vec![0; sources.len()];
        for available in [true, false] {
            let these = sources.iter().enumerate().filter(|(_, state)| state.is_available == available);
            for (place, state) in these {
                for arm in &state.arms {
                    if taken.insert(arm.id.clone()) {
                        counts[place] += 1;
                        list.arms.push(ListedArm {
                            arm: arm.clone(),
                            source: state.source.clone(),
                            available,
                        });
                    } else {
                        left_out[place].push(format!("`{}` exists already", shorten(&arm.id, 40)));
                    }
                }
            }
        }
        let statuses =
            sources.iter().zip(left_out).zip(counts).map(|((state, left_out), arms)| ArmSourceStatus {
                source: state.source.clone(),
                available: state.is_available,
                arms,
                error: error(state.error.as_deref(), &left_out),
                refreshed_at: state.refreshed_at.clone(),
            });
        list.sources = statuses.collect();
        list
    }

    /// The arms that plans may use, and the ids of the others.
    pub fn registry(&self) -> ArmRegistry {
        let (available, others): (Vec<_>, Vec<_>) = self.arms.iter().partition(|listed| listed.available);
        let mut registry = ArmRegistry::of(available.into_iter().map(|listed| listed.arm.clone()).collect());
        registry.unavailable = others.into_iter().map(|listed| listed.arm.id.clone()).collect();
        registry
    }
}

/// What is wrong with a source, in one text.
fn error(error: Option<&str>, left_out: &[String]) -> Option<String> {
    let named: Vec<&str> = left_out.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = if left_out.len() > named.len() { ", …" } else { "" };
    let left_out =
        (!left_out.is_empty()).then(|| format!("{} left out: {}{more}", left_out.len(), named.join(", ")));
    match (error, left_out) {
        (Some(error), Some(left_out)) => Some(format!("{error}; {left_out}")),
        (Some(error), None) => Some(error.to_owned()),
        (None, left_out) => left_out,
    }
}

impl Arm {
    /// An arm that a source describes. What it says is data: control characters are removed and long descriptions are
    /// shortened.
    ///
    /// # Errors
    /// Why it cannot be an arm.
    pub fn of_source(id: &str, description: &str) -> Result<Self, String> {
        let shown = || shorten(&without_controls(id.trim().to_owned()), 40);
        if id.trim().is_empty() {
            return Err("one without a name".into());
        }
        if id.chars().any(|c| c.is_control() || crate::text::is_direction_mark(c)) {
            return Err(format!("`{}` has a control character in its name", shown()));
        }
        if id.trim().chars().count() > MAX_ARM_ID_CHARS {
            return Err(format!("`{}` has a name of more than {MAX_ARM_ID_CHARS} characters", shown()));
        }
        let description = without_controls(description.to_owned());
        let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self {
            id: id.trim().to_owned(),
            description: shorten(&description, MAX_DESCRIPTION_CHARS),
            capabilities: Vec::new(),
            keywords: Vec::new(),
            cost_tier: super::default_cost_tier(),
            aliases: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        })
    }
}
