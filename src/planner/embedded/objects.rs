//! What clauses are about, as noun phrases that fit into other sentences.

use crate::text::shorten;

use super::lexicon::is_one_of;

/// Longest name of an object within another sentence, in characters.
pub(super) const OBJECT_CHARS: usize = 70;
/// How far the word before "tests" may be from it ("with automated unit tests").
const WORDS_BEFORE_TESTS: usize = 4;

const TESTS: &[&str] = &["test", "tests", "testing"];
const INDEFINITE: &[&str] = &["a", "an", "some", "any"];
#[rustfmt::skip]
const DEFINITE: &[&str] = &[
    "the", "this", "that", "these", "those", "my", "our", "your", "his", "her", "their", "its", "all",
    "each", "every", "both", "what", "which", "everything",
];
const COUNTS: &[&str] = &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "several"];
const ACCOMPANYING: &[&str] =
    &["with", "including", "incl", "plus", "and", "mit", "con", "avec", "und", "y", "et"];
const PREPOSITIONS: &[&str] =
    &["for", "on", "about", "with", "at", "through", "into", "over", "to", "in", "against"];
const PRONOUNS: &[&str] = &["it", "them"];
const LAST_PRONOUNS: &[&str] = &["it", "them", "this", "these", "those", "that"];

/// `text` with its first letter in upper case.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if first.is_ascii() => {
            let mut whole = String::with_capacity(text.len());
            whole.push(first.to_ascii_uppercase());
            whole.push_str(chars.as_str());
            whole
        }
        _ => text.to_owned(),
    }
}

/// Words from which on an object's name says more than which one is meant.
const ASIDES: &[&str] = &[
    " without ",
    " so that ",
    " when ",
    " if ",
    " by ",
    " into ",
    " every ",
    " after ",
    " before ",
    " once ",
    " unless ",
    " until ",
    " given ",
    " while ",
];

/// An object as one that was spoken of already: "a parser" becomes "the parser".
pub(super) fn definite(object: &str) -> String {
    if let Some((first, rest)) = object.split_once(' ')
        && is_one_of(first, &["if", "whether", "how", "why"])
    {
        let first = if is_one_of(first, &["if"]) { "whether".into() } else { first.to_lowercase() };
        return shorten(&format!("the question of {first} {rest}"), OBJECT_CHARS);
    }
    let aside = ASIDES.iter().filter_map(|aside| object.find(aside)).min();
    let object = object[..aside.unwrap_or(object.len())].trim_end_matches([' ', ',']);
    let object = shorten(without_preposition(object), OBJECT_CHARS);
    let (first, rest) = object.split_once(' ').unwrap_or((&object, ""));
    if is_one_of(first, INDEFINITE) && !rest.is_empty() {
        return format!("the {rest}");
    }
    if first.len() > 1 && is_one_of(first, DEFINITE) {
        return format!("{}{}", first.to_lowercase(), &object[first.len()..]);
    }
    if is_one_of(first, COUNTS) { format!("the {object}") } else { object }
}

/// "for flights" is about flights.
fn without_preposition(object: &str) -> &str {
    object
        .split_once(' ')
        .filter(|(first, _)| is_one_of(first, PREPOSITIONS))
        .map_or(object, |(_, rest)| rest)
}

/// Whether `object` only says where to ("to staging").
pub(super) fn is_destination(object: &str) -> bool {
    object
        .split_once(' ')
        .is_some_and(|(first, _)| is_one_of(first, &["to", "on", "in", "into", "as", "against"]))
}

/// `text` with its first pronoun (as in "compare them") replaced by `object`.
pub(super) fn with_object(text: &str, object: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let last = words.len() - 1;
    let is_pronoun = |at: &usize| is_one_of(words[*at], if *at == last { LAST_PRONOUNS } else { PRONOUNS });
    let Some(at) = (0..=last).find(is_pronoun).filter(|_| !object.is_empty()) else {
        return text.to_owned();
    };
    let tail = &words[at][words[at].trim_end_matches(|c: char| !c.is_alphanumeric()).len()..];
    let object = format!("{object}{tail}");
    words[at] = &object;
    words.join(" ")
}

/// Where in `text` the tests begin that are asked for along with something else ("… with unit tests"):
/// the byte where their phrase begins and the byte behind it.
pub(super) fn shared_tests(text: &str) -> Option<(usize, usize)> {
    let mut recent: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for word in text.split(' ') {
        if is_one_of(word, TESTS) {
            let phrase =
                recent.iter().rev().take(WORDS_BEFORE_TESTS).find(|(_, word)| is_one_of(word, ACCOMPANYING));
            if let Some(&(from, _)) = phrase
                && from > 0
            {
                return Some((from, at + word.len()));
            }
        }
        recent.push((at, word));
        at += word.len() + 1;
    }
    None
}

/// `text` without the tests that it ends with.
pub(super) fn without_tests(text: &str) -> &str {
    match shared_tests(text) {
        Some((from, to)) if to == text.len() => text[..from].trim_end_matches([' ', ',']),
        _ => text,
    }
}

/// If `object` is tests and nothing else: what they are for ("tests for the login"), empty when unsaid.
pub(super) fn tests_for(object: &str) -> Option<&str> {
    let mut at = 0;
    for (index, word) in object.split(' ').enumerate() {
        if index > WORDS_BEFORE_TESTS {
            return None;
        }
        at += word.len() + 1;
        if is_one_of(word, TESTS) {
            let rest = object.get(at..).unwrap_or("");
            let rest = ["suite ", "cases "].iter().find_map(|more| rest.strip_prefix(more)).unwrap_or(rest);
            let target = ["for ", "of ", "to ", "that cover ", "für ", "pour ", "para "]
                .iter()
                .find_map(|lead| rest.strip_prefix(lead));
            let unsaid = matches!(rest, "" | "suite" | "cases" | "coverage").then_some("");
            return target.or(unsaid);
        }
        if is_one_of(
            word,
            &["for", "of", "that", "which", "with", "without", "no", "before", "after", "when", "if"],
        ) {
            return None;
        }
    }
    None
}
