//! Lists of texts in the forms in which LLMs write them: lists, objects, lines, enumerations, markup.

use serde_json::{Map, Value};

use super::lenient::read_at;
use super::values::{text, whole};

/// Marks in front of the entries of a list.
const BULLETS: &str = "-*+•–—·‣▪◦●○☐☑✓✔✅→➤・";
/// Those that also part entries on one line.
const INLINE_BULLETS: &str = "•▪◦●○☐☑✓✔✅・";
/// Tags within a text; all others part the entries of a list.
const INLINE_TAGS: [&str; 10] = ["a", "b", "code", "em", "i", "kbd", "span", "strong", "tt", "u"];
/// The longest tag, in bytes.
const MAX_TAG: usize = 60;

/// A list of texts: a single one may be without its list, or all of them in one text; each may be an object with the
/// text in it.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => match items.as_slice() {
            // One text may hold all.
            [Value::String(only)] => encoded(only).or_else(|| in_markup(only)).unwrap_or(vec![only.clone()]),
            items => items.iter().flat_map(entry).collect(),
        },
        // `{"list": ["one", "two"]}`
        Value::Object(members) if members.len() == 1 && members.values().all(Value::is_array) => {
            members.values().flat_map(texts).collect()
        }
        Value::Object(members) => {
            in_order(members).into_iter().filter_map(|(key, value)| member_text(key, value)).collect()
        }
        Value::String(text) => in_text(text),
        other => text(other).into_iter().collect(),
    }
}

/// An entry of a list, which may be a list itself.
fn entry(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(entry).collect(),
        Value::String(text) => in_markup(text).unwrap_or_else(|| vec![text.clone()]),
        other => text_in(other).into_iter().collect(),
    }
}

fn in_text(text: &str) -> Vec<String> {
    if let Some(texts) = encoded(text).or_else(|| in_markup(text)) {
        return texts;
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > 1 && lines.iter().any(|line| line.starts_with("```")) {
        let inner: Vec<&str> = lines.into_iter().filter(|line| !line.starts_with("```")).collect();
        return in_text(&inner.join("\n"));
    }
    if let [only] = lines.as_slice() {
        return on_one_line(only);
    }
    let numbered: Option<Vec<(u32, &str)>> = lines.iter().map(|line| enumerated(line)).collect();
    let is_count = |labels: &Vec<(u32, &str)>| (1..).zip(labels).all(|(number, (label, _))| number == *label);
    match numbered.filter(is_count) {
        Some(entries) => entries.into_iter().map(|(_, text)| text.to_owned()).collect(),
        None => {
            lines.into_iter().map(without_bullet).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    }
}

/// The texts of a list that was written into a text: `['one', 'two']`, `('one', 'two')`, `"one", "two"`.
fn encoded(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let in_brackets = |open: char, close: char| {
        let inner = text.strip_prefix(open)?.strip_suffix(close)?.trim();
        inner.starts_with(['"', '\'']).then(|| format!("[{inner}]"))
    };
    let list = match text.chars().next()? {
        '[' => text.to_owned(),
        '(' => in_brackets('(', ')')?,
        '{' => match serde_json::from_str(text) {
            Ok(Value::Object(members)) => return Some(texts(&Value::Object(members))),
            _ => in_brackets('{', '}')?,
        },
        '"' if text.len() > 1 && text.ends_with('"') && text.contains("\", \"") => format!("[{text}]"),
        _ => return None,
    };
    let document = read_at(&list, 0).ok().filter(|document| !document.is_cut && !document.is_abridged)?;
    let rest = list[document.end..].trim();
    let items =
        document.value.as_array().filter(|items| !items.is_empty() && items.iter().all(Value::is_string))?;
    // What follows may be the markup of a tool call, not a criterion.
    (rest.is_empty() || rest.starts_with('<')).then(|| items.iter().filter_map(text_in).collect())
}

/// The texts between the tags of a text that begins with one and ends with another, or has line breaks in it; without
/// closing tags at its end that nothing opened.
fn in_markup(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let mut pieces: Vec<&str> = Vec::new();
    let (mut start, mut from) = (0, 0);
    let (mut separators, mut is_tail): (Vec<&str>, bool) = (Vec::new(), true);
    while let Some(at) = text[from..].find('<').map(|at| from + at) {
        from = at + 1;
        let Some((tag, name)) = tag_at(text, at) else { continue };
        from = at + tag.len();
        let is_attached = at > 0 && !text[..at].ends_with(' ');
        if INLINE_TAGS.contains(&name) || name == "br" && !is_attached {
            continue;
        }
        // Markup that is spoken of has a space in front of it.
        is_tail &= tag.starts_with("</") && is_attached;
        pieces.push(&text[start..at]);
        separators.push(tag);
        start = from;
    }
    pieces.push(&text[start..]);
    let (first, last) = (*separators.first()?, *separators.last()?);
    let is_framed =
        text.starts_with(first) && !first.starts_with("</") && text.ends_with(last) && last.starts_with("</");
    let is_broken = separators.iter().all(|tag| tag.starts_with("<br"));
    let is_closed = is_tail && text.ends_with(last);
    let texts = pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty());
    let texts: Vec<String> = texts.flat_map(in_text).collect();
    ((is_framed || is_broken || is_closed) && !texts.is_empty()).then_some(texts)
}

/// The tag at a byte of a text, and its name: `</li>` and `li`.
fn tag_at(text: &str, at: usize) -> Option<(&str, &str)> {
    let end = text[at..].bytes().take(MAX_TAG).position(|byte| byte == b'>')?;
    let tag = &text[at..=at + end];
    let inner = tag[1..tag.len() - 1].trim_start_matches('/');
    let name = inner.split([' ', '/']).next()?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':'));
    is_name.then_some((tag, name))
}

/// The entries of an enumeration on one line: `1) one 2) two`, `(a) one (b) two`, `① one ② two`, `• one • two`.
fn on_one_line(line: &str) -> Vec<String> {
    if let Some(bullet) = line.chars().next().filter(|c| INLINE_BULLETS.contains(*c)) {
        return line
            .split(bullet)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect();
    }
    let label = |style: usize, number: u8| match style {
        0 => format!("{number}) "),
        1 => format!("{number}. "),
        2 => format!("({number}) "),
        3 => format!("({}) ", char::from(b'a' + number - 1)),
        _ => char::from_u32(0x245f + u32::from(number)).map(String::from).unwrap_or_default(),
    };
    for style in 0..5 {
        let Some(mut rest) = line.strip_prefix(&label(style, 1)) else { continue };
        let mut entries = Vec::new();
        for number in 2..20 {
            let Some((entry, after)) = rest.split_once(&format!(" {}", label(style, number))) else { break };
            entries.push(entry.trim().to_owned());
            rest = after;
        }
        entries.push(rest.trim().to_owned());
        if entries.len() > 1 {
            return entries;
        }
    }
    vec![without_bullet(line).to_owned()]
}

/// The number of a line and its text: `1: x`, `AC1: x`, `(a) x`, `b. x`, `ii) x`, `② x`.
fn enumerated(line: &str) -> Option<(u32, &str)> {
    const ROMAN: [&str; 8] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii"];
    if let Some(circled) =
        line.chars().next().and_then(|c| (c as u32).checked_sub(0x245f)).filter(|n| *n < 21)
    {
        return Some((circled, line[3..].trim_start()));
    }
    let (label, text) =
        line.trim_start_matches(['(', '[']).split_once(['.', ')', ':', ']', '、', '．', '）', '：'])?;
    let label = &label.to_ascii_lowercase();
    let digits = label.trim_start_matches(|c: char| c.is_ascii_alphabetic() || matches!(c, ' ' | '#' | '-'));
    let letter = || match label.as_bytes() {
        [letter] if letter.is_ascii_lowercase() => Some(u32::from(letter - b'a') + 1),
        _ => None,
    };
    let roman = || ROMAN.iter().position(|roman| roman == label).map(|at| at as u32 + 1);
    let number = digits
        .parse()
        .ok()
        .or_else(|| if label.starts_with('i') { roman() } else { letter().or_else(roman) });
    let is_label = text.starts_with(' ') || !digits.is_empty() && text.starts_with(char::is_alphabetic);
    Some((number.filter(|_| is_label)?, text.trim_start()))
}

/// Keys under which a criterion that is an object says what it is.
const TELLING_KEYS: [&str; 10] = [
    "criterion",
    "criteria",
    "check",
    "description",
    "text",
    "statement",
    "condition",
    "requirement",
    "name",
    "title",
];

/// A text, or the one in an object that tells; where none does, all of them with their keys.
fn text_in(value: &Value) -> Option<String> {
    let Value::Object(members) = value else { return text(value) };
    if let Some(telling) = TELLING_KEYS.iter().find_map(|key| text(members.get(*key)?)) {
        return Some(telling);
    }
    let said: Vec<String> = members.iter().filter_map(|(key, value)| member_text(key, value)).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// `"1": "x"` says x, `"x": true` too, and `"x": "y"` says both.
fn member_text(key: &str, value: &Value) -> Option<String> {
    match value {
        Value::Bool(true) => Some(key.to_owned()),
        other if whole(&Value::from(key)).is_some() => text_in(other),
        other => text(other).map(|text| format!("{key}: {text}")),
    }
}

/// The members of an object used as a list, by the numbers in their keys where they have some.
fn in_order(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(key, _)| whole(&Value::from(key.as_str())));
    members
}

/// A line of a list without what marks it as one: `- `, `* `, `• `, `1. `, `2) `, `[ ] `.
fn without_bullet(line: &str) -> &str {
    let line = line.trim();
    let after = line.strip_prefix(|c| BULLETS.contains(c)).unwrap_or(line);
    let is_bullet = after.starts_with(' ') || line.starts_with(|c| INLINE_BULLETS.contains(c));
    let line = if is_bullet { after } else { line }.trim_start();
    let line = line.strip_prefix("[ ]").or_else(|| line.strip_prefix("[x]")).unwrap_or(line).trim_start();
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    match digits.strip_prefix(['.', ')']) {
        Some(rest) if digits.len() < line.len() && rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_of_texts_have_many_forms() {
        let two = vec!["one".to_owned(), "two".to_owned()];
        for said in [
            json!(["one", "two"]),
            json!([["one", "two"]]),
            json!("- one\n- two"),
            json!("1. one\n2. two\n"),
            json!("[ ] one\n[x] two"),
            json!("☐ one\n☐ two"),
            json!("✓ one\n✓ two"),
            json!("・one\n・two"),
            json!("1: one\n2: two"),
            json!("AC1: one\nAC2: two"),
            json!("(a) one\n(b) two"),
            json!("i. one\nii. two"),
            json!("I. one\nII. two"),
            json!("1.one\n2.two"),
            json!("[1] one\n[2] two"),
            json!("1、one\n2、two"),
            json!("```json\n[\"one\", \"two\"]\n```"),
            json!("<criteria>\n- one\n- two\n</criteria>"),
            json!([{"check": "one"}, {"check": "two"}]),
            json!("① one\n② two"),
            json!("```\n- one\n- two\n```"),
            json!("1) one 2) two"),
            json!("1. one 2. two"),
            json!("(a) one (b) two"),
            json!("① one ② two"),
            json!("• one • two"),
            json!({"1": "one", "2": "two"}),
            json!("['one', 'two']"),
            json!("('one', 'two')"),
            json!("{'one', 'two'}"),
            json!("\"one\", \"two\""),
            json!("{\"1\": \"one\", \"2\": \"two\"}"),
            json!("[\"one\", \"two\"]\n</invoke>"),
            json!(["[\"one\", \"two\"]"]),
            json!("<ul><li>one</li><li>two</li></ul>"),
            json!("<ol>\n  <li>one</li>\n  <li>two</li>\n</ol>"),
            json!("<li>one</li>\n<li>two</li>"),
            json!("<p>one</p><p>two</p>"),
            json!("<criteria><criterion>one</criterion><criterion>two</criterion></criteria>"),
            json!(["<li>one</li>", "<li>two</li>"]),
            json!("one<br>two"),
            json!("one<br/>two"),
            json!("- one\n- two\n</acceptance_criteria>"),
            json!(["one</s>", "two"]),
            json!({"list": ["one", "two"]}),
            json!({"one": true, "two": true}),
            json!([{"description": "one", "category": "x"}, {"text": "two", "id": "AC2"}]),
            json!([{"criterion": "one"}, {"criterion": "two"}]),
        ] {
            assert_eq!(texts(&said), two, "{said}");
        }
        assert_eq!(texts(&json!("one")), ["one"]);
        assert_eq!(texts(&json!("• one")), ["one"]);
        assert_eq!(texts(&json!("-5 degrees\n--flag works")), ["-5 degrees", "--flag works"]);
        assert_eq!(texts(&json!({"10": "ten", "9": "nine"})), ["nine", "ten"]);
        assert_eq!(texts(&json!([{"coverage": "90 %", "lint": "clean"}])), ["coverage: 90 %, lint: clean"]);
    }

    #[test]
    fn what_only_looks_like_a_list_stays_as_it_is() {
        for said in [
            "The page has a <main> element",
            "<title> is set",
            "<a> is inside <nav>",
            "<b>All</b> tests <i>pass</i>",
            "Use <br> for line breaks",
            "x < y and y > z",
            "It compiles; it runs",
            "Version 1. 2 comes later",
            "f(a) equals g(b)",
            "Costs are at most 1.5 (2) times the usual",
            "\"one\" is printed",
            "(one) is printed",
            "[one] is printed",
            "A ✓ is shown",
            "It is closed with </div>",
        ] {
            assert_eq!(texts(&json!(said)), [said]);
            assert_eq!(texts(&json!([said, "x"])), [said, "x"]);
        }
        assert_eq!(texts(&json!("a. one\nc. two")), ["a. one", "c. two"]);
        assert_eq!(texts(&json!("note: one\ntest: two")), ["note: one", "test: two"]);
    }
}
