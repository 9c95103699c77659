//! The words of a plan, and whether it mentions what a request says: a simple measure, in any script.
//!
//! Significant words of a text are
//! - words with a digit in them (`512`, `v2`, `3.11`), which must show up as they are;
//! - words of at least four letters (three in scripts that write shorter words, such as Arabic and Devanagari) that are
//!   not among [`COMMON`]; they also show up as the beginning of a longer word, or the other way round (`test`, `tests`);
//! - each pair of neighbours in Chinese, Japanese, Korean and Thai, where no spaces separate the words.
//!
//! Where nothing is significant (`Use Go`), every word is.

use memchr::memmem;

use crate::text::is_ideograph;

/// English words of four letters and more that carry no meaning here.
const COMMON: &[&str] = &[
    "also", "been", "does", "each", "every", "from", "have", "into", "less", "more", "most", "must", "only",
    "other", "shall", "should", "some", "than", "that", "their", "them", "then", "there", "these", "they",
    "this", "under", "when", "which", "will", "with", "within", "without", "would", "your",
];
/// Minimum number of letters of words that are compared by prefix.
const STEM_CHARS: usize = 4;
/// Words that share this many first letters count as forms of one word: `summary`, `summarize`.
const ALIKE_CHARS: usize = 5;

/// Some texts, whose words are looked for in any case.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// In lower case.
    text: String,
}

impl Vocabulary {
    /// The words of all `texts`.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::with_capacity(4_096);
        for part in texts {
            push_lowercase(&mut text, part);
            text.push('\n');
        }
        Self { text }
    }

    /// Whether at least half of the significant words of `text` are in this vocabulary, or as beginnings of its words
    /// or the other way round.
    pub fn covers(&self, text: &str) -> bool {
        let words = significant_words(text);
        let is_form = |word: &str, other: &str| {
            word == other || !has_digit(word) && (other.starts_with(word) || word.starts_with(other))
        };
        let found = words.iter().filter(|word| self.has(word, is_form)).count();
        found * 2 >= words.len()
    }

    /// Whether a significant word is in this vocabulary, in any form that begins alike.
    pub(super) fn mentions(&self, word: &str) -> bool {
        let is_alike = |word: &str, other: &str| {
            let alike = word.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
            alike >= ALIKE_CHARS || other.starts_with(word) || word.starts_with(other)
        };
        self.has(word, is_alike)
    }

    /// All texts, in lower case.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether `word` is in this vocabulary as it is, or another word that begins alike and `is_form` of it.
    fn has(&self, word: &str, is_form: impl Fn(&str, &str) -> bool) -> bool {
        let Some(stem) = stem(word) else { return self.find(word).any(|other| other == word) };
        self.find(stem).any(|other| is_form(word, other))
    }

    /// The words that begin with `stem`.
    fn find<'a>(&'a self, stem: &'a str) -> impl Iterator<Item = &'a str> {
        let found = memmem::find_iter(self.text.as_bytes(), stem);
        found.filter_map(|start| word_at(&self.text, start))
    }
}

/// The significant words of `text`, each once.
pub(super) fn significant_words(text: &str) -> Vec<String> {
    let mut words = words(text);
    if words.iter().any(|word| is_significant(word)) {
        words.retain(|word| is_significant(word));
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// How words that are forms of `word` begin, unless it must show up as it is.
fn stem(word: &str) -> Option<&str> {
    let (last, c) = word.char_indices().nth(STEM_CHARS - 1)?;
    let stem = &word[..last + c.len_utf8()];
    (!stem.chars().any(|c| c.is_numeric() || is_unspaced(c))).then_some(stem)
}

fn has_digit(word: &str) -> bool {
    word.chars().any(char::is_numeric)
}

fn is_significant(word: &str) -> bool {
    if word.chars().any(|c| c.is_numeric() || is_unspaced(c)) {
        return true;
    }
    let fewest = if is_latin_greek_or_cyrillic(word) { 4 } else { 3 };
    word.chars().nth(fewest - 1).is_some() && !COMMON.contains(&word)
}

/// Whether all letters of `text` are of scripts whose short words say little.
pub(super) fn is_latin_greek_or_cyrillic(text: &str) -> bool {
    text.chars().all(|c| c < '\u{530}' || !c.is_alphabetic())
}

/// The words of `text` in lower case; of scripts without spaces, each pair of neighbours.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut lower = String::with_capacity(text.len());
    push_lowercase(&mut lower, text);
    let mut words = Vec::new();
    each_word(&lower, |start, end| words.push(lower[start..end].to_owned()));
    words
}

fn push_lowercase(to: &mut String, text: &str) {
    if text.is_ascii() {
        let start = to.len();
        to.push_str(text);
        to[start..].make_ascii_lowercase();
    } else {
        to.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// Calls `found` with the place of each word of `text`, which is in lower case.
fn each_word(text: &str, mut found: impl FnMut(usize, usize)) {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let mut next = at + c.len_utf8();
        if is_unspaced(c) {
            if let Some(end) = unspaced_end(text, at) {
                found(at, end);
            }
        } else if c.is_alphanumeric() {
            next = word_end(text, at);
            found(at, next);
        }
        at = next;
    }
}

/// The word of `text` that begins at `start`.
fn word_at(text: &str, start: usize) -> Option<&str> {
    let c = text[start..].chars().next()?;
    if is_unspaced(c) {
        return unspaced_end(text, start).map(|end| &text[start..end]);
    }
    let (before, previous) = match text[..start].char_indices().next_back() {
        None => return Some(&text[..word_end(text, 0)]),
        Some((at, previous)) => (&text[..at], previous),
    };
    let is_within = match previous {
        previous if is_unspaced(previous) => false,
        '.' | ',' => c.is_numeric() && before.ends_with(char::is_numeric),
        previous => previous.is_alphanumeric() || is_mark(previous),
    };
    (!is_within).then(|| &text[start..word_end(text, start)])
}

/// Where the pair of neighbours that begins at `start` ends, or the character at `start` if it has none.
fn unspaced_end(text: &str, start: usize) -> Option<usize> {
    let mut chars = text[start..].char_indices().skip(1).map(|(at, c)| (start + at, c));
    match chars.next() {
        Some((at, c)) if is_unspaced(c) => Some(at + c.len_utf8()),
        _ if text[..start].ends_with(is_unspaced) => None,
        Some((at, _)) => Some(at),
        None => Some(text.len()),
    }
}

/// Where the word that begins at `start` ends, in a script with spaces.
fn word_end(text: &str, start: usize) -> usize {
    let mut is_digit = false;
    let mut chars = text[start..].char_indices();
    let is_end = |(at, c): &(usize, char)| {
        let continues = match c {
            c if is_unspaced(*c) => false,
            '.' | ',' => is_digit && text[start + at + 1..].starts_with(char::is_numeric),
            c => c.is_alphanumeric() || is_mark(*c),
        };
        is_digit = c.is_numeric();
        !continues
    };
    chars.find(is_end).map_or(text.len(), |(at, _)| start + at)
}

/// Accents, vowel signs and joiners, which occur within words of their scripts.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{963}' | '\u{966}'..='\u{dff}' | '\u{200c}' | '\u{200d}')
}

/// Whether no spaces separate the words of this script, or particles are attached to them (Hangul).
pub(super) fn is_unspaced(c: char) -> bool {
    is_ideograph(c) || matches!(c, '\u{ac00}'..='\u{d7af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fall_into_words_of_their_scripts() {
        for (text, expected) in [
            ("Use Python 3.11, please!", &["use", "python", "3.11", "please"][..]),
            ("1,000 rows; v2.", &["1,000", "rows", "v2"]),
            ("只能用 Go 语", &["只能", "能用", "go", "语"]),
            ("결제 API를", &["결제", "api", "를"]),
            ("ग्राहक का नाम।", &["ग्राहक", "का", "नाम"]),
            ("ذِكْر المصدر", &["ذِكْر", "المصدر"]),
            ("Überprüfe É", &["überprüfe", "é"]),
            (" -- ", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn a_constraint_is_covered_by_half_of_its_significant_words() {
        let plan = Vocabulary::of([
            "Run the tests against PostgreSQL 16, the database of the shop",
            "Takes at most 5 minutes",
            "不修改数据库的结构",
            "Die Sicherungen sind verschlüsselt",
            "لكل رقم مصدر",
            "ग्राहक का नाम छिपा है",
            "결제 서비스를 확인한다",
        ]);
        for (constraint, covered) in [
            ("Use PostgreSQL 16", true),
            ("Use PostgreSQL 15 replicas", false),
            ("PostgreSQL only", true),
            ("Test it", true),
            ("Databases only", true),
            ("Must not take more than 5 minutes", true),
            ("Must not take more than 50 hours", false),
            ("No external libraries", false),
            ("不要修改数据库结构", true),
            ("只能使用云服务器", false),
            ("Sicherungen müssen verschlüsselt sein", true),
            ("Keine Ausfallzeit", false),
            ("يجب ذكر مصدر لكل رقم", true),
            ("किसी ग्राहक का नाम न दें", true),
            ("결제 서비스 중단 금지", true),
            ("Use Go", false),
            ("!!!", true),
        ] {
            assert_eq!(plan.covers(constraint), covered, "{constraint}");
        }
    }

    #[test]
    fn an_empty_plan_covers_nothing_that_says_something() {
        assert!(!Vocabulary::default().covers("Use Python only"));
    }
}
