//! A goal's clauses: what is asked for, one thing each, in the order of the text.
//!
//! Sentences, lines and list items end a clause always; a comma or an "and" does only if an action
//! follows, so that noun phrases ("a search and replace dialog") stay whole.

use crate::text::fold;

use super::lexicon::{Lexicon, Senses, after_phrase, is_one_of};
use super::lines::{joint, with_breaks, without_marker, words};
use super::reading::Kind;
use super::vocabulary::{CONDITIONS, JOINING, OBJECT_STARTS, PHRASE_ENDS, PRONOUNS, REQUIREMENTS, STATING};

/// What follows so many clauses stays one with the last of them.
const MOST_CLAUSES: usize = 64;
/// How many characters behind a joining word are looked at to see whether an action follows.
const LOOK_AHEAD_CHARS: usize = 48;
/// A label ("Task: …") has at most so many words.
const LABEL_WORDS: usize = 2;
/// A condition in front ("if the build fails, …") has at most so many.
const MOST_CONDITION_WORDS: usize = 40;

/// One thing that is asked for, as it stands in the goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    /// Its words, without what people say around them ("please", "then"); never blank.
    pub text: String,
    /// A word or a number in front says that it comes after everything before it.
    pub after: bool,
    /// The sentence it is part of, from 0.
    pub sentence: usize,
    /// It says how the work is to be done, or what must not be done.
    pub requires: bool,
}

/// The clauses of `goal`; a goal of punctuation alone is one clause, as it stands.
pub(super) fn split(goal: &str, lexicon: &Lexicon) -> Vec<Clause> {
    let text = with_breaks(goal, lexicon);
    let mut splitter = Splitter { lexicon, clauses: Vec::new() };
    let mut numbered = false;
    // How many items the list that a line with a colon opened has so far.
    let mut list: Option<usize> = None;
    // Under a heading that announces requirements.
    let mut requiring = false;
    for (sentence, whole) in text.split('\n').enumerate() {
        let (line, number) = without_marker(whole);
        if line.is_empty() {
            numbered |= number;
            continue;
        }
        let first_words = splitter.without_lead_ins(line);
        let heading =
            whole.trim_start().split_once(' ').is_some_and(|(marks, _)| marks.bytes().all(|b| b == b'#'));
        if heading || line.ends_with(':') {
            let title = line.trim_end_matches(':').trim();
            requiring = is_one_of(title, REQUIREMENTS);
            if requiring || heading && splitter.action(first_words).is_none() {
                list = None;
                continue;
            }
        }
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
        // "Steps:" above the steps is none itself.
        if list == Some(0) {
            let is_label =
                |last: &mut Clause| last.text.split(' ').count() <= LABEL_WORDS && !acts(lexicon, &last.text);
            splitter.clauses.pop_if(is_label);
        }
        if requiring && splitter.action(first_words).is_none() {
            splitter.push(line, false, sentence, true);
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
        clauses.push(Clause { text, after: false, sentence: 0, requires: false });
    }
    clauses
}

/// What stands behind a verb.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    Object,
    Nothing,
    Other,
}

/// An action at the beginning of a text.
#[derive(Clone, Copy)]
struct Action {
    /// The word is a noun as often.
    nounish: bool,
    /// No noun phrase goes on like this ("and fix …", "and search for …").
    sure: bool,
    follows: Follows,
}

struct Splitter<'a> {
    lexicon: &'a Lexicon,
    clauses: Vec<Clause>,
}

impl Splitter<'_> {
    /// `text` without "please", "I want you to" and the like in front.
    fn without_lead_ins<'t>(&self, text: &'t str) -> &'t str {
        let mut text = text;
        while let Some((phrase, _)) = self.lexicon.at(&beginning(text)).filter(|(_, senses)| senses.lead_in) {
            if self.requires(text) {
                break;
            }
            match after_phrase(text, phrase) {
                Some(rest) if rest.chars().any(char::is_alphanumeric) => text = rest,
                _ => break,
            }
        }
        text
    }

    /// Whether `text` says how the work is to be done, or what must not be done.
    fn requires(&self, text: &str) -> bool {
        let folded = beginning(text);
        let Some((phrase, _)) = self.lexicon.at(&folded).filter(|(_, senses)| senses.requires) else {
            return false;
        };
        let rest = folded[phrase.len()..].trim_start();
        let acts = match phrase {
            "only" => self.lexicon.lead(rest).is_some_and(|(_, senses)| senses.verb.is_some()),
            "use" => rest.split(' ').any(|word| word == "to"),
            _ => false,
        };
        !acts && !rest.is_empty() && !text.ends_with('?')
    }

    /// The action or requirement that `text` begins with, if any.
    fn action(&self, text: &str) -> Option<Action> {
        // "GET /users" is a name, and what is quoted is not said.
        let first = text.split(' ').next().unwrap_or_default();
        let is_name = first.len() > 1
            && first.bytes().all(|b| b.is_ascii_uppercase())
            && text.contains(char::is_lowercase);
        if is_name || text.starts_with(['"', '\'', '“', '‘', '«', '„', '`']) {
            return None;
        }
        let text = self.without_lead_ins(text);
        let folded = beginning(text);
        let (phrase, senses) = match self.lexicon.lead(&folded) {
            Some(lead) => lead,
            None => self.lexicon.at(&folded).filter(|_| self.requires(text))?,
        };
        let next = folded[phrase.len()..].split_whitespace().next();
        // "A plan for the year" is no planning.
        let object =
            |word: &str| is_one_of(word, OBJECT_STARTS) && !(senses.nounish && is_one_of(word, PHRASE_ENDS));
        let follows = match next {
            Some(word) if object(word) => Follows::Object,
            Some(word) if !is_one_of(word, JOINING) => Follows::Other,
            _ => Follows::Nothing,
        };
        let sure = senses.kind == Kind::Fix || phrase.contains(' ');
        Some(Action { nounish: senses.nounish, sure, follows })
    }

    /// Adds the clauses of one sentence.
    fn sentence(&mut self, line: &str, sentence: usize, numbered: bool) {
        let words = words(line);
        let text_from = |word: usize| words.get(word).map_or("", |&(at, _)| &line[at..]);
        let word = |index: usize| &line[words[index].0..words[index].1];
        let (first_word, first) = joint(&words, line, 0);
        let mut start = first_word;
        let mut after = numbered || first.orders;
        let first_clause = self.clauses.len();
        let condition = self.condition(line, &words, start);
        if let Some(behind) = condition {
            start = behind;
        }
        let mut index = start;
        while index < words.len() && !self.is_full() {
            let (next, mut joint) = joint(&words, line, index);
            joint.comma = index > start && word(index - 1).ends_with([',', ':']);
            if next == index && !joint.comma || index == start || next == words.len() {
                index = next.max(index + 1);
                continue;
            }
            // Behind another verb, "and" joins actions ("build and deploy it") or nouns ("a search and
            // replace dialog"): the sentence's first word is a verb for sure.
            let previous = fold(word(index - 1));
            let previous = self.lexicon.at(&previous).map_or_else(Senses::default, |(_, senses)| senses);
            let chain = previous.verb.is_some() && index - 1 == start;
            let splits = (joint.orders && (joint.comma || joint.joins))
                || self.action(text_from(next)).is_some_and(|action| {
                    // In a list of actions, what may be a verb is one.
                    let listed = self.clauses.len() > first_clause + 1;
                    let noun = action.nounish && !listed;
                    let behind_verb = previous.verb.is_some() && !(previous.nounish && action.sure);
                    let last = next + 1 == words.len();
                    let in_list = self.clauses.len() > first_clause;
                    let ends = last
                        && (is_one_of(word(index - 1), PRONOUNS)
                            || !action.nounish && (!behind_verb || in_list));
                    let other = action.follows == Follows::Other && !noun && !behind_verb;
                    chain || ends || action.follows == Follows::Object || other
                });
            if splits {
                let text = &line[words[start].0..words[index - 1].1];
                let label = text.ends_with(':') && !acts(self.lexicon, text);
                if !label || index - start > LABEL_WORDS {
                    // "For the login page: fix the button"; but "the login is broken: fix it".
                    let states = || text.split(' ').any(|word| is_one_of(word, STATING));
                    self.push(text, after, sentence, label && !states());
                }
                (start, after) = (next, joint.orders);
            }
            index = next.max(index + 1);
        }
        if start < words.len() {
            self.push(text_from(start), after, sentence, false);
        }
        if let Some(behind) = condition
            && let Some(clause) = self.clauses.get_mut(first_clause)
        {
            let condition = line[words[first_word].0..words[behind - 1].1].trim_end_matches(',');
            let mut rest = condition.chars();
            clause.text.push(' ');
            clause.text.extend(rest.next().map(|first| first.to_ascii_lowercase()));
            clause.text.push_str(rest.as_str());
        }
    }

    /// If the sentence begins with a condition ("if the build fails, …"), the word behind it.
    fn condition(&self, line: &str, words: &[(usize, usize)], start: usize) -> Option<usize> {
        let &(from, to) = words.get(start)?;
        let conditional = is_one_of(&line[from..to], CONDITIONS);
        let ends = |at: &usize| {
            line[..words[*at].1].ends_with(',') && self.action(&line[words[at + 1].0..]).is_some()
        };
        (start..words.len() - 1)
            .take(if conditional { MOST_CONDITION_WORDS } else { 0 })
            .find(ends)
            .map(|at| at + 1)
    }

    fn is_full(&self) -> bool {
        self.clauses.len() >= MOST_CLAUSES
    }

    fn push(&mut self, text: &str, after: bool, sentence: usize, requires: bool) {
        let text = self.without_lead_ins(text.trim_end_matches([' ', ',', '.', ':', '!']).trim_start());
        let folded = beginning(text);
        let text = if acts(self.lexicon, text) { text.trim_end_matches('?') } else { text };
        let courtesy =
            self.lexicon.at(&folded).is_some_and(|(phrase, senses)| senses.lead_in && phrase == folded);
        if !courtesy && !folded.is_empty() {
            let requires = requires || self.requires(text);
            self.clauses.push(Clause { text: text.to_owned(), after, sentence, requires });
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

/// Whether `text` begins with a known verb.
fn acts(lexicon: &Lexicon, text: &str) -> bool {
    lexicon.lead(&beginning(text)).is_some_and(|(_, senses)| senses.verb.is_some())
}

/// The folded beginning of `text`, long enough for a lead-in or a verb and what follows it.
fn beginning(text: &str) -> String {
    let end = text.char_indices().nth(LOOK_AHEAD_CHARS).map_or(text.len(), |(at, _)| at);
    fold(&text[..end])
}
