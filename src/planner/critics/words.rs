//! The words of a plan, and whether it mentions what a request says: a simple measure, in any script.
//!
//! Significant words of a text are
//! - words with a digit in them (`512`, `v2`, `3.11`), which must show up as they are;
//! - words of at least four letters (three in scripts that write shorter words, such as Arabic and Devanagari) that are
//!   not among [`COMMON`]; they also show up as the beginning of a longer word, or the other way round (`test`, `tests`);
//! - each pair of neighbours in Chinese, Japanese, Korean and Thai, where no spaces separate the words.
//!
//! Where nothing is significant (`Use Go`), every word is.

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

/// How many words are kept at hand to see that one was seen before.
const RECENT_WORDS: usize = 256;

/// The words of some texts, in lower case.
#[derive(Debug, Default)]
pub struct Vocabulary {
    text: String,
    /// Sorted by the words, each once.
    words: Vec<Place>,
}

/// Where a word is in the text of a vocabulary. Most words differ in their first bytes, which are compared as one number.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    first_bytes: u64,
    start: u32,
    end: u32,
}

impl Place {
    /// The word at this place of `text`.
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }

    fn is_same(self, other: Self, text: &str) -> bool {
        let length = self.end - self.start;
        self.first_bytes == other.first_bytes
            && length == other.end - other.start
            && (length <= 8 || self.of(text) == other.of(text))
    }

    /// Where a word is kept while it is recent.
    fn slot(self) -> usize {
        // The upper bits of a product depend on all bits of its factors; the lower bits of short words are zero.
        (self.first_bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % RECENT_WORDS
    }
}

impl Vocabulary {
    /// The words of all `texts`.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut text, mut words) = (String::with_capacity(4_096), Vec::<Place>::with_capacity(256));
        // The steps of a plan use many of their words again: these are left out before the words are sorted.
        let mut recent = [Place::default(); RECENT_WORDS];
        for part in texts {
            let offset = text.len();
            push_lowercase(&mut text, part);
            each_word(&text[offset..], |start, end| {
                let (start, end) = (offset + start, offset + end);
                let first_bytes = first_bytes(&text[start..end]);
                let place = Place { first_bytes, start: start as u32, end: end as u32 };
                let known = &mut recent[place.slot()];
                if !known.is_same(place, &text) {
                    *known = place;
                    words.push(place);
                }
            });
            text.push('\n');
        }
        let order = |a: &Place, b: &Place| {
            a.first_bytes.cmp(&b.first_bytes).then_with(|| a.of(&text).cmp(b.of(&text)))
        };
        words.sort_unstable_by(order);
        words.dedup_by(|a, b| a.is_same(*b, &text));
        Self { text, words }
    }

    /// Whether at least half of the significant words of `text` are in this vocabulary, or as beginnings of its words
    /// or the other way round.
    pub fn covers(&self, text: &str) -> bool {
        let text = in_lowercase(text);
        let words = significant_words(&text);
        let found = words.iter().filter(|word| self.has(word)).count();
        found * 2 >= words.len()
    }

    /// Whether a significant word is in this vocabulary, in any form that begins alike.
    pub(super) fn mentions(&self, word: &str) -> bool {
        self.has(word) || self.has_alike(word)
    }

    /// All texts, in lower case.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn has(&self, word: &str) -> bool {
        if !may_be_longer(word) {
            return self.at(self.lower_bound(word)) == Some(word);
        }
        let stem = first_chars(word, STEM_CHARS);
        if !self.has_longer(stem) {
            return false;
        }
        // Words that it begins with are found by its prefixes.
        self.has_longer(word)
            || word.char_indices().skip(STEM_CHARS).any(|(end, _)| {
                let stem = &word[..end];
                self.at(self.lower_bound(stem)) == Some(stem)
            })
    }

    fn has_alike(&self, word: &str) -> bool {
        let stem = first_chars(word, ALIKE_CHARS);
        stem.chars().count() == ALIKE_CHARS && may_be_longer(stem) && self.has_longer(stem)
    }

    /// Whether a word begins with `stem`, or is the same.
    fn has_longer(&self, stem: &str) -> bool {
        // Words that begin with it follow it in the order.
        self.at(self.lower_bound(stem)).is_some_and(|word| word.starts_with(stem))
    }

    fn at(&self, place: usize) -> Option<&str> {
        self.words.get(place).map(|word| word.of(&self.text))
    }

    fn lower_bound(&self, word: &str) -> usize {
        let first_bytes = first_bytes(word);
        self.words.partition_point(|other| {
            other.first_bytes < first_bytes || other.first_bytes == first_bytes && other.of(&self.text) < word
        })
    }
}

/// The significant words of `text`, which is in lower case, each once.
pub(super) fn significant_words(text: &str) -> Vec<&str> {
    let all = words(text);
    let mut words: Vec<&str> = all.iter().copied().filter(|word| is_significant(word)).collect();
    if words.is_empty() {
        words = all;
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// The first `count` characters of `word`, or all if it has fewer.
fn first_chars(word: &str, count: usize) -> &str {
    &word[..word.char_indices().nth(count).map_or(word.len(), |(end, _)| end)]
}

fn may_be_longer(word: &str) -> bool {
    word.chars().nth(STEM_CHARS - 1).is_some() && !word.chars().any(|c| c.is_numeric() || is_unspaced(c))
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
    text.is_ascii() || text.chars().all(|c| c < '\u{530}' || !c.is_alphabetic())
}

/// The words of `text`, which is in lower case; of scripts without spaces, each pair of neighbours.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::with_capacity(text.len() / 5);
    each_word(text, |start, end| words.push(&text[start..end]));
    words
}

/// `text` in lower case, character by character.
pub(super) fn in_lowercase(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    push_lowercase(&mut lower, text);
    lower
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
fn each_word(text: &str, found: impl FnMut(usize, usize)) {
    if text.is_ascii() {
        each_ascii_word(text.as_bytes(), found);
    } else {
        each_word_of_any_script(text, found);
    }
}

fn each_ascii_word(text: &[u8], mut found: impl FnMut(usize, usize)) {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let mut start = 0;
    while let Some(first) = text.get(start) {
        let mut end = start;
        if first.is_ascii_alphanumeric() {
            while text.get(end).is_some_and(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'.' | b',') && is_digit(end - 1) && is_digit(end + 1)
            }) {
                end += 1;
            }
            found(start, end);
        }
        start = end + 1;
    }
}

fn each_word_of_any_script(text: &str, mut found: impl FnMut(usize, usize)) {
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if is_unspaced(c) {
            let (mut previous, mut is_single) = (start, true);
            while let Some((at, next)) = chars.next_if(|(_, next)| is_unspaced(*next)) {
                found(previous, at + next.len_utf8());
                (previous, is_single) = (at, false);
            }
            if is_single {
                found(start, start + c.len_utf8());
            }
        } else if c.is_alphanumeric() {
            let (mut end, mut is_digit) = (start + c.len_utf8(), c.is_numeric());
            while let Some(&(at, next)) = chars.peek() {
                let continues = match next {
                    next if is_unspaced(next) => false,
                    '.' | ',' => is_digit && text[at + 1..].chars().next().is_some_and(char::is_numeric),
                    next => next.is_alphanumeric() || is_mark(next),
                };
                if !continues {
                    break;
                }
                (end, is_digit) = (at + next.len_utf8(), next.is_numeric());
                chars.next();
            }
            found(start, end);
        }
    }
}

/// Accents, vowel signs and joiners, which occur within words of their scripts.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{963}' | '\u{966}'..='\u{dff}' | '\u{200c}' | '\u{200d}')
}

/// The first eight bytes of `word` as a number, which orders words as the bytes do.
pub(super) fn first_bytes(word: &str) -> u64 {
    let bytes = word.as_bytes();
    bytes.first_chunk().map_or_else(
        || bytes.iter().rev().fold(0, |first, byte| first >> 8 | u64::from(*byte) << 56),
        |first: &[u8; 8]| u64::from_be_bytes(*first),
    )
}

/// Whether no spaces separate the words of this script, or particles are attached to them (Hangul).
pub(super) fn is_unspaced(c: char) -> bool {
    is_ideograph(c) || matches!(c, '\u{ac00}'..='\u{d7af}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            assert_eq!(words(&in_lowercase(text)), expected, "{text}");
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

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn ascii_texts_have_the_same_words_as_texts_of_any_script(text in "[a-c1 .,'-]{0,20}") {
            let mut expected = Vec::new();
            each_word_of_any_script(&text, |start, end| expected.push(&text[start..end]));
            prop_assert_eq!(words(&text), expected);
        }

        /// What a vocabulary looks up in its order is what comparing with all of its words says.
        #[test]
        fn a_vocabulary_mentions_what_begins_like_one_of_its_words(
            texts in prop::collection::vec("[ab]{1,9}( [abé1]{1,9}){0,9}", 1..5),
            word in "[abé1]{1,9}",
        ) {
            let all = texts.iter().flat_map(|text| words(text));
            let has = |other: &str| {
                let (is_longer, is_stem) = (other.starts_with(&word), word.starts_with(other));
                other == word || may_be_longer(&word) && (is_longer || is_stem && other.chars().count() >= STEM_CHARS)
            };
            let stem: String = word.chars().take(ALIKE_CHARS).collect();
            let has_stem = word.chars().count() >= ALIKE_CHARS && may_be_longer(&stem);
            let expected = all.clone().any(|other| has(other) || has_stem && other.starts_with(&stem));
            let vocabulary = Vocabulary::of(texts.iter().map(String::as_str));
            prop_assert_eq!(vocabulary.mentions(&word), expected);
            let mut each_once: Vec<&str> = all.collect();
            each_once.sort_unstable();
            each_once.dedup();
            let known: Vec<&str> = vocabulary.words.iter().map(|word| word.of(&vocabulary.text)).collect();
            prop_assert_eq!(known, each_once);
        }
    }
}
