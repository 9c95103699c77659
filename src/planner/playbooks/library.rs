//! All playbooks, and which of them fits a text.

use std::sync::{Arc, LazyLock};

use crate::text::{find_phrase, fold, is_ideograph};

use super::format::{Match, Playbook, PlaybookStep};

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("data/", $name, ".toml")))),*] };
}

/// The playbooks that ship with the program. Where two fit a text equally well, the first is followed.
const BUILT_IN: &[(&str, &str)] = files![
    "incident",
    "security-audit",
    "migration",
    "release-deploy",
    "secret-rotation",
    "backup-restore",
    "redaction",
    "compliance-request",
    "write-tests",
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
    "design",
    "creative-text",
    "presentation",
    "hiring",
    "onboarding",
    "customer-reply",
    "deletion",
    "publish",
    "campaign",
    "travel",
    "event",
    "comparison",
    "research-report",
    "code-change",
    "infrastructure",
    "finance",
    "learning",
    "household",
    "purchase",
    "document",
    "question",
    "guard",
];

/// A score below this is no match.
const LEAST_SCORE: usize = 1;
/// What a keyword at the beginning adds.
const LEADING: usize = 6;

/// All playbooks, ready to be matched.
#[derive(Debug)]
pub struct Library(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    playbook: Playbook,
    /// Its phrases, folded.
    keywords: Vec<String>,
    any_of: Vec<Vec<String>>,
    none_of: Vec<String>,
}

impl Library {
    /// The playbooks that ship with the program.
    pub fn built_in() -> Arc<Self> {
        static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| {
            let parse = |(name, text): &(&str, &str)| {
                toml::from_str(text).unwrap_or_else(|error| panic!("the built-in playbook {name}: {error}"))
            };
            Arc::new(
                Library::new(BUILT_IN.iter().map(parse).collect()).expect("the built-in playbooks are valid"),
            )
        });
        LIBRARY.clone()
    }

    /// Checks `playbooks` and makes a library of them.
    ///
    /// # Errors
    /// Every fault of every playbook.
    pub fn new(playbooks: Vec<Playbook>) -> Result<Self, Vec<String>> {
        let mut faults: Vec<String> = playbooks.iter().flat_map(Playbook::faults).collect();
        for (index, playbook) in playbooks.iter().enumerate() {
            if playbooks[..index].iter().any(|earlier| earlier.name == playbook.name) {
                faults.push(format!("two playbooks have the name `{}`", playbook.name));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self(playbooks.into_iter().map(Entry::new).collect()))
    }

    /// All playbooks that can be followed by themselves.
    pub fn playbooks(&self) -> impl Iterator<Item = &Playbook> {
        self.0.iter().map(|entry| &entry.playbook).filter(|playbook| !playbook.addon)
    }

    /// The playbook that fits `text` best; `None` when none fits.
    pub fn best(&self, text: &str) -> Option<&Playbook> {
        let folded = fold(text);
        let is_question = text.trim_end().ends_with(['?', '？']);
        let candidates = self.0.iter().filter(|entry| !entry.playbook.addon);
        let scored = candidates.map(|entry| (entry.score(&folded, is_question), entry));
        let best = scored
            .filter(|(score, _)| *score >= LEAST_SCORE)
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, entry)| &entry.playbook)
    }

    /// The step that protects personal data and secrets, if one of `texts` speaks of any.
    pub fn guard_for<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Option<&PlaybookStep> {
        let guard = self.0.iter().find(|entry| entry.playbook.addon)?;
        let mut texts = texts.map(fold);
        texts
            .any(|text| guard.keywords.iter().any(|keyword| find_phrase(&text, keyword).is_some()))
            .then(|| guard.playbook.steps.first())?
    }
}

impl Entry {
    fn new(playbook: Playbook) -> Self {
        let folded = |phrases: &[String]| phrases.iter().map(|phrase| fold(phrase)).collect::<Vec<_>>();
        let Match { keywords, any_of, none_of, .. } = &playbook.matches;
        let mut keywords = folded(keywords);
        keywords.sort_unstable();
        keywords.dedup();
        Self {
            keywords,
            any_of: any_of.iter().map(|group| folded(group)).collect(),
            none_of: folded(none_of),
            playbook,
        }
    }

    /// How well the playbook fits the folded `text`; 0: not at all.
    fn score(&self, text: &str, is_question: bool) -> usize {
        let has = |phrase: &String| find_phrase(text, phrase).is_some();
        if self.none_of.iter().any(has) || !self.any_of.iter().all(|group| group.iter().any(has)) {
            return 0;
        }
        let found = self.keywords.iter().filter_map(|keyword| Some((keyword, find_phrase(text, keyword)?)));
        let found: Vec<(&String, usize)> = found.collect();
        let leads = found.iter().any(|(_, at)| *at == 0);
        if self.playbook.matches.starts_with {
            return if leads || is_question { 1 + usize::from(leads) * LEADING } else { 0 };
        }
        let score: usize = found.iter().map(|(keyword, _)| weight(keyword)).sum();
        if score == 0 {
            0
        } else {
            score + if leads { LEADING } else { 0 } + usize::from(!self.any_of.is_empty())
        }
    }
}

/// Phrases of several words say more.
fn weight(keyword: &str) -> usize {
    if keyword.chars().any(is_ideograph) { 2 } else { 2 * keyword.split(' ').count() - 1 }
}
