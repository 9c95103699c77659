//! A goal's parts: what is asked for, one thing each, in the order of the text.

use crate::text::is_ideograph;

use super::language::{Language, Opening, first_word};
use super::limit;
use super::objects::{CONDITION_WORDS, OBJECT_CHARS, QUESTION_WORDS, aside, condition, object_of};
use super::sentences::{sentences, without_marker};
use super::wording::{lower_first, one_line, quoted, without_quotations};

/// Most parts of a goal; what follows belongs to the last of them.
const MAX_PARTS: usize = 48;
/// Most items of a list that is worked off in one step, and most words of one.
const MAX_ITEMS: usize = 8;
const ITEM_WORDS: usize = 7;
/// What ends a part that is done where a condition does not hold.
const OTHERWISE: &str = " otherwise";
/// Most commas in a condition at the beginning.
const MAX_COMMAS: usize = 16;
/// Most reasons that are taken out of a sentence.
const MAX_REASONS: usize = 3;
/// Most words of a heading before a colon.
const HEADING_WORDS: usize = 5;
/// Before this word, a question to be found out begins: "find out for us what …".
const QUESTION_AT: usize = 5;
/// Before a thing, which a clause with "who" or "which" says more about.
#[rustfmt::skip]
const ARTICLES: [&str; 17] = [
    "a", "an", "the", "my", "our", "ein", "eine", "einen", "der", "die", "das", "un", "una", "une", "el", "la", "le",
];
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
    for sentence in sentences(goal) {
        let sentence = without_marker(&sentence);
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
        let text = match text.split_once(": ").or_else(|| text.split_once(", ")) {
            // "Every Friday: collect the timesheets and check them", "By Friday, pay the rent and cancel the gym"
            Some((heading, request))
                if language.opening(heading).is_none()
                    && language.behind_condition(heading).is_none()
                    && (heading.split(' ').count() <= HEADING_WORDS || language.begins_time(heading))
                    && (text.contains(": ")
                        || language.begins_aside(heading.split(' ').next().unwrap_or_default()))
                    && language.opens_part(request) =>
            {
                background.push(trimmed(heading));
                request
            }
            _ => text,
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

/// Takes what says why something is done out of `text`: "Write it, because …, and have it checked".
fn without_reasons(text: &str, language: &Language, reasons: &mut Vec<String>) -> String {
    let mut text = text.to_owned();
    for _ in 0..MAX_REASONS {
        let masked = without_quotations(&text, true);
        let Some((before, reason)) = language.reason(&masked).filter(|(before, _)| is_whole(before)) else {
            break;
        };
        let mut ends = reason.char_indices().skip(1).filter(|(at, c)| match c {
            ',' | ';' | '，' | '；' => {
                language.opens_part(language.without_lead_ins(&reason[at + c.len_utf8()..]))
            }
            ' ' => language.joins_part(&reason[at + 1..]),
            _ => false,
        });
        let end = ends.next();
        let (start, end) = (before.len(), before.len() + end.map_or(reason.len(), |(at, _)| at));
        reasons.push(trimmed(&text[start..end]));
        let before = text[..start].trim_end();
        let before = [" and", " und", " y", " et"].iter().find_map(|joint| before.strip_suffix(joint));
        text = format!("{}{}", trimmed(before.unwrap_or(&text[..start])), &text[end..]);
    }
    text
}

/// Whether `request` says what is done, and to what.
fn is_whole(request: &str) -> bool {
    request.split_whitespace().count() > 1 || request.chars().filter(|c| is_ideograph(*c)).count() > 3
}

/// The statement or prohibition at the beginning of `text`, and the request after it: "The page is slow, please fix it".
fn statement<'t>(text: &'t str, language: &Language) -> Option<(&'t str, &'t str)> {
    let states = || language.describes(text) || language.prohibits(text);
    if language.opening(text).is_some() || !states() {
        return None;
    }
    // Without spaces, what comes after the first comma may be asked for with a verb that is not known.
    let commas = if text.contains(' ') { usize::MAX } else { 1 };
    let mut commas = text.match_indices([',', ';', '，', '；']).take(commas);
    let (at, comma) = commas
        .find(|(at, comma)| language.opens_part(language.without_lead_ins(&text[at + comma.len()..])))?;
    let comma = comma.len();
    Some((&text[..at], language.without_lead_ins(&text[at + comma..])))
}

/// The condition at the beginning of `text`, and the request after it: "If the tests pass, deploy it", "if the difference
/// is too large find out why".
fn leading_condition<'t>(text: &'t str, language: &Language) -> (Option<&'t str>, &'t str) {
    if language.behind_condition(text).is_none() {
        return (None, text);
    }
    let commas = text.match_indices([',', '，']).take(MAX_COMMAS);
    let mut behind_commas =
        commas.map(|(at, comma)| (at, language.without_lead_ins(&text[at + comma.len()..])));
    let words = text.match_indices(' ').skip(CONDITION_WORDS).map(|(at, _)| (at, &text[at + 1..]));
    let mut verbs = words.filter(|(_, rest)| language.opens_clearly(rest));
    match behind_commas.find(|(_, request)| language.opens_part(request)).or_else(|| verbs.next()) {
        Some((at, request)) => (Some(&text[..at]), request),
        None => (None, text),
    }
}

/// Takes what must be done before out of `text`: "Deploy it after running the tests and getting Eva's approval".
fn prerequisites(text: String, language: &Language) -> Vec<String> {
    let masked = without_quotations(&text, true);
    let found = masked.match_indices(" after ").find_map(|(at, after)| {
        let rest = &text[at + after.len()..];
        // "after moving away" is when or why.
        let has_object = rest.split(' ').nth(1).is_some_and(|word| language.begins_thing(word));
        language.infinitive(rest).filter(|_| has_object).map(|first| (at, first))
    });
    let Some((at, first)) = found else { return vec![text] };
    let mut before: Vec<String> = Vec::new();
    for piece in first.split(" and ") {
        match (language.infinitive(piece), before.last_mut()) {
            (Some(piece), _) => before.push(piece),
            (None, Some(last)) => *last = format!("{last} and {piece}"),
            (None, None) => before.push(piece.to_owned()),
        }
    }
    before.push(trimmed(&text[..at]));
    before
}

/// Each question of `text` as a part: "Find out what it costs, who pays and how long it takes".
fn questions(text: String, language: &Language) -> Vec<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let is_question = |at: &usize| language.is_question_word(words[*at]);
    let Some(first) = (1..words.len().min(QUESTION_AT)).find(is_question) else { return vec![text] };
    let joins = |at: usize| language.joint(words[at]).is_some_and(|end| end == words[at].len());
    let is_joined = |at: usize| words[at - 1].ends_with(',') || joins(at - 1);
    let is_next = |at: &usize| {
        // "Decide what to do when it rains and when it snows"
        let is_parallel = || (first + 1..*at).any(|other| words[other] == words[*at] && !is_joined(other));
        is_question(at) && is_joined(*at) && !is_parallel()
    };
    let starts: Vec<usize> =
        std::iter::once(first).chain((first + 2..words.len() - 1).filter(is_next)).collect();
    // "Hire a receptionist who speaks French and who can drive"
    let names_thing = words[1..first].iter().any(|word| ARTICLES.contains(&word.to_lowercase().as_str()));
    if starts.len() == 1 || names_thing || language.opening(&text).is_none() {
        return vec![text];
    }
    let verb = words[..first].join(" ");
    let ends = starts.iter().skip(1).copied().chain([words.len()]);
    let question = |(start, end): (&usize, usize)| {
        let end = if end < words.len() && joins(end - 1) { end - 1 } else { end };
        trimmed(&format!("{verb} {}", words[*start..end].join(" ")))
    };
    starts.iter().zip(ends).map(question).collect()
}

/// Splits a sentence where a comma, a colon or a joining word is followed by what opens a part of its own.
fn clauses(sentence: &str, language: &Language, texts: &mut Vec<String>) {
    let masked = without_quotations(sentence, true);
    let (mut start, mut pieces) = (0, Vec::new());
    // "If the papers are late, tell the customer": the first comma ends the condition.
    let condition_of = |piece: &str| leading_condition(piece, language).0.map_or(0, str::len);
    let mut condition = condition_of(sentence);
    if language.opening(sentence).is_some() || sentence.chars().any(is_ideograph) {
        for (at, _) in sentence.char_indices().filter(|(at, c)| masked[*at..].starts_with(*c)) {
            if at > start
                && at - start != condition
                && let Some(length) = separator(&sentence[start..], at - start, language)
            {
                // A head keeps its colon.
                let end = if sentence[at..].starts_with(':') { at + 1 } else { at };
                pieces.push(&sentence[start..end]);
                start = at + length;
                condition = condition_of(&sentence[start..]);
            }
        }
    }
    pieces.push(&sentence[start..]);
    let texts_of = pieces.into_iter().filter(|piece| piece.chars().any(char::is_alphanumeric));
    texts.extend(texts_of.map(|piece| trimmed(piece) + if piece.ends_with(':') { ":" } else { "" }));
}

/// How many bytes of `sentence` from `at` on separate two parts; `None` if no part begins after them.
fn separator(sentence: &str, at: usize, language: &Language) -> Option<usize> {
    let rest = &sentence[at..];
    let is_word_start = sentence[..at].ends_with(char::is_whitespace);
    let (mut length, is_comma) = match rest.chars().next()? {
        ',' | ':' if rest[1..].starts_with(|c| c == ' ' || is_ideograph(c)) => (1, true),
        c @ ('，' | '、' | ';' | '；') => (c.len_utf8(), true),
        '&' if rest[1..].starts_with(' ') => (1, false),
        c if is_ideograph(c) => {
            // "审核后发送": 后 joins only behind a verb.
            let is_joint = |joint: &&String| {
                let follows_verb =
                    || language.unspaced_verbs.iter().any(|verb| sentence[..at].ends_with(verb.as_str()));
                rest.starts_with(joint.as_str()) && (joint.as_str() != "后" || follows_verb())
            };
            let joint = language.unspaced_joints.iter().find(is_joint)?;
            return language.joins_unspaced(&rest[joint.len()..]).then_some(joint.len());
        }
        // "check it first and pay it": that belongs to the part before.
        _ if is_word_start && !language.is_first(rest) => (0, false),
        _ => return None,
    };
    let mut joins = is_comma || length > 0;
    loop {
        let spaces = rest[length..].len() - rest[length..].trim_start().len();
        length += spaces;
        let Some(bytes) = language.joint(&rest[length..]) else { break };
        length += bytes;
        if rest[length..].starts_with(',') {
            length += 1;
        }
        joins = true;
    }
    let behind = &rest[length..];
    // "pon en venta la casa": Dutch "en" joins only what is known to be a verb.
    if rest[..length].trim() == "en" && !language.knows_verb(behind) {
        return None;
    }
    // "…, but don't send it until Eva has approved it", "… and if the difference is too large find out why"
    if joins && (language.released(behind).is_some() || leading_condition(behind, language).0.is_some()) {
        return Some(length);
    }
    if !rest[..length].contains("then") && language.lists_purposes(&sentence[..at]) {
        return None;
    }
    // "die alten und neuen Daten prüfen" is one part, "die Daten sichern und das System prüfen" are two.
    // A joining word follows the comma.
    let is_clause = rest.starts_with(':') || rest.starts_with(',') && length > ", ".len();
    if language.opens_with_object(behind)
        && (!is_clause && !language.ends_with_verb(&sentence[..at]) || language.is_subordinate(behind))
    {
        return None;
    }
    let opens =
        rest.starts_with([';', '；']) && language.opening(behind).is_some() && !language.is_demand(behind);
    // "Raum buchen, Tagesordnung abstimmen"
    let clause = behind.split(", ").next().unwrap_or_default();
    let opens_part = || language.opens_part(behind) || language.opens_part(clause);
    (joins && length > 0 && (opens || opens_part())).then_some(length)
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
        if texts[index].contains(' ') || language.opening(&texts[index]) != Some(Opening::English) {
            continue;
        }
        match texts[index + 1].split_once(' ') {
            _ if texts[index + 1].ends_with(OTHERWISE) => {}
            Some((_, object)) if !language.is_pronoun(object.split(' ').next().unwrap_or_default()) => {
                texts[index] = format!("{} {object}", texts[index]);
            }
            _ => {
                let next = texts.remove(index + 1);
                texts[index] = format!("{} and {next}", texts[index]);
            }
        }
    }
}

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
    // "Review the lease and sign"
    if opening == Some(Opening::English)
        && !text.contains(' ')
        && let Some(first) = before.first()
    {
        text = format!("{text} {first}");
    }
    let mut object = object_of(&text, opening, language);
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
        }
    }
    let text = with_list_in_brackets(text);
    let aside = aside(&text, opening, language);
    let condition = condition(&text, language);
    Part { text, object, opening, aside, turn, condition, heads }
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
