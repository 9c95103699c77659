//! The arms of an installation, as it lists them.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Arm, ArmRegistry};

/// Arms that stand in the settings.
const SETTINGS: &str = "settings";

/// All arms, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ArmList {
    /// The arms that steps can be given to.
    pub arms: Vec<ListedArm>,
    /// Where arms come from beside the settings.
    pub sources: Vec<ArmSourceStatus>,
}

/// One arm, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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

/// Where arms come from, and whether they still do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ArmSourceStatus {
    /// Its name.
    pub source: String,
    /// Whether its arms are offered to plans now.
    pub available: bool,
    /// How many arms it has.
    pub arms: usize,
    /// Why it is not available.
    pub error: Option<String>,
    /// When its arms were last read, in RFC 3339.
    pub refreshed_at: Option<String>,
}

impl ArmList {
    /// The arms of the settings.
    pub fn of(registry: &ArmRegistry) -> Self {
        let listed = |arm: &Arm| ListedArm { arm: arm.clone(), source: SETTINGS.into(), available: true };
        Self { arms: registry.arms().iter().map(listed).collect(), sources: Vec::new() }
    }
}
