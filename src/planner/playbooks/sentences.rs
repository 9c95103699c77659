//! The sentences, lines and list items of a goal.

use crate::text::is_invisible;

use super::language::Language;
use super::wording::{one_line, without_quotations};

/// The sentences, lines and list items of `goal`, each on one line.
pub(super) fn sentences(goal: &str) -> Vec<String> {
    let language = Language::get();
    let masked = without_quotations(goal, true);
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, c) in goal.char_indices().filter(|(at, c)| masked[*at..].starts_with(*c)) {
        let end = at + c.len_utf8();
        let (before, behind) = (&goal[start..at], &goal[end..]);
        // "three things: 1) book …, 2) renew …"
        if c.is_ascii_digit() && behind.starts_with(") ") && before.ends_with(' ') {
            sentences.push(before);
            start = at;
        }
        let ends_word = behind.chars().next().is_none_or(char::is_whitespace);
        let is_break = match c {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' | '。' | '！' | '？' => true,
            '!' | '?' => ends_word,
            '.' => {
                let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
                let is_number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
                // "… since 9 a.m. Find the cause"
                let ends_sentence = || {
                    word.contains('.') && begins_with_capital(behind) && language.opening(behind).is_some()
                };
                ends_word && !is_number && (!language.is_abbreviation(word) || ends_sentence())
            }
            // A sentence that ends in a quotation.
            ' ' => {
                let quoted = before.strip_suffix(['"', '”', '»']);
                quoted.is_some_and(|quoted| quoted.ends_with(['.', '!', '?']))
                    && behind.starts_with(char::is_uppercase)
            }
            _ => false,
        };
        if is_break {
            let keeps_mark = matches!(c, '?' | '？');
            sentences.push(&goal[start..if keeps_mark { end } else { at }]);
            start = end;
        }
    }
    sentences.push(&goal[start..]);
    let visible =
        |text: &str| text.chars().map(|c| if is_invisible(c) { ' ' } else { c }).collect::<String>();
    sentences.into_iter().map(|text| one_line(&visible(text))).filter(|text| !text.is_empty()).collect()
}

fn begins_with_capital(text: &str) -> bool {
    text.trim_start().starts_with(char::is_uppercase)
}

/// A line without its bullet or number.
pub(super) fn without_marker(line: &str) -> &str {
    let line = line.trim_start_matches(|c: char| {
        c.is_whitespace() || matches!(c, '-' | '*' | '•' | '–' | '—' | '#' | '>' | '·')
    });
    let behind_digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    if !(1..=2).contains(&(line.len() - behind_digits.len())) {
        return line;
    }
    behind_digits.strip_prefix([')', '.', ':']).map_or(line, str::trim_start)
}
