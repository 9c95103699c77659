//! Comparing words the way people mean them: in any case, spelling of separators and English inflection.

pub mod units;

use std::borrow::Cow;

/// How much alike two names are, from 0 to 1, when one is a misspelling of the other.
const MIN_SIMILARITY: f64 = 0.5;

/// `text` in lower case, every run of other characters than letters and digits as one space.
///
/// `Safety-Guardian`, `safety_guardian` and ` safety guardian ` fold to the same.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() {
            folded.extend(c.to_lowercase());
        } else if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

/// `text` in lower case, which most words are already.
pub fn lowercase(text: &str) -> Cow<'_, str> {
    let is_lowercase = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lowercase { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// Byte offset of the first place in the folded `text` where the folded `phrase` occurs as whole words.
///
/// The phrase's last word may carry an English ending (`deploys`, `fixed`, `refactoring`, `codes`).
pub fn find_phrase(text: &str, phrase: &str) -> Option<usize> {
    // Texts are short: a search for the whole phrase would spend more on its preparation.
    let first = phrase.chars().next()?;
    let mut beginnings = text.match_indices(first).map(|(at, _)| at);
    beginnings.find(|&at| text[at..].starts_with(phrase) && phrase_stands_at(text, phrase, at))
}

/// Whether `phrase`, which begins at the byte `at` of the folded `text`, is there as whole words.
pub fn phrase_stands_at(text: &str, phrase: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let starts_word = before.is_none_or(|c| c == ' ' || is_ideograph(c)) || phrase.starts_with(is_ideograph);
    starts_word && ends_word(phrase, &text[at + phrase.len()..])
}

/// Whether the word that ends in `phrase` ends there, or with an English ending that leaves it the same verb
/// or noun. Looks no further into `rest` than an ending is long.
pub fn ends_word(phrase: &str, rest: &str) -> bool {
    let Some(last) = phrase.chars().next_back() else { return false };
    let is_end = |rest: &str| rest.chars().next().is_none_or(|c| c == ' ' || is_ideograph(c));
    let has_ending = |rest: &str, endings: &[&str]| {
        endings.iter().any(|ending| rest.strip_prefix(ending).is_some_and(is_end))
    };
    is_end(rest)
        || is_ideograph(last)
        || has_ending(rest, &["s", "es", "ed", "d", "ing"])
        // A doubled consonant: run → running, plan → planned.
        || rest.strip_prefix(last).is_some_and(|rest| has_ending(rest, &["ing", "ed"]))
}

/// Whether words of this script are written without spaces between them.
pub fn is_ideograph(c: char) -> bool {
    // Most letters come before the first of them.
    c >= '\u{0e00}'
        && matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{0e00}'..='\u{0e7f}')
}

/// Whether `text` has nothing but white space, or dots as in an example.
pub fn is_blank(text: &str) -> bool {
    matches!(text.trim(), "" | "..." | "…")
}

/// Whether `c` changes the direction of the text after it.
pub fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether `c` shows nothing and takes no room, in texts of any language, or changes the direction of the text.
pub fn is_invisible(c: char) -> bool {
    is_direction_mark(c)
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` without control characters, which break terminals, logs and databases: white space replaces
/// those that are white space, the others are left out. So are sequences for terminals as a whole (`ESC [ 31 m`), and
/// marks that change the direction of what follows.
pub fn without_controls(text: String) -> String {
    let is_mark = |c: char| is_direction_mark(c) || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}');
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        || !text.chars().any(|c| c.is_control() || is_mark(c))
    {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}'
            && let Some(rest) = after_sequence(chars.as_str())
        {
            chars = rest.chars();
        } else if !c.is_control() && !is_mark(c) {
            clean.push(c);
        } else if c.is_whitespace() && !clean.ends_with(' ') {
            clean.push(' ');
        }
    }
    clean
}

/// What follows the parameters and the letter of a sequence for terminals whose escape character is read.
fn after_sequence(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix('[')?;
    let end = parameters.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ';' | '?'));
    end.strip_prefix(|c: char| c.is_ascii_alphabetic())
}

/// `text` cut to at most `max` characters, at a word where there is one, with `…` when it was cut.
pub fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let end = text.char_indices().nth(max.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    let cut = &text[..end];
    let at_word = cut.rfind(char::is_whitespace).filter(|&at| at * 2 > end).unwrap_or(end);
    format!("{}…", cut[..at_word].trim_end())
}

/// `12345` as `12,345`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `bytes` as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `text` as a sentence: with a capital at its beginning and a full stop at its end.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let end = if text.ends_with(['.', '!', '?', '。', '।']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), chars.as_str())
}

/// Units in seconds. A year is out of range: a step takes one at most.
const DURATION_UNITS: [(u64, &str); 5] =
    [(604_800, "week"), (86_400, "day"), (3_600, "h"), (60, "min"), (1, "s")];

/// A duration as people say it: `45 s`, `1 min 30 s`, `2 days 4 h`: the largest unit and the next one, rounded down.
pub fn duration(seconds: u64) -> String {
    let Some(largest) = DURATION_UNITS.iter().position(|&(size, _)| seconds >= size) else {
        return "0 s".into();
    };
    let mut rest = seconds;
    let mut parts = Vec::new();
    for &(size, unit) in DURATION_UNITS.iter().skip(largest).take(2) {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            let plural = if count > 1 && size >= 86_400 { "s" } else { "" };
            parts.push(format!("{count} {unit}{plural}"));
        }
    }
    parts.join(" ")
}

/// The entry of `names` that `name` probably means: misspelled, or with a part left out.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let similarity = |known: &str| {
        strsim::normalized_damerau_levenshtein(name, known).max(strsim::sorensen_dice(name, known))
    };
    let ranked = names.map(|known| (similarity(known), known));
    let (similarity, nearest) = ranked.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (similarity >= MIN_SIMILARITY).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_case_fold_away() {
        assert_eq!(fold(" Safety--Guardian "), "safety guardian");
        assert_eq!(fold("safety_guardian"), "safety guardian");
        assert_eq!(fold("Überprüfer!"), "überprüfer");
        assert_eq!(fold("---"), "");
    }

    #[test]
    fn phrases_match_whole_words_and_their_inflections_only() {
        for (text, phrase, found) in [
            ("run the tests", "run", Some(0)),
            ("keep it running", "run", Some(8)),
            ("prune the tree", "run", None),
            ("runtime errors", "run", None),
            ("please look up the docs", "look up", Some(7)),
            ("deploys nightly", "deploy", Some(0)),
            ("recheck", "check", None),
            ("请搜索文档", "搜索", Some(3)),
            ("anything", "", None),
        ] {
            assert_eq!(find_phrase(text, phrase), found, "{phrase:?} in {text:?}");
        }
    }

    #[test]
    fn control_characters_are_left_out() {
        for (text, clean) in [
            ("plain", "plain"),
            ("Collect \u{0}tickets", "Collect tickets"),
            ("one\r\n\ttwo\u{2028}three", "one two three"),
            ("\u{1b}[1;31mred\u{1b}[0m\u{7f}\u{85}\u{1b}[]", "red []"),
            ("a\u{202e}b\u{feff}", "ab"),
            ("naïve 👩\u{200d}💻", "naïve 👩\u{200d}💻"),
        ] {
            assert_eq!(without_controls(text.to_owned()), clean, "{text:?}");
        }
    }

    #[test]
    fn shortening_counts_characters_and_prefers_word_ends() {
        assert_eq!(shorten("short", 10), "short");
        assert_eq!(shorten("one two three four", 10), "one two…");
        assert_eq!(shorten("ééééééééééé", 5), "éééé…");
    }

    #[test]
    fn a_duration_is_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (45, "45 s"),
            (120, "2 min"),
            (285, "4 min 45 s"),
            (5_400, "1 h 30 min"),
            (3_661, "1 h 1 min"),
            (86_400, "1 day"),
            (187_200, "2 days 4 h"),
            (604_800, "1 week"),
            (2_592_000, "4 weeks 2 days"),
            (31_536_000, "52 weeks 1 day"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn the_nearest_name_is_a_misspelling_or_an_abbreviation() {
        let names = ["release-deploy", "bug-fix", "hiring"];
        for (name, known) in
            [("bugfix", Some("bug-fix")), ("release", Some("release-deploy")), ("tennis", None)]
        {
            assert_eq!(nearest(name, names.into_iter()), known, "{name}");
        }
    }
}
