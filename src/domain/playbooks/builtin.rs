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
    "official-request",
    "compliance-request",
    "audit",
    "inspection",
    "compliance",
    "write-tests",
    "investigation",
    "bug-fix",
    "refactoring",
    "code-review",
    "performance",
    "ab-test",
    "staff-training",
    "model-training",
    "data-cleaning",
    "business-analysis",
    "data-analysis",
    "monitoring",
    "translation",
    "proofreading",
    "design",
    "creative-text",
    "overview",
    "sponsoring",
    "forecast",
    "plan-document",
    "budget",
    "bid",
    "offer",
    "agenda",
    "job-ad",
    "presenting",
    "sign-off",
    "presentation",
    "interviewing",
    "hiring",
    "onboarding",
    "customer-reply",
    "deletion",
    "renewal",
    "legal-response",
    "process-review",
    "contract-change",
    "legal-document",
    "negotiation",
    "contract-review",
    "job-application",
    "grant-application",
    "loan-application",
    "selection",
    "application",
    "invoicing",
    "receivables",
    "expenses",
    "letting",
    "sale",
    "publish",
    "mailing",
    "collecting",
    "send",
    "sales-outreach",
    "fundraising-event",
    "campaign",
    "media-production",
    "travel",
    "excursion",
    "volunteers",
    "election",
    "meeting",
    "business-meeting",
    "trade-fair",
    "press-conference",
    "event",
    "recommendation",
    "comparison",
    "survey",
    "reading",
    "research-report",
    "code-change",
    "infrastructure",
    "invoice-check",
    "payment",
    "bookkeeping",
    "stocktake",
    "improvement",
    "tax-return",
    "finance",
    "rota",
    "plan-of-days",
    "learning",
    "grading",
    "coaching",
    "teaching",
    "appointments",
    "health-admin",
    "appraisal",
    "handover",
    "offboarding",
    "internal-inquiry",
    "personnel",
    "claim",
    "cooking",
    "growing",
    "livestock",
    "relocation",
    "construction",
    "repair",
    "introduction",
    "closure",
    "succession",
    "business-start",
    "household",
    "tender",
    "pricing",
    "sourcing-change",
    "purchase",
    "filing",
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
