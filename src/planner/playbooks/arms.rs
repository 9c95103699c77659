//! Which arm of the registry does a step.

use crate::domain::arms::{Arm, ArmMatch, ArmRegistry};
use crate::text::fold;

use super::format::{Playbook, PlaybookStep};

/// The arms of an installation as playbooks see them.
pub(super) struct Staff<'a> {
    registry: &'a ArmRegistry,
    /// The folded capabilities of each arm.
    capabilities: Vec<Vec<String>>,
}

impl<'a> Staff<'a> {
    pub(super) fn new(registry: &'a ArmRegistry) -> Self {
        let folded = |arm: &Arm| arm.capabilities.iter().map(|capability| fold(capability)).collect();
        Self { registry, capabilities: registry.arms().iter().map(folded).collect() }
    }

    /// Whether there are arms for what a playbook is about: each of its core steps, and most of the others.
    pub(super) fn can_follow(&self, playbook: &Playbook) -> bool {
        let staffed = |step: &&PlaybookStep| self.for_step(step).is_some();
        let count = playbook.steps.iter().filter(staffed).count();
        playbook.steps.iter().filter(|step| step.is_core()).all(|step| staffed(&step)) && count * 2 > playbook.steps.len()
    }

    /// The arm for a playbook's step.
    pub(super) fn for_step(&self, step: &PlaybookStep) -> Option<usize> {
        if let Some(arm) = &step.arm {
            return self.place(arm);
        }
        step.capability.iter().find_map(|capability| {
            let capability = fold(capability);
            self.capabilities.iter().position(|of_arm| of_arm.contains(&capability))
        })
    }

    /// The arm that the words of `text` point to, if they do.
    pub(super) fn for_words(&self, text: &str) -> Option<usize> {
        let found = self.registry.resolve("", text).filter(|(_, how)| *how != ArmMatch::CatchAll);
        found.and_then(|(arm, _)| self.place(&arm.id))
    }

    /// The arm for work of which only the words are known.
    pub(super) fn for_text(&self, text: &str) -> usize {
        let found = self.registry.resolve("", text).and_then(|(arm, _)| self.place(&arm.id));
        found.unwrap_or(0)
    }

    /// The arm that verifies plans.
    pub(super) fn verifier(&self) -> Option<usize> {
        self.registry.verifier().and_then(|arm| self.place(&arm.id))
    }

    pub(super) fn verifies(&self, arm: usize) -> bool {
        self.registry.arms()[arm].verifies()
    }

    pub(super) fn cost_tier(&self, arm: usize) -> u8 {
        self.registry.arms()[arm].cost_tier
    }

    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.registry.arms().iter().position(|arm| arm.id == id)
    }
}
