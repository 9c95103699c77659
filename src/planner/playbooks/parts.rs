//! A goal's parts: what is asked for, one thing each, in the order of the text.

use crate::text::is_ideograph;

use super::clauses::{clauses, leading_condition, prerequisites, questions, statement, without_reasons};
use super::language::{Language, Opening, first_word};
use super::limit;
use super::objects::{OBJECT_CHARS, QUESTION_WORDS, aside, condition, object_of};
use super::sentences::{sentences, without_marker};
use super::wording::{lower_first, one_line, quoted, without_quotations};

/// Most parts of a goal; what follows belongs to the last of them.
const MAX_PARTS: usize = 48;
/// Most items of a list that is worked off in one step, and most words of one.
const MAX_ITEMS: usize = 8;
const ITEM_WORDS: usize = 7;
/// What ends a part that is done where a condition does not hold.
const OTHERWISE: &str = " otherwise";
/// Most words of a heading before a colon.
const HEADING_WORDS: usize = 5;
/// Words of headings: "Do these three things today:".
const HEADING: [&str; 6] = ["following", "things", "tasks", "errands", "steps", "folgendes"];

/// A goal taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Goal {
    /// What is asked for; never empty.
    pub(super) parts: Vec<Part>,
    /// Sentences that describe the state of things.
    pub(super) background: Vec<String>,
}

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its words, without what people say around them; never blank.
    pub(super) text: String,
    /// What it is about, for the steps around it.
    pub(super) object: String,
    /// How it begins; `None`: not with a verb.
    pub(super) opening: Option<Opening>,
    /// Where in its words it begins to say how, when, where or for what it is done.
    pub(super) aside: usize,
    /// Where in its words the name of an earlier thing begins, which the goal has a pronoun for.
    pub(super) referred: Option<usize>,
    /// When it is done.
    pub(super) turn: Turn,
    /// What must be so before it is done: "if the fence is repaired" → "the fence is repaired".
    pub(super) condition: Option<String>,
    /// Whether the parts behind it say what it consists of: "List the flat: take photos and set a price".
    pub(super) heads: bool,
}

/// When a part is done, as far as its words say that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// After the part that is written before it.
    AsWritten,
    /// Before what cannot be undone, else before the part that is written before it: "… first".
    First,
    /// Before the last part that cannot be undone: "… before it goes out".
    BeforeFinal,
    /// Before everything: "… before anyone looks at it".
    BeforeAll,
}

impl Part {
    /// Several parts as one, for the steps that they share.
    pub(super) fn of_all<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut all: Option<Self> = None;
        for part in parts {
            let Some(whole) = &mut all else {
                all = Some(part.clone());
                continue;
            };
            whole.text = format!("{}; {}", whole.text, lower_first(&part.text));
            let object = format!("{} and {}", whole.object, part.object);
            if !whole.object.contains(&part.object) && object.chars().count() <= OBJECT_CHARS {
                whole.object = object;
            }
        }
        all.expect("at least one part")
    }
}

/// The parts of `goal`.
pub(super) fn split(goal: &str) -> Goal {
    let language = Language::get();
    let (mut background, mut reasons) = (Vec::new(), Vec::new());
    let mut texts: Vec<String> = Vec::new();
    let sentences = sentences(goal);
    for (index, sentence) in sentences.iter().enumerate() {
        let sentence = without_marker(sentence);
        // "We want to share the survey. Anonymise it and write the agreement."
        if language.is_wish(sentence) && sentences[index + 1..].iter().any(|later| language.requests(later)) {
            background.push(trimmed(sentence));
            continue;
        }
        let text = match language.aim(sentence) {
            Some((aim, request)) => {
                background.push(trimmed(aim));
                request
            }
            None => language.without_lead_ins(sentence),
        };
        if !text.chars().any(char::is_alphanumeric) {
            continue;
        }
        let heads = || {
            language.opening(text).is_none()
                || text.split(' ').any(|word| HEADING.contains(&word.trim_end_matches(':')))
        };
        if text.ends_with(':') && texts.is_empty() && heads() {
            // A heading.
            continue;
        }
        let text = match heading(text, language) {
            Some((heading, request)) => {
                background.push(trimmed(heading));
                request
            }
            None => text,
        };
        let text = match statement(text, language) {
            Some((statement, request)) => {
                background.push(trimmed(statement));
                request
            }
            None if language.opening(text).is_none()
                && (language.describes(text)
                    || language.prohibits(text) && language.released(text).is_none())
                && !text.chars().any(is_ideograph)
                && !text.ends_with(['?', '？']) =>
            {
                background.push(trimmed(text));
                continue;
            }
            None => text,
        };
        let (text, alternative) = match language.alternative(text) {
            Some((text, alternative)) => (text, Some(alternative)),
            None => (text, None),
        };
        let first = texts.len();
        let text = without_reasons(text, language, &mut reasons);
        let (condition, text) = leading_condition(&text, language);
        clauses(text, language, &mut texts);
        if let (Some(condition), Some(text)) = (condition, texts.get_mut(first)) {
            *text = format!("{text} {}", lower_first(condition));
        }
        for text in &mut texts[first..] {
            if let Some(released) = language.released(text) {
                *text = released;
            } else if let (Some(condition), request) = leading_condition(text, language) {
                *text = format!("{request} {condition}");
            }
        }
        texts.extend(alternative.map(|text| trimmed(text) + OTHERWISE));
    }
    if texts.is_empty() {
        // A goal of descriptions alone is taken as work.
        texts = std::mem::take(&mut background);
    }
    if texts.is_empty() {
        let text = one_line(goal);
        texts.push(match text {
            text if text.is_empty() => "(nothing visible)".into(),
            text if text.chars().any(char::is_alphanumeric) => text,
            marks => quoted(&marks),
        });
    }
    share_objects(&mut texts, language);
    let texts = texts.into_iter().flat_map(|text| prerequisites(text, language));
    let mut texts: Vec<String> = texts.flat_map(|text| questions(text, language)).collect();
    if texts.len() > MAX_PARTS {
        let rest = texts.split_off(MAX_PARTS).join("; ");
        texts[MAX_PARTS - 1] = format!("{}; {rest}", texts[MAX_PARTS - 1]);
    }
    // "It" may be what was said before.
    let said = background.iter().rfind(|said| !language.begins_time(said));
    let mut before: Vec<String> = said.map(|said| quoted(said)).into_iter().collect();
    let parts = texts.into_iter().map(|text| part(text, language, &mut before)).collect();
    background.append(&mut reasons);
    Goal { parts, background }
}

/// What is said before a request, and that: "Every Friday: collect the timesheets and check them", "By Friday, pay the rent
/// and cancel the gym".
fn heading<'t>(text: &'t str, language: &Language) -> Option<(&'t str, &'t str)> {
    if let Some((circumstance, request)) = text.split_once('，')
        && language.is_circumstance(circumstance)
        && language.opens_part(request)
    {
        return Some((circumstance, request));
    }
    let (heading, request) = text.split_once(": ").or_else(|| text.split_once(", "))?;
    let is_short = heading.split(' ').count() <= HEADING_WORDS || language.begins_time(heading);
    let is_aside = || language.begins_aside(heading.split(' ').next().unwrap_or_default());
    let is_heading = language.opening(heading).is_none()
        && language.behind_condition(heading).is_none()
        && is_short
        && (text.contains(": ") || is_aside())
        && language.opens_part(request);
    is_heading.then_some((heading, request))
}

pub(super) fn trimmed(text: &str) -> String {
    let text =
        text.trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '，' | '、' | ':' | ';' | '；'));
    let last = text.rsplit(' ').next().unwrap_or_default();
    // "at 9 a.m." keeps its stop.
    let keeps_stop = last.trim_end_matches('.').contains('.') || Language::get().is_abbreviation(last);
    if keeps_stop { text.to_owned() } else { text.trim_end_matches('.').trim_end().to_owned() }
}

/// Verbs without an object get that of the next part: "Build and deploy a REST API". Without one there, both are one
/// part: "Reply and sort it out".
fn share_objects(texts: &mut Vec<String>, language: &Language) {
    // "Rechnungen prüfen, freigeben und überweisen"
    for index in 1..texts.len() {
        let before =
            texts[..index].iter().rfind(|text| text.contains(' ') && language.opens_with_object(text));
        if let Some(before) = before
            && !texts[index].contains(' ')
            && texts[index].ends_with("en")
            && texts[index].starts_with(char::is_lowercase)
        {
            texts[index] = format!("{} {}", language.behind_verb(before), texts[index]);
        }
    }
    for index in (0..texts.len().saturating_sub(1)).rev() {
        let (verb, next) = (&texts[index], &texts[index + 1]);
        let Some(opening) = language.opening(verb).filter(|_| !verb.contains(' ')) else { continue };
        // Without spaces, a short piece may be a verb with its object: "买菜，做饭".
        if verb.contains(is_ideograph) || language.opens_with_object(next) {
            continue;
        }
        // "Order and set up ten laptops"
        let object = language.behind_verb(next);
        let object = object
            .split_once(' ')
            .filter(|(word, _)| PARTICLES.contains(word))
            .map_or(object, |(_, rest)| rest);
        let names_thing =
            !object.is_empty() && !language.is_pronoun(object.split(' ').next().unwrap_or_default());
        match opening {
            _ if next.ends_with(OTHERWISE) => {}
            _ if names_thing => {
                texts[index] = format!("{verb} {object}");
            }
            Opening::Foreign => {}
            Opening::English => {
                let next = texts.remove(index + 1);
                texts[index] = format!("{} and {next}", texts[index]);
            }
        }
    }
}

/// The second words of verbs: "set up", "carry out".
const PARTICLES: [&str; 9] = ["up", "out", "off", "on", "down", "over", "back", "away", "apart"];

/// Verbs whose objects are persons, for whom "it" does not stand: "have the CFO sign it".
const ASKING: [&str; 7] = ["have", "let", "ask", "tell", "get", "help", "remind"];

/// The part in `text`; `before` has the objects of earlier parts.
fn part(mut text: String, language: &Language, before: &mut Vec<String>) -> Part {
    let heads = text.ends_with(':');
    text.truncate(text.len() - usize::from(heads));
    let turn = language.turn(&text);
    if let Some(rest) = language.without_first(&text).map(str::to_owned) {
        text = rest;
    }
    let opening = language.opening(&text);
    // "How do I prune old apple trees?"
    if opening.is_some() {
        text.truncate(text.trim_end_matches(['?', '？', ' ']).len());
    }
    // "Review the lease and sign"
    if opening == Some(Opening::English)
        && !text.contains(' ')
        && let Some(first) = before.first()
    {
        text = format!("{text} {first}");
    }
    let (mut object, mut referred) = (object_of(&text, opening, language), None);
    let name = object.trim_matches(['“', '”']).to_owned();
    let first = name.split(' ').next().unwrap_or_default();
    // "… and report to the board": about what was found before.
    let reports =
        ["report to ", "present to ", "write to "].iter().any(|verb| text.to_lowercase().starts_with(verb));
    if let Some(last) = before.last().filter(|_| reports) {
        object.clone_from(last);
    }
    // "Have it reviewed", "fais-le relire"
    let has_pronoun = ["it", "them"].contains(&first)
        || opening == Some(Opening::Foreign)
            && (language.attaches_pronoun(&text)
                || language.is_pronoun(&first_word(&text))
                // "发布到官网"
                || name.starts_with(['到', '给', '至']));
    if !has_pronoun && !language.is_pronoun(&name) {
        // "Read the papers, compare their methods"
        if let Some(last) = before.last()
            && let Some(of_them) = name.strip_prefix("their ").or(name.strip_prefix("its "))
        {
            object = format!("the {of_them} of {last}");
        }
        let is_clause = ["nobody", "everybody", "everyone", "nothing", "no"].contains(&first);
        let names_thing =
            !QUESTION_WORDS.contains(&first) && !is_clause && !ASKING.contains(&first_word(&text).as_str());
        if names_thing && language.may_be_referred_to(&object) && limit::waiting(&text).is_none() {
            before.push(object.clone());
        }
    } else if let Some(last) = before.last() {
        let pronoun = if language.is_pronoun(&name) { name.as_str() } else { first };
        let is_both = ["both", "beides", "两者"].contains(&name.to_lowercase().as_str());
        object = match before.as_slice() {
            [.., earlier, last] if is_both && earlier != last => format!("{earlier} and {last}"),
            // "Review the pull request, run the tests and merge it"
            _ => before
                .iter()
                .rfind(|object| is_plural(object, language) == (pronoun == "them"))
                .filter(|_| opening == Some(Opening::English))
                .unwrap_or(last)
                .clone(),
        };
        // "document it" → "document the REST API", "run it for a week" → "run the advertisement for a week"
        let fits = !["it", "them"].contains(&pronoun) || is_plural(&object, language) == (pronoun == "them");
        if opening == Some(Opening::English)
            && language.is_pronoun(pronoun)
            && pronoun != "one"
            && fits
            && let Some(at) = text.find(&format!(" {pronoun}"))
            && let mut behind = text[at + 1 + pronoun.len()..].split_whitespace()
            // "have it reviewed"
            && behind.next().is_none_or(|word| language.begins_aside(word))
        {
            text.replace_range(at + 1..at + 1 + pronoun.len(), &object);
            referred = Some(at + 1);
        }
    }
    let text = with_list_in_brackets(text);
    let aside = aside(&text, opening, language);
    let condition = condition(&text, language);
    Part { text, object, opening, aside, referred, turn, condition, heads }
}

/// Whether `object` looks like the name of several things, or of two.
fn is_plural(object: &str, language: &Language) -> bool {
    let ends = |word: &&str| *word != "of" && !language.begins_aside(word);
    let name = object.split(' ').take_while(ends).last().unwrap_or_default();
    object.contains(" and ") || name.ends_with('s') && !name.ends_with("ss")
}

/// `text` with the list at its end in brackets, if there is one: "Prepare the party (venue, music, invitations)".
fn with_list_in_brackets(text: String) -> String {
    let Some((head, list)) = text.split_once(": ") else { return text };
    let items: Vec<&str> = list.split(", ").collect();
    let is_list = (2..=MAX_ITEMS).contains(&items.len())
        && head.contains(' ')
        && items.iter().all(|item| !item.is_empty() && item.split(' ').count() <= ITEM_WORDS)
        && without_quotations(&text, true).contains(": ");
    if is_list { format!("{head} ({list})") } else { text }
}
