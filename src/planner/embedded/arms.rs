//! Which arm does what: read off the registry's capabilities and keywords, never off an id.

use std::sync::Arc;

use crate::domain::arms::{Arm, ArmRegistry};
use crate::text::{find_phrase, fold};

use super::lexicon::Lexicon;

/// What a clause wants, in the order in which such work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Intent {
    Gather,
    Think,
    Make,
    Guard,
    Run,
    Check,
}

impl Intent {
    const ALL: [Self; 6] = [Self::Gather, Self::Think, Self::Make, Self::Guard, Self::Run, Self::Check];
}

/// Beginnings of words in a capability and the intent they serve; the first entry that fits decides
/// (`safety_check` guards, `code_analysis` makes).
const CAPABILITIES: &[(Intent, &[&str])] = &[
    (
        Intent::Guard,
        &["pii", "safe", "policy", "privacy", "complian", "secur", "redact", "moderat", "secret"],
    ),
    (Intent::Check, &["validat", "verif", "check", "quality", "review", "evaluat", "audit"]),
    (Intent::Make, &["code", "coding", "debug", "refactor", "program", "develop", "implement", "software"]),
    (Intent::Gather, &["search", "retriev", "research", "lookup", "knowledge", "brows", "find"]),
    (
        Intent::Run,
        &["execut", "shell", "api", "call", "deploy", "scrap", "command", "automat", "run", "tool"],
    ),
    (
        Intent::Think,
        &["reason", "analy", "summar", "writ", "compar", "plan", "translat", "synthes", "decompos"],
    ),
];

/// A capability says more about an arm than one keyword.
const CAPABILITY_WEIGHT: u32 = 3;

/// The registry as the rules need it; arms are named by their place in it.
#[derive(Debug)]
pub(super) struct Arms {
    registry: Arc<ArmRegistry>,
    /// Folded.
    keywords: Vec<(usize, String)>,
    by_intent: [Option<usize>; 6],
    main_intent: Vec<Option<Intent>>,
    rest: usize,
}

impl Arms {
    pub(super) fn new(registry: Arc<ArmRegistry>, lexicon: &Lexicon) -> Self {
        let arms = registry.arms();
        let keywords_of = |(at, arm): (usize, &Arm)| -> Vec<(usize, String)> {
            arm.keywords.iter().map(|word| (at, fold(word))).filter(|(_, word)| !word.is_empty()).collect()
        };
        let keywords: Vec<(usize, String)> = arms.iter().enumerate().flat_map(keywords_of).collect();
        let mut scores = vec![[0_u32; 6]; arms.len()];
        for (scores, arm) in scores.iter_mut().zip(arms) {
            for intent in arm.capabilities.iter().filter_map(|name| intent_of_capability(&fold(name))) {
                scores[intent as usize] += CAPABILITY_WEIGHT;
            }
        }
        for (at, keyword) in &keywords {
            if let Some(intent) = lexicon.verb(keyword) {
                scores[*at][intent as usize] += 1;
            }
        }
        let best_arm = |intent: Intent| {
            let score = |at: &usize| scores[*at][intent as usize];
            // An arm does what it is mostly for or says that it can, not what one keyword hints at.
            let serves = |at: &usize| {
                score(at) > 0
                    && (score(at) >= CAPABILITY_WEIGHT || scores[*at].iter().all(|s| *s <= score(at)))
            };
            // Of equals the first in the registry.
            (0..arms.len()).rev().filter(serves).max_by_key(score)
        };
        let mut by_intent = Intent::ALL.map(best_arm);
        let verifier = arms.iter().position(Arm::verifies);
        by_intent[Intent::Check as usize] = verifier.or(by_intent[Intent::Check as usize]);
        let mainly = |score: &[u32; 6]| {
            Intent::ALL.into_iter().max_by_key(|i| score[*i as usize]).filter(|i| score[*i as usize] > 0)
        };
        let main_intent = scores.iter().map(mainly).collect();
        let rest = arms.iter().position(|arm| arm.keywords.is_empty()).unwrap_or(0);
        Self { registry, keywords, by_intent, main_intent, rest }
    }

    /// All arms.
    pub(super) fn registry(&self) -> &ArmRegistry {
        &self.registry
    }

    /// All arms, by their places.
    pub(super) fn list(&self) -> &[Arm] {
        self.registry.arms()
    }

    /// Whether the arms beside those that verify have neither keywords nor capabilities: what they do is known from
    /// their descriptions alone.
    pub(super) fn are_tools(&self) -> bool {
        let mut others = self.list().iter().filter(|arm| !arm.verifies()).peekable();
        others.peek().is_some() && others.all(|arm| arm.keywords.is_empty() && arm.capabilities.is_empty())
    }

    /// The arm that serves `intent`, if there is one.
    pub(super) fn serving(&self, intent: Intent) -> Option<usize> {
        self.by_intent[intent as usize]
    }

    /// The arm that serves `intent`, else the one that takes what fits nowhere else.
    pub(super) fn serving_or_rest(&self, intent: Intent) -> usize {
        self.serving(intent).unwrap_or(self.rest)
    }

    /// The arm that takes what fits nowhere else.
    pub(super) fn rest(&self) -> usize {
        self.rest
    }

    /// What the arm is mostly for.
    pub(super) fn main_intent(&self, arm: usize) -> Option<Intent> {
        self.main_intent[arm]
    }

    /// Each arm with a keyword in the folded `text`, and where it stands.
    pub(super) fn keywords_in(&self, text: &str) -> impl Iterator<Item = (usize, usize)> {
        self.keywords.iter().filter_map(move |(arm, keyword)| Some((*arm, find_phrase(text, keyword)?)))
    }

    /// Whether a keyword of the guarding arm stands in the folded `text`.
    pub(super) fn guards_against(&self, text: &str) -> bool {
        let guard = self.serving(Intent::Guard);
        guard.is_some() && self.keywords_in(text).any(|(arm, _)| Some(arm) == guard)
    }
}

fn intent_of_capability(capability: &str) -> Option<Intent> {
    let begins = |stem: &&str| capability.split(' ').any(|word| word.starts_with(*stem));
    CAPABILITIES.iter().find(|(_, stems)| stems.iter().any(begins)).map(|(intent, _)| *intent)
}
