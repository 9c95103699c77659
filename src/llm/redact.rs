//! A server's own words about a failed call, without what was sent to it.

use std::collections::HashMap;
use std::ops::Range;

/// Passages of the request from this length on are removed.
const PASSAGE: usize = 12;
/// The same for keys, which servers quote in shorter pieces.
const PIECE_OF_SECRET: usize = 6;
/// Shorter secrets protect nothing, and their characters are in every text.
const MIN_SECRET_CHARS: usize = 4;
/// How often a quotation may have been escaped: once as JSON, and once more as JSON inside JSON.
const MAX_ESCAPES: u8 = 2;
/// The mark in place of a removed passage.
const REMOVED: char = '…';

/// `text` without every passage of [`PASSAGE`] or more characters of `sent`, and without pieces of `secrets`, however
/// either is escaped and in whatever case. `sent` may be JSON, whose strings are compared decoded.
pub(super) fn redact(text: &str, sent: &[&str], secrets: &[&str]) -> String {
    let sent: Vec<Form> = sent
        .iter()
        .flat_map(|text| (0..MAX_ESCAPES).map(|escapes| Form::of(text, escapes)))
        .flat_map(|form| [form.letters(), form])
        .collect();
    let secrets: Vec<Form> = secrets.iter().map(|secret| Form::of(secret, 0)).collect();
    let mut text = text.to_owned();
    // The remaining text may form a passage again. Each round makes the text shorter.
    while let Some(shorter) = redact_once(&text, &sent, &secrets) {
        text = shorter;
    }
    text
}

fn redact_once(text: &str, sent: &[Form], secrets: &[Form]) -> Option<String> {
    let mut removed = vec![false; text.len()];
    let forms: Vec<Form> = (0..=MAX_ESCAPES)
        .map(|escapes| Form::of(text, escapes))
        .flat_map(|form| [form.letters(), form])
        .collect();
    for form in &forms {
        let passages = form.passages(PASSAGE);
        for sent in sent {
            form.mark(&passages, sent, PASSAGE, &mut removed);
        }
        for secret in secrets.iter().filter(|secret| secret.0.len() >= MIN_SECRET_CHARS) {
            let length = secret.0.len().min(PIECE_OF_SECRET);
            form.mark(&form.passages(length), secret, length, &mut removed);
        }
    }
    for word in words(text).filter(|word| text[word.clone()].contains("***")) {
        // A key that the server has only partly masked.
        removed[word].fill(true);
    }
    removed.contains(&true).then(|| {
        let mut kept = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            match removed[at] {
                false => kept.push(c),
                true if at == 0 || !removed[at - 1] => kept.push(REMOVED),
                true => {}
            }
        }
        kept
    })
}

/// A text as it is compared: its characters in one case, each with its bytes in the text.
struct Form(Vec<(char, Range<usize>)>);

impl Form {
    /// `text` with its escapes decoded this many times.
    fn of(text: &str, escapes: u8) -> Self {
        let chars: Vec<_> = text.char_indices().map(|(at, c)| (c, at..at + c.len_utf8())).collect();
        let decoded = (0..escapes).fold(chars, |chars, _| unescaped(&chars));
        let folded = decoded.into_iter().flat_map(|(c, bytes)| {
            let folded = c.to_uppercase().flat_map(char::to_lowercase);
            folded.map(move |c| (if c.is_whitespace() { ' ' } else { c }, bytes.clone()))
        });
        Self(folded.collect())
    }

    /// Letters and digits alone, since quotation may change the rest.
    fn letters(&self) -> Self {
        Self(self.0.iter().filter(|(c, _)| c.is_alphanumeric()).cloned().collect())
    }

    /// Where each passage of this many characters begins.
    fn passages(&self, length: usize) -> HashMap<Vec<char>, Vec<usize>> {
        let mut passages: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, passage) in self.0.windows(length).enumerate() {
            passages.entry(chars(passage)).or_default().push(at);
        }
        passages
    }

    /// Marks the bytes of every passage that `other` has too.
    fn mark(
        &self,
        passages: &HashMap<Vec<char>, Vec<usize>>,
        other: &Self,
        length: usize,
        marks: &mut [bool],
    ) {
        let mut passage = Vec::with_capacity(length);
        for window in other.0.windows(length) {
            passage.clear();
            passage.extend(window.iter().map(|(c, _)| *c));
            for &at in passages.get(&passage).into_iter().flatten() {
                let bytes = self.0[at].1.start..self.0[at + length - 1].1.end;
                marks[bytes].fill(true);
            }
        }
    }
}

fn chars(passage: &[(char, Range<usize>)]) -> Vec<char> {
    passage.iter().map(|(c, _)| *c).collect()
}

/// With the escapes of JSON strings decoded once. Everything else stays as it is.
fn unescaped(chars: &[(char, Range<usize>)]) -> Vec<(char, Range<usize>)> {
    let mut decoded = Vec::with_capacity(chars.len());
    let mut rest = chars;
    while let [(first, bytes), after @ ..] = rest {
        let escape = (*first == '\\').then(|| escape(after)).flatten();
        let (c, length) = escape.unwrap_or((*first, 0));
        let end = if length == 0 { bytes.end } else { after[length - 1].1.end };
        decoded.push((c, bytes.start..end));
        rest = &after[length..];
    }
    decoded
}

/// What the characters after a backslash encode, and how many there are.
fn escape(after: &[(char, Range<usize>)]) -> Option<(char, usize)> {
    match after.first()?.0 {
        'n' => Some(('\n', 1)),
        'r' => Some(('\r', 1)),
        't' => Some(('\t', 1)),
        'b' => Some(('\u{8}', 1)),
        'f' => Some(('\u{c}', 1)),
        c @ ('"' | '\'' | '\\' | '/') => Some((c, 1)),
        'u' => {
            let first = code_unit(after.get(1..5)?)?;
            if let Some(c) = char::from_u32(first) {
                return Some((c, 5));
            }
            let second = after.get(5..11).filter(|low| low[0].0 == '\\' && low[1].0 == 'u')?;
            let units = [first as u16, code_unit(&second[2..])? as u16];
            Some((char::decode_utf16(units).next()?.ok()?, 11))
        }
        _ => None,
    }
}

fn code_unit(digits: &[(char, Range<usize>)]) -> Option<u32> {
    digits.iter().try_fold(0, |number, (c, _)| Some(number * 16 + c.to_digit(16)?))
}

/// Where the words of a text are.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split_whitespace().map(move |word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        start..start + word.len()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_the_server_stay_and_ours_go() {
        let goal = r#"{"goal":"Ship the \"Falcon\" to Zürich\nby Friday"}"#;
        let key = "sk-live-0123456789";
        for (answer, redacted) in [
            ("too many states for serving", "too many states for serving"),
            ("bad request: Ship the \"Falcon\" to Zürich!", "bad request: …!"),
            (r#"bad request: SHIP THE \"FALCON\" to z\u00fcrich\nby"#, "bad request: …"),
            (r#"in {\"goal\":\"Ship the \\\"Falcon\\\" to\"}"#, r#"in …\"}"#),
            ("`Ship`, `the`, `Falcon` is not ours", "`…` is not ours"),
            ("Ship the", "Ship the"),
            ("key sk-live-0123456789 is wrong", "key … is wrong"),
            ("key 456789 is wrong", "key … is wrong"),
            ("key sk-l***6789 is wrong", "key … is wrong"),
        ] {
            assert_eq!(redact(answer, &[goal], &[key, "abc"]), redacted, "{answer}");
        }
    }

    /// A text as servers may quote it.
    fn quoted(text: &str, how: u8) -> String {
        let json = |text: &str| serde_json::to_string(text).expect("a string");
        match how {
            0 => text.to_owned(),
            1 => text.to_uppercase(),
            2 => text.to_lowercase(),
            3 => json(text),
            4 => json(&json(text)),
            _ => text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
        }
    }

    fn folded(text: &str) -> Vec<char> {
        Form::of(text, 0).0.into_iter().map(|(c, _)| c).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_passage_that_was_sent_is_left(
            goal in "[a-zA-Zäß\"\\\\\n <…]{12,60}|\\PC{12,60}",
            (before, after) in ("[a-c \\\\]{0,8}", "[a-c \"]{0,8}"),
            (start, length) in (0..48_usize, 12..60_usize),
            how in 0..6_u8,
        ) {
            let part: String = goal.chars().skip(start).take(length).collect();
            let answer = format!("{before}{}{after}", quoted(&part, how));
            let sent = serde_json::json!({ "goal": goal }).to_string();
            let left = redact(&answer, &[&sent], &[]);
            let goal = folded(&goal);
            for escapes in 0..=MAX_ESCAPES {
                let left: Vec<char> = Form::of(&left, escapes).0.into_iter().map(|(c, _)| c).collect();
                for passage in goal.windows(PASSAGE) {
                    prop_assert!(!left.windows(PASSAGE).any(|window| window == passage), "{answer:?}: {left:?}");
                }
            }
        }

        #[test]
        fn no_secret_is_left(secret in "[!-~]{4,40}", how in 0..6_u8, around in "[a-z ]{0,20}") {
            let answer = format!("{around}{} {around}", quoted(&secret, how));
            let left = folded(&redact(&answer, &[], &[&secret]));
            let secret = folded(&secret);
            prop_assert!(!left.windows(secret.len()).any(|window| window == secret), "{answer}");
        }
    }
}
