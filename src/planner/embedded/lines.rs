//! A goal's text as lines, words and what joins them.

use crate::text::is_ideograph;

use super::lexicon::{Lexicon, is_one_of};
use super::vocabulary::{JOINING, ORDERING, UNSPACED};

/// Ends of words whose full stop does not end a sentence.
const ABBREVIATIONS: &[&str] = &["e.g", "i.e", "etc", "vs", "approx", "incl", "z.B", "bzw", "ca"];

/// `goal` on one line for each sentence or list item, without control characters, with ASCII commas, and
/// with spaces around the joining words of scripts that have none.
pub(super) fn with_breaks(goal: &str, lexicon: &Lexicon) -> String {
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
pub(super) fn without_marker(line: &str) -> (&str, bool) {
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

/// What stands between two clauses.
#[derive(Clone, Copy, Default)]
pub(super) struct Joint {
    pub comma: bool,
    pub joins: bool,
    pub orders: bool,
}

/// The joining and ordering words from `index` on, and the index of the word behind them.
pub(super) fn joint(words: &[(usize, usize)], line: &str, index: usize) -> (usize, Joint) {
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
pub(super) fn words(line: &str) -> Vec<(usize, usize)> {
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
