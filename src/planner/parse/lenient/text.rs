//! Characters, quotes and look-ahead of the lenient reader.

use super::{Reader, Within, is_ellipsis};

/// How far ahead to look for the colon after a key, in bytes.
const KEY_AHEAD: usize = 96;
/// How many quotes a key may contain.
const MAX_QUOTES_IN_KEY: usize = 1;

pub(super) fn is_comma(c: char) -> bool {
    matches!(c, ',' | '，' | '、' | ';')
}

pub(super) fn is_colon(c: char) -> bool {
    matches!(c, ':' | '：' | '=')
}

pub(super) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '`' | '«' | '「' | '＂')
}

/// Whether `c` can end a text that `open` began.
fn closes(open: char, c: char) -> bool {
    match open {
        '"' | '“' | '”' | '„' | '＂' => matches!(c, '"' | '”' | '“' | '＂'),
        '\'' | '‘' | '’' => matches!(c, '\'' | '’' | '‘'),
        '«' => c == '»',
        '「' => c == '」',
        other => c == other,
    }
}

impl<'a> Reader<'a> {
    pub(super) fn peek(&self) -> Option<char> {
        self.rest(self.at).chars().next()
    }

    pub(super) fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn rest(&self, at: usize) -> &'a str {
        &self.text[at..]
    }

    /// The first character at or after `at` that is not white space, and its place.
    fn next_mark(&self, at: usize) -> Option<(usize, char)> {
        let rest = self.rest(at);
        // Most often there is no space to pass over.
        if let Some(&mark @ b'!'..=b'~') = rest.as_bytes().first() {
            return Some((at, char::from(mark)));
        }
        let rest = rest.trim_start();
        rest.chars().next().map(|c| (self.text.len() - rest.len(), c))
    }

    /// Passes over white space and comments.
    pub(super) fn skip_space(&mut self) {
        loop {
            self.at = self.next_mark(self.at).map_or(self.text.len(), |(at, _)| at);
            if !self.begins_comment() {
                return;
            }
            let rest = self.rest(self.at);
            let (said, length) = if let Some(said) = rest.strip_prefix("/*") {
                let length = said.find("*/").unwrap_or(said.len());
                (&said[..length], (length + 4).min(rest.len()))
            } else {
                let length = rest.find('\n').unwrap_or(rest.len());
                (&rest[..length], length)
            };
            self.is_abridged |= is_ellipsis(said.trim_start_matches(['/', '#', ' ']));
            self.at += length;
        }
    }

    pub(super) fn begins_comment(&self) -> bool {
        let rest = self.rest(self.at);
        rest.starts_with('#') || rest.starts_with("//") || rest.starts_with("/*")
    }

    pub(super) fn skip_separators(&mut self) {
        loop {
            self.skip_space();
            match self.peek() {
                Some(c) if is_comma(c) => self.bump(),
                _ => return,
            }
        }
    }

    /// The key at `at`, in quotes or without, and the place after its colon.
    pub(super) fn key_at(&self, at: usize) -> Option<(&'a str, usize)> {
        let open = self.rest(at).chars().next()?;
        let is_quoted = is_quote(open);
        let from = if is_quoted { at + open.len_utf8() } else { at };
        let mut quotes = 0;
        for (ahead, c) in self.rest(from).char_indices().take_while(|(ahead, _)| *ahead <= KEY_AHEAD) {
            let here = from + ahead;
            if is_quoted {
                if c == '\n' {
                    return None;
                }
                // The quote at the key's end is missing.
                if is_colon(c)
                    && let Some(quote) =
                        self.rest(here + c.len_utf8()).chars().next().filter(|c| is_quote(*c))
                    && self
                        .next_mark(here + c.len_utf8() + quote.len_utf8())
                        .is_none_or(|(_, c)| !is_colon(c))
                {
                    return Some((&self.text[from..here], here + c.len_utf8()));
                }
                if closes(open, c) {
                    match self.next_mark(here + c.len_utf8())? {
                        (colon, c) if is_colon(c) => {
                            return Some((&self.text[from..here], self.behind_colon(colon, c)));
                        }
                        // A text followed by a comma, an end or a comment.
                        (_, c) if is_comma(c) || matches!(c, '}' | ']' | '/' | '#') => return None,
                        _ if quotes == MAX_QUOTES_IN_KEY => return None,
                        _ => quotes += 1,
                    }
                }
            } else if is_colon(c) {
                let key = self.text[from..here].trim().trim_end_matches('"');
                return (!key.is_empty()).then(|| (key, self.behind_colon(here, c)));
            } else {
                // The quote at the key's beginning is missing.
                let is_last_quote = c == '"' && ahead > 0 && self.rest(here + 1).starts_with(':');
                if !(c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '$' | '*') || is_last_quote) {
                    return None;
                }
            }
        }
        None
    }

    /// The place after a colon, or after `=>`.
    fn behind_colon(&self, at: usize, colon: char) -> usize {
        let behind = at + colon.len_utf8();
        behind + usize::from(colon == '=' && self.rest(behind).starts_with('>'))
    }

    /// Whether the object continues after the bracket here.
    pub(super) fn a_member_follows(&self) -> bool {
        self.next_mark(self.at + 1).is_some_and(|(at, c)| {
            let at =
                if is_comma(c) { self.next_mark(at + c.len_utf8()).map_or(at, |(at, _)| at) } else { at };
            self.key_at(at).is_some()
        })
    }

    /// Whether the list continues, or ends, after the brace here.
    pub(super) fn an_item_follows(&self) -> bool {
        self.next_mark(self.at + 1).is_some_and(|(at, c)| {
            c == ']' || (is_comma(c) && self.next_mark(at + c.len_utf8()).is_some_and(|(_, c)| c == '{'))
        })
    }

    /// A text in quotes, or several with plus signs between them; none when it has no end.
    pub(super) fn texts(&mut self, within: Within) -> Option<String> {
        let mut said = self.string(within)?;
        while let Some(more) = self.more_of_text(self.at) {
            self.at = more;
            said.push_str(&self.string(within)?);
        }
        Some(said)
    }

    /// Where the text continues after a plus sign.
    fn more_of_text(&self, at: usize) -> Option<usize> {
        let (plus, _) = self.next_mark(at).filter(|(_, c)| *c == '+')?;
        self.next_mark(plus + 1).filter(|(_, c)| is_quote(*c)).map(|(quote, _)| quote)
    }

    /// A text in quotes; none when it has no end.
    fn string(&mut self, within: Within) -> Option<String> {
        let open = self.peek()?;
        if let Some(inside) = self.rest(self.at).strip_prefix("\"\"\"") {
            let length = inside.find("\"\"\"")?;
            self.at += length + 6;
            return Some(inside[..length].to_owned());
        }
        self.bump();
        let mut said = String::new();
        let mut from = self.at;
        loop {
            let c = self.peek()?;
            if c == '\\' {
                said.push_str(&self.text[from..self.at]);
                self.escape(&mut said);
                from = self.at;
            } else if closes(open, c) && self.ends_string(self.at + c.len_utf8(), within) {
                said.push_str(&self.text[from..self.at]);
                self.bump();
                return Some(said);
            } else {
                self.bump();
            }
        }
    }

    /// Whether the quote in front of `at` ends a text, by what comes after it.
    fn ends_string(&self, at: usize, within: Within) -> bool {
        let Some((mark, c)) = self.next_mark(at) else { return true };
        match c {
            '}' | ']' => true,
            '/' | '#' => self.rest(mark).starts_with("//") || self.rest(mark).starts_with("/*") || mark > at,
            c if is_comma(c) => self.may_follow_comma(mark + c.len_utf8(), within),
            // The comma is missing.
            '{' | '[' => mark > at,
            '+' => self.more_of_text(at).is_some(),
            c if is_quote(c) && mark > at => within == Within::List || self.key_at(mark).is_some(),
            // On a line of its own a key may be without quotes.
            _ => self.text[at..mark].contains('\n') && self.key_at(mark).is_some(),
        }
    }

    /// Whether the text at `at` may follow a comma, rather than being more of the text before it.
    pub(super) fn may_follow_comma(&self, at: usize, within: Within) -> bool {
        let from = at;
        let Some((at, c)) = self.next_mark(from) else { return true };
        let is_item = || match c {
            '{' | '[' | '.' | '…' => true,
            c if is_quote(c) => true,
            c if c.is_ascii_digit() || c == '-' => true,
            _ => ["true", "false", "null", "True", "False", "None"]
                .iter()
                .any(|w| self.rest(at).starts_with(w)),
        };
        match c {
            '}' | ']' | '/' | '#' => true,
            c if is_comma(c) => true,
            c if within != Within::Object || is_quote(c) => {
                self.key_at(at).is_some() || within == Within::List && is_item()
            }
            // Where keys have quotes, one without begins a line of its own.
            _ if self.text[from..at].contains('\n') => self.key_at(at).is_some(),
            '.' | '…' => is_ellipsis(self.rest(at)),
            // A step may begin before the one in front of it was ended.
            _ => c == '{',
        }
    }

    /// Reads an escape; one that JSON does not have stays as it is, or is the character itself.
    fn escape(&mut self, said: &mut String) {
        self.bump();
        let Some(c) = self.peek() else { return };
        self.bump();
        match c {
            'n' => said.push('\n'),
            't' => said.push('\t'),
            'r' => said.push('\r'),
            'b' => said.push('\u{8}'),
            'f' => said.push('\u{c}'),
            'u' => match self.code_unit(self.at) {
                Some(unit) => self.unicode(unit, said),
                None => said.push_str("\\u"),
            },
            c if c.is_ascii_alphanumeric() => said.extend(['\\', c]),
            c => said.push(c),
        }
    }

    /// The character of a `\u` escape whose digits are here, which may be half of a pair.
    fn unicode(&mut self, unit: u16, said: &mut String) {
        self.at += 4;
        let second = self.rest(self.at).starts_with("\\u").then(|| self.code_unit(self.at + 2)).flatten();
        let units = [unit, second.unwrap_or_default()];
        if let Some(Ok(c)) = char::decode_utf16(units).next() {
            said.push(c);
            if c.len_utf16() == 2 {
                self.at += 6;
            }
        } else {
            said.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    }
}
