//! Which arm takes a clause: its keywords vote, its verb votes, and nouns settle what the verb means.

use crate::text::fold;

use super::arms::{Arms, Intent};
use super::lexicon::{Lexicon, Senses};
use super::reading::{HINTED, Head, KNOWN, is_question};
use super::vocabulary::PHRASE_ENDS;

/// How much speaks for an arm: a keyword at the head of the clause, the clause's verb, a keyword further in.
const LEADING_KEYWORD: u32 = 6;
const LEADING_VERB: u32 = 3;
const KEYWORD: u32 = 1;

/// Chooses arms by the registry and the words known.
pub(super) struct Chooser<'a> {
    pub lexicon: &'a Lexicon,
    pub arms: &'a Arms,
}

impl Chooser<'_> {
    /// What the clause wants, who does it, and how sure that is.
    pub(super) fn choose(&self, head: &Head<'_>, object: &str) -> (Intent, usize, f64) {
        let arms = self.arms;
        let noun = self.head_noun(object);
        let mut verb = head.lead.as_ref().and_then(|(_, senses)| senses.verb);
        if verb == Some(Intent::Make) && noun.is_some_and(|noun| noun.prose && !noun.software) {
            verb = Some(Intent::Think);
        }
        if head.lead.is_none() && is_question(head.text) {
            return (Intent::Gather, arms.serving_or_rest(Intent::Gather), HINTED);
        }
        // For each arm what speaks for it, and where that first stands in the clause.
        let mut votes = vec![(0_u32, usize::MAX); arms.count()];
        for (arm, place) in arms.keywords_in(&head.folded) {
            let leads = place == 0 && (head.lead.is_some() || verb.is_none());
            votes[arm].0 += if leads { LEADING_KEYWORD } else { KEYWORD };
            votes[arm].1 = votes[arm].1.min(place);
        }
        if let Some(arm) = verb.and_then(|intent| arms.serving(intent)) {
            votes[arm].0 += LEADING_VERB;
        }
        let best = (0..votes.len()).rev().max_by_key(|&arm| (votes[arm].0, usize::MAX - votes[arm].1));
        let best = best.filter(|&arm| votes[arm].0 > 0);
        let certainty = if head.lead.is_some() { KNOWN } else { HINTED };
        match (verb, best) {
            (Some(intent), Some(arm)) => {
                let (intent, arm) = self.maker_first(intent, arm, noun, &votes);
                let own = arms.serving(intent) == Some(arm) || arms.main_intent(arm).is_none();
                let thinks = intent == Intent::Think;
                (if own || thinks { intent } else { arms.main_intent(arm).unwrap_or(intent) }, arm, certainty)
            }
            (None, Some(arm)) => (arms.main_intent(arm).unwrap_or(Intent::Think), arm, certainty),
            (Some(intent), None) => (intent, arms.rest(), certainty),
            (None, None) => match noun {
                Some(noun) if noun.software => (Intent::Make, arms.serving_or_rest(Intent::Make), HINTED),
                Some(_) => (Intent::Think, arms.serving_or_rest(Intent::Think), HINTED),
                None => (Intent::Think, arms.rest(), 0.0),
            },
        }
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
