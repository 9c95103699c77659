//! What each clause wants, which arm takes it, and what it is about.

use crate::text::{find_phrase, fold, shorten};

use super::arms::{Arms, Intent};
use super::choice::Chooser;
use super::clauses::Clause;
use super::lexicon::{Lexicon, Senses, after_phrase, is_one_of};
use super::objects::{
    OBJECT_CHARS, capitalised, definite, is_destination, shared_tests, tests_for, with_object, without_tests,
};
use super::vocabulary::{ASKING, OBJECT_STARTS, REFERENCES, STATING, UNSPACED_REFERENCES};

/// Longest piece of the goal's text in one action, in characters.
const ACTION_CHARS: usize = 120;
/// As much of one clause is read, in characters.
const READ_CHARS: usize = 1_000;

/// How sure a reading is: the head of the clause was known, or only a word further in.
pub(super) const KNOWN: f64 = 1.0;
pub(super) const HINTED: f64 = 0.5;

const FIXING: &[&str] = &["fix", "debug", "repair", "resolve", "solve", "troubleshoot", "patch"];
const SHIPPING: &[&str] = &["deploy", "release", "publish", "ship", "roll out", "launch", "install", "host"];
const TRYING: &[&str] =
    &["run", "execute", "test", "benchmark", "teste", "starte", "测试", "运行", "запусти"];
const WEIGHING: &[&str] = &[
    "compare",
    "contrast",
    "rank",
    "choose",
    "select",
    "pick",
    "vergleiche",
    "compara",
    "比较",
    "对比",
    "сравни",
];

/// What the wording of a part depends on, beside its intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Fix,
    Tests,
    Ship,
    /// Runs what there is, to see how it does.
    Trial,
    Compare,
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
    let heads: Vec<Head<'_>> = clauses.iter().map(|clause| head(clause, lexicon, arms)).collect();
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

fn head<'a>(clause: &'a Clause, lexicon: &Lexicon, arms: &Arms) -> Head<'a> {
    let end = clause.text.char_indices().nth(READ_CHARS).map_or(clause.text.len(), |(at, _)| at);
    let text = &clause.text[..end];
    let folded = fold(text);
    let verb = lexicon.at(&folded).filter(|(_, senses)| senses.verb.is_some());
    let keyword = arms.leading_keyword(&folded).filter(|keyword| {
        // A noun at the head ("privacy policy for the shop") is no action.
        verb.is_some() || lexicon.at(keyword).is_none_or(|(_, senses)| !senses.nounish)
    });
    let lead = match (verb, keyword) {
        (Some((phrase, senses)), _) => Some((phrase.to_owned(), senses)),
        (None, Some(phrase)) => {
            Some((phrase.to_owned(), Senses { english: phrase.is_ascii(), ..Senses::default() }))
        }
        (None, None) => None,
    };
    let object =
        lead.as_ref().map_or(text, |(phrase, _)| after_phrase(text, phrase).unwrap_or(text)).trim_end();
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
        let subject = text.split(verb).next().unwrap_or_default().trim();
        if !subject.is_empty() {
            self.spoken_of = definite(subject);
        }
        self.background.push(text.to_owned());
        true
    }

    fn part(&mut self, head: &Head<'_>, shared: Option<&str>, same_sentence: bool) {
        let (mut intent, arm, mut certainty) = self.chooser.choose(head, shared.unwrap_or(head.object));
        let makes = |part: &Part| part.intent == Intent::Make;
        let tests_aside = intent == Intent::Make || same_sentence && self.parts.last().is_some_and(makes);
        let whole = shared.unwrap_or(head.object);
        let own = if tests_aside { without_tests(whole) } else { whole };
        let resolved = with_object(&format!("- {own}"), &self.spoken_of);
        let resolved = &resolved[2..];
        let tests_too = intent == Intent::Make && shared_tests(whole).is_some();

        let target = (intent == Intent::Make).then(|| tests_for(resolved)).flatten();
        let refers = self.refers(head);
        let english = head.lead.as_ref().is_some_and(|(_, senses)| senses.english) || starts_object(own);
        let elsewhere = intent == Intent::Run && is_destination(own) && !self.spoken_of.is_empty();
        let object = if own.is_empty() || elsewhere || target == Some("") || is_reference(own) {
            self.spoken_of.clone()
        } else if english {
            definite(target.unwrap_or(resolved))
        } else {
            format!("“{}”", shorten(own, OBJECT_CHARS))
        };
        let kind = match &head.lead {
            _ if target.is_some() => Kind::Tests,
            Some((verb, _)) if FIXING.contains(&verb.as_str()) => Kind::Fix,
            Some((verb, _)) if SHIPPING.contains(&verb.as_str()) => Kind::Ship,
            Some((verb, _)) if TRYING.contains(&verb.as_str()) => Kind::Trial,
            Some((verb, _)) if WEIGHING.contains(&verb.as_str()) => Kind::Compare,
            None if certainty == 0.0 => Kind::Unclear,
            _ => Kind::Plain,
        };
        if kind == Kind::Unclear {
            (intent, certainty) = (Intent::Think, 0.0);
        }
        let goes_back = same_sentence
            && self.parts.last().is_some_and(|before| before.intent > intent && before.kind != Kind::Ship)
            || self.is_write_up(head, intent)
                && self.parts.last().is_some_and(|before| before.intent == intent);
        let link = match head.clause.after {
            _ if self.parts.is_empty() => Link::None,
            true => Link::All,
            false if refers || goes_back => Link::Previous,
            false => Link::None,
        };
        let named =
            if elsewhere && self.parts.len() == 1 { format!("{object} {own}") } else { own.to_owned() };
        let text = self.imperative(head, &named, intent, kind);
        let text =
            if target == Some("") && !object.is_empty() { format!("{text} for {object}") } else { text };
        self.spoken_of.clone_from(&object);
        let words = head.folded.split(' ').count();
        self.push(Part { texts: vec![text], object, intent, kind, arm, link, certainty, words });
        if tests_too {
            self.push_tests(arm, link, words);
        }
    }

    /// Tests asked for along with something else are work of their own, beside it.
    fn push_tests(&mut self, arm: usize, link: Link, words: usize) {
        if self.parts.iter().any(|part| part.kind == Kind::Tests) {
            return;
        }
        let object = self.spoken_of.clone();
        let texts = vec![format!("Write tests for {object}")];
        let (intent, kind) = (Intent::Make, Kind::Tests);
        self.push(Part { texts, object, intent, kind, arm, link, certainty: KNOWN, words });
    }

    /// Adds a part, unless the goal says the same twice.
    fn push(&mut self, part: Part) {
        if self.parts.iter().all(|other| other.texts != part.texts) {
            self.parts.push(part);
        }
    }

    /// Whether what was thought is put into words here.
    fn is_write_up(&self, head: &Head<'_>, intent: Intent) -> bool {
        let writes = head.lead.as_ref().is_some_and(|(_, senses)| senses.verb == Some(Intent::Make));
        writes
            && intent == Intent::Think
            && self.parts.last().is_some_and(|before| before.kind == Kind::Compare)
    }

    /// Whether the clause speaks of something before it.
    fn refers(&self, head: &Head<'_>) -> bool {
        !self.parts.is_empty()
            && (head.folded.split(' ').skip(1).any(|word| REFERENCES.contains(&word))
                || UNSPACED_REFERENCES.iter().any(|word| find_phrase(&head.folded, word).is_some()))
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
        if kind == Kind::Unclear {
            return format!("Work on “{text}”");
        }
        if is_question(clause) {
            return format!("Find the answer to “{text}”");
        }
        let verb = match intent {
            Intent::Gather => "Gather",
            Intent::Think => "Work out",
            Intent::Make => "Implement",
            Intent::Guard => "Protect the data in",
            Intent::Run => "Carry out",
            Intent::Check => "Check",
        };
        if starts_object(clause) {
            format!("{verb} {text}")
        } else {
            format!("{verb} what “{text}” asks for")
        }
    }
}

/// Whether `object` stands for an earlier one ("them", "it to the clinic").
fn is_reference(object: &str) -> bool {
    let first = object.split(' ').next().unwrap_or_default();
    is_one_of(object, REFERENCES)
        || is_one_of(first, &["it", "them", "why", "sie", "ihn", "lo", "los", "её", "его", "их"])
        || matches!(object, "它" | "它们" | "其")
}

/// Whether `text` asks something.
pub(super) fn is_question(text: &str) -> bool {
    text.ends_with('?') && text.split(' ').next().is_some_and(|word| is_one_of(word, ASKING))
        || ASKING.iter().any(|word| !word.is_ascii() && text.contains(word) && text.ends_with('?'))
}

/// Whether `text` is an English noun phrase with its article.
fn starts_object(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(first, _)| {
        is_one_of(first, &["a", "an", "the", "my", "our"]) && is_one_of(first, OBJECT_STARTS)
    })
}
