//! Looking words up: which senses a word has, and where known words stand in a text.

use std::collections::HashMap;

use crate::text::is_ideograph;

use super::arms::Intent;
use super::vocabulary::{NOUNISH, OTHER_VERBS, PROSE, SENSITIVE, SOFTWARE, VERBS};

/// Most words (or ideographs) of one entry.
const LONGEST_ENTRY: usize = 4;

/// What a word can mean to the rules.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a word has any of these senses, independently")]
pub(super) struct Senses {
    pub verb: Option<Intent>,
    /// The verb is an English one, so that the clause reads as an English imperative.
    pub english: bool,
    pub nounish: bool,
    pub software: bool,
    pub prose: bool,
    pub sensitive: bool,
}

/// All tables as one map.
#[derive(Debug)]
pub(super) struct Lexicon(HashMap<&'static str, Senses>);

impl Lexicon {
    pub(super) fn new() -> Self {
        let mut senses: HashMap<&'static str, Senses> = HashMap::new();
        for (table, english) in [(OTHER_VERBS, false), (VERBS, true)] {
            for &(intent, verbs) in table {
                for verb in verbs.split(", ") {
                    let entry = senses.entry(verb).or_default();
                    (entry.verb, entry.english) = (Some(intent), english);
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
                mark(senses.entry(noun).or_default());
            }
        }
        Self(senses)
    }

    /// What the folded `word` wants as a verb.
    pub(super) fn verb(&self, word: &str) -> Option<Intent> {
        self.0.get(word)?.verb
    }

    /// The longest known phrase at the beginning of the folded `text`. A plural has its noun's senses.
    pub(super) fn at<'t>(&self, text: &'t str) -> Option<(&'t str, Senses)> {
        let mut ends = [0; LONGEST_ENTRY];
        let mut known = 0;
        while known < LONGEST_ENTRY {
            let from = if known == 0 { 0 } else { ends[known - 1] };
            let gap = text[from..].len() - text[from..].trim_start_matches(' ').len();
            let end = from + gap + token_len(&text[from + gap..]);
            if end == from + gap {
                break;
            }
            ends[known] = end;
            known += 1;
        }
        ends[..known].iter().rev().find_map(|&end| {
            let phrase = &text[..end];
            let exact = self.0.get(phrase).copied();
            let plural = || {
                let noun = self.0.get(phrase.strip_suffix('s')?)?;
                Some(Senses { verb: None, nounish: false, ..*noun })
            };
            Some((phrase, exact.or_else(plural)?))
        })
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
    !bare.is_empty()
        && words.iter().any(|known| {
            bare.eq_ignore_ascii_case(known)
                || (!bare.is_ascii() && bare.len() == known.len() && bare.to_lowercase() == **known)
        })
}
