//! A plan as it is sent.

use bytes::Bytes;

use crate::domain::playbooks::PlaybookUse;
use crate::domain::{PlanResponse, Repair, Warning};

use super::normalize::{Plan, PlanDetails};

/// Room for a usual plan, in bytes.
const USUAL_LENGTH: usize = 4 * 1024;

/// A valid plan in its wire form, written once however often it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SerializedPlan {
    json: Bytes,
    steps: usize,
    details: PlanDetails,
}

impl SerializedPlan {
    /// Writes `plan`.
    pub fn new(plan: Plan) -> Self {
        let (response, details) = plan.into_response();
        let mut json = Vec::with_capacity(USUAL_LENGTH);
        serde_json::to_writer(&mut json, &response).expect("strings and numbers serialise");
        // Of its exact size, as many of them may be kept.
        Self { json: Bytes::copy_from_slice(&json), steps: response.plan.len(), details }
    }

    /// A [`PlanResponse`] without extras, as JSON.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// How many steps it has.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// What was changed in the proposal.
    pub fn repairs(&self) -> &[Repair] {
        &self.details.repairs
    }

    /// The critics' warnings about the plan.
    pub fn warnings(&self) -> &[Warning] {
        &self.details.warnings
    }

    /// What else is known of it.
    pub fn details(&self) -> &PlanDetails {
        &self.details
    }

    /// The playbooks that it was made with.
    pub fn playbooks(&self) -> Option<&PlaybookUse> {
        self.details.playbooks.as_ref()
    }

    /// The plan read again, for rarely requested extras.
    pub fn response(&self) -> PlanResponse {
        serde_json::from_slice(&self.json).expect("it was written by us")
    }
}
