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

/// The words of some texts, in lower case.
#[derive(Debug, Default)]
pub struct Vocabulary {
    text: String,
    /// Where the words are in it, sorted by the words, each once.
    words: Vec<(u32, u32)>,
}

impl Vocabulary {
    /// The words of all `texts`.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::with_capacity(4_096);
        for part in texts {
            push_lowercase(&mut text, part);
            text.push('\n');
        }
        let mut keyed = Vec::with_capacity(text.len() / 5);
        each_word(&text, |start, end| {
            keyed.push((first_bytes(&text[start..end]), start as u32, end as u32));
        });
        let word = |&(start, end): &(u32, u32)| &text[start as usize..end as usize];
        // Most words differ in their first bytes, which are compared as one number.
        keyed.sort_unstable_by(|(a, a_from, a_to), (b, b_from, b_to)| {
            a.cmp(b).then_with(|| word(&(*a_from, *a_to)).cmp(word(&(*b_from, *b_to))))
        });
        let mut words: Vec<(u32, u32)> = keyed.into_iter().map(|(_, start, end)| (start, end)).collect();
        words.dedup_by(|a, b| word(a) == word(b));
        Self { text, words }
    }

    /// Whether at least half of the significant words of `text` are in this vocabulary, or as beginnings of its words
    /// or the other way round.
    pub fn covers(&self, text: &str) -> bool {
        let words = significant_words(text);
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
        let at = self.lower_bound(word);
        if self.at(at) == Some(word) {
            return true;
        }
        if !may_be_longer(word) {
            return false;
        }
        // Words that begin with it follow in the order; words that it begins with are found by its prefixes.
        let mut longer = (at..).map_while(|at| self.at(at)).take_while(|other| other.starts_with(word));
        longer.next().is_some()
            || word.char_indices().skip(STEM_CHARS).any(|(end, _)| {
                let stem = &word[..end];
                self.at(self.lower_bound(stem)) == Some(stem)
            })
    }

    fn has_alike(&self, word: &str) -> bool {
        let end = word.char_indices().nth(ALIKE_CHARS).map_or(word.len(), |(end, _)| end);
        let stem = &word[..end];
        stem.chars().count() == ALIKE_CHARS
            && may_be_longer(stem)
            && self.at(self.lower_bound(stem)).is_some_and(|other| other.starts_with(stem))
    }

    fn at(&self, place: usize) -> Option<&str> {
        self.words.get(place).map(|&(start, end)| &self.text[start as usize..end as usize])
    }

    fn lower_bound(&self, word: &str) -> usize {
        self.words.partition_point(|&(start, end)| &self.text[start as usize..end as usize] < word)
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
fn first_bytes(word: &str) -> u64 {
    let mut first = [0; 8];
    let length = word.len().min(first.len());
    first[..length].copy_from_slice(&word.as_bytes()[..length]);
    u64::from_be_bytes(first)
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
