//! Whether a plan mentions a constraint: a simple measure, the same for every planner.
//!
//! A constraint is *covered* when at least half of its significant words show up in the plan's actions,
//! acceptance criteria or rationale, in any case. Significant are
//! - words with a digit in them (`512`, `v2`, `3.11`), which must show up as they are;
//! - words of at least four letters (three in scripts that write shorter words, such as Arabic and
//!   Devanagari) that are not among [`COMMON`]; they also show up as the beginning of a longer word, or the
//!   other way round (`test` and `tests`);
//! - each pair of neighbours in Chinese, Japanese, Korean and Thai, where spaces do not part the words.
//!
//! Where nothing is significant (`Use Go`), every word is. It measures mention, not obedience: a plan that
//! quotes a constraint covers it, one that obeys in other words or in another language does not.

use std::collections::HashSet;

use crate::text::is_ideograph;

/// English words of four letters and more that say nothing about what is asked.
const COMMON: &[&str] = &[
    "also", "been", "does", "each", "every", "from", "have", "into", "less", "more", "most", "must", "only",
    "other", "shall", "should", "some", "than", "that", "their", "them", "then", "there", "these", "they",
    "this", "under", "when", "which", "will", "with", "within", "without", "would", "your",
];
/// Words that a prefix is worth comparing with have at least this many letters.
const STEM_CHARS: usize = 4;

/// The words of a plan.
#[derive(Debug, Default)]
pub(super) struct Vocabulary(HashSet<String>);

impl Vocabulary {
    /// The words of all `texts`.
    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(texts.into_iter().flat_map(words).collect())
    }

    /// Whether at least half of the significant words of `constraint` are in this vocabulary.
    pub(super) fn covers(&self, constraint: &str) -> bool {
        let mut words = words(constraint);
        if words.iter().any(|word| is_significant(word)) {
            words.retain(|word| is_significant(word));
        }
        words.sort_unstable();
        words.dedup();
        let found = words.iter().filter(|word| self.has(word)).count();
        found * 2 >= words.len()
    }

    fn has(&self, word: &str) -> bool {
        if self.0.contains(word) {
            return true;
        }
        let may_be_longer = |word: &str| {
            word.chars().count() >= STEM_CHARS && !word.chars().any(|c| c.is_numeric() || is_unspaced(c))
        };
        may_be_longer(word)
            && self.0.iter().any(|other| {
                other.starts_with(word) || (may_be_longer(other) && word.starts_with(other.as_str()))
            })
    }
}

fn is_significant(word: &str) -> bool {
    if word.chars().any(|c| c.is_numeric() || is_unspaced(c)) {
        return true;
    }
    let is_latin_greek_or_cyrillic = word.chars().all(|c| c < '\u{530}');
    let fewest = if is_latin_greek_or_cyrillic { 4 } else { 3 };
    word.chars().count() >= fewest && !COMMON.contains(&word)
}

/// The words of `text` in lower case; of scripts without spaces, each pair of neighbours.
fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let mut words = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        if is_unspaced(chars[at]) {
            while at < chars.len() && is_unspaced(chars[at]) {
                at += 1;
            }
            let run = &chars[start..at];
            words.extend(run.windows(run.len().min(2)).map(String::from_iter));
        } else if chars[at].is_alphanumeric() {
            while at < chars.len() && continues_word(&chars, at) {
                at += 1;
            }
            words.push(chars[start..at].iter().collect());
        } else {
            at += 1;
        }
    }
    words
}

/// Whether the character at `at`, which is not the first of its word, belongs to it.
fn continues_word(chars: &[char], at: usize) -> bool {
    let is_digit = |at: usize| chars.get(at).is_some_and(|c| c.is_numeric());
    match chars[at] {
        c if is_unspaced(c) => false,
        '.' | ',' => at > 0 && is_digit(at - 1) && is_digit(at + 1),
        c => c.is_alphanumeric() || is_mark(c),
    }
}

/// Accents, vowel signs and joiners, which stand within words of their scripts.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{963}' | '\u{966}'..='\u{dff}' | '\u{200c}' | '\u{200d}')
}

/// Whether words of this script are parted by no spaces, or have their particles grown to them (Hangul).
fn is_unspaced(c: char) -> bool {
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
