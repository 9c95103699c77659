//! Which arm takes a clause: its keywords vote, its verb votes, and nouns normalize what the verb means.

use crate::text::fold;

use super::arms::{Arms, Intent};
use super::lexicon::{Lexicon, Senses, is_one_of};
use super::reading::{Head, is_question};
use super::vocabulary::{PHRASE_ENDS, VAGUE};

/// How much speaks for an arm: a keyword at the head of the clause, the clause's verb, a keyword further in.
const LEADING_KEYWORD: u32 = 6;
const LEADING_VERB: u32 = 3;
const KEYWORD: u32 = 1;

/// How sure a reading is: verb and object were known, or the verb; or only a word further in, or an unknown
/// word was taken for a verb.
pub(super) const KNOWN: f64 = 1.0;
pub(super) const FAMILIAR: f64 = 0.8;
pub(super) const HINTED: f64 = 0.5;
pub(super) const GUESSED: f64 = 0.3;

/// What a clause wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub intent: Intent,
    /// The place in the registry of the arm that does it.
    pub arm: usize,
    /// 0.0 (not understood) to 1.0.
    pub certainty: f64,
    /// It speaks of software.
    pub software: bool,
    /// What is made is a text.
    pub prose: bool,
}

/// Chooses arms by the registry and the words known.
pub(super) struct Chooser<'a> {
    pub lexicon: &'a Lexicon,
    pub arms: &'a Arms,
}

impl Chooser<'_> {
    /// What the clause wants, who does it, and how sure that is; `object` is what it is about, pronouns
    /// replaced.
    pub(super) fn choose(&self, head: &Head<'_>, object: &str) -> Choice {
        let arms = self.arms;
        let noun = self.head_noun(object);
        let lead_verb = head.lead.as_ref().and_then(|(_, senses)| senses.verb);
        let prose = lead_verb == Some(Intent::Make) && noun.is_some_and(|noun| noun.prose && !noun.software);
        let verb = if prose { Some(Intent::Think) } else { lead_verb };
        let choice = |intent, arm, certainty| Choice { intent, arm, certainty, software: false, prose };
        if head.clause.requires {
            return choice(Intent::Think, arms.rest(), 0.0);
        }
        if head.lead.is_none() && is_question(head.text) {
            return choice(Intent::Gather, arms.serving_or_rest(Intent::Gather), HINTED);
        }
        // For each arm what speaks for it, and where that first stands in the clause.
        let mut votes = vec![(0_u32, usize::MAX); arms.list().len()];
        for (arm, place) in arms.keywords_in(&head.folded) {
            let leads = place == 0 && (head.lead.is_some() || verb.is_none());
            votes[arm].0 += if leads { LEADING_KEYWORD } else { KEYWORD };
            votes[arm].1 = votes[arm].1.min(place);
        }
        let keyword = votes.iter().any(|vote| vote.0 > 0);
        let software = self.lexicon.scan(&head.folded).any(|(_, senses)| senses.software)
            || noun.is_some_and(|noun| noun.software)
            || arms.serving(Intent::Make).is_some_and(|maker| votes[maker].0 > 0);
        if let Some(arm) = verb.and_then(|intent| arms.serving(intent)) {
            votes[arm].0 += LEADING_VERB;
        }
        let best = (0..votes.len()).rev().max_by_key(|&arm| (votes[arm].0, usize::MAX - votes[arm].1));
        let best = best.filter(|&arm| votes[arm].0 > 0);
        let certainty =
            match &head.lead {
                None => HINTED,
                Some((_, senses)) if senses.verb.is_none() && !senses.keyword => {
                    if keyword || noun.is_some() { HINTED } else { GUESSED }
                }
                Some(_) if self.is_vague(object) => HINTED,
                Some(_) if keyword || noun.is_some() => KNOWN,
                Some(_) => FAMILIAR,
            };
        let (intent, arm, certainty) = match (verb, best) {
            (Some(intent), Some(arm)) => {
                let maker_may = !prose && lead_verb.is_some();
                let (intent, arm) =
                    if maker_may { self.maker_first(intent, arm, noun, &votes) } else { (intent, arm) };
                let own = arms.serving(intent) == Some(arm) || arms.main_intent(arm).is_none();
                let thinks = intent == Intent::Think;
                (if own || thinks { intent } else { arms.main_intent(arm).unwrap_or(intent) }, arm, certainty)
            }
            (None, Some(arm)) => (arms.main_intent(arm).unwrap_or(Intent::Think), arm, certainty),
            (Some(intent), None) => (intent, arms.rest(), certainty),
            (None, None) => match noun {
                Some(noun) if noun.software => (Intent::Make, arms.serving_or_rest(Intent::Make), HINTED),
                Some(_) => (Intent::Think, arms.serving_or_rest(Intent::Think), HINTED),
                None => (Intent::Think, arms.rest(), if head.lead.is_some() { GUESSED } else { 0.0 }),
            },
        };
        Choice { software, ..choice(intent, arm, certainty) }
    }

    /// Whether `object` says nothing about what is meant: no words, "everything", verbs alone.
    pub(super) fn is_vague(&self, object: &str) -> bool {
        let says_nothing = |word: &str| {
            let acts = |senses: Senses| senses.verb.is_some() && !senses.nounish && !senses.software;
            is_one_of(word, VAGUE) || self.lexicon.at(word).is_some_and(|(_, senses)| acts(senses))
        };
        object.split_whitespace().all(says_nothing)
    }

    /// Building software is making it before it is running it; and code is analysed by who writes it.
    fn maker_first(
        &self,
        intent: Intent,
        arm: usize,
        noun: Option<Senses>,
        votes: &[(u32, usize)],
    ) -> (Intent, usize) {
        let Some(maker) = self.arms.serving(Intent::Make) else { return (intent, arm) };
        let builds = intent == Intent::Make
            && noun.is_some_and(|noun| noun.software)
            && self.arms.main_intent(arm) == Some(Intent::Run);
        let analyses = intent == Intent::Think && votes[maker].0 > 0 && votes[arm].0 < LEADING_KEYWORD;
        if builds || analyses { (intent, maker) } else { (intent, arm) }
    }

    /// The last noun of ours in the head of the object: "parser" in "an email parser for Outlook".
    fn head_noun(&self, object: &str) -> Option<Senses> {
        let folded = fold(object);
        let mut end = 0;
        for word in folded.split(' ') {
            if end > 0 && PHRASE_ENDS.contains(&word) {
                break;
            }
            end += word.len() + 1;
        }
        let head = &folded[..end.saturating_sub(1).min(folded.len())];
        self.lexicon
            .scan(head)
            .map(|(_, senses)| senses)
            .filter(|senses| senses.software || senses.prose)
            .last()
    }
}
