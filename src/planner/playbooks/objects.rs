//! What a part of a goal is about, and what it says beside that.

use super::language::{Language, Opening, first_word, without_separable};
use super::parts::trimmed;
use super::wording::{lower_first, quoted, without_quotations};

/// Longest object in a step, in characters.
pub(super) const OBJECT_CHARS: usize = 80;
/// Fewest words of a condition: "if possible" is none.
pub(super) const CONDITION_WORDS: usize = 3;
/// Beginnings of objects that "it" does not stand for: "find out why".
pub(super) const QUESTION_WORDS: [&str; 8] =
    ["why", "what", "which", "how", "who", "where", "when", "whether"];

/// What `text` is about: what its verb acts on, as something known ("a page" → "the page").
pub(super) fn object_of(text: &str, opening: Option<Opening>, language: &Language) -> String {
    match opening {
        Some(Opening::English) => {}
        Some(Opening::Foreign) => {
            let behind = language.behind_verb(text);
            // "Finde heraus, warum die Lieferungen fehlen"
            let mut objects = behind.split([',', '，', ':']).map(|object| without_separable(object.trim()));
            return quoted(objects.find(|object| !object.is_empty()).unwrap_or(text));
        }
        // "a cost estimate for the roof"
        None if ["a", "an", "the"].contains(&first_word(text).as_str()) => {}
        None => return quoted(text),
    }
    let words: Vec<&str> = text.split(' ').collect();
    let verb = verb_words(&words);
    // "Make sure that …"
    if words.get(verb).is_some_and(|word| ["sure", "certain"].contains(word)) {
        return quoted(words[verb + 1..].join(" ").trim_start_matches("that "));
    }
    // "what's"
    let asks =
        |word: &&str| word.split(['\'', '’']).next().is_some_and(|word| QUESTION_WORDS.contains(&word));
    if words.get(verb).is_some_and(asks) {
        return quoted(&words[verb..].join(" "));
    }
    let begin = if opening.is_some() { object_at(&words) } else { 0 };
    let rest = &words[begin.min(words.len())..];
    let end = (1..rest.len()).find(|&at| language.ends_object(&rest[..at], &rest[at..]));
    let object = rest[..end.unwrap_or(rest.len())].join(" ");
    let object = object.trim_end_matches([',', ':', ';', '.']);
    let known = match object.split_once(' ') {
        Some((article, noun)) if ["a", "an"].contains(&article.to_lowercase().as_str()) => {
            format!("the {noun}")
        }
        // "The new library rules"
        _ if opening.is_none() => lower_first(object),
        _ => object.to_owned(),
    };
    if known.is_empty() {
        return quoted(text);
    }
    crate::text::shorten(&known, OBJECT_CHARS)
}

/// How many of `words` say what is done, and for whom: "quickly fix", "tell me".
fn verb_words(words: &[&str]) -> usize {
    let verbs = if words[0].to_lowercase().ends_with("ly") { 2 } else { 1 };
    verbs + usize::from(words.get(verbs).is_some_and(|word| ["me", "us"].contains(word)))
}

/// Where in `words`, which begin with an English verb, its object begins: "look up", "wait for".
fn object_at(words: &[&str]) -> usize {
    let verb = verb_words(words);
    let at = |place: usize, among: &[&str]| words.get(place).is_some_and(|word| among.contains(word));
    let particle =
        verb + usize::from(at(verb, &["up", "out", "down", "off", "back", "together", "away", "over"]));
    particle + usize::from(at(particle, &["for", "to", "about", "at", "on", "into", "that"]))
}

/// What `text` says must be so before it is done, at its end.
pub(super) fn condition(text: &str, language: &Language) -> Option<String> {
    let masked = without_quotations(text, true);
    // What is quoted is masked.
    let is_said = |at: &usize| !masked.as_bytes()[*at..].starts_with(b" ");
    let mut words = text.match_indices(' ').map(|(at, _)| at + 1).filter(is_said);
    let (at, condition) = words.find_map(|at| Some((at, language.behind_condition(&text[at..])?)))?;
    // "a script that sends a message if …", "accidents and falls in the home"
    let is_verb = text[at..].starts_with("falls ") && !text[..at].trim_end().ends_with(',');
    let before = &text[..at];
    // "Vérifie si la porte est fermée"
    let asks = before.split_whitespace().count() == 1;
    let is_strict = ["only ", "as soon as ", "provided "].iter().any(|gate| text[at..].starts_with(gate));
    if is_verb || asks || language.concedes(before) || !is_strict && language.has_relative_clause(before) {
        return None;
    }
    (condition.split(' ').count() >= CONDITION_WORDS).then(|| trimmed(condition))
}

/// Where in `text` it begins to say how, when, where or for what something is done.
pub(super) fn aside(text: &str, opening: Option<Opening>, language: &Language) -> usize {
    let words: Vec<&str> = text.split(' ').collect();
    let begin = match opening {
        Some(Opening::English) => object_at(&words),
        Some(Opening::Foreign) => 1,
        None => words.len(),
    };
    let aside = words.iter().enumerate().skip(begin + 1).find(|(_, word)| language.begins_aside(word));
    let aside = aside.map_or(text.len(), |(at, _)| words[..at].join(" ").len());
    text.find([',', '，', '(']).map_or(aside, |comma| comma.min(aside))
}
