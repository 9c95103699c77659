//! placeholder until merged
use super::{draft::Draft, repair::PlanRules};
use crate::{models::PlanRequest, registry::ArmRegistry};
use std::sync::Arc;
/// x
pub struct EmbeddedPlanner;
impl EmbeddedPlanner {
    /// x
    pub fn new(_: Arc<ArmRegistry>, _: PlanRules) -> Self {
        Self
    }
    /// x
    pub fn propose(&self, _: &PlanRequest) -> Draft {
        Draft::default()
    }
}
