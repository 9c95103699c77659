//! Values in the forms in which LLMs write them: numbers and durations in words, lists as text.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use super::lenient::read_at;

/// A text, or a number as one; of several texts a list of them.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(text).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        _ => None,
    }
}

/// A list of texts: a single one may be without its list, or all of them on lines of one text; each may be
/// an object with the text in it.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => match items.as_slice() {
            // One text may hold all.
            [Value::String(only)] => encoded_list(only).unwrap_or_else(|| vec![only.clone()]),
            items => items.iter().filter_map(text_in).collect(),
        },
        // `{"list": ["one", "two"]}`
        Value::Object(members) if members.len() == 1 && members.values().all(Value::is_array) => {
            members.values().flat_map(texts).collect()
        }
        Value::String(text) if encoded_list(text).is_some() => encoded_list(text).unwrap_or_default(),
        Value::Object(members) => {
            in_order(members).into_iter().filter_map(|(key, value)| member_text(key, value)).collect()
        }
        Value::String(text) if text.trim().contains('\n') => {
            text.lines().map(without_bullet).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        other => text(other).into_iter().map(|text| without_bullet(&text).to_owned()).collect(),
    }
}

/// The texts of a list that was written into a text: `"['one', 'two']"`.
fn encoded_list(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if !text.starts_with('[') {
        return None;
    }
    let document = read_at(text, 0).ok().filter(|document| !document.is_cut && !document.is_abridged)?;
    let rest = text[document.end..].trim();
    let items =
        document.value.as_array().filter(|items| !items.is_empty() && items.iter().all(Value::is_string))?;
    // What follows may be the markup of a tool call, not a criterion.
    (rest.is_empty() || rest.starts_with('<')).then(|| items.iter().filter_map(text_in).collect())
}

/// Keys under which a criterion that is an object says what it is.
const TELLING_KEYS: [&str; 8] =
    ["criterion", "description", "text", "statement", "condition", "requirement", "name", "title"];

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
    let line = ["- ", "* ", "• ", "•", "– ", "· "]
        .iter()
        .find_map(|bullet| line.strip_prefix(bullet))
        .unwrap_or(line);
    let line = line.trim_start();
    let line = line.strip_prefix("[ ]").or_else(|| line.strip_prefix("[x]")).unwrap_or(line).trim_start();
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    match digits.strip_prefix(['.', ')']) {
        Some(rest) if digits.len() < line.len() && rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    }
}

/// Words in front of a step's number.
const STEP_WORDS: [&str; 22] = [
    "step", "steps", "task", "tasks", "subtask", "item", "action", "stage", "phase", "node", "id", "number",
    "no", "nr", "s", "t", "schritt", "paso", "étape", "etape", "passo", "шаг",
];

/// The zeros of scripts whose digits follow each other.
const ZEROS: [u32; 14] =
    [0xff10, 0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0x17e0];

/// `text` with the digits of other scripts as ASCII ones: `１`, `١`, `①`.
pub(super) fn plain_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let plain = |c: char| {
        let code = c as u32;
        let digit = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10));
        // Circled digits begin with 1.
        let digit = digit.or_else(|| code.checked_sub(0x245f).filter(|digit| (1..10).contains(digit)));
        digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
    };
    text.chars().map(plain).collect::<String>().into()
}

/// A whole number: `3`, `3.0`, `"3"`, `"step 3"`, `"Step 3: Write"`, `"#3"`, `"T3"`.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let Value::String(text) = value else {
        let number = value.as_f64()?;
        return (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64);
    };
    let text = plain_digits(text.trim()).to_lowercase();
    let digits = text.trim_start_matches(char::is_alphabetic);
    let word = &text[..text.len() - digits.len()];
    if !word.is_empty() && !STEP_WORDS.contains(&word) {
        return None;
    }
    let digits = digits.trim_start_matches([' ', '_', '-', '#', '.', '(']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    // `2.0`, `Step 3: Write`, `step 3 (Write)`, `Step 1 of 3`, `2.`
    let is_whole = rest.trim_start_matches(".0").trim_end_matches(['.', ')', ':']).is_empty()
        || !word.is_empty() && rest.trim_start().starts_with([':', '(', '–'])
        || rest.starts_with(" of ");
    // `-1` is a number, if not a step's.
    let number = if word.is_empty() && text.starts_with('-') { &text[..=end] } else { number };
    is_whole.then(|| number.parse().ok()).flatten()
}

/// A number, or the only one in a text (`"3"`, `"tier 3"`, `"2/5"` is the first of a scale).
pub(super) fn number(value: &Value) -> Option<f64> {
    read_number(value).filter(|number| number.is_finite())
}

fn read_number(value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let text = &*plain_digits(text);
    let text = with_points(text.split_once('/').map_or(text, |(first, _)| first));
    // `tier-3` is not a negative number.
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
    let mut numbers = words.filter_map(|word| {
        let word = if text.starts_with(word) { word } else { word.trim_start_matches('-') };
        word.trim_end_matches('.').parse::<f64>().ok()
    });
    let first = numbers.next()?;
    numbers.next().is_none().then_some(first)
}

/// A duration in seconds: `90`, `"90"`, `"90 s"`, `"about 2 minutes"`, `"1h 30m"`, `"PT5M"`, `"0:05:00"`;
/// the upper end of `"5-10 minutes"`.
pub(super) fn seconds(value: &Value) -> Option<f64> {
    read_seconds(value).filter(|seconds| seconds.is_finite())
}

fn read_seconds(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => with_points(&text.trim().to_lowercase()),
        // `{"value": 5, "unit": "minutes"}`
        Value::Object(parts) => format!("{} {}", parts.get("value")?, parts.get("unit")?.as_str()?),
        other => return other.as_f64(),
    };
    let text = text.trim_start_matches(|c: char| c.is_alphabetic() || " ~≈<>≤.".contains(c));
    // What led here may have been the `PT` of ISO 8601.
    let text = &text.replace(['(', ')', ',', ';'], " ");
    let text = text.trim();
    if let Some(clock) = clock(text) {
        return Some(clock);
    }
    let upper = upper_end(text);
    let upper = upper.trim().trim_end_matches('.');
    let spoken = upper.replace(" and ", " ").replace("hrs", "h").replace("hr ", "h ");
    let (number, unit) = split_number(&spoken)?;
    match unit.trim() {
        "" => Some(number),
        unit if number.fract() == 0.0 && number >= 0.0 => {
            humantime::parse_duration(&format!("{number}{unit}")).map(|d: Duration| d.as_secs_f64()).ok()
        }
        unit => {
            let one = humantime::parse_duration(&format!("1{unit}")).ok()?;
            Some(number * one.as_secs_f64())
        }
    }
}

/// A text in which commas between digits are left out where they part thousands (`1,200`), and points
/// where they mean one (`1,5`).
pub(super) fn with_points(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c != ',' {
            plain.push(c);
            continue;
        }
        // More than three are as good as four.
        let digits = text[at + 1..].bytes().take(4).take_while(u8::is_ascii_digit).count();
        if digits == 0 || !plain.ends_with(|c: char| c.is_ascii_digit()) {
            plain.push(c);
        } else if digits != 3 {
            plain.push('.');
        }
    }
    plain
}

/// `0:05:00` and `5:00`.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<f64> =
        text.split(':').map(|part| part.parse::<u32>().map(f64::from)).collect::<Result<_, _>>().ok()?;
    (2..=3).contains(&parts.len()).then(|| parts.iter().fold(0.0, |sum, part| sum * 60.0 + part))
}

/// What follows the dash or the `to` of a range; a text without one as it is.
fn upper_end(text: &str) -> &str {
    ["-", "–", " to ", " bis "]
        .iter()
        .find_map(|dash| {
            let (lower, upper) = text.split_once(dash)?;
            let is_range = split_number(lower.trim()).is_some()
                && upper.trim().starts_with(|c: char| c.is_ascii_digit());
            is_range.then_some(upper)
        })
        .unwrap_or(text)
}

/// What words for a probability mean, as the documentation says.
const PROBABILITIES: [(&str, f64); 9] = [
    ("very high", 0.95),
    ("high", 0.85),
    ("medium", 0.6),
    ("moderate", 0.6),
    ("very low", 0.1),
    ("low", 0.3),
    ("certain", 0.95),
    ("likely", 0.75),
    ("unlikely", 0.25),
];

/// A probability: `0.8`, `"0.8"`, `"0,8"`, `"80%"`, `"8/10"`, `"high"`.
pub(super) fn fraction(value: &Value) -> Option<f64> {
    let value = match value {
        // `{"score": 0.8, "why": "…"}`
        Value::Object(members) => members.values().find(|value| value.is_number())?,
        other => other,
    };
    read_fraction(value).filter(|fraction| fraction.is_finite())
}

fn read_fraction(value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let text = plain_digits(text.trim());
    let said = text.to_lowercase();
    let said = said.split(['(', ',', ':']).next().unwrap_or_default().trim();
    if let Some((_, probability)) = PROBABILITIES.iter().find(|(word, _)| *word == said) {
        return Some(*probability);
    }
    let text = text.trim_start_matches(['~', '≈']);
    let text = with_points(text);
    let (number, rest) = split_number(&text)?;
    // What is added in brackets says the same in words.
    let rest = rest.split('(').next()?.trim().replace("out of", "/");
    match rest.strip_prefix('/').map(|scale| split_number(scale)) {
        Some(scale) => {
            scale.filter(|(scale, more)| *scale > 0.0 && more.is_empty()).map(|(scale, _)| number / scale)
        }
        None if rest.is_empty() => Some(number),
        None => (rest == "%").then_some(number / 100.0),
    }
}

fn split_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|&(at, c)| !(c.is_ascii_digit() || c == '.' || c == '-' && at == 0))
        .map_or(text.len(), |(at, _)| at);
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_are_said_in_many_ways() {
        for (said, meant) in [
            (json!(90), Some(90.0)),
            (json!("90"), Some(90.0)),
            (json!("90 s"), Some(90.0)),
            (json!("45.5 sec"), Some(45.5)),
            (json!("1,200"), Some(1_200.0)),
            (json!("2,400 s"), Some(2_400.0)),
            (json!("1,5 minutes"), Some(90.0)),
            (json!("1 week"), Some(604_800.0)),
            (json!("1.5 minutes"), Some(90.0)),
            (json!("About 2 Minutes"), Some(120.0)),
            (json!("~30s"), Some(30.0)),
            (json!("1h 30m"), Some(5_400.0)),
            (json!("1 hour and 30 minutes"), Some(5_400.0)),
            (json!("1 hour, 30 minutes"), Some(5_400.0)),
            (json!("20 (minutes)"), Some(1_200.0)),
            (json!("5 apples"), None),
            (json!("PT5M"), Some(300.0)),
            (json!("PT1H30M"), Some(5_400.0)),
            (json!("0:05:00"), Some(300.0)),
            (json!("5-10 minutes"), Some(600.0)),
            (json!("5 to 10 min"), Some(600.0)),
            (json!("500 ms"), Some(0.5)),
            (json!("2 days"), Some(172_800.0)),
            (json!({"value": 5, "unit": "minutes"}), Some(300.0)),
            (json!("-3"), Some(-3.0)),
            (json!("60 * 5"), None),
            (json!("soon"), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(seconds(&said), meant, "{said}");
        }
    }

    #[test]
    fn probabilities_and_tiers_are_said_in_many_ways() {
        for (said, meant) in [
            (json!(0.8), Some(0.8)),
            (json!("0.8"), Some(0.8)),
            (json!("80%"), Some(0.8)),
            (json!("80 %"), Some(0.8)),
            (json!("8/10"), Some(0.8)),
            (json!("0,85 (hoch)"), Some(0.85)),
            (json!("9 out of 10"), Some(0.9)),
            (json!("0.8 to 0.9"), None),
            (json!("1e-1"), None),
            (json!("high"), Some(0.85)),
            (json!("Very high (well understood)"), Some(0.95)),
            (json!("sure"), None),
            (json!(format!("{0}/{0}", "9".repeat(400))), None),
        ] {
            assert_eq!(fraction(&said), meant, "{said}");
        }
        for (said, meant) in [
            (json!("tier 3"), Some(3.0)),
            (json!("Tier-3"), Some(3.0)),
            (json!("-3"), Some(-3.0)),
            (json!("2/5"), Some(2.0)),
            (json!("3"), Some(3.0)),
            (json!("low"), None),
            (json!("1 or 2"), None),
        ] {
            assert_eq!(number(&said), meant, "{said}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_in_words() {
        for (said, meant) in [
            (json!(3), Some(3)),
            (json!(3.0), Some(3)),
            (json!("step 3"), Some(3)),
            (json!("Schritt 3:"), Some(3)),
            (json!("task-2"), Some(2)),
            (json!("Step 1 of 3"), Some(1)),
            (json!("#4"), Some(4)),
            (json!(1.5), None),
            (json!("gather"), None),
            (json!("step 2: Write code"), Some(2)),
            (json!("step 2 (Write code)"), Some(2)),
            (json!("2.0"), Some(2)),
            (json!("2."), Some(2)),
            (json!("-1"), Some(-1)),
            (json!("API v2"), None),
            (json!("v2"), None),
            (json!("Q3"), None),
            (json!("python 3"), None),
            (json!("step n-1"), None),
            (json!("1.5"), None),
            (json!("2 days"), None),
        ] {
            assert_eq!(whole(&said), meant, "{said}");
        }
    }

    #[test]
    fn lists_of_texts_have_many_forms() {
        let two = vec!["one".to_owned(), "two".to_owned()];
        for said in [
            json!(["one", "two"]),
            json!("- one\n- two"),
            json!("1. one\n2. two\n"),
            json!("[ ] one\n[x] two"),
            json!({"1": "one", "2": "two"}),
            json!("['one', 'two']"),
            json!("[\"one\", \"two\"]\n</invoke>"),
            json!(["[\"one\", \"two\"]"]),
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
}
