//! Takes a sentence apart: its clauses, and what they say beside what is asked for.

use crate::text::is_ideograph;

use super::language::Language;
use super::objects::CONDITION_WORDS;
use super::parts::trimmed;
use super::wording::without_quotations;

/// Most commas in a condition at the beginning.
const MAX_COMMAS: usize = 16;
/// Most reasons that are taken out of a sentence.
const MAX_REASONS: usize = 3;
/// Before this word, a question to be found out begins: "find out for us what …".
const QUESTION_AT: usize = 5;
/// Before a thing, which a clause with "who" or "which" says more about.
#[rustfmt::skip]
const ARTICLES: [&str; 17] = [
    "a", "an", "the", "my", "our", "ein", "eine", "einen", "der", "die", "das", "un", "una", "une", "el", "la", "le",
];

/// Takes what says why something is done out of `text`: "Write it, because …, and have it checked".
pub(super) fn without_reasons(text: &str, language: &Language, reasons: &mut Vec<String>) -> String {
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
pub(super) fn statement<'t>(text: &'t str, language: &Language) -> Option<(&'t str, &'t str)> {
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
pub(super) fn leading_condition<'t>(text: &'t str, language: &Language) -> (Option<&'t str>, &'t str) {
    if language.behind_condition(text).is_none() {
        return (None, text);
    }
    let commas = text.match_indices([',', '，']).take(MAX_COMMAS);
    let mut behind_commas =
        commas.map(|(at, comma)| (at, language.without_lead_ins(&text[at + comma.len()..])));
    let words = text.match_indices(' ').skip(CONDITION_WORDS).map(|(at, _)| (at, &text[at + 1..]));
    let mut verbs = words.filter(|(_, rest)| language.opens_clearly(rest));
    // "如果油泵磨损就更换"
    let mut thens = text.rmatch_indices('就').map(|(at, then)| (at, &text[at + then.len()..]));
    let then = || thens.find(|(_, request)| language.opens_part(request));
    let behind_comma = behind_commas.find(|(_, request)| language.opens_part(request));
    match behind_comma.or_else(|| verbs.next()).or_else(then) {
        Some((at, request)) => (Some(&text[..at]), request),
        None => (None, text),
    }
}

/// Takes what must be done before out of `text`: "Deploy it after running the tests and getting Eva's approval".
pub(super) fn prerequisites(text: String, language: &Language) -> Vec<String> {
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
pub(super) fn questions(text: String, language: &Language) -> Vec<String> {
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
pub(super) fn clauses(sentence: &str, language: &Language, texts: &mut Vec<String>) {
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
                // "一并更换"
                let is_adverb = || joint.as_str() == "并" && sentence[..at].ends_with('一');
                rest.starts_with(joint.as_str()) && !is_adverb() && (joint.as_str() != "后" || follows_verb())
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
    if language.goes_on_with_noun(sentence[..at].trim_end(), behind) {
        return None;
    }
    // A joining word follows the comma.
    let is_clause = rest.starts_with(':') || rest.starts_with(',') && length > ", ".len();
    // "die alten und neuen Daten prüfen" is one part, "die Daten sichern und das System prüfen" are two.
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
