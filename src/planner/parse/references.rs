//! References to steps: by number, by name, in words, as a template writes them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::keys;
use super::values::{plain_digits, whole};

/// Most references that are read of one value: no plan has more steps.
const MAX_REFERENCES: usize = 100;
/// The longest text that is read as a reference, in bytes; the action of a step may be one.
const MAX_TEXT: usize = 2_000;

/// Words in front of a step's number.
#[rustfmt::skip]
const STEP_WORDS: [&str; 48] = [
    "step", "steps", "task", "tasks", "subtask", "item", "action", "stage", "phase", "node", "id",
    "number", "no", "nr", "s", "t", "output", "outputs", "result", "results", "ref", "schritt",
    "schritte", "aufgabe", "ergebnis", "paso", "pasos", "tarea", "étape", "etape", "etapes", "tâche",
    "passo", "passos", "etapa", "passaggio", "stap", "steg", "trin", "krok", "korak", "pas", "lépés",
    "vaihe", "adım", "adim", "bước", "langkah",
];
/// First words of texts that say that there is no dependency.
#[rustfmt::skip]
const NOTHING: [&str; 29] = [
    "", "none", "no", "nothing", "n/a", "na", "not", "null", "nil", "nan", "undefined", "false", "-", "–",
    "—", "keine", "kein", "aucun", "aucune", "ninguna", "ninguno", "nessuna", "nenhuma", "geen", "brak",
    "нет", "无", "なし", "independent",
];
/// Words after which a text does not mean what its numbers say.
const EXCEPTIONS: [&str; 8] = ["except", "without", "not", "but", "unless", "excluding", "außer", "sauf"];

/// The steps that values may refer to.
pub(super) struct References<'a> {
    /// The number of each step, by what else the step is called, in lower case.
    pub(super) names: &'a HashMap<String, i64>,
    /// The numbers of all steps.
    pub(super) numbers: &'a [i64],
    /// The numbers of the steps before the one that refers.
    pub(super) before: &'a [i64],
}

/// What a value in a list of dependencies means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// A step's number, which may not exist.
    Step(i64),
    /// Steps are meant, and which is not clear.
    Unclear,
    /// Something that is not a step.
    Other,
}

impl Reference {
    /// The number, if there is one.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Step(number) => Some(number),
            Self::Unclear | Self::Other => None,
        }
    }
}

impl References<'_> {
    /// The references in a value that is known to hold dependencies.
    pub(super) fn read(&self, value: &Value) -> Vec<Reference> {
        let references = match value {
            Value::Array(items) => {
                items.iter().flat_map(|item| self.one(item)).take(MAX_REFERENCES).collect()
            }
            other => self.one(other),
        };
        // `[0]` where no step is number 0.
        if references == [Reference::Step(0)] && !self.numbers.contains(&0) {
            return Vec::new();
        }
        references
    }

    /// The steps in a value of unknown meaning, if it holds references to steps and nothing else.
    pub(super) fn certain(&self, value: &Value) -> Option<Vec<i64>> {
        match value {
            Value::Array(items) if items.len() <= MAX_REFERENCES => {
                let all: Option<Vec<Vec<i64>>> = items.iter().map(|item| self.certain_one(item)).collect();
                all.map(|all| all.concat())
            }
            Value::String(_) | Value::Object(_) => self.certain_one(value),
            _ => None,
        }
    }

    fn certain_one(&self, value: &Value) -> Option<Vec<i64>> {
        let steps: Option<Vec<i64>> = match value {
            Value::Array(_) | Value::Bool(_) | Value::Null => None,
            Value::String(text) if text.len() > MAX_TEXT || !self.is_bare(text) => None,
            other => self.one(other).into_iter().map(Reference::number).collect(),
        };
        steps.filter(|steps| !steps.is_empty() && steps.iter().all(|step| self.numbers.contains(step)))
    }

    /// Whether a text is a reference and nothing else: a name, a template, or words of a reference alone.
    fn is_bare(&self, text: &str) -> bool {
        const FILLERS: [&str; 10] = ["of", "the", "from", "and", "to", "und", "et", "y", "и", "in"];
        let text = plain_digits(text.trim()).to_lowercase();
        let is_template =
            text.contains("{{") && text.ends_with('}') || text.starts_with(['$', '<', '#', '@']);
        let is_filler =
            |word: &str| FILLERS.contains(&word) || STEP_WORDS.contains(&word) || !word.is_ascii();
        !text.is_empty()
            && (is_template
                || self.named(&text).is_some()
                || tokens(&text).iter().all(|token| token.word().is_none_or(is_filler)))
    }

    /// The steps that a text mentions.
    pub(super) fn mentioned(&self, text: &str) -> Vec<i64> {
        if text.len() > MAX_TEXT {
            return Vec::new();
        }
        let tokens = tokens(&plain_digits(text).to_lowercase());
        let numbers = step_numbers(&tokens);
        numbers.into_iter().filter(|number| self.numbers.contains(number)).collect()
    }

    fn one(&self, value: &Value) -> Vec<Reference> {
        match value {
            Value::Null | Value::Bool(false) => Vec::new(),
            Value::Bool(true) => vec![Reference::Unclear],
            Value::Number(_) => vec![whole(value).map_or(Reference::Other, |number| self.numbered(number))],
            Value::String(text) => self.in_text(text),
            Value::Array(items) => {
                items.iter().filter(|item| !item.is_array()).flat_map(|item| self.one(item)).collect()
            }
            Value::Object(object) => self.in_object(object),
        }
    }

    /// The step of this number, which may be an id that some steps have in addition to their number.
    fn numbered(&self, number: i64) -> Reference {
        let by_id = || self.names.get(&number.to_string()).copied();
        let is_number = self.names.is_empty() || self.numbers.contains(&number);
        Reference::Step(if is_number { number } else { by_id().unwrap_or(number) })
    }

    /// `{"step": 1, "why": "…"}`, `{"steps": [1]}`, `{"1": true}`.
    fn in_object(&self, object: &Map<String, Value>) -> Vec<Reference> {
        const REFERENCE: [&[&str]; 2] = [
            keys::NUMBER,
            &["steps", "ids", "tasks", "task", "ref", "name", "title", "on", "from", "source"],
        ];
        if object.is_empty() {
            return Vec::new();
        }
        let plain = |inner: &&Value| !inner.is_object() && !inner.is_boolean();
        if let Some(inner) = REFERENCE.iter().find_map(|names| keys::field(object, names)).filter(plain) {
            return self.read(inner);
        }
        let by_key: Option<Vec<Vec<i64>>> = object
            .keys()
            .take(MAX_REFERENCES)
            .map(|key| self.certain_one(&Value::from(key.as_str())))
            .collect();
        match (by_key, object.values().next().filter(plain)) {
            (Some(steps), _) => steps.concat().into_iter().map(Reference::Step).collect(),
            (None, Some(only)) if object.len() == 1 => self.read(only),
            _ => vec![Reference::Unclear],
        }
    }

    /// `"step 1 and 2"`, `"1-3"`, `"gather"`, `"all previous steps"`, `"none"`, `"{{steps.1.output}}"`.
    fn in_text(&self, text: &str) -> Vec<Reference> {
        let text = plain_digits(text.trim().trim_end_matches('.')).to_lowercase();
        if let Some(number) = self.named(&text) {
            return vec![Reference::Step(number)];
        }
        if is_all(&text) {
            return self.before.iter().copied().map(Reference::Step).collect();
        }
        if matches!(text.as_str(), "previous" | "previous step" | "the previous step" | "prior step") {
            return self.before.last().copied().map(Reference::Step).into_iter().collect();
        }
        let text = text.trim_matches(['[', ']', '(', ')']);
        if is_nothing(text) {
            return Vec::new();
        }
        if let Some(number) = self.numbered_name(text).or_else(|| label(text)) {
            return vec![Reference::Step(number)];
        }
        let mut parts = text.to_owned();
        for word in [" and ", " und ", " y ", " et ", " e ", " и ", " or ", " then "] {
            parts = parts.replace(word, ",");
        }
        parts
            .split([',', ';', '/', '&', '+', '\n', '、', '，'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .flat_map(|part| self.in_part(part))
            .take(MAX_REFERENCES)
            .collect()
    }

    fn in_part(&self, part: &str) -> Vec<Reference> {
        if let Some(number) = self.named(part) {
            return vec![Reference::Step(number)];
        }
        if let Some((first, last)) = range(part) {
            return (first..=last).map(Reference::Step).collect();
        }
        if let Some(number) =
            whole(&Value::from(part)).or_else(|| label(part)).or_else(|| self.numbered_name(part))
        {
            return vec![Reference::Step(number)];
        }
        let tokens = tokens(part);
        let has = |words: &[&str]| {
            tokens.iter().any(|token| token.word().is_some_and(|word| words.contains(&word)))
        };
        let numbers = step_numbers(&tokens);
        if has(&EXCEPTIONS) {
            let speaks_of_steps =
                !numbers.is_empty() || has(&["all", "previous", "prior", "earlier", "steps"]);
            return vec![if speaks_of_steps { Reference::Unclear } else { Reference::Other }];
        }
        match numbers.as_slice() {
            [] if has(&["step", "steps", "previous", "prior", "preceding"]) => vec![Reference::Unclear],
            [] => vec![Reference::Other],
            numbers => numbers.iter().copied().map(Reference::Step).collect(),
        }
    }

    /// The step in `1. Search the archive`, `Step 1: Search the archive and the log`: a number and what the step
    /// is called. Other numbers in it may be those of further steps, unless the step is called exactly that.
    fn numbered_name(&self, text: &str) -> Option<i64> {
        let (number, name) = text.split_once(['.', ':', ')'])?;
        let number = match step_numbers(&tokens(number)).as_slice() {
            [] => whole(&Value::from(number))?,
            &[number] => number,
            _ => return None,
        };
        let is_name = name.starts_with(' ') && !name.contains(|c: char| c.is_ascii_digit());
        (self.numbers.contains(&number) && (is_name || self.named(name) == Some(number))).then_some(number)
    }

    /// The step of this name, which may be in a template: `{{gather.output}}`, `${gather}`, `step gather`.
    fn named(&self, text: &str) -> Option<i64> {
        let find = |name: &str| self.names.get(name.trim()).copied();
        let bare = text.trim_matches(|c: char| c.is_whitespace() || "{}$<>[]()\"'`@#%".contains(c));
        find(text)
            .or_else(|| find(bare))
            .or_else(|| {
                find(
                    bare.strip_prefix("step")
                        .or_else(|| bare.strip_prefix("task"))?
                        .trim_matches([' ', ':', '_', '.']),
                )
            })
            .or_else(|| {
                let mut path = bare.split('.');
                let (first, second) = (path.next()?, path.next()?);
                find(first).or_else(|| find(second).filter(|_| STEP_WORDS.contains(&first.trim())))
            })
    }
}

/// A piece of a text: a word, a whole number, a mark.
#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Number(i64),
    Mark(char),
}

impl Token {
    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The words, numbers and marks of a text; anything but a whole number (`1.5`) is a word.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let of_kind = |is: fn(&char) -> bool| rest.find(|c| !is(&c)).unwrap_or(rest.len());
        let end = if c.is_ascii_digit() {
            let end = of_kind(char::is_ascii_digit);
            let is_decimal = rest[end..].starts_with('.')
                && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit() && c != '0');
            match rest[..end].parse() {
                Ok(number) if !is_decimal => tokens.push(Token::Number(number)),
                _ => tokens.push(Token::Word(rest[..end].to_owned())),
            }
            if is_decimal {
                end + 1 + rest[end + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - end - 1)
            } else {
                end
            }
        } else if c.is_alphabetic() {
            let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            tokens.push(
                number_word(&rest[..end]).map_or_else(|| Token::Word(rest[..end].to_owned()), Token::Number),
            );
            end
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Mark(c));
            }
            c.len_utf8()
        };
        rest = &rest[end..];
    }
    tokens
}

/// The number of a label and nothing else: `#E1`, `T1`, `p-2`, `first`, `the second one`. Labels are one letter: in
/// `python 3` the number is not a step's.
fn label(text: &str) -> Option<i64> {
    let mut numbers = Vec::new();
    for token in tokens(text) {
        match token {
            Token::Number(number) => numbers.push(number),
            Token::Mark('#' | '_' | '-') => {}
            Token::Word(word) if numbers.is_empty() && (word.chars().count() == 1 || word == "the") => {}
            _ => return None,
        }
    }
    // `the second one`, where `one` is read as a number, too.
    match numbers.as_slice() {
        &[number] | &[number, 1] if text.ends_with("one") || numbers.len() == 1 => Some(number),
        _ => None,
    }
}

fn number_word(word: &str) -> Option<i64> {
    const WORDS: [[&str; 2]; 9] = [
        ["one", "first"],
        ["two", "second"],
        ["three", "third"],
        ["four", "fourth"],
        ["five", "fifth"],
        ["six", "sixth"],
        ["seven", "seventh"],
        ["eight", "eighth"],
        ["nine", "ninth"],
    ];
    (1..).zip(WORDS).find(|(_, words)| words.contains(&word)).map(|(number, _)| number)
}

/// The numbers in `tokens` that are steps': those after a word for a step (in any script) or a mark of a
/// template, those that follow such a number, and an ordinal in front of such a word.
fn step_numbers(tokens: &[Token]) -> Vec<i64> {
    let is_step_word = |token: Option<&Token>| {
        token.and_then(Token::word).is_some_and(|word| STEP_WORDS.contains(&word) || !word.is_ascii())
    };
    let mut numbers: Vec<i64> = Vec::new();
    let mut continues = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Number(number) => {
                let mut before = tokens[..at].iter().rev().skip_while(|token| {
                    matches!(token, Token::Mark('_' | '-' | '.' | '#' | '[' | '(' | '{' | '$' | '№' | ':'))
                });
                let marked = at > 0 && matches!(tokens[at - 1], Token::Mark('$' | '#' | '@' | '№'))
                    || at > 1
                        && matches!(
                            (&tokens[at - 2], &tokens[at - 1]),
                            (Token::Mark('$' | '{'), Token::Mark('{'))
                        );
                let ordinal = tokens
                    .get(at + 1)
                    .and_then(Token::word)
                    .is_some_and(|word| matches!(word, "step" | "task"));
                continues = continues || is_step_word(before.next()) || marked || ordinal;
                if continues {
                    numbers.push(*number);
                }
            }
            Token::Mark(',' | '&' | '+' | '/' | ']' | '[' | ')' | '}' | '.' | '_') => {}
            Token::Word(word) if matches!(word.as_str(), "and" | "und" | "y" | "et" | "or") => {}
            // What follows is the step's title.
            Token::Mark(':') if !numbers.is_empty() && continues => break,
            _ => continues = false,
        }
    }
    numbers.truncate(MAX_REFERENCES);
    numbers
}

fn is_nothing(text: &str) -> bool {
    let text = text.trim();
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let end = text.find(|c: char| c.is_whitespace() || "(,;:".contains(c)).unwrap_or(text.len());
    NOTHING.contains(&&text[..end]) || text.starts_with("没有") || text.starts_with("無")
}

/// Whether nothing is said but that all steps before are meant.
fn is_all(words: &str) -> bool {
    let of_all = [
        "all",
        "of",
        "the",
        "previous",
        "prior",
        "earlier",
        "preceding",
        "above",
        "before",
        "other",
        "steps",
        "step",
        "tasks",
    ];
    words.starts_with("all") && words.split(' ').all(|word| of_all.contains(&word))
}

/// `1-3`, `steps 1 to 3`.
fn range(part: &str) -> Option<(i64, i64)> {
    let (first, last) = ["-", "–", " to ", " through ", " bis ", "...", ".."]
        .iter()
        .find_map(|dash| part.split_once(dash))?;
    let (first, last) = (whole(&Value::from(first))?, whole(&Value::from(last))?);
    (first < last && last - first < 50).then_some((first, last))
}

#[cfg(test)]
mod tests;
