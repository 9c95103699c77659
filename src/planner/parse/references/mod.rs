//! References to steps: by number, by name, in words, as a template writes them.

mod words;

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::keys;
use super::values::{plain_digits, whole};
use crate::text::{fold, without_controls};
use words::{
    STEP_WORDS, Token, are_numbers_alone, has_alternatives, has_exceptions, has_other_numbers, is_all,
    is_filler, is_nothing, label, range, speaks_of_steps, step_numbers, tokens, without_steps_of_others,
};

/// Maximum number of references that are read from one value: no plan has more steps.
const MAX_REFERENCES: usize = 100;
/// The longest text that is read as a reference, in bytes; the action of a step may be one.
const MAX_TEXT: usize = 2_000;
/// From this length on, the beginning of a step's name means that step, in characters.
const LEAST_BEGINNING: usize = 8;

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
        if is_zero(value) && !self.numbers.contains(&0) || self.before.is_empty() && is_negative(value) {
            return Vec::new();
        }
        match value {
            Value::Array(items) => {
                items.iter().flat_map(|item| self.one(item)).take(MAX_REFERENCES).collect()
            }
            other => self.one(other),
        }
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
            Value::Object(object) if !self.names_steps(object) => None,
            other => self.one(other).into_iter().map(Reference::number).collect(),
        };
        steps.filter(|steps| !steps.is_empty() && steps.iter().all(|step| self.numbers.contains(step)))
    }

    /// Whether a text is a reference and nothing else: a name, a template, or words of a reference alone.
    fn is_bare(&self, text: &str) -> bool {
        let text = plain(text);
        let is_template =
            text.contains("{{") && text.ends_with('}') || text.starts_with(['$', '<', '#', '@']);
        let is_filler = |word: &str| is_filler(word) || !word.is_ascii();
        !text.is_empty()
            && (is_template
                || self.named(&text).is_some()
                || tokens(&text).iter().all(|token| token.word().is_none_or(is_filler)))
    }

    /// Whether prose names, as a step, one of those before.
    pub(super) fn names_an_earlier_step(&self, text: &str) -> bool {
        if text.len() > MAX_TEXT || !plain_digits(text).contains(|c: char| c.is_ascii_digit()) {
            return false;
        }
        let tokens = without_steps_of_others(tokens(&plain(text)));
        speaks_of_steps(&tokens) && step_numbers(&tokens).iter().any(|number| self.before.contains(number))
    }

    /// The steps that a text mentions.
    pub(super) fn mentioned(&self, text: &str) -> Vec<i64> {
        if text.len() > MAX_TEXT {
            return Vec::new();
        }
        let tokens = tokens(&plain(text));
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
        if object.is_empty() {
            return Vec::new();
        }
        if let Some(inner) = reference_in(object) {
            return self.read(inner);
        }
        match (self.by_keys(object), object.values().next().filter(|inner| is_plain(inner))) {
            (Some(steps), _) => steps.into_iter().map(Reference::Step).collect(),
            (None, Some(only)) if object.len() == 1 => self.read(only),
            _ => vec![Reference::Unclear],
        }
    }

    /// Whether an object of unknown meaning names steps as an entry in a list of dependencies does.
    fn names_steps(&self, object: &Map<String, Value>) -> bool {
        reference_in(object).is_some() || self.by_keys(object).is_some()
    }

    /// The steps that are the keys of an object.
    fn by_keys(&self, object: &Map<String, Value>) -> Option<Vec<i64>> {
        let keys = object.keys().take(MAX_REFERENCES);
        let steps: Option<Vec<Vec<i64>>> =
            keys.map(|key| self.certain_one(&Value::from(key.as_str()))).collect();
        steps.map(|steps| steps.concat())
    }

    /// `"step 1 and 2"`, `"1-3"`, `"gather"`, `"all previous steps"`, `"none"`, `"{{steps.1.output}}"`.
    fn in_text(&self, text: &str) -> Vec<Reference> {
        let text = plain(text);
        let text = text.trim_end_matches('.');
        let templates = templates(text);
        if templates.len() > 1 {
            return templates.into_iter().flat_map(|template| self.in_text(template)).collect();
        }
        if let Some(number) = self.named(text) {
            return vec![Reference::Step(number)];
        }
        if is_all(text) {
            return self.before.iter().copied().map(Reference::Step).collect();
        }
        if matches!(text, "previous" | "previous step" | "the previous step" | "prior step") {
            return self.before.last().copied().map(Reference::Step).into_iter().collect();
        }
        // Whether a path counts from 0 or by the steps' numbers is not said.
        if text.starts_with(['$', '#']) && text[1..].starts_with(['.', '/', '[']) && ends_in_index(text) {
            return vec![Reference::Unclear];
        }
        let text = text.trim_matches(|c| "[](){}<>%«»".contains(c));
        if let Some(number) =
            self.numbered_name(text).or_else(|| label(text)).or_else(|| self.beginning(text))
        {
            return vec![Reference::Step(number)];
        }
        if is_nothing(text) {
            return Vec::new();
        }
        let mut parts = text.to_owned();
        for word in [" and ", " und ", " y ", " et ", " e ", " и ", " then "] {
            parts = parts.replace(word, ",");
        }
        let references: Vec<Reference> = parts
            .split([',', ';', '/', '&', '+', '|', '\n', '、', '，', '和', '与', '與', '及', '와', '과'])
            .map(|part| without_bullet(part.trim()))
            .filter(|part| !part.is_empty())
            .flat_map(|part| self.in_part(part))
            .take(MAX_REFERENCES)
            .collect();
        if has_alternatives(&tokens(text)) && references.iter().any(|one| one.number().is_some()) {
            return vec![Reference::Unclear];
        }
        references
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
        let mut numbers = step_numbers(&tokens);
        if numbers.is_empty() && are_numbers_alone(&tokens) {
            numbers = tokens.iter().filter_map(Token::number).collect();
        }
        if has_exceptions(&tokens) {
            let speaks_of_steps =
                !numbers.is_empty() || has(&["all", "previous", "prior", "earlier", "steps"]);
            return vec![if speaks_of_steps { Reference::Unclear } else { Reference::Other }];
        }
        if numbers.is_empty() {
            let speaks_of_steps = has(&["step", "steps", "previous", "prior", "preceding"]);
            return vec![if speaks_of_steps { Reference::Unclear } else { Reference::Other }];
        }
        let others = has_other_numbers(&tokens, numbers.len()).then_some(Reference::Unclear);
        numbers.into_iter().map(Reference::Step).chain(others).collect()
    }

    /// The only step whose name begins like this, perhaps with an ellipsis behind it.
    fn beginning(&self, text: &str) -> Option<i64> {
        let text = text.trim_end_matches(['.', '…', ' ']);
        if text.chars().count() < LEAST_BEGINNING {
            return None;
        }
        let mut steps =
            self.names.iter().filter(|(name, _)| name.starts_with(text)).map(|(_, number)| *number);
        let first = steps.next()?;
        steps.all(|other| other == first).then_some(first)
    }

    /// The step in `1. Search the archive`, `1 (Search)`, `Step 1: Search the archive and the log`: a number and what the step
    /// is called. Other numbers in it may be those of further steps, unless the step is called exactly that.
    fn numbered_name(&self, text: &str) -> Option<i64> {
        let in_brackets = text.split_once(" (").filter(|(number, _)| !number.contains(['.', ':', ')']));
        let (number, name) = in_brackets.or_else(|| text.split_once(['.', ':', ')']))?;
        let number = match step_numbers(&tokens(number)).as_slice() {
            [] => whole(&Value::from(number))?,
            &[number] => number,
            _ => return None,
        };
        let is_name =
            (in_brackets.is_some() || name.starts_with(' ')) && !name.contains(|c: char| c.is_ascii_digit());
        (self.numbers.contains(&number) && (is_name || self.named(name) == Some(number))).then_some(number)
    }

    /// The step of this name, which may be in a template: `{{gather.output}}`, `${gather}`, `step gather`.
    fn named(&self, text: &str) -> Option<i64> {
        let find = |name: &str| self.names.get(name.trim()).copied();
        let folded = |name: &str| find(&fold(name)).filter(|_| name.contains(char::is_alphabetic));
        let bare = text.trim_matches(|c: char| c.is_whitespace() || "{}$<>[]()\"'`@#%".contains(c));
        find(text)
            .or_else(|| find(bare))
            .or_else(|| folded(bare))
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

/// The number that a key gives the step under it: `step_2`, `第二步`, `first`, `phase two`.
pub(super) fn number_of_key(key: &str) -> Option<i64> {
    let key = plain(key);
    let number = || match step_numbers(&tokens(&key)).as_slice() {
        &[number] => Some(number),
        _ => None,
    };
    whole(&Value::from(key.as_str())).or_else(|| label(&key)).or_else(number)
}

/// The value of the member that says which step an object is about.
fn reference_in(object: &Map<String, Value>) -> Option<&Value> {
    const REFERENCE: [&[&str]; 2] =
        [keys::NUMBER, &["steps", "ids", "tasks", "task", "ref", "name", "title", "on", "from", "source"]];
    REFERENCE.iter().find_map(|names| keys::field(object, names)).filter(|inner| is_plain(inner))
}

fn is_plain(inner: &Value) -> bool {
    !inner.is_object() && !inner.is_boolean()
}

/// `0`, `"0"`, `[0]`.
pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => plain(text) == "0",
        Value::Array(items) => matches!(items.as_slice(), [only] if !only.is_array() && is_zero(only)),
        _ => false,
    }
}

/// `-1`, `[-1]`: for the first step, no step is at this place.
fn is_negative(value: &Value) -> bool {
    match value {
        Value::Array(items) => matches!(items.as_slice(), [only] if !only.is_array() && is_negative(only)),
        other => whole(other).is_some_and(|number| number < 0),
    }
}

/// `text` in lower case, with plain digits, and without what cannot be seen.
fn plain(text: &str) -> String {
    let text = plain_digits(without_controls(text.to_owned()).trim()).to_lowercase();
    // `étape n° 1`
    if text.contains(['°', 'º']) { text.replace("n°", "#").replace("nº", "#") } else { text }
}

/// An entry of a list in a text: `- 2`, `* step 2`.
fn without_bullet(part: &str) -> &str {
    part.strip_prefix(['-', '*', '•']).filter(|entry| entry.starts_with(' ')).unwrap_or(part).trim_start()
}

/// The templates in a text: `{{…}}`, `${…}`.
fn templates(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = ["{{", "${"].iter().filter_map(|begin| rest.find(begin)).min() {
        rest = &rest[at..];
        let Some(end) = rest.find('}') else { break };
        let end = end + rest[end..].find(|c| c != '}').unwrap_or(rest.len() - end);
        found.push(&rest[..end]);
        rest = &rest[end..];
    }
    found
}

/// `$.plan[0].output`, `#/plan/0`.
fn ends_in_index(path: &str) -> bool {
    path.split(['.', '/', '[', ']']).any(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
