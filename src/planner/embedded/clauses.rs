//! A goal's clauses: what is asked for, one thing each, in the order of the text.
//!
//! Sentences, lines and list items end a clause always; a comma or an "and" does only if an action
//! follows, so that noun phrases ("a search and replace dialog") stay whole.

use crate::text::{fold, is_ideograph};

use super::arms::Arms;
use super::lexicon::{Lexicon, after_phrase, is_one_of};
use super::vocabulary::{JOINING, OBJECT_STARTS, ORDERING, PHRASE_ENDS, UNSPACED};

/// What follows so many clauses stays one with the last of them.
const MOST_CLAUSES: usize = 64;
/// How many characters behind a joining word are looked at to see whether an action follows.
const LOOK_AHEAD_CHARS: usize = 48;
/// Ends of words whose full stop does not end a sentence.
const ABBREVIATIONS: &[&str] = &["e.g", "i.e", "etc", "vs", "approx", "incl", "z.B", "bzw", "ca"];

/// One thing that is asked for, as it stands in the goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    /// Its words, without what people say around them ("please", "then"); never blank.
    pub text: String,
    /// A word or a number in front says that it comes after everything before it.
    pub after: bool,
    /// The sentence it is part of, from 0.
    pub sentence: usize,
}

/// The clauses of `goal`; a goal of punctuation alone is one clause, as it stands.
pub(super) fn split(goal: &str, lexicon: &Lexicon, arms: &Arms) -> Vec<Clause> {
    let text = with_breaks(goal, lexicon);
    let mut splitter = Splitter { lexicon, arms, clauses: Vec::new() };
    let mut numbered = false;
    // How many items the list that a line with a colon opened has so far.
    let mut list: Option<usize> = None;
    for (sentence, line) in text.split('\n').enumerate() {
        let (line, number) = without_marker(line);
        if line.is_empty() {
            numbered |= number;
            continue;
        }
        let first_words = splitter.without_lead_ins(line);
        if splitter.is_full() {
            splitter.extend_last(line, false);
            continue;
        }
        if let Some(items) = &mut list
            && splitter.action(first_words).is_none()
        {
            splitter.extend_last(first_words, *items == 0);
            *items += 1;
            continue;
        }
        splitter.sentence(line, sentence, numbered | number);
        numbered = false;
        list = line.ends_with(':').then_some(0);
    }
    let mut clauses = splitter.clauses;
    if clauses.is_empty() {
        let text = Some(super::tidy(goal)).filter(|text| !text.is_empty());
        let text = text.unwrap_or_else(|| "(nothing visible)".into());
        clauses.push(Clause { text, after: false, sentence: 0 });
    }
    clauses
}

/// `goal` on one line for each sentence or list item, without control characters, with ASCII commas, and
/// with spaces around the joining words of scripts that have none.
fn with_breaks(goal: &str, lexicon: &Lexicon) -> String {
    let mut text = String::with_capacity(goal.len() + 16);
    let mut rest = goal;
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        let ends_word = behind.chars().next().is_none_or(char::is_whitespace);
        match c {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' | ';' | '；' | '。' | '！' => text.push('\n'),
            '？' => text.push_str("?\n"),
            '，' | '、' => text.push_str(", "),
            '?' if ends_word => text.push_str("?\n"),
            '!' if ends_word => text.push('\n'),
            '.' if ends_word && !ABBREVIATIONS.iter().any(|short| text.ends_with(short)) => text.push('\n'),
            _ if is_ideograph(c) => {
                let joins = |word: &&&str| {
                    rest.strip_prefix(**word)
                        .is_some_and(|next| lexicon.at(next).is_some_and(|(_, senses)| senses.verb.is_some()))
                };
                if let Some(word) = UNSPACED.iter().find(joins) {
                    text.extend([" ", word, " "]);
                    rest = &rest[word.len()..];
                    continue;
                }
                text.push(c);
            }
            _ if c.is_whitespace() || is_unseen(c) => {
                if !text.ends_with([' ', '\n']) {
                    text.push(' ');
                }
            }
            _ => text.push(c),
        }
        rest = behind;
    }
    text
}

/// Control characters, and those that only change how others are laid out.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A line without its bullet or number, and whether it had a number.
fn without_marker(line: &str) -> (&str, bool) {
    let line = line.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '-' | '*' | '•' | '–' | '—' | '#' | '>' | ',' | '·')
    });
    let behind_digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - behind_digits.len();
    if !(1..=2).contains(&digits) {
        return (if line.chars().any(char::is_alphanumeric) { line } else { "" }, false);
    }
    match behind_digits.strip_prefix([')', '.', ':']) {
        Some(item) => (item.trim(), true),
        None if behind_digits.is_empty() => ("", true),
        None => (line, false),
    }
}

/// An action at the beginning of a text.
#[derive(Clone, Copy)]
struct Action {
    /// The word is a noun as often.
    nounish: bool,
    /// An object or nothing follows it.
    has_object: bool,
    alone: bool,
}

struct Splitter<'a> {
    lexicon: &'a Lexicon,
    arms: &'a Arms,
    clauses: Vec<Clause>,
}

impl Splitter<'_> {
    /// `text` without "please", "I want you to" and the like in front.
    fn without_lead_ins<'t>(&self, text: &'t str) -> &'t str {
        let mut text = text;
        while let Some((phrase, _)) = self.lexicon.at(&beginning(text)).filter(|(_, senses)| senses.lead_in) {
            match after_phrase(text, phrase) {
                Some(rest) if rest.chars().any(char::is_alphanumeric) => text = rest,
                _ => break,
            }
        }
        text
    }

    /// The action that `text` begins with, if any.
    fn action(&self, text: &str) -> Option<Action> {
        let folded = beginning(self.without_lead_ins(text));
        let known = self.lexicon.at(&folded).filter(|(_, senses)| senses.verb.is_some());
        let (phrase, nounish) = match (known, self.arms.leading_keyword(&folded)) {
            (Some((phrase, senses)), _) => (phrase, senses.nounish),
            (None, Some(keyword)) => {
                (keyword, self.lexicon.at(keyword).is_some_and(|(_, senses)| senses.nounish))
            }
            (None, None) => return None,
        };
        let next = folded[phrase.len()..].split_whitespace().next();
        Some(Action {
            nounish,
            has_object: next.is_some_and(|word| is_one_of(word, OBJECT_STARTS)),
            alone: next.is_none_or(|word| is_one_of(word, JOINING)),
        })
    }

    /// Adds the clauses of one sentence.
    fn sentence(&mut self, line: &str, sentence: usize, numbered: bool) {
        let words = words(line);
        let text_from = |word: usize| words.get(word).map_or("", |&(at, _)| &line[at..]);
        let word = |index: usize| &line[words[index].0..words[index].1];
        let (mut start, first) = joint(&words, line, 0);
        let mut after = numbered || first.orders;
        let mut index = start;
        let first_clause = self.clauses.len();
        while index < words.len() && !self.is_full() {
            let (next, mut joint) = joint(&words, line, index);
            joint.comma = index > start && word(index - 1).ends_with(',');
            if next == index && !joint.comma || index == start || next == words.len() {
                index = next.max(index + 1);
                continue;
            }
            // Behind another verb, "and" joins actions ("build and deploy it") or nouns ("a search and
            // replace dialog"): the sentence's first word is a verb for sure.
            let previous = fold(word(index - 1));
            let behind_verb = self.lexicon.verb(&previous).is_some();
            let chain = behind_verb && index - 1 == start;
            let splits = (joint.orders && (joint.comma || joint.joins))
                || self.action(text_from(next)).is_some_and(|action| {
                    // In a list of actions, what may be a verb is one.
                    let listed = self.clauses.len() > first_clause + 1;
                    let noun = action.nounish && !listed;
                    chain || action.has_object || !(noun || action.alone || behind_verb)
                });
            if splits {
                self.push(&line[words[start].0..words[index - 1].1], after, sentence);
                (start, after) = (next, joint.orders);
            }
            index = next.max(index + 1);
        }
        if start < words.len() {
            self.push(text_from(start), after, sentence);
        }
    }

    fn is_full(&self) -> bool {
        self.clauses.len() >= MOST_CLAUSES
    }

    fn push(&mut self, text: &str, after: bool, sentence: usize) {
        let text = self.without_lead_ins(text.trim_end_matches([' ', ',', '.', ':', '!']).trim_start());
        if text.chars().any(char::is_alphanumeric) {
            self.clauses.push(Clause { text: text.to_owned(), after, sentence });
        }
    }

    /// A list item that is no action belongs to what the list is of.
    fn extend_last(&mut self, item: &str, first: bool) {
        if let Some(last) = self.clauses.last_mut() {
            let open = last.text.rsplit(' ').next().is_some_and(|word| is_one_of(word, PHRASE_ENDS));
            last.text.push_str(if first && open {
                " "
            } else if first {
                ": "
            } else {
                ", "
            });
            last.text.push_str(item);
        }
    }
}

/// The folded beginning of `text`, long enough for a lead-in or a verb and what follows it.
fn beginning(text: &str) -> String {
    let end = text.char_indices().nth(LOOK_AHEAD_CHARS).map_or(text.len(), |(at, _)| at);
    fold(&text[..end])
}

/// What stands between two clauses.
#[derive(Clone, Copy, Default)]
struct Joint {
    comma: bool,
    joins: bool,
    orders: bool,
}

/// The joining and ordering words from `index` on, and the index of the word behind them.
fn joint(words: &[(usize, usize)], line: &str, index: usize) -> (usize, Joint) {
    let mut joint = Joint::default();
    let mut next = index;
    while let Some(&(from, to)) = words.get(next) {
        let word = &line[from..to];
        if is_one_of(word, JOINING) {
            joint.joins = true;
        } else if is_one_of(word, ORDERING) {
            joint.orders = true;
        } else if word.eq_ignore_ascii_case("after")
            && words.get(next + 1).is_some_and(|&(from, to)| is_one_of(&line[from..to], &["that", "this"]))
        {
            joint.orders = true;
            next += 1;
        } else {
            break;
        }
        next += 1;
    }
    (next, joint)
}

/// Beginning and end of each word between spaces.
fn words(line: &str) -> Vec<(usize, usize)> {
    let mut at = 0;
    let mut words = Vec::new();
    for word in line.split(' ') {
        if !word.is_empty() {
            words.push((at, at + word.len()));
        }
        at += word.len() + 1;
    }
    words
}
