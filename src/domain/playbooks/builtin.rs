//! The playbooks that ship with the program.

use super::format::Playbook;

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("data/", $name, ".toml")))),*] };
}

/// Name and text of each. Where two fit a goal equally well, the first is followed.
const BUILT_IN: &[(&str, &str)] = files![
    "incident",
    "security-audit",
    "automation",
    "migration",
    "release-deploy",
    "secret-rotation",
    "data-restore",
    "backup-restore",
    "redaction",
    "compliance-request",
    "compliance",
    "write-tests",
    "investigation",
    "bug-fix",
    "refactoring",
    "code-review",
    "performance",
    "ab-test",
    "model-training",
    "data-cleaning",
    "data-analysis",
    "monitoring",
    "translation",
    "proofreading",
    "design",
    "creative-text",
    "presentation",
    "hiring",
    "onboarding",
    "customer-reply",
    "deletion",
    "contract-change",
    "legal-document",
    "contract-review",
    "job-application",
    "application",
    "sale",
    "publish",
    "send",
    "campaign",
    "media-production",
    "travel",
    "excursion",
    "volunteers",
    "meeting",
    "event",
    "comparison",
    "survey",
    "reading",
    "research-report",
    "code-change",
    "infrastructure",
    "payment",
    "bookkeeping",
    "stocktake",
    "improvement",
    "finance",
    "plan-of-days",
    "learning",
    "grading",
    "coaching",
    "teaching",
    "appointments",
    "health-admin",
    "personnel",
    "claim",
    "cooking",
    "growing",
    "livestock",
    "relocation",
    "construction",
    "repair",
    "business-start",
    "household",
    "tender",
    "purchase",
    "document",
    "question",
    "guard",
];

/// All of them.
pub(super) fn playbooks() -> impl Iterator<Item = Playbook> {
    BUILT_IN.iter().map(|(name, text)| {
        let playbook: Playbook =
            toml::from_str(text).unwrap_or_else(|error| panic!("the built-in playbook {name}: {error}"));
        Playbook { built_in: true, ..playbook.with_step_ids() }
    })
}
