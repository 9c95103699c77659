//! How sure an LLM is, in numbers and words.

use serde_json::Value;

use super::values::{plain_digits, with_points};
use crate::text::units::number_in_words;

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
/// Members of an object that say the probability, and those that say of how much.
const VALUE_KEYS: [&str; 7] = ["value", "score", "overall", "confidence", "total", "level", "rating"];
const SCALE_KEYS: [&str; 4] = ["scale", "max", "maximum", "out_of"];
/// Words and signs between a number and its scale.
const OF: [&str; 9] = ["/", "out of", "of", "von", "de", "sur", "di", "из", "av"];
/// And between the ends of a range.
const TO: [&str; 8] = ["-", "–", "to", "and", "bis", "to about", "..", "a"];
/// How a percent sign is written.
const PERCENT: [&str; 9] =
    ["%", "percent", "per cent", "pct", "prozent", "procent", "por ciento", "pour cent", "процент"];

/// A probability: `0.8`, `"0,8"`, `"80%"`, `"80 percent"`, `"8/10"`, `"8 out of 10"`, `"high"`, `{"score": 8, "scale": 10}`;
/// the middle of `"0.8-0.9"`. It may be more than 1 (`8`, `80`), if the scale is not said.
pub(super) fn fraction(value: &Value) -> Option<f64> {
    let fraction = match value {
        Value::Array(items) => match items.as_slice() {
            [only] => return fraction(only),
            _ => return None,
        },
        Value::Object(members) => {
            let by_key = |keys: &[&str]| keys.iter().find_map(|key| members.get(*key));
            let only = || {
                let mut numbers = members.values().filter(|value| value.is_number());
                numbers.next().filter(|_| numbers.next().is_none())
            };
            let value = fraction(by_key(&VALUE_KEYS).or_else(only)?)?;
            let scale = by_key(&SCALE_KEYS).and_then(Value::as_f64).filter(|scale| *scale >= 1.0);
            scale.map_or(value, |scale| value / scale)
        }
        Value::String(text) => in_text(text)?,
        other => other.as_f64()?,
    };
    Some(fraction).filter(|fraction| fraction.is_finite())
}

fn in_text(text: &str) -> Option<f64> {
    let text = with_points(&plain_digits(&text.trim().replace('٫', ".")).to_lowercase().replace('％', "%"));
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))
        && let Ok(number) = text.parse::<f64>()
    {
        return Some(number);
    }
    let said = text.split(['(', ',', ':']).next().unwrap_or_default().trim();
    if let Some(words) = PERCENT.iter().find_map(|percent| said.strip_suffix(percent))
        && let Some(number) = number_in_words(words.trim())
    {
        return Some(number / 100.0);
    }
    if let Some((_, probability)) = PROBABILITIES.iter().find(|(word, _)| *word == said) {
        return Some(*probability);
    }
    // What is added in brackets says the same in words.
    let first = text.split('(').next().unwrap_or_default();
    let text = if numbers(first).is_empty() { &text } else { first };
    let numbers = numbers(text);
    let percent = |end: usize| {
        let after = text[end..].trim_start();
        PERCENT.iter().any(|word| after.starts_with(word))
    };
    match *numbers.as_slice() {
        [(start, end, number)] => {
            let before = text[..start].trim();
            let is_percent = percent(end) || before.ends_with('%');
            // Other numbers than probabilities have words in front of them.
            let is_meant =
                is_percent || number <= 1.0 && text[start..end].contains('.') || !before.contains(' ');
            is_meant.then_some(if is_percent { number / 100.0 } else { number })
        }
        [(_, end, first), (next, last, second)] => {
            let between = text[end..next].trim().trim_matches('%').trim();
            let is_between = |words: &[&str]| words.contains(&between);
            if is_between(&OF) && second > 0.0 && first <= second {
                return Some(first / second);
            }
            let middle = f64::midpoint(first, second);
            (is_between(&TO) && first <= second).then_some(if percent(last) {
                middle / 100.0
            } else {
                middle
            })
        }
        _ => None,
    }
}

/// The numbers in a text, with where each begins and ends.
fn numbers(text: &str) -> Vec<(usize, usize, f64)> {
    let mut numbers = Vec::new();
    let mut from = 0;
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    while let Some(start) = text[from..].find(is_of_number).map(|at| from + at) {
        let end = text[start..].find(|c| !is_of_number(c)).map_or(text.len(), |at| start + at);
        let written = text[start..end].trim_end_matches('.');
        if let Ok(number) = written.parse() {
            numbers.push((start, start + written.len(), number));
        }
        from = end;
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn probabilities_are_said_in_many_ways() {
        for said in [
            json!(0.9),
            json!("0.9"),
            json!(".9"),
            json!("0,9"),
            json!("9e-1"),
            json!("0.9."),
            json!("90%"),
            json!("90 %"),
            json!("%90"),
            json!("９０％"),
            json!("٠٫٩"),
            json!("90 percent"),
            json!("90 Prozent"),
            json!("90 процентов"),
            json!("about 90 percent"),
            json!("ninety percent"),
            json!("Ninety per cent (likely)"),
            json!("9/10"),
            json!("90/100"),
            json!("0.9/1.0"),
            json!("9 out of 10"),
            json!("9 von 10"),
            json!("4.5 of 5 stars"),
            json!("0,9 (hoch)"),
            json!("高 (0.9)"),
            json!("~0.9"),
            json!(">0.9"),
            json!("about 0.9"),
            json!("confidence: 0.9"),
            json!("0.9 because the notes exist"),
            json!("0.85-0.95"),
            json!("0.85 to 0.95"),
            json!("85% - 95%"),
            json!([0.9]),
            json!({"value": 0.9}),
            json!({"score": 9, "scale": 10}),
            json!({"level": "90%", "why": "clear"}),
        ] {
            let read = fraction(&said).unwrap_or_else(|| panic!("{said}"));
            assert!((read - 0.9).abs() < 1e-9, "{said}: {read}");
        }
        for (said, meant) in [
            (json!("high"), Some(0.85)),
            (json!("Very high (well understood)"), Some(0.95)),
            (json!("90"), Some(90.0)),
            (json!(9), Some(9.0)),
            (json!("sure"), None),
            (json!("step 2 of 5 is risky, 3 are not"), None),
            (json!("the second of 5"), None),
            (json!("1/0"), None),
            (json!("Infinity"), None),
            (json!("NaN"), None),
            (json!("1e999"), None),
            (json!([0.8, 0.9]), None),
            (json!({"a": 1, "b": 2}), None),
            (json!(true), None),
            (json!(format!("{0}/{0}", "9".repeat(400))), None),
        ] {
            assert_eq!(fraction(&said), meant, "{said}");
        }
    }
}
