//! Finds many phrases in a text at once.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::text::{ends_word, fold, phrase_stands_at};

/// Before a phrase: it may also be the end of a longer word, as in German compounds.
const ENDING: char = '*';

/// Phrases, numbered in the order in which they were added; equal ones have one number.
#[derive(Debug)]
pub(crate) struct PhraseSet {
    automaton: AhoCorasick,
    /// Folded, those that may end a word with an asterisk before them.
    phrases: Vec<String>,
}

/// Collects the phrases of a set.
#[derive(Debug, Default)]
pub(crate) struct PhraseSetBuilder {
    phrases: Vec<String>,
    numbers: HashMap<String, usize>,
}

/// The numbers of the phrases of a set that occur in a text, ascending, with the byte offsets of their first occurrences.
/// They are few, whereas a set has thousands.
#[derive(Debug)]
pub(crate) struct PhraseMatches(Vec<(usize, usize)>);

impl PhraseSetBuilder {
    /// The number of `phrase`, which may be written in any case.
    pub(crate) fn number(&mut self, phrase: &str) -> usize {
        let folded =
            if phrase.starts_with(ENDING) { format!("{ENDING}{}", fold(phrase)) } else { fold(phrase) };
        *self.numbers.entry(folded).or_insert_with_key(|folded| {
            self.phrases.push(folded.clone());
            self.phrases.len() - 1
        })
    }

    /// The numbers of all `phrases`, each once.
    pub(crate) fn numbers(&mut self, phrases: &[String]) -> Vec<usize> {
        let mut numbers: Vec<usize> = phrases.iter().map(|phrase| self.number(phrase)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    pub(crate) fn build(self) -> PhraseSet {
        let words = self.phrases.iter().map(|phrase| phrase.trim_start_matches(ENDING));
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(words);
        PhraseSet { automaton: automaton.expect("phrases are few and short"), phrases: self.phrases }
    }
}

impl PhraseSet {
    /// Where the phrases occur in the folded `text` as whole words, perhaps with an English ending.
    pub(crate) fn find(&self, text: &str) -> PhraseMatches {
        // A phrase without letters folds to nothing, which would be found within characters too.
        let found = self.automaton.find_overlapping_iter(text).filter(|found| !found.is_empty());
        let whole_words = found.filter_map(|found| {
            let (number, at) = (found.pattern().as_usize(), found.start());
            let stands = match self.phrases[number].strip_prefix(ENDING) {
                Some(ending) => ends_word(ending, &text[found.end()..]),
                None => phrase_stands_at(text, &self.phrases[number], at),
            };
            stands.then_some((number, at))
        });
        let mut first: Vec<_> = whole_words.collect();
        first.sort_unstable();
        first.dedup_by_key(|(number, _)| *number);
        PhraseMatches(first)
    }

    /// How many phrases there are.
    pub(crate) fn len(&self) -> usize {
        self.phrases.len()
    }

    /// The phrase of this number, folded.
    pub(crate) fn phrase(&self, number: usize) -> &str {
        &self.phrases[number]
    }
}

impl PhraseMatches {
    /// The byte offset of the first occurrence of the phrase with this number.
    pub(crate) fn at(&self, number: usize) -> Option<usize> {
        self.0.binary_search_by_key(&number, |(found, _)| *found).ok().map(|place| self.0[place].1)
    }

    /// The numbers of all.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(number, _)| *number)
    }

    /// Those with one of these `numbers`, which ascend: each number with its byte offset.
    pub(crate) fn among(&self, numbers: &[usize]) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().copied().filter(|(number, _)| numbers.binary_search(number).is_ok())
    }

    /// Whether one of the phrases with these `numbers`, which ascend, was found.
    pub(crate) fn any(&self, numbers: &[usize]) -> bool {
        self.among(numbers).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_as_whole_words_at_their_first_place() {
        let mut builder = PhraseSetBuilder::default();
        let [run, look_up, fix, again] =
            ["run", "Look-up", "修复", "RUN"].map(|phrase| builder.number(phrase));
        assert_eq!(run, again);
        let set = builder.build();
        let found = set.find("prune it then keep it running look up running 请修复它");
        assert_eq!((found.at(run), found.at(look_up), found.at(fix)), (Some(22), Some(30), Some(49)));
        assert!(found.any(&[run]) && !set.find("prune").any(&[run, look_up, fix]));
        assert_eq!(set.phrase(look_up), "look up");
    }

    #[test]
    fn a_phrase_with_an_asterisk_is_also_found_at_the_end_of_a_word() {
        let mut builder = PhraseSetBuilder::default();
        let [compound, whole] = ["*Kampagne", "kampagne"].map(|phrase| builder.number(phrase));
        let set = builder.build();
        let found = set.find("eine spendenkampagne");
        assert_eq!((found.at(compound), found.at(whole)), (Some(12), None));
        assert!(set.find("kampagne").any(&[compound]) && !set.find("kampagnenplan").any(&[compound]));
    }

    #[test]
    fn a_phrase_without_letters_is_found_nowhere() {
        let mut builder = PhraseSetBuilder::default();
        let none = builder.number("?!");
        assert_eq!(builder.build().find("修复 été").at(none), None);
    }
}
