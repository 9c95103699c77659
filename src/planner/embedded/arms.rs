//! Which arm does what: read off the registry's capabilities and keywords, never off an id.

use crate::registry::ArmRegistry;
use crate::text::{find_phrase, fold, is_ideograph};

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
    keywords: Vec<(usize, String)>,
    by_intent: [Option<usize>; 6],
    main_intent: Vec<Option<Intent>>,
    rest: usize,
    verifies: Vec<bool>,
    count: usize,
}

impl Arms {
    pub(super) fn new(registry: &ArmRegistry, lexicon: &Lexicon) -> Self {
        let arms = registry.arms();
        let place = |id: &str| arms.iter().position(|arm| arm.id == id);
        let keywords: Vec<(usize, String)> = arms
            .iter()
            .enumerate()
            .flat_map(|(at, arm)| arm.keywords.iter().map(move |keyword| (at, fold(keyword))))
            .filter(|(_, keyword)| !keyword.is_empty())
            .collect();

        let mut scores = vec![[0_u32; 6]; arms.len()];
        for (at, arm) in arms.iter().enumerate() {
            for capability in &arm.capabilities {
                if let Some(intent) = intent_of_capability(&fold(capability)) {
                    scores[at][intent as usize] += CAPABILITY_WEIGHT;
                }
            }
        }
        for (at, keyword) in &keywords {
            if let Some(intent) = lexicon.verb(keyword) {
                scores[*at][intent as usize] += 1;
            }
        }
        let best_arm = |intent: Intent| {
            let score = |at: &usize| scores[*at][intent as usize];
            // Of equals the first in the registry.
            (0..arms.len()).rev().max_by_key(score).filter(|at| score(at) > 0)
        };
        let mut by_intent = Intent::ALL.map(best_arm);
        if let Some(verifier) = registry.verifier() {
            by_intent[Intent::Check as usize] = place(&verifier.id);
        }
        let main_intent = scores
            .iter()
            .map(|score| {
                Intent::ALL.into_iter().max_by_key(|i| score[*i as usize]).filter(|i| score[*i as usize] > 0)
            })
            .collect();
        Self {
            keywords,
            by_intent,
            main_intent,
            rest: registry.catch_all().and_then(|arm| place(&arm.id)).unwrap_or(0),
            verifies: arms.iter().map(crate::registry::Arm::verifies).collect(),
            count: arms.len(),
        }
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

    /// Whether the arm can verify a plan.
    pub(super) fn verifies(&self, arm: usize) -> bool {
        self.verifies[arm]
    }

    /// How many arms there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Each arm with a keyword in the folded `text`, and where it stands.
    pub(super) fn keywords_in(&self, text: &str) -> impl Iterator<Item = (usize, usize)> {
        self.keywords.iter().filter_map(move |(arm, keyword)| Some((*arm, find_phrase(text, keyword)?)))
    }

    /// The longest keyword that the folded `text` begins with.
    pub(super) fn leading_keyword(&self, text: &str) -> Option<&str> {
        let leads = |keyword: &&str| {
            text.strip_prefix(*keyword).is_some_and(|rest| {
                rest.is_empty()
                    || rest.starts_with(' ')
                    || keyword.chars().next_back().is_some_and(is_ideograph)
            })
        };
        self.keywords.iter().map(|(_, keyword)| keyword.as_str()).filter(leads).max_by_key(|k| k.len())
    }

    /// Whether a keyword of the guarding arm stands in the folded `text`.
    pub(super) fn guards_against(&self, text: &str) -> bool {
        let guard = self.serving(Intent::Guard);
        guard.is_some()
            && self
                .keywords
                .iter()
                .any(|(arm, word)| Some(*arm) == guard && find_phrase(text, word).is_some())
    }
}

fn intent_of_capability(capability: &str) -> Option<Intent> {
    let begins = |stem: &&str| capability.split(' ').any(|word| word.starts_with(*stem));
    CAPABILITIES.iter().find(|(_, stems)| stems.iter().any(begins)).map(|(intent, _)| *intent)
}
