//! Values in the forms in which LLMs write them: texts, numbers and durations in words.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use crate::text::units::{leading_seconds, number_in_words};

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
    if let Some((number, unit)) = text.rsplit_once(' ')
        && let Some(number) = number_in_words(number)
    {
        return leading_seconds(&format!("{number} {unit}")).map(|(seconds, _)| seconds);
    }
    let text = text.trim_start_matches(|c: char| c.is_alphabetic() || " ~≈<>≤.".contains(c));
    // What led here may have been the `PT` of ISO 8601.
    let text = &text.replace(['(', ')', ',', ';'], " ");
    let text = text.trim();
    if let Some(clock) = clock(text) {
        return Some(clock);
    }
    let upper = upper_end(text);
    let upper = upper.trim().trim_end_matches('.');
    if let Some((seconds, "")) = leading_seconds(&plain_digits(upper)) {
        return Some(seconds);
    }
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
            (json!("two minutes"), Some(120.0)),
            (json!("2分钟"), Some(120.0)),
            (json!("30 секунд"), Some(30.0)),
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
    fn tiers_are_said_in_many_ways() {
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
}
