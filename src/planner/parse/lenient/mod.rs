//! JSON as LLMs write it: comments, other quotes or none, quotes inside of texts, commas and brackets
//! missing or too many, words of Python.
//!
//! One pass with bounded look-ahead, so that time grows with the length of the text alone. Valid JSON is
//! read as what it is.

mod text;

use serde_json::{Map, Number, Value};

use super::unique::insert_unique;
use super::values::with_points;
use text::{is_comma, is_quote};

/// Objects and lists inside each other beyond which nothing is read.
const MAX_DEPTH: usize = 64;
/// Maximum number of values (and fragments) that are read: the longest plan has a tenth of that.
pub(super) const MAX_PIECES: usize = 20_000;
/// Bytes in which every number and every word of JSON or Python fits.
const MAX_LITERAL_BYTES: usize = 32;

/// What was read.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// Without lists that did not end, and members whose value did not.
    pub(super) value: Value,
    /// Byte offset after it.
    pub(super) end: usize,
    /// Whether the text ended before the value did.
    pub(super) is_cut: bool,
    /// Whether something of it is lost: it says `...` where values should be, or something unreadable.
    pub(super) is_abridged: bool,
    /// How many values (and fragments) it consists of.
    pub(super) pieces: usize,
}

/// Not a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoDocument {
    /// The byte offset up to which it was read.
    pub(super) to: usize,
    /// Whether it began like one, so that something of it is lost.
    pub(super) is_broken: bool,
}

/// Reads the object or list that begins at `at`.
///
/// # Errors
/// If there is no such value.
pub(super) fn read_at(text: &str, at: usize) -> Result<Document, NoDocument> {
    let mut reader = Reader::new(text, at);
    let Some(value) = reader.value(Within::List) else {
        return Err(NoDocument { to: reader.at, is_broken: reader.depth > 1 });
    };
    Ok(Document {
        value: value.unwrap_or_default(),
        end: reader.at,
        is_cut: reader.is_cut,
        is_abridged: reader.is_abridged,
        pieces: reader.pieces,
    })
}

/// Whether an object without its brace begins here.
pub(super) fn begins_with_key(text: &str) -> bool {
    Reader::new(text, 0).key_at(0).is_some()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    pieces: usize,
    is_cut: bool,
    is_abridged: bool,
}

/// What a value is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// An object whose keys are in quotes.
    Object,
    /// One whose keys are not, as in JavaScript.
    BareObject,
    List,
}

/// Outer `None`: no JSON of any kind. Inner `None`: the text ended before the value did.
type Read = Option<Option<Value>>;

impl<'a> Reader<'a> {
    fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, depth: 0, pieces: 0, is_cut: false, is_abridged: false }
    }

    fn value(&mut self, within: Within) -> Read {
        self.count()?;
        self.skip_space();
        let value = match self.peek() {
            Some('{') => self.object()?,
            Some('[') => self.list()?,
            Some(quote) if is_quote(quote) => self.texts(within).map(Value::String),
            // Nothing is between colon and comma.
            Some(c) if is_comma(c) || matches!(c, '}' | ']') => Some(Value::Null),
            Some(_) => self.word(within),
            None => None,
        };
        self.is_cut |= value.is_none();
        Some(value)
    }

    fn object(&mut self) -> Read {
        self.enter()?;
        let mut members = Map::new();
        loop {
            self.skip_separators();
            match self.peek() {
                None => {
                    self.is_cut = true;
                    break;
                }
                Some('}') => {
                    self.bump();
                    break;
                }
                // Either this bracket is one too many, or the brace before it is missing.
                Some(']') if self.text[..self.at].trim_end().ends_with(']') && self.a_member_follows() => {
                    self.bump();
                }
                Some(']') => break,
                // The brace before it is missing.
                Some('{') if !members.is_empty() => break,
                Some(_) => match self.key_at(self.at) {
                    Some((key, behind)) => {
                        let within = if self.peek().is_some_and(is_quote) {
                            Within::Object
                        } else {
                            Within::BareObject
                        };
                        self.at = behind;
                        if let Some(value) = self.value(within)? {
                            // If two steps were merged into one object, a key may occur twice with different values.
                            self.is_abridged |= insert_unique(&mut members, key.to_owned(), value).is_err();
                        }
                    }
                    // Braces around something else, as in prose.
                    None if members.is_empty() => return None,
                    None => {
                        self.count()?;
                        self.skip_junk();
                    }
                },
            }
        }
        self.depth -= 1;
        Some(Some(Value::Object(members)))
    }

    /// A list; `None` if the text ended first, as the missing part is unknown.
    fn list(&mut self) -> Read {
        self.enter()?;
        let mut items = Vec::new();
        let has_end = loop {
            self.skip_separators();
            match self.peek() {
                None => break false,
                Some(']') => {
                    self.bump();
                    break true;
                }
                // Either this brace is one too many, or the bracket before it is missing.
                Some('}') if items.last().is_some_and(Value::is_object) && self.an_item_follows() => {
                    self.bump();
                }
                // It takes the place of the bracket.
                Some('}') if self.a_member_follows() => {
                    self.bump();
                    break true;
                }
                Some('}') => break true,
                Some(_) if self.key_at(self.at).is_some() => break true,
                Some(_) => match self.value(Within::List)? {
                    Some(value) => items.push(value),
                    None => break false,
                },
            }
        };
        self.depth -= 1;
        Some(has_end.then_some(Value::Array(items)))
    }

    fn enter(&mut self) -> Option<()> {
        self.bump();
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }

    fn count(&mut self) -> Option<()> {
        self.pieces += 1;
        (self.pieces <= MAX_PIECES).then_some(())
    }

    /// A value without quotes; none at the end of the text, where the rest of it may be missing.
    fn word(&mut self, within: Within) -> Option<Value> {
        let from = self.at;
        while let Some(c) = self.peek() {
            let ends = match c {
                '}' | ']' | '\n' => true,
                ' ' if within == Within::List => self.is_literal(from),
                '/' | '#' => self.text[..self.at].ends_with(' ') && self.begins_comment(),
                c if !is_comma(c) => false,
                _ if within == Within::List => true,
                c => {
                    let behind = self.at + c.len_utf8();
                    let is_literal = self.is_literal(from);
                    let of_number =
                        is_literal && self.text[behind..].starts_with(|c: char| c.is_ascii_digit());
                    is_literal && !of_number || self.may_follow_comma(behind, within)
                }
            };
            if ends {
                let word = self.text[from..self.at].trim();
                self.is_abridged |= is_ellipsis(word);
                // It may have an end, if no beginning.
                return Some(meaning(word.trim_end_matches('"')));
            }
            self.bump();
        }
        // A number looks whole where the text ends.
        Some(meaning(self.text[from..].trim())).filter(|value| !value.is_string())
    }

    /// Whether what was read since `from` is a number or a word of JSON.
    fn is_literal(&self, from: usize) -> bool {
        let said = self.text[from..self.at].trim();
        said.len() <= MAX_LITERAL_BYTES && !meaning(said).is_string()
    }

    /// Skips something that is not a member, up to where one may begin. Unless the text ends there,
    /// something of the answer is lost with it.
    fn skip_junk(&mut self) {
        let from = self.at;
        self.bump();
        while let Some(c) = self.peek() {
            if is_comma(c) || is_quote(c) || matches!(c, '\n' | '}' | ']' | '{') {
                break;
            }
            self.bump();
        }
        let junk = self.text[from..self.at].trim();
        self.is_abridged |=
            is_ellipsis(junk) || self.peek().is_some() && junk.contains(char::is_alphanumeric);
    }
}

fn is_ellipsis(word: &str) -> bool {
    word.starts_with("...") || word.starts_with('…')
}

/// What a value without quotes means.
fn meaning(word: &str) -> Value {
    match word {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        "" | "null" | "None" | "nil" | "NULL" | "Null" | "undefined" | "NaN" => return Value::Null,
        _ => {}
    }
    let digits = word.trim_start_matches('+');
    if digits.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | '_' | ',')) {
        if let Ok(whole) = digits.parse::<i64>() {
            return whole.into();
        }
        let digits = with_points(&digits.replace('_', ""));
        if let Ok(whole) = digits.parse::<i64>() {
            return whole.into();
        }
        if let Some(number) = digits.parse().ok().and_then(Number::from_f64) {
            return Value::Number(number);
        }
    }
    Value::String(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        let document = read_at(text, 0).unwrap_or_else(|_| panic!("{text}"));
        assert!(!document.is_cut && !document.is_abridged, "{text}: {document:?}");
        document.value
    }

    #[test]
    fn valid_json_is_read_as_what_it_is() {
        for text in [
            r#"{"a":[1,-2.5,1e3,true,false,null,"x"],"b":{"c":{}},"d":[]}"#,
            r#"{"a":"a \"b\", c: {d} [e] \\ \/ \b\f\n\r\t \u00e9 \ud83d\ude00"}"#,
            r##"["a, b", "c: d", "// no comment", "# none", "'", "", "}", "]"]"##,
            "[ 1 ,\n\t2 ]",
        ] {
            assert_eq!(read(text), serde_json::from_str::<Value>(text).expect("valid"), "{text}");
        }
    }

    #[test]
    fn punctuation_may_be_wrong() {
        for (text, value) in [
            ("{'a': 'it's', 'b': \"say \"hi\" now\",}", json!({"a": "it's", "b": "say \"hi\" now"})),
            ("{“a”: “b”, „c“: 1}", json!({"a": "b", "c": 1})),
            ("{a: b c, d-e: 1, f: [x, y,],}", json!({"a": "b c", "d-e": 1, "f": ["x", "y"]})),
            ("{\"a\": [\"x\" /* \"why\": y */], \"b\": 1}", json!({"a": ["x"], "b": 1})),
            ("{\"a\": 1 // one\n, /* two */ \"b\": 2 # three\n}", json!({"a": 1, "b": 2})),
            ("{\"a\": \"x\"\n \"b\": [\"y\"\n \"z\"]}", json!({"a": "x", "b": ["y", "z"]})),
            ("{\"a\": [1, 2, \"b\": 3}", json!({"a": [1, 2], "b": 3})),
            ("[{\"a\": [1}, {\"a\": [2]}]", json!([{"a": [1]}, {"a": [2]}])),
            ("[{\"a\": 1}}, {\"a\": 2}]", json!([{"a": 1}, {"a": 2}])),
            ("[{\"a\": [1]], \"b\": 2}]", json!([{"a": [1], "b": 2}])),
            ("[{\"a\": 1, {\"a\": 2}]", json!([{"a": 1}, {"a": 2}])),
            ("{\"a\"：1，\"b\"：\"x\"}", json!({"a": 1, "b": "x"})),
            (
                "{\"a\" => None, \"b\": True, \"c\": +1_000, \"d\": .5}",
                json!({"a": null, "b": true, "c": 1000, "d": 0.5}),
            ),
            (
                "{\"a\": \"\"\"two\nlines\"\"\", \"b\": \"raw\nline\"}",
                json!({"a": "two\nlines", "b": "raw\nline"}),
            ),
            (r#"{"a": "\d+ \_ \u12 \'x\'"}"#, json!({"a": "\\d+ _ \\u12 'x'"})),
            ("{\"a\": , \"b\": }", json!({"a": null, "b": null})),
            ("{a\": 1, \"b:\"x\", \"c\":y\", \"d:\": 2}", json!({"a": 1, "b": "x", "c": "y", "d:": 2})),
            ("{\"a\": \"x\" + 'y', \"b\": [1 2]}", json!({"a": "xy", "b": [1, 2]})),
            ("[{\"a\": [\"x\"}, \"b\": 1}]", json!([{"a": ["x"], "b": 1}])),
            ("{\"p\": [{\"a\": 1], \"b\": 2}", json!({"p": [{"a": 1}], "b": 2})),
            (
                r#"{"a": "He said "yes", and left", "b": ["x "y" z", "w"]}"#,
                json!({"a": "He said \"yes\", and left", "b": ["x \"y\" z", "w"]}),
            ),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
    }

    #[test]
    fn what_the_text_does_not_end_is_left_out_and_told() {
        for (text, value) in [
            ("{\"a\": 1, \"b\": [1, 2", json!({"a": 1})),
            ("{\"a\": 1, \"b\": \"x", json!({"a": 1})),
            ("{\"a\": 1, \"b", json!({"a": 1})),
            ("{\"a\": [1], \"b\": 12", json!({"a": [1], "b": 12})),
            ("{\"a\": {\"b\": [1]}", json!({"a": {"b": [1]}})),
            ("[{\"a\": 1}", json!(null)),
        ] {
            let document = read_at(text, 0).expect(text);
            assert!(document.is_cut, "{text}");
            assert_eq!(document.value, value, "{text}");
        }
    }

    #[test]
    fn an_ellipsis_says_that_something_was_left_out() {
        for text in
            ["[{\"a\": 1}, ...]", "[{\"a\": 1}, …]", "{\"a\": 1, ...}", "[{\"a\": 1} // ... and so on\n]"]
        {
            assert!(read_at(text, 0).expect(text).is_abridged, "{text}");
        }
        assert!(!read_at("[\"...\"]", 0).expect("a list").is_abridged, "a text may say so");
    }

    #[test]
    fn braces_in_prose_and_nesting_without_end_are_no_json() {
        for text in ["{as asked}", "{ }}{", "{\"just a text\"}"] {
            let read = read_at(text, 0);
            assert!(
                read.as_ref().ok().is_none_or(|document| document.value == json!({})),
                "{text}: {read:?}"
            );
        }
        assert_eq!(read_at(&"[".repeat(1_000), 0), Err(NoDocument { to: MAX_DEPTH + 1, is_broken: true }));
        assert_eq!(
            read_at(&"{\"a\":".repeat(1_000), 0),
            Err(NoDocument { to: 5 * MAX_DEPTH + 1, is_broken: true })
        );
    }
}
