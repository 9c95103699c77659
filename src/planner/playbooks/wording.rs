//! Texts of steps: slots, quotations, lists.

use crate::domain::playbooks::PlaybookStep;
use crate::text::shorten;

use super::language::Opening;
use super::parts::Part;

/// Longest quotation in a step, in characters.
const QUOTED_CHARS: usize = 200;
/// Longest name in a list, in characters, and most of them.
const NAME_CHARS: usize = 30;
const MAX_NAMES: usize = 5;
/// Longest quotation that is looked through, in characters.
const QUOTATION_CHARS: usize = 2_000;

/// `text` on one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let visible: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` as a quotation.
pub(super) fn quoted(text: &str) -> String {
    format!("“{}”", shorten(&one_line(text), QUOTED_CHARS))
}

/// `names` as a list, if there are any.
pub(super) fn list(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .take(MAX_NAMES)
        .map(|name| shorten(&name, NAME_CHARS))
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Fills the slots of playbooks from a request.
pub(super) struct Filler<'a> {
    pub(super) goal: &'a str,
    pub(super) constraints: &'a [String],
}

impl Filler<'_> {
    /// `template` with its slots filled from `part`.
    ///
    /// Sentences in two languages read badly: a part in another language is used alone, or as a quotation.
    pub(super) fn fill(&self, template: &str, part: &Part) -> String {
        if let Some((slot, rest)) = template.strip_prefix('{').and_then(|text| text.split_once('}'))
            && let Some(verb) = slot.strip_prefix("part:").or((slot == "part").then_some(""))
        {
            let rest = self.within(rest, part);
            return match part.opening {
                Some(Opening::English) => capitalized(&part.text) + &rest,
                Some(Opening::Foreign) => capitalized(&part.text),
                None if verb.is_empty() && part.text.is_ascii() => capitalized(&part.text) + &rest,
                None if verb.is_empty() => capitalized(&part.text),
                None => format!("{verb} {}{rest}", part.object),
            };
        }
        capitalized(&self.within(template, part))
    }

    /// The criteria of a playbook's step, filled likewise.
    pub(super) fn criteria(&self, step: &PlaybookStep, part: &Part) -> Vec<String> {
        step.acceptance_criteria.iter().map(|criterion| self.within(criterion, part)).collect()
    }

    /// `template` with the slots within it filled, each once: what fills one is not looked through for others.
    fn within(&self, template: &str, part: &Part) -> String {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, (slot, behind))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            text += before;
            text += &match slot {
                "object" => part.object.clone(),
                "goal" => quoted(self.goal),
                "constraints" if self.constraints.is_empty() => "no constraints".to_owned(),
                "constraints" => quoted(&self.constraints.join("; ")),
                _ => match part.opening {
                    Some(Opening::English) => lower_first(&part.text),
                    _ => quoted(&part.text),
                },
            };
            rest = behind;
        }
        text + rest
    }
}

/// `text` with a capital at its beginning, unless its first word has capitals of its own.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// `text` with a small letter at its beginning, unless its first word has capitals of its own.
pub(super) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let is_name = text.chars().nth(1).is_some_and(char::is_uppercase);
    match chars.next() {
        Some(first) if !is_name => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// `text` with spaces for what is quoted in it, or in brackets too, byte for byte as long.
pub(super) fn without_quotations(text: &str, or_in_brackets: bool) -> String {
    if !text.contains(['"', '“', '«', '‘', '「', '„', '(', '[', '\'']) {
        return text.to_owned();
    }
    let mut masked = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, ' ');
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        let closing = match c {
            '"' => Some('"'),
            '“' => Some('”'),
            '«' => Some('»'),
            '‘' => Some('’'),
            '「' => Some('」'),
            '„' => Some('“'),
            '(' if or_in_brackets => Some(')'),
            '[' if or_in_brackets => Some(']'),
            '\'' if !before.is_alphanumeric() => Some('\''),
            _ => None,
        };
        let end = closing.and_then(|closing| {
            let mut inside = behind.char_indices().take(QUOTATION_CHARS);
            // An apostrophe within a word closes nothing.
            inside.find_map(|(at, c)| {
                let end = at + c.len_utf8();
                (c == closing && !behind[end..].starts_with(|c: char| c.is_alphanumeric() && closing == '\''))
                    .then_some(end)
            })
        });
        let taken = c.len_utf8() + end.unwrap_or(0);
        if end.is_some() {
            masked.extend(std::iter::repeat_n(' ', taken));
        } else {
            masked.push(c);
        }
        (before, rest) = (c, &rest[taken..]);
    }
    masked
}
