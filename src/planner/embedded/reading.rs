//! What each clause wants, which arm takes it, and what it is about.

use crate::text::{find_phrase, fold, shorten};

use super::arms::{Arms, Intent};
use super::choice::{Choice, Chooser, KNOWN};
use super::clauses::Clause;
use super::lexicon::{Lexicon, Senses, after_phrase, is_one_of};
use super::objects::{
    OBJECT_CHARS, capitalised, definite, is_destination, shared_tests, tests_for, with_object, without_tests,
};
use super::vocabulary::{PRONOUNS, REFERENCES, RELATING, SPEAKERS, STATING, UNSPACED_REFERENCES, WISHING};

/// Longest piece of the goal's text in one action, in characters.
const ACTION_CHARS: usize = 400;
/// As much of one clause is read, in characters.
const READ_CHARS: usize = 1_000;

/// What the wording of a part depends on, beside its intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Plain,
    Fix,
    Tests,
    Ship,
    /// Runs what there is, to see how it does.
    Trial,
    Compare,
    /// Makes a text.
    Prose,
    /// Explains a topic, and touches nothing.
    Explain,
    /// Done on the way: afterwards "it" is still what it was before.
    Aside,
    /// Nothing in it was understood.
    Unclear,
}

/// Which earlier parts a part waits for, whatever their intents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    None,
    /// It speaks of what the part before it is about.
    Previous,
    /// The goal says that it comes later.
    All,
}

/// One piece of work that the goal asks for.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// What to do, as an imperative; more than one where clauses were put together.
    pub texts: Vec<String>,
    /// What it is about, as in "the tests for {object}".
    pub object: String,
    pub intent: Intent,
    pub kind: Kind,
    /// The arm's place in the registry.
    pub arm: usize,
    pub link: Link,
    /// 0.0 (not understood) to 1.0.
    pub certainty: f64,
    /// It makes something that can be run.
    pub runs: bool,
    /// How long the clause is, in words.
    pub words: usize,
}

/// A goal as the rules understand it.
#[derive(Debug)]
pub(super) struct Reading {
    /// Never empty.
    pub parts: Vec<Part>,
    /// Sentences that only say how things are.
    pub background: Vec<String>,
}

/// A clause taken apart.
pub(super) struct Head<'a> {
    pub clause: &'a Clause,
    /// The beginning of the clause, as far as it is read.
    pub text: &'a str,
    pub folded: String,
    /// The verb or keyword that it begins with, and what that means.
    pub lead: Option<(String, Senses)>,
    /// What stands behind the lead, or all of it.
    pub object: &'a str,
}

/// Reads `clauses`.
pub(super) fn read(clauses: &[Clause], lexicon: &Lexicon, arms: &Arms) -> Reading {
    let heads: Vec<Head<'_>> = clauses.iter().map(|clause| head(clause, lexicon)).collect();
    let any_action = heads.iter().any(|head| head.lead.is_some());
    let mut reader = Reader {
        chooser: Chooser { lexicon, arms },
        parts: Vec::new(),
        background: Vec::new(),
        spoken_of: String::new(),
    };
    let mut previous: Option<&Head<'_>> = None;
    for (index, head) in heads.iter().enumerate() {
        if any_action && head.lead.is_none() && reader.is_background(head) {
            continue;
        }
        // "Build and deploy an API": both are about the API.
        let shared = heads[index + 1..]
            .iter()
            .take_while(|next| head.object.is_empty() && next.clause.sentence == head.clause.sentence)
            .find(|next| !next.object.is_empty())
            .map(|next| next.object);
        let same_sentence = previous.is_some_and(|before| before.clause.sentence == head.clause.sentence);
        reader.part(head, shared, same_sentence);
        previous = Some(head);
    }
    Reading { parts: reader.parts, background: reader.background }
}

fn head<'a>(clause: &'a Clause, lexicon: &Lexicon) -> Head<'a> {
    let end = clause.text.char_indices().nth(READ_CHARS).map_or(clause.text.len(), |(at, _)| at);
    let text = &clause.text[..end];
    let folded = fold(text);
    let lead = lexicon.lead(&folded).map(|(phrase, senses)| (phrase.to_owned(), senses));
    let object =
        lead.as_ref().map_or(text, |(phrase, _)| after_phrase(text, phrase).unwrap_or(text)).trim_end();
    // "Send me a list" is about a list.
    let object = ["me ", "us "].iter().find_map(|whom| object.strip_prefix(whom)).unwrap_or(object);
    Head { clause, text, folded, lead, object }
}

struct Reader<'a> {
    chooser: Chooser<'a>,
    parts: Vec<Part>,
    background: Vec<String>,
    /// What "it" would mean now.
    spoken_of: String,
}

impl Reader<'_> {
    /// Takes a sentence that only states something out of the work to be done.
    fn is_background(&mut self, head: &Head<'_>) -> bool {
        let text = head.text;
        let states = |word: &&str| is_one_of(word, STATING);
        let Some(verb) = text.split(' ').skip(1).find(states) else { return false };
        if text.ends_with('?') {
            return false;
        }
        let (subject, rest) = text.split_once(&format!(" {verb}")).unwrap_or_default();
        // "We have an app" speaks of the app.
        let subject = if is_one_of(subject, SPEAKERS) { rest.trim() } else { subject };
        if !subject.is_empty() && !is_reference(subject) {
            self.spoken_of = definite(subject);
        }
        self.background.push(text.to_owned());
        true
    }

    fn part(&mut self, head: &Head<'_>, shared: Option<&str>, same_sentence: bool) {
        let whole = shared.unwrap_or(head.object);
        let topic = if whole.is_empty() || is_reference(whole) { &self.spoken_of } else { whole };
        let choice = self.chooser.choose(head, &with_object(topic, &self.spoken_of));
        let makes = |intent: Intent| intent == Intent::Make;
        let tests_aside =
            makes(choice.intent) || same_sentence && self.parts.last().is_some_and(|part| makes(part.intent));
        let own = if tests_aside { without_tests(whole) } else { whole };
        let resolved = with_object(own, &self.spoken_of);
        let target = makes(choice.intent).then(|| tests_for(&resolved)).flatten();
        let elsewhere = choice.intent == Intent::Run && is_destination(own) && !self.spoken_of.is_empty();
        let goes_on = own.is_empty() || elsewhere || target == Some("") || is_reference(own);
        let object = if goes_on {
            self.spoken_of.clone()
        } else {
            self.object(head, own, target.unwrap_or(&resolved))
        };
        let kind = kind(head, &choice, target.is_some());
        let link = self.link(head, choice.intent, same_sentence);
        let named =
            if elsewhere && self.parts.len() == 1 { format!("{object} {own}") } else { own.to_owned() };
        let text = self.imperative(head, &named, choice.intent, kind);
        let text =
            if target == Some("") && !object.is_empty() { format!("{text} for {object}") } else { text };
        if self.spoken_of.is_empty() || !object.is_empty() && !matches!(kind, Kind::Trial | Kind::Aside) {
            self.spoken_of.clone_from(&object);
        }
        let words = head.folded.split(' ').count();
        let Choice { intent, arm, certainty, software, .. } = choice;
        let runs = software && makes(intent);
        self.push(Part { texts: vec![text], object, intent, kind, arm, link, certainty, runs, words });
        if makes(intent) && shared_tests(whole).is_some() {
            self.push_tests(arm, link, words);
        }
    }

    /// What a clause is about whose object is `own`, with pronouns replaced `resolved`; empty when that says
    /// nothing.
    fn object(&self, head: &Head<'_>, own: &str, resolved: &str) -> String {
        match &head.lead {
            _ if self.chooser.is_vague(resolved) => String::new(),
            Some((_, senses)) if senses.english => definite(resolved),
            _ => format!("“{}”", shorten(if own.contains(resolved) { resolved } else { own }, OBJECT_CHARS)),
        }
    }

    fn link(&self, head: &Head<'_>, intent: Intent, same_sentence: bool) -> Link {
        let Some(before) = self.parts.last() else { return Link::None };
        let goes_back = same_sentence && before.intent > intent && before.kind != Kind::Ship;
        // A thought builds on the one before it.
        let goes_on = intent == Intent::Think
            && before.intent == intent
            && (same_sentence || before.kind == Kind::Compare);
        if head.clause.after {
            Link::All
        } else if goes_back || goes_on || refers(head) {
            Link::Previous
        } else {
            Link::None
        }
    }

    /// Tests asked for along with something else are work of their own, beside it.
    fn push_tests(&mut self, arm: usize, link: Link, words: usize) {
        if self.parts.iter().any(|part| part.kind == Kind::Tests) {
            return;
        }
        let object = self.spoken_of.clone();
        let texts =
            vec![format!("Write tests for {}", if object.is_empty() { "the result" } else { &object })];
        let (intent, kind) = (Intent::Make, Kind::Tests);
        self.push(Part { texts, object, intent, kind, arm, link, certainty: KNOWN, runs: true, words });
    }

    /// Adds a part, unless the goal says the same twice.
    fn push(&mut self, part: Part) {
        if self.parts.iter().all(|other| other.texts != part.texts) {
            self.parts.push(part);
        }
    }

    /// The clause as an English imperative.
    fn imperative(&self, head: &Head<'_>, object: &str, intent: Intent, kind: Kind) -> String {
        let clause = head.text.trim_end();
        if let Some((_, senses)) = &head.lead
            && senses.english
        {
            let verb = clause[..clause.len() - head.object.len()].trim();
            let again = !object.is_empty() && definite(object) == self.spoken_of;
            let text = if (object.is_empty() || again) && kind != Kind::Tests {
                format!("{verb} {}", self.spoken_of)
            } else {
                with_object(&format!("{verb} {object}"), &self.spoken_of)
            };
            return shorten(&capitalised(text.trim()), ACTION_CHARS);
        }
        let text = shorten(clause, ACTION_CHARS);
        if head.lead.is_some() {
            return capitalised(&text);
        }
        if is_question(clause) {
            return format!("Find the answer to “{text}”");
        }
        let verb = match (kind, intent) {
            (Kind::Unclear, _) => return format!("Work on “{text}”"),
            (Kind::Fix, _) => return format!("Find and remove the cause of “{text}”"),
            (_, Intent::Gather) => "Gather",
            (_, Intent::Think) => "Work out",
            (_, Intent::Make) => "Implement",
            (_, Intent::Guard) => "Protect the data in",
            (_, Intent::Run) => "Carry out",
            (_, Intent::Check) => "Check",
        };
        format!("{verb}: {text}")
    }
}

fn kind(head: &Head<'_>, choice: &Choice, tests: bool) -> Kind {
    match &head.lead {
        _ if tests => Kind::Tests,
        _ if choice.prose => Kind::Prose,
        Some((_, senses)) => senses.kind,
        None if is_question(head.text) => Kind::Explain,
        None if choice.certainty == 0.0 => Kind::Unclear,
        // "The page is slow", and nothing that says what to do: it is to be mended.
        None if choice.intent == Intent::Make && reports(head.text) => Kind::Fix,
        None => Kind::Plain,
    }
}

/// Whether `text` says how things are, and not how they should be.
fn reports(text: &str) -> bool {
    let mut words = text.split(' ').skip(1).take_while(|word| !is_one_of(word, RELATING));
    words.find(|word| is_one_of(word, STATING)).is_some_and(|verb| !is_one_of(verb, WISHING))
}

/// Whether the clause speaks of something before it.
fn refers(head: &Head<'_>) -> bool {
    head.folded.split(' ').skip(1).any(|word| REFERENCES.contains(&word))
        || UNSPACED_REFERENCES.iter().any(|word| find_phrase(&head.folded, word).is_some())
}

/// Whether `object` stands for an earlier one ("them", "it to the clinic").
fn is_reference(object: &str) -> bool {
    let first = object.split(' ').next().unwrap_or_default();
    is_one_of(object, REFERENCES) || is_one_of(first, PRONOUNS) || matches!(object, "它" | "它们" | "其")
}

/// Whether `text` asks something.
pub(super) fn is_question(text: &str) -> bool {
    text.ends_with('?') && text.chars().any(char::is_alphabetic)
}
