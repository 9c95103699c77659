//! The playbooks that ship with the program.

use serde::Deserialize;

use super::format::Playbook;

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("data/", $name, ".toml")))),*] };
}

/// Name and text of each. Where two fit a goal equally well, the first is followed.
const BUILT_IN: &[(&str, &str)] = files![
    "incident",
    "postmortem",
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
    "approval",
];

/// The usual course of each kind of work, for what no playbook fits.
const OUTLINES: &str = include_str!("data/outlines.toml");

#[derive(Deserialize)]
struct Outlines {
    outline: Vec<Playbook>,
}

/// All of them, the outlines last.
pub(super) fn playbooks() -> impl Iterator<Item = Playbook> {
    let playbooks = BUILT_IN.iter().map(|(name, text)| {
        toml::from_str(text).unwrap_or_else(|error| panic!("the built-in playbook {name}: {error}"))
    });
    let outlines: Outlines = toml::from_str(OUTLINES).expect("valid outlines");
    let outlines = outlines.outline.into_iter().map(|outline| Playbook { outline: true, ..outline });
    playbooks
        .chain(outlines)
        .map(|playbook: Playbook| Playbook { built_in: true, ..playbook.with_step_ids() })
}
