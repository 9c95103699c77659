//! Looking words up: which senses a word has, and where known words stand in a text.

use std::collections::HashMap;

use crate::domain::arms::ArmRegistry;
use crate::text::{fold, is_ideograph};

use super::arms::Intent;
use super::reading::Kind;
use super::vocabulary::{
    ASKING, CONDITIONS, DETERMINERS, FUNCTION_WORDS, JOINING, LEAD_INS, NOUNISH, OBJECT_STARTS, ORDERING,
    OTHER_VERBS, PHRASE_ENDS, PROSE, REQUIRING, SENSITIVE, SOFTWARE, STATING, VERBS,
};

/// Most words (or ideographs) of one entry.
const LONGEST_ENTRY: usize = 6;
/// No word of ours is longer, in bytes.
const LONGEST_WORD: usize = 48;

/// What a word can mean to the rules.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a word has any of these senses, independently")]
pub(super) struct Senses {
    pub verb: Option<Intent>,
    /// What kind of work the verb means.
    pub kind: Kind,
    /// The verb is an English one, so that the clause reads as an English imperative.
    pub english: bool,
    pub nounish: bool,
    /// A keyword of an arm.
    pub keyword: bool,
    pub software: bool,
    pub prose: bool,
    pub sensitive: bool,
    /// Said before what is wanted ("please").
    pub lead_in: bool,
    /// What follows is how it is to be done, or what must not be done ("without").
    pub requires: bool,
}

/// All tables as one map.
#[derive(Debug)]
pub(super) struct Lexicon {
    senses: HashMap<String, Senses>,
    /// For each first token of an entry, how many tokens the longest such entry has.
    longest: HashMap<String, usize>,
}

impl Lexicon {
    pub(super) fn new(registry: &ArmRegistry) -> Self {
        let mut senses: HashMap<String, Senses> = HashMap::new();
        for (table, english) in [(OTHER_VERBS, false), (VERBS, true)] {
            for &(intent, kind, verbs) in table {
                for verb in verbs.split(", ") {
                    let entry = senses.entry(verb.into()).or_default();
                    (entry.verb, entry.kind, entry.english) = (Some(intent), kind, english);
                }
            }
        }
        for (nouns, mark) in [
            (NOUNISH, (|s| s.nounish = true) as fn(&mut Senses)),
            (SOFTWARE, |s| s.software = true),
            (PROSE, |s| s.prose = true),
            (SENSITIVE, |s| s.sensitive = true),
        ] {
            for noun in nouns.split(", ") {
                mark(senses.entry(noun.into()).or_default());
            }
        }
        for &phrase in LEAD_INS {
            senses.entry(phrase.into()).or_default().lead_in = true;
        }
        for &phrase in REQUIRING {
            senses.entry(phrase.into()).or_default().requires = true;
        }
        for keyword in registry.arms().iter().flat_map(|arm| &arm.keywords).map(|keyword| fold(keyword)) {
            let english = keyword.is_ascii();
            let entry = senses.entry(keyword).or_default();
            entry.keyword = true;
            entry.english |= english && entry.verb.is_none();
        }
        senses.remove("");
        let mut longest: HashMap<String, usize> = HashMap::new();
        for phrase in senses.keys() {
            let first = &phrase[..token_len(phrase)];
            let tokens = ends(phrase, LONGEST_ENTRY).1;
            let most = longest.entry(first.into()).or_default();
            *most = tokens.max(*most);
        }
        Self { senses, longest }
    }

    /// What the folded `word` wants as a verb.
    pub(super) fn verb(&self, word: &str) -> Option<Intent> {
        self.senses.get(word)?.verb
    }

    /// The longest known phrase at the beginning of the folded `text`. A plural has its noun's senses.
    pub(super) fn at<'t>(&self, text: &'t str) -> Option<(&'t str, Senses)> {
        let first = &text[..token_len(text)];
        let most = match self.longest.get(first) {
            Some(&most) => most,
            None if first.ends_with('s') => 1,
            None => return None,
        };
        let (ends, known) = ends(text, most);
        ends[..known].iter().rev().find_map(|&end| {
            let phrase = &text[..end];
            let exact = self.senses.get(phrase).copied();
            let plural = || {
                let noun = self.senses.get(phrase.strip_suffix('s')?)?;
                Some(Senses { verb: None, nounish: false, keyword: false, requires: false, ..*noun })
            };
            Some((phrase, exact.or_else(plural)?))
        })
    }

    /// The action that the folded `text` begins with: a verb, an arm's keyword, or an unknown word before
    /// "the" or "it", which is an English verb of unknown meaning ("lint the code").
    pub(super) fn lead<'t>(&self, text: &'t str) -> Option<(&'t str, Senses)> {
        if let Some((phrase, senses)) = self.at(text) {
            let acts = senses.verb.is_some() || senses.keyword && !senses.nounish;
            return acts.then_some((phrase, senses));
        }
        let (word, rest) = text.split_once(' ')?;
        let next = rest.split(' ').next().unwrap_or_default();
        let known =
            [ASKING, CONDITIONS, FUNCTION_WORDS, JOINING, OBJECT_STARTS, ORDERING, PHRASE_ENDS, STATING];
        let verb = is_one_of(next, DETERMINERS)
            && !is_one_of(next, &[word])
            && word.len() > 2
            && word.bytes().all(|b| b.is_ascii_lowercase())
            && !["s", "ing", "ed", "ly"].iter().any(|ending| word.ends_with(ending))
            && !known.iter().any(|words| is_one_of(word, words));
        verb.then_some((word, Senses { english: true, ..Senses::default() }))
    }

    /// Every known phrase of the folded `text`, in order.
    pub(super) fn scan<'t>(&self, text: &'t str) -> impl Iterator<Item = (&'t str, Senses)> {
        let mut rest = text;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let found = self.at(rest);
                let step = found.map_or_else(|| token_len(rest), |(phrase, _)| phrase.len());
                rest = rest[step..].trim_start_matches(' ');
                if found.is_some() {
                    return found;
                }
            }
            None
        })
    }
}

/// The ends of the first `most` tokens of the folded `text`, and how many there are.
fn ends(text: &str, most: usize) -> ([usize; LONGEST_ENTRY], usize) {
    let mut ends = [0; LONGEST_ENTRY];
    let mut end = 0;
    for known in 0..most.min(LONGEST_ENTRY) {
        let rest = text[end..].trim_start_matches(' ');
        if rest.is_empty() {
            return (ends, known);
        }
        end = text.len() - rest.len() + token_len(rest);
        ends[known] = end;
    }
    (ends, most.min(LONGEST_ENTRY))
}

/// Bytes of the first token of the folded `text`: one ideograph, or the letters up to a space or ideograph.
fn token_len(text: &str) -> usize {
    match text.chars().next() {
        Some(first) if is_ideograph(first) => first.len_utf8(),
        _ => text.find(|c| c == ' ' || is_ideograph(c)).unwrap_or(text.len()),
    }
}

/// What stands behind the folded `phrase` in `text`, if `text` begins with it in any case and spelling.
pub(super) fn after_phrase<'t>(text: &'t str, phrase: &str) -> Option<&'t str> {
    let mut rest = text;
    for word in phrase.split(' ') {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        for expected in word.chars() {
            let c = rest.chars().next()?;
            if c != expected && !c.to_lowercase().eq([expected]) {
                return None;
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    let open_ended = phrase.chars().next_back().is_some_and(is_ideograph);
    let ends = open_ended || !rest.starts_with(|c: char| c.is_alphanumeric() && !is_ideograph(c));
    ends.then(|| rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ':')))
}

/// Whether `word`, its punctuation aside, is one of `words` in any case.
pub(super) fn is_one_of(word: &str, words: &[&str]) -> bool {
    let bare = if word == "&" { word } else { word.trim_matches(|c: char| !c.is_alphanumeric()) };
    if bare.is_empty() || bare.len() > LONGEST_WORD {
        return false;
    }
    if bare.is_ascii() {
        return words.iter().any(|known| bare.eq_ignore_ascii_case(known));
    }
    let lower = bare.to_lowercase();
    words.contains(&lower.as_str())
}
