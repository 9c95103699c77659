//! The words by which goals are split, from `data/language.toml`.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::arms::fold_name;
use crate::text::{find_phrase, fold, is_ideograph};

use super::parts::Turn;

mod background;
mod verbs;

use verbs::{IS, without_accents};
pub(super) use verbs::{Opening, without_separable};

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
    /// What follows a verb in a noun.
    unspaced_nouns: Vec<String>,
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
    formulas: Vec<String>,
    concessions: Vec<String>,
    subordinating: HashSet<String>,
    reasons: Vec<String>,
    reasons_behind_comma: Vec<String>,
    questions: HashSet<String>,
    relatives: HashSet<String>,
    polite: Phrases,
    consequences: Phrases,
    subjects: Phrases,
    wishes: Phrases,
    plans: Phrases,
    wanting: HashSet<String>,
    before_words: HashSet<String>,
    duties: Vec<String>,
    no_infinitives: HashSet<String>,
    unspaced_circumstances: Vec<[String; 2]>,
    writing: HashSet<String>,
    conditions: Vec<String>,
    events: HashSet<String>,
    amounts: HashSet<String>,
    prohibitions: Vec<String>,
    alternatives: Vec<String>,
    compound_heads: HashSet<String>,
    demands: Phrases,
    dates: HashSet<String>,
    unspaced_demands: Vec<String>,
    unspaced_times: Vec<String>,
    times: HashSet<String>,
    function_words: HashSet<String>,
    unreferred: HashSet<String>,
    purposeful: HashSet<String>,
    unspaced_dates: Vec<String>,
    participles: HashMap<String, String>,
}

/// How many words behind one such as "budget" a figure is looked for.
const AMOUNT_WORDS: usize = 3;
/// Words of up to as many letters that end in "s" are often no plurals: "this", "gas".
const MIN_PLURAL: usize = 4;
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
                toml::from_str(include_str!("../data/language.toml")).expect("valid word lists");
            let verbs = std::mem::take(&mut language.foreign_verbs).into_iter();
            language.listed_verbs = verbs.map(|verb| (without_accents(&verb), verb)).collect();
            language
        });
        &LANGUAGE
    }

    /// Whether `text` begins a new part after a comma or a joining word.
    pub(super) fn opens_part(&self, text: &str) -> bool {
        if self.opening(text).is_none() {
            return false;
        }
        if self.is_demand(text) {
            return false;
        }
        let mut words = text.split_whitespace();
        let first = words.next().map(bare).unwrap_or_default();
        // "…, budget 200 euros"
        if self.amounts.contains(&first)
            && words.clone().take(AMOUNT_WORDS).any(|word| word.contains(|c: char| c.is_ascii_digit()))
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
            // "…: sand and repaint the hull"
            if second == "and" {
                return words.next().is_some_and(|third| self.opening(third).is_some());
            }
            let starts_name =
                second.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '"' || c == '“');
            // "…, screen applications", "draft help articles", but "…, test plans"
            let is_plural = |word: &str| {
                word.len() > MIN_PLURAL
                    && word.ends_with('s')
                    && !word.ends_with("ss")
                    && !self.compound_heads.contains(word)
            };
            let third = words.next().map(bare);
            let begins_object = third.is_some() && is_adjective(&bare(second));
            let second = bare(second);
            let names_several = is_plural(&second) || third.is_some_and(|third| is_plural(&third));
            starts_name || begins_object || names_several || self.articles.contains(&second)
        })
    }

    /// Whether `text` says how what is before it is done: "make sure nobody works more than five nights", but not "make sure
    /// to lock the door".
    pub(super) fn is_demand(&self, text: &str) -> bool {
        let mut conditions = self.conditions.iter().filter_map(|phrase| strip_words(text, phrase));
        conditions.any(|rest| !rest.starts_with(" to "))
    }

    /// Whether the first word of `behind` is no verb but a noun, as the adjective that ends `before` has none yet: "adoptive and
    /// foster parents".
    pub(super) fn goes_on_with_noun(&self, before: &str, behind: &str) -> bool {
        let mut words = behind.split(' ');
        let is_noun = words.next().is_some_and(|first| self.nouns_too.contains(&bare(first)));
        let has_object = words.next().is_some_and(|second| self.begins_thing(second));
        let last = before.split(' ').next_back().unwrap_or_default();
        is_noun && !has_object && is_adjective(&last.to_lowercase())
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
        // "suggest what to fix first"
        let asks = || rest.split(' ').any(|word| self.is_question_word(word));
        (self.first_words.contains(&bare(last)) && !asks()).then(|| rest.trim_end_matches([',', ' ']))
    }

    /// Whether `word` begins what is to be found out.
    pub(super) fn is_question_word(&self, word: &str) -> bool {
        self.questions.contains(&bare(word))
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
        // "the weekly roster"
        if self.articles.contains(&bare(last)) && before.len() == 1 {
            return false;
        }
        let is_quoted = before.iter().flat_map(|word| word.matches('"')).count() % 2 == 1;
        if is_quoted {
            return false;
        }
        last.ends_with([',', ':', ';']) || ends(&word) && !names_subject || limits || is_adverb
    }

    /// What `text` makes a condition, if it begins with a word such as "if".
    pub(super) fn behind_condition<'t>(&self, text: &'t str) -> Option<&'t str> {
        let condition = self.gates.iter().find_map(|gate| strip_words(text, gate)).map(str::trim_start)?;
        let is_formula = self.formulas.iter().any(|formula| strip_words(condition, formula).is_some());
        (!is_formula).then_some(condition)
    }

    /// Whether `text` says what must not be done.
    pub(super) fn prohibits(&self, text: &str) -> bool {
        self.prohibitions.iter().any(|phrase| strip_words(text, phrase).is_some())
    }

    /// What `text` forbids for the time being, as a request: "don't send it until Eva has approved it" → "send it once Eva
    /// has approved it".
    pub(super) fn released(&self, text: &str) -> Option<String> {
        let forbidden = self.prohibitions.iter().find_map(|phrase| strip_words(text, phrase))?.trim_start();
        let (request, condition) =
            forbidden.split_once(" until ").or_else(|| forbidden.split_once(" before "))?;
        let request = request.replace("anything", "it");
        // "before Monday morning", "before asking Eva", "don't forget to ask before you send it"
        let is_event = condition.contains(' ')
            && !self.names_date(condition)
            && !first_word(condition).ends_with("ing")
            && first_word(&request) != "forget";
        (is_event && self.opening(&request).is_some()).then(|| format!("{request} once {condition}"))
    }

    /// Whether what follows a comma in `text` may belong to what it says something is for.
    pub(super) fn lists_purposes(&self, text: &str) -> bool {
        let purpose =
            text.match_indices(" to ").any(|(at, to)| self.opening(&text[at + to.len()..]).is_some());
        purpose && self.purposeful.contains(&first_word(text))
    }

    /// `text` before a word such as "otherwise", and what is said behind it.
    pub(super) fn alternative<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let commas = text.match_indices([',', '，', ';', '；']);
        let mut found = commas.filter_map(|(at, comma)| {
            let behind = text[at + comma.len()..].trim_start();
            let alternative = self.alternatives.iter().find_map(|word| strip_words(behind, word))?;
            Some((&text[..at], alternative.trim_start_matches([',', '，', ' '])))
        });
        found.next().filter(|(_, alternative)| !alternative.is_empty())
    }

    /// Whether what follows from `word` on says how, when, where or for what something is done.
    pub(super) fn begins_aside(&self, word: &str) -> bool {
        let word = bare(word);
        self.object_ends.contains(&word) || self.asides.contains(&word)
    }

    /// `text` up to where it says when or why something is done: "fix the brakes before my road trip".
    pub(super) fn before_times<'t>(&self, text: &'t str) -> &'t str {
        let mut words = text.match_indices(' ').map(|(at, _)| at);
        let cut = words.find(|at| self.times.contains(&first_word(&text[*at..])));
        cut.map_or(text, |at| &text[..at])
    }

    /// What `text` demands of its result, from the first word that says so to the end of the clause.
    pub(super) fn demands<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        text.split(", ").flat_map(|clause| clause.split('，')).filter_map(|clause| {
            if self.unspaced_demands.iter().any(|word| clause.contains(word.as_str())) {
                return Some(clause);
            }
            let mut starts = std::iter::once(0).chain(clause.match_indices(' ').map(|(at, _)| at + 1));
            // "Sort them by topic"
            let is_time = |text: &str, rest: &str| {
                first_word(text) != "by" || rest.starts_with(" the ") || self.names_date(rest)
            };
            // "Lege es vor" ends with the half of a verb.
            let demands = |at: &usize| {
                let text = &clause[*at..];
                self.demands.strip(text).is_some_and(|rest| !rest.trim().is_empty() && is_time(text, rest))
            };
            starts.find(demands).map(|at| &clause[at..])
        })
    }

    /// Whether `text` names a day or a month, or a number.
    pub(super) fn names_date(&self, text: &str) -> bool {
        text.chars().any(char::is_numeric)
            || self.unspaced_dates.iter().any(|date| text.contains(date.as_str()))
            || text.split_whitespace().any(|word| self.dates.contains(&bare(word)))
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
        if self.without_first(text).is_some() || self.is_first(text) || how_long_before {
            Turn::First
        } else if says(&self.before_all) {
            Turn::BeforeAll
        } else if says(&self.before_it) {
            Turn::BeforeFinal
        } else {
            Turn::AsWritten
        }
    }

    /// Whether "it" may stand for `object`.
    pub(super) fn may_be_referred_to(&self, object: &str) -> bool {
        !object.rsplit(' ').next().is_some_and(|noun| self.unreferred.contains(&bare(noun)))
    }

    /// Whether `object` refers to what was named before.
    pub(super) fn is_pronoun(&self, object: &str) -> bool {
        self.pronouns.contains(&bare(object))
    }

    /// Whether a full stop after `word` belongs to the word.
    pub(super) fn is_abbreviation(&self, word: &str) -> bool {
        let word = bare(word);
        self.abbreviations.contains(&word)
            || word.chars().count() == 1 && word.chars().all(char::is_alphabetic)
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

/// The first word of `text` in lower case, without punctuation around it.
pub(super) fn first_word(text: &str) -> String {
    text.split_whitespace().next().map(bare).unwrap_or_default()
}

/// A word in lower case, without punctuation around it.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}
