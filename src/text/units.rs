//! Durations as people write them in several languages: `2 minutes`, `20 秒`, `1h 30m`; and English words for numbers.

/// Units of time: what each is called, in lower case, and its seconds. Names of scripts without spaces are beginnings,
/// all others whole words.
#[rustfmt::skip]
const UNITS: [(&[&str], f64); 6] = [
    (&["ms", "msec", "msecs", "millis", "millisecond", "milliseconds", "millisekunde", "millisekunden", "milisegundo",
       "milisegundos", "milliseconde", "millisecondes", "миллисекунд", "миллисекунды", "毫秒", "ミリ秒", "밀리초"], 0.001),
    (&["s", "sec", "secs", "second", "seconds", "seg", "segs", "segundo", "segundos", "sek", "sekunde", "sekunden",
       "seconde", "secondes", "secondi", "сек", "секунда", "секунду", "секунды", "секунд", "秒", "초"], 1.0),
    (&["m", "min", "mins", "minute", "minutes", "minuten", "minuto", "minutos", "minuti", "мин", "минута", "минуту",
       "минуты", "минут", "分", "분"], 60.0),
    (&["h", "hr", "hrs", "hour", "hours", "std", "stunde", "stunden", "hora", "horas", "heure", "heures", "час", "часа",
       "часов", "小时", "小時", "時間", "시간"], 3_600.0),
    (&["d", "day", "days", "tag", "tage", "tagen", "día", "días", "dia", "dias", "jour", "jours", "дн", "день", "дня",
       "дней", "天", "日", "일"], 86_400.0),
    (&["w", "wk", "wks", "week", "weeks", "woche", "wochen", "semana", "semanas", "semaine", "semaines", "неделя",
       "неделю", "недели", "недель", "周", "週", "주"], 604_800.0),
];

/// Numbers up to twenty, and the tens.
#[rustfmt::skip]
const NUMBERS: [&str; 28] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty",
    "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// The value of a number below 100 in English: `two`, `ninety`, `ninety-five`.
pub fn number_in_words(text: &str) -> Option<f64> {
    let value = |word: &str| {
        let at = NUMBERS.iter().position(|number| *number == word)?;
        Some(if at <= 20 { at } else { (at - 18) * 10 })
    };
    let mut words = text.split([' ', '-']);
    let first = value(words.next()?)?;
    let rest =
        words.next().map_or(Some(0), |word| value(word).filter(|ones| (1..10).contains(ones) && first >= 20));
    (words.next().is_none()).then(|| Some((first + rest?) as f64))?
}

/// The seconds of a duration that a text, in lower case, begins with, and what follows: `1h2m3.5s`, `120 ms`, `20 秒后`.
pub fn leading_seconds(text: &str) -> Option<(f64, &str)> {
    let mut rest = text;
    let mut seconds = None;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { break };
        let after = rest[digits..].trim_start();
        let Some((unit, after)) = unit(after) else { break };
        seconds = Some(seconds.unwrap_or(0.0) + number * unit);
        rest = after.trim_start();
    }
    seconds.map(|seconds| (seconds, rest))
}

/// The unit that a text begins with, and what follows the word. Words of ideographs have no space behind them.
fn unit(text: &str) -> Option<(f64, &str)> {
    let word = &text[..text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len())];
    UNITS.iter().find_map(|(names, seconds)| {
        let has_spaces = |name: &str| name.chars().all(|c| (c as u32) < 0x3000);
        let is_it = |name: &str| if has_spaces(name) { word == name } else { word.starts_with(name) };
        let name = names.iter().find(|name| is_it(name))?;
        let end = if has_spaces(name) { word.len() } else { with_suffix(word, name.len()) };
        Some((*seconds, &text[end..]))
    })
}

/// `分钟` is `分`, and `秒钟` is `秒`.
fn with_suffix(word: &str, end: usize) -> usize {
    let suffix = ["钟", "鐘", "間", "간"].into_iter().find(|suffix| word[end..].starts_with(suffix));
    end + suffix.map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_several_languages() {
        for (text, seconds, rest) in [
            ("1h2m3.5s.", 3_723.5, "."),
            ("120 ms", 0.12, ""),
            ("2 minutes later", 120.0, "later"),
            ("20 秒后重试", 20.0, "后重试"),
            ("2分钟", 120.0, ""),
            ("1時間30分", 5_400.0, ""),
            ("5초 후", 5.0, "후"),
            ("30 секунд", 30.0, ""),
            ("2 stunden", 7_200.0, ""),
            ("3 segundos", 3.0, ""),
            ("1 seconde", 1.0, ""),
        ] {
            assert_eq!(leading_seconds(text), Some((seconds, rest)), "{text}");
        }
        for text in ["5 apples", "5 tags", "3 minimum", "3 segments", "5 million", "soon", "", "5"] {
            assert_eq!(leading_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_in_words() {
        for (text, number) in [
            ("two", Some(2.0)),
            ("ninety", Some(90.0)),
            ("ninety-five", Some(95.0)),
            ("twenty one", Some(21.0)),
        ] {
            assert_eq!(number_in_words(text), number, "{text}");
        }
        for text in ["", "two three", "ninety ten", "many", "one two three"] {
            assert_eq!(number_in_words(text), None, "{text}");
        }
    }
}
