//! Values in the forms in which LLMs write them: numbers and durations in words, lists as text.

use std::time::Duration;

use serde_json::Value;

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

/// A list of texts: one alone may stand without its list, or all of them on lines of one text; each may be
/// an object with the text in it.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text_in).collect(),
        Value::Object(members) => members.values().filter_map(text_in).collect(),
        Value::String(text) if text.trim().contains('\n') => {
            text.lines().map(without_bullet).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        other => text(other).into_iter().map(|text| without_bullet(&text).to_owned()).collect(),
    }
}

/// A text, or the first one in an object.
fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => members.values().find_map(text),
        other => text(other),
    }
}

/// A line of a list without what marks it as one: `- `, `* `, `• `, `1. `, `2) `, `[ ] `.
fn without_bullet(line: &str) -> &str {
    let line = line.trim().trim_start_matches(['-', '*', '•', '–', '·']).trim_start();
    let line = line.strip_prefix("[ ]").or_else(|| line.strip_prefix("[x]")).unwrap_or(line).trim_start();
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    match digits.strip_prefix(['.', ')']) {
        Some(rest) if digits.len() < line.len() && rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    }
}

/// A whole number: `3`, `3.0`, `"3"`, `"step 3"`, `"#3"`, `"T3"`.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => {
            let text = text.split(" of ").next().unwrap_or_default().trim().trim_end_matches(['.', ':', ')']);
            let digits = text.strip_prefix(char::is_alphabetic).map_or(text, |rest| {
                rest.trim_start_matches(|c: char| c.is_alphabetic() || " _-#.".contains(c))
            });
            digits.trim_start_matches(['#', '(']).parse().ok()
        }
        other => {
            let number = other.as_f64()?;
            (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
        }
    }
}

/// A number, or the only one in a text (`"3"`, `"tier 3"`, `"2/5"` is the first of a scale).
pub(super) fn number(value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let text = with_points(text.split_once('/').map_or(text, |(first, _)| first));
    let mut numbers = text
        .split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .filter_map(|word| word.trim_end_matches('.').parse::<f64>().ok());
    let first = numbers.next()?;
    numbers.next().is_none().then_some(first)
}

/// A duration in seconds: `90`, `"90"`, `"90 s"`, `"about 2 minutes"`, `"1h 30m"`, `"PT5M"`, `"0:05:00"`;
/// the upper end of `"5-10 minutes"`.
pub(super) fn seconds(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => with_points(&text.trim().to_lowercase()),
        // `{"value": 5, "unit": "minutes"}`
        Value::Object(parts) => format!("{} {}", parts.get("value")?, parts.get("unit")?.as_str()?),
        other => return other.as_f64(),
    };
    let text = text.trim_start_matches(|c: char| c.is_alphabetic() || " ~≈<>≤.".contains(c));
    // What led here may have been the `PT` of ISO 8601.
    let text = text.split(['(', ',', ';']).next()?.trim();
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
/// where they stand for one (`1,5`).
fn with_points(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let behind = &text[at + c.len_utf8()..];
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        if c != ',' || digits == 0 || !plain.ends_with(|c: char| c.is_ascii_digit()) {
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

/// A probability: `0.8`, `"0.8"`, `"0,8"`, `"80%"`, `"8/10"`.
pub(super) fn fraction(value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let text = text.trim().trim_start_matches(['~', '≈']);
    let text = with_points(text);
    let (number, rest) = split_number(&text)?;
    let rest = rest.trim_start();
    let divisor = match rest.strip_prefix('/').and_then(|scale| split_number(scale.trim_start())) {
        Some((scale, _)) if scale > 0.0 => scale,
        _ if rest.starts_with('%') => 100.0,
        _ => 1.0,
    };
    Some(number / divisor)
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
            (json!("high"), None),
        ] {
            assert_eq!(fraction(&said), meant, "{said}");
        }
        for (said, meant) in [
            (json!("tier 3"), Some(3.0)),
            (json!("2/5"), Some(2.0)),
            (json!("3"), Some(3.0)),
            (json!("low"), None),
            (json!("1 or 2"), None),
        ] {
            assert_eq!(number(&said), meant, "{said}");
        }
    }

    #[test]
    fn whole_numbers_may_stand_in_words() {
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
            json!({"a": "one", "b": "two"}),
            json!([{"criterion": "one"}, {"criterion": "two"}]),
        ] {
            assert_eq!(texts(&said), two, "{said}");
        }
        assert_eq!(texts(&json!("one")), ["one"]);
    }
}
