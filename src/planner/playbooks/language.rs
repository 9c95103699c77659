//! The words by which goals are split, from `data/language.toml`.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::arms::fold_name;
use crate::text::{find_phrase, fold, is_ideograph};

use super::parts::Turn;

/// Word lists, all in lower case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Language {
    verbs: HashSet<String>,
    nouns_too: HashSet<String>,
    foreign_verbs: Vec<String>,
    /// The listed form of each foreign verb by the one without accents.
    #[serde(skip)]
    listed_verbs: HashMap<String, String>,
    pub(super) unspaced_verbs: Vec<String>,
    pub(super) unspaced_joints: Vec<String>,
    lead_ins: Phrases,
    connectives: Phrases,
    descriptions: HashSet<String>,
    articles: HashSet<String>,
    pronouns: HashSet<String>,
    abbreviations: HashSet<String>,
    part_breaks: HashSet<String>,
    speakers: HashSet<String>,
    stating: HashSet<String>,
    finding: HashSet<String>,
    first_words: HashSet<String>,
    before_all: Vec<String>,
    before_it: Vec<String>,
    texts: HashSet<String>,
    object_articles: HashSet<String>,
    object_ends: HashSet<String>,
    asides: HashSet<String>,
    limits: HashSet<String>,
    german_words: HashSet<String>,
    gates: Vec<String>,
    conditions: Vec<String>,
    events: HashSet<String>,
    amounts: HashSet<String>,
}

/// How a word opens a part of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// With an English verb.
    English,
    /// With a verb of another language.
    Foreign,
}

/// Behind the first word, these make a sentence a description.
const IS: [&str; 8] = ["is", "are", "was", "were", "ist", "sind", "est", "sont"];

/// What may stand before a German verb: "vorbereiten", "einrichten".
const SEPARABLE: [&str; 19] = [
    "vor", "ab", "an", "auf", "aus", "bei", "ein", "fest", "her", "los", "mit", "nach", "um", "weg", "zu",
    "zurück", "durch", "über", "unter",
];

/// Shorter German words with the ending of an infinitive are often none: "alten", "neben".
const MIN_INFINITIVE: usize = 7;

/// Endings of French, Spanish, Italian and Portuguese infinitives.
const INFINITIVES: [&str; 5] = ["er", "ir", "ar", "dre", "ire"];

/// Endings of English adjectives. A noun does not precede them, so what does is a verb: "research electric bikes".
const ADJECTIVE_ENDINGS: &[&str] = &["able", "ible", "ful", "ic", "ical", "ive", "less", "ous"];
/// Shorter words with these endings are often nouns: "traffic", "archive", "table".
const MIN_ADJECTIVE_CHARS: usize = 8;

fn is_adjective(word: &str) -> bool {
    word.len() >= MIN_ADJECTIVE_CHARS && ADJECTIVE_ENDINGS.iter().any(|ending| word.ends_with(ending))
}

impl Language {
    /// The words.
    pub(super) fn get() -> &'static Self {
        static LANGUAGE: LazyLock<Language> = LazyLock::new(|| {
            let mut language: Language =
                toml::from_str(include_str!("data/language.toml")).expect("valid word lists");
            let verbs = std::mem::take(&mut language.foreign_verbs).into_iter();
            language.listed_verbs = verbs.map(|verb| (without_accents(&verb), verb)).collect();
            language
        });
        &LANGUAGE
    }

    /// How the first word of `text` opens it, if it does.
    pub(super) fn opening(&self, text: &str) -> Option<Opening> {
        let is_unspaced = text.starts_with(is_ideograph);
        if is_unspaced && self.unspaced_verbs.iter().any(|verb| text.starts_with(verb.as_str())) {
            return Some(Opening::Foreign);
        }
        let mut words = text.split_whitespace().map(bare);
        let first = words.next()?;
        // "Budget is 40,000 euros"
        if self.nouns_too.contains(&first)
            && words.clone().next().is_some_and(|second| IS.contains(&second.as_str()))
        {
            return None;
        }
        // "Repaint"
        if self.verbs.contains(&first)
            || first.strip_prefix("re").is_some_and(|verb| self.verbs.contains(verb))
        {
            return Some(Opening::English);
        }
        if self.foreign_verb(&first).is_some() {
            return Some(Opening::Foreign);
        }
        let second = words.next().unwrap_or_default();
        // "Quickly fix …", "automatically deploy …", "frobnicate it"
        let has_pronoun = || ["it", "them"].contains(&second.as_str()) && self.may_be_verb(&first);
        if first.ends_with("ly") && self.verbs.contains(&second) || has_pronoun() {
            return Some(Opening::English);
        }
        // "prévenir les invités"
        let has_article = ["l'", "d'", "l’", "d’"].iter().any(|article| second.starts_with(article))
            || self.object_articles.contains(&second);
        if has_article && INFINITIVES.iter().any(|ending| first.ends_with(ending)) {
            return Some(Opening::Foreign);
        }
        self.ends_with_verb(text).then_some(Opening::Foreign)
    }

    /// Whether no list has `word` as something that is no verb.
    fn may_be_verb(&self, word: &str) -> bool {
        let others = [&self.articles, &self.object_ends, &self.asides, &self.stating, &self.descriptions];
        word.chars().all(char::is_alphabetic) && !others.iter().any(|words| words.contains(word))
    }

    /// Whether `text` ends with the verb that it asks for, as in German: "die Daten prüfen".
    pub(super) fn ends_with_verb(&self, text: &str) -> bool {
        let Some((_, last)) = text.trim_end_matches(|c: char| !c.is_alphanumeric()).rsplit_once(' ') else {
            return false;
        };
        let Some(stem) = last.strip_suffix('n').filter(|_| last.starts_with(char::is_lowercase)) else {
            return false;
        };
        let stems = SEPARABLE.iter().filter_map(|prefix| stem.strip_prefix(prefix)).chain([stem]);
        // "prüfen": "prüfe"; "sichern": "sichere"
        let is_listed = stems.into_iter().any(|stem| {
            self.listed_verbs.contains_key(stem) || self.listed_verbs.contains_key(&format!("{stem}e"))
        });
        // "den Auszubildenden einarbeiten"
        let is_infinitive = || {
            ["e", "el", "er"].iter().any(|ending| stem.ends_with(ending))
                && last.len() >= MIN_INFINITIVE
                && text.split(' ').any(|word| self.german_words.contains(&bare(word)))
        };
        is_listed || is_infinitive()
    }

    /// Whether what `text` asks for is the verb at its end, and not one at its beginning.
    pub(super) fn opens_with_object(&self, text: &str) -> bool {
        self.ends_with_verb(text)
            && self.foreign_verb(&first_word(text)).is_none()
            && !self.verbs.contains(&first_word(text))
    }

    /// Whether `text` begins a new part after a comma or a joining word.
    pub(super) fn opens_part(&self, text: &str) -> bool {
        if self.opening(text).is_none() {
            return false;
        }
        if self.conditions.iter().any(|phrase| strip_words(text, phrase).is_some()) {
            return false;
        }
        let mut words = text.split_whitespace();
        let first = words.next().map(bare).unwrap_or_default();
        // "…, budget 200 euros"
        if self.amounts.contains(&first)
            && words.clone().next().is_some_and(|second| second.contains(|c: char| c.is_ascii_digit()))
        {
            return false;
        }
        if !self.nouns_too.contains(&first) {
            return true;
        }
        // "Rust and Go for the backend"
        if text.starts_with(char::is_uppercase) {
            return false;
        }
        words.next().is_some_and(|second| {
            let starts_name =
                second.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '"' || c == '“');
            let begins_object = words.next().is_some() && is_adjective(&bare(second));
            starts_name || begins_object || self.articles.contains(&bare(second))
        })
    }

    /// `text` without polite phrases and joining words in front.
    pub(super) fn without_lead_ins<'t>(&self, mut text: &'t str) -> &'t str {
        loop {
            text = text
                .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '，' | ':' | '…' | '.'));
            match self.lead_ins.strip(text).or_else(|| self.connectives.strip(text)) {
                Some(rest) if rest.chars().any(char::is_alphanumeric) => text = rest,
                _ => return text,
            }
        }
    }

    /// The joining word or words at the beginning of `text`, in bytes.
    pub(super) fn joint(&self, text: &str) -> Option<usize> {
        let rest = self.connectives.strip(text)?;
        Some(text.len() - rest.len())
    }

    /// Whether `text` describes rather than asks.
    pub(super) fn describes(&self, text: &str) -> bool {
        let mut words = text.split_whitespace().map(bare);
        // "我们的网站很慢"
        let unspaced = || {
            text.chars().any(is_ideograph)
                && !self.unspaced_verbs.iter().any(|verb| text.contains(verb.as_str()))
        };
        words.next().is_some_and(|first| self.descriptions.contains(&first))
            || unspaced()
            || words.next().is_some_and(|second| IS.contains(&second.as_str()))
    }

    /// Whether `word` ends a part of a goal anywhere in it.
    pub(super) fn breaks(&self, word: &str) -> bool {
        word == "&" || self.part_breaks.contains(&bare(word))
    }

    /// `text` without a final word such as "first".
    pub(super) fn without_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        let (rest, last) = text.rsplit_once(' ')?;
        self.first_words.contains(&bare(last)).then(|| rest.trim_end_matches([',', ' ']))
    }

    /// Whether the name of a thing ends between the words `before` and those `behind`, neither of which is empty.
    pub(super) fn ends_object(&self, before: &[&str], behind: &[&str]) -> bool {
        let (last, word) = (before[before.len() - 1], bare(behind[0]));
        let next = behind.get(1).map(|next| bare(next));
        let ends = |word: &str| self.object_ends.contains(word);
        // "a report on sales"
        let names_subject = word == "on" && self.texts.contains(&bare(last));
        // "a car for less than 10,000 euros", "a book for Friday"
        let limits = word == "for"
            && next.as_ref().is_none_or(|next| {
                self.limits.contains(next) || next.starts_with(|c: char| c.is_ascii_digit())
            });
        // "the schedule fairly among all"
        let is_adverb = word.ends_with("ly") && next.as_ref().is_none_or(|next| ends(next));
        let is_quoted = before.iter().flat_map(|word| word.matches('"')).count() % 2 == 1;
        if is_quoted {
            return false;
        }
        last.ends_with([',', ':', ';']) || ends(&word) && !names_subject || limits || is_adverb
    }

    /// What `text` makes a condition, if it begins with a word such as "if".
    pub(super) fn behind_condition<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.gates.iter().find_map(|gate| strip_words(text, gate)).map(str::trim_start)
    }

    /// Whether what follows from `word` on says how, when, where or for what something is done.
    pub(super) fn begins_aside(&self, word: &str) -> bool {
        let word = bare(word);
        self.object_ends.contains(&word) || self.asides.contains(&word)
    }

    /// Whether `text` only says how things are ("I have an image").
    pub(super) fn states(&self, text: &str) -> bool {
        let folded = fold(text);
        let mut words = folded.split(' ');
        let is_statement = words.next().is_some_and(|subject| self.speakers.contains(subject))
            && words.next().is_some_and(|verb| self.stating.contains(verb));
        is_statement && self.without_lead_ins(text).len() == text.len()
    }

    /// Whether an arm of this name finds what others work with.
    pub(super) fn finds(&self, name: &str) -> bool {
        fold_name(name).split(' ').any(|word| self.finding.contains(word))
    }

    /// Whether `text` begins with a word that says that the part before it is done first.
    pub(super) fn is_first(&self, text: &str) -> bool {
        self.first_words.contains(&first_word(text))
    }

    /// When `text` says that it is done.
    pub(super) fn turn(&self, text: &str) -> Turn {
        let folded = fold(text);
        let says = |phrases: &[String]| phrases.iter().any(|phrase| find_phrase(&folded, phrase).is_some());
        let how_long_before = [" before", " vorher", " antes"].iter().any(|end| folded.ends_with(end));
        if self.without_first(text).is_some() || how_long_before {
            Turn::First
        } else if says(&self.before_all) {
            Turn::BeforeAll
        } else if says(&self.before_it) {
            Turn::BeforeFinal
        } else {
            Turn::AsWritten
        }
    }

    /// `text` with the verb at its beginning as an infinitive: "running the tests" → "run the tests".
    pub(super) fn infinitive(&self, text: &str) -> Option<String> {
        let (gerund, rest) = text.split_once(' ')?;
        let stem = gerund.to_lowercase();
        if self.events.contains(&stem) {
            return None;
        }
        let stem = stem.strip_suffix("ing")?;
        let undoubled = stem.get(..stem.len().checked_sub(1)?)?;
        let forms = [stem.to_owned(), format!("{stem}e"), undoubled.to_owned()];
        let verb = forms.into_iter().find(|form| self.verbs.contains(form))?;
        Some(format!("{verb} {rest}"))
    }

    /// Whether `object` refers to what was named before.
    pub(super) fn is_pronoun(&self, object: &str) -> bool {
        self.pronouns.contains(&bare(object))
    }

    /// `text` with the verb at its beginning as it is listed: "publícalo" → "publica".
    pub(super) fn with_plain_verb(&self, text: &str) -> String {
        let first = text.split_whitespace().next().unwrap_or_default();
        let forms = verb_forms(&bare(first));
        let plain = forms.iter().find_map(|(form, _)| self.listed_verbs.get(form));
        // "Bring der Oma das Tippen bei"
        let clause = text.split(',').next().unwrap_or_default();
        let half = clause.rsplit(' ').next().filter(|last| SEPARABLE.contains(last)).unwrap_or_default();
        match plain {
            Some(plain) => format!("{plain} {half} {text}"),
            None => text.to_owned(),
        }
    }

    /// Whether a pronoun is attached to the verb of another language that `text` begins with.
    pub(super) fn attaches_pronoun(&self, text: &str) -> bool {
        self.foreign_verb(&first_word(text)).unwrap_or_default()
    }

    /// Whether a pronoun is attached to the foreign verb `word`; `None` if it is none.
    fn foreign_verb(&self, word: &str) -> Option<bool> {
        // "vérifié" is a participle.
        if word.ends_with('é') {
            return None;
        }
        verb_forms(word)
            .into_iter()
            .find(|(form, _)| self.listed_verbs.contains_key(form))
            .map(|(_, has_pronoun)| has_pronoun)
    }

    /// `text` without its verb: after its first word, or before its last one, or after a verb that no space follows.
    pub(super) fn behind_verb<'t>(&self, text: &'t str) -> &'t str {
        if self.opens_with_object(text) {
            return text.rsplit_once(' ').map_or(text, |(object, _)| object);
        }
        let unspaced = self.unspaced_verbs.iter().filter_map(|verb| text.strip_prefix(verb.as_str()));
        let shortest = unspaced.min_by_key(|rest| rest.len());
        shortest.or_else(|| text.split_once(' ').map(|(_, rest)| rest)).unwrap_or_default().trim()
    }

    /// Whether a full stop after `word` belongs to the word.
    pub(super) fn is_abbreviation(&self, word: &str) -> bool {
        let word = bare(word);
        self.abbreviations.contains(&word)
            || word.chars().count() == 1 && word.chars().all(char::is_alphabetic)
    }
}

/// `object` without the second half of a German or French verb: "die Steuererklärung vor", "en place une équipe".
pub(super) fn without_separable(object: &str) -> &str {
    let halves = ["en place ", "en œuvre ", "en ligne ", "à jour ", "en relation "];
    let object = halves.iter().find_map(|half| object.strip_prefix(half)).unwrap_or(object);
    match object.rsplit_once(' ') {
        Some((rest, last)) if SEPARABLE.contains(&last) => rest,
        _ => object,
    }
}

/// Whether the goal is a question rather than work.
pub(super) fn asks(goal: &str) -> bool {
    goal.trim_end().ends_with(['?', '？']) || goal.trim_start().to_lowercase().starts_with("explain")
}

/// Phrases by their first letters, the longest first: a text is compared with few of them.
#[derive(Debug, Deserialize)]
#[serde(from = "Vec<String>")]
struct Phrases(HashMap<char, Vec<String>>);

impl From<Vec<String>> for Phrases {
    fn from(mut phrases: Vec<String>) -> Self {
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
        let mut by_letter: HashMap<char, Vec<String>> = HashMap::new();
        for phrase in phrases {
            by_letter.entry(phrase.chars().next().unwrap_or_default()).or_default().push(phrase);
        }
        Self(by_letter)
    }
}

impl Phrases {
    /// `text` after the longest phrase that it begins with as whole words, in any case.
    fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        let letter = text.chars().next()?.to_lowercase().next()?;
        self.0.get(&letter)?.iter().find_map(|phrase| strip_words(text, phrase))
    }
}

/// `text` after `phrase`, if it begins with it as whole words, in any case.
fn strip_words<'t>(text: &'t str, phrase: &str) -> Option<&'t str> {
    let head = text.get(..phrase.len())?;
    let is_phrase = if head.is_ascii() {
        head.eq_ignore_ascii_case(phrase)
    } else {
        head.chars().flat_map(char::to_lowercase).eq(phrase.chars())
    };
    if !is_phrase {
        return None;
    }
    let rest = &text[phrase.len()..];
    let ends_word = phrase.chars().next_back().is_some_and(is_ideograph)
        || rest.chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '\'');
    ends_word.then_some(rest)
}

/// What may be the verb in `word`, as it is listed, and whether a pronoun is attached to it: "organiser" → "organise",
/// "importe-le" → "importe", "publícalo" → "publica", "l'envoyer" → "envoye".
fn verb_forms(word: &str) -> Vec<(String, bool)> {
    let word = without_accents(word);
    let behind_pronoun = word.split_once(['\'', '’']).map(|(_, verb)| verb);
    let before_dash = word.split_once('-').map(|(verb, _)| verb);
    let before_pronoun = ["selo", "sela", "selos", "selas", "lo", "la", "los", "las", "le"]
        .iter()
        .find_map(|pronoun| word.strip_suffix(pronoun));
    let attached = [behind_pronoun, before_dash, before_pronoun].into_iter().flatten();
    let verbs = std::iter::once((word.as_str(), false)).chain(attached.map(|verb| (verb, true)));
    verbs
        .flat_map(|(verb, has_pronoun)| {
            let stems = ["", "re", "r", "n"].iter().filter_map(move |ending| verb.strip_suffix(ending));
            stems.map(move |stem| (stem.to_owned(), has_pronoun))
        })
        .collect()
}

/// `word` without the accents that move or go when a verb is inflected.
fn without_accents(word: &str) -> String {
    let plain = |c| "áéíóúèêâîôû".chars().zip("aeioueeaiou".chars()).find(|(accented, _)| *accented == c);
    word.chars().map(|c| plain(c).map_or(c, |(_, plain)| plain)).collect()
}

/// The first word of `text` in lower case, without punctuation around it.
pub(super) fn first_word(text: &str) -> String {
    text.split_whitespace().next().map(bare).unwrap_or_default()
}

/// A word in lower case, without punctuation around it.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}
