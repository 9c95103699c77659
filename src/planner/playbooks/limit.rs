//! How long the caller lets the work take, where the text says so without ambiguity.

use std::borrow::Cow;

use crate::text::{find_phrase, lowercase};

const LONGEST_LIMIT_SECONDS: f64 = 50.0 * 86_400.0;
const WEEK_SECONDS: f64 = 604_800.0;

#[rustfmt::skip]
const LIMITING: &[&str] = &[
    "within", "under", "max", "maximum", "below", "than", "most", "limit", "deadline", "budget", "unter",
    "innerhalb", "binnen", "maximal", "höchstens", "menos", "máximo", "moins", "exceed", "exceeding",
];
/// These set one with a word or two in between ("within the next 5 minutes").
const LIMITING_FROM_AFAR: &[&str] = &["within", "innerhalb", "limit", "deadline", "budget"];
/// These set one when they follow it ("2 minute limit").
const LIMITING_FROM_BEHIND: &[&str] = &["limit", "max", "maximum", "deadline", "budget", "tops", "maximal"];
/// Before figures that something stays below.
const COMPARING: &[&str] = &["under", "below", "less than", "unter", "menos de", "moins de"];
/// Numbers in words, by their place.
#[rustfmt::skip]
const NUMBERS: &[&[&str]] = &[
    &[], &["a", "an", "one", "einer", "einem", "un", "una"], &["two", "zwei"], &["three", "drei"], &["four"], &["five", "fünf"],
    &["six", "sechs", "seis"], &["seven"], &["eight"], &["nine"], &["ten", "zehn"],
];
/// With one of these before it, a plain "in" sets a limit too.
const ENDING: &[&str] =
    &["complete", "completed", "finish", "finished", "done", "deliver", "ready", "fertig"];
/// Before "longer than" and "under" these leave the time to the work; another noun has it for itself
/// ("no videos longer than 5 minutes").
#[rustfmt::skip]
const OF_THE_WORK: &[&str] = &[
    "no", "not", "in", "for", "and", "take", "takes", "taking", "be", "is", "it", "this", "never", "last",
    "work", "plan", "task", "everything", "all", "spend", "stay", "keep", "time", "duration", "run", "runs",
];
/// With one of these, a time is a property of what is made and no limit for the work.
#[rustfmt::skip]
const PROPERTY: &[&str] = &[
    "respond", "responds", "response", "responses", "latency", "load", "loads", "timeout", "timeouts",
    "expire", "expires", "expiry", "ttl", "cache", "cached", "interval", "every", "per", "retry",
    "retries", "request", "requests", "query", "queries", "startup", "render", "renders", "refresh",
    "session", "sessions", "token", "p95", "p99", "downtime", "uptime", "rto", "rpo", "last", "progress",
    "older", "newer", "rollback", "recovery",
];
/// What begins with one of these takes the time given after one of [`LASTING`].
#[rustfmt::skip]
const WAITING: &[&str] = &[
    "wait", "monitor", "observe", "watch", "soak", "pause", "sleep", "warte", "beobachte", "überwache", "espera",
    "observa", "supervisa", "attends", "attendez", "surveille", "surveillez", "observez",
];
#[rustfmt::skip]
const LASTING: &[&str] = &[
    "for", "wait", "sleep", "pause", "warte", "lang", "während", "durante", "por", "pendant", "espera",
];
#[rustfmt::skip]
const UNITS: &[(f64, &[&str])] = &[
    (1.0, &[
        "s", "sec", "secs", "second", "seconds", "sekunde", "sekunden", "segundos", "secondes", "секунд", "秒",
    ]),
    (60.0, &["m", "min", "mins", "minute", "minutes", "minuten", "minutos", "минут", "минуты", "分钟", "分"]),
    (3_600.0, &[
        "h", "hr", "hrs", "hour", "hours", "stunde", "stunden", "hora", "horas", "heure", "heures", "小时",
    ]),
    (86_400.0, &["d", "day", "days", "tag", "tage", "tagen", "día", "días", "jour", "jours", "天"]),
    (WEEK_SECONDS, &["week", "weeks", "woche", "wochen", "semana", "semanas", "semaine", "semaines"]),
];

/// Before a time in which all is done.
const FRAMING: &[&str] = &["in", "within", "over", "innerhalb", "binnen", "en", "dans", "durante"];
const WEEKENDS: &[&str] = &["weekend", "wochenende", "week-end", "finde"];
#[rustfmt::skip]
const LONG_UNITS: &[(f64, &[&str])] = &[
    (2_592_000.0, &["month", "months", "monat", "monate", "monaten", "mes", "meses", "mois"]),
    (31_536_000.0, &["year", "years", "jahr", "jahre", "jahren", "año", "años", "an", "ans"]),
];

/// How long what `text` asks for waits or watches, in whole seconds, where it begins with that: "Monitor the error rate
/// for 30 minutes".
pub(in crate::planner) fn waiting(text: &str) -> Option<u32> {
    let first = Word::all(text).next()?;
    if !first.is_one_of(WAITING) {
        return None;
    }
    let words: Vec<Word<'_>> = Word::all(text).collect();
    let amount_at = |at: usize| {
        let (_, seconds, _) = amount(&words, at)?;
        words[at - 1].is_one_of(LASTING).then_some(seconds)
    };
    let seconds = (1..words.len()).find_map(amount_at)?;
    (1.0..=LONGEST_LIMIT_SECONDS).contains(&seconds).then_some(seconds as u32)
}

/// The time in which `goal` says that all is done, in whole seconds ("in six months", "this weekend"), and whether the
/// plan must fit into it. Shorter times are often properties of what the goal is about: "outages over 10 minutes".
pub(super) fn frame(goal: &str) -> Option<(u32, bool)> {
    let words: Vec<Word<'_>> = Word::all(goal).collect();
    let spans = (1..words.len()).filter_map(|at| {
        let is_property = at > 1 && words[at - 2].is_one_of(PROPERTY);
        let is_framed = words[at - 1].is_one_of(FRAMING) && !is_property;
        if words[at].is_one_of(WEEKENDS)
            && words[at - 1].is_one_of(&["this", "one", "a", "am", "dieses", "un", "ce"])
        {
            return Some((2.0 * 86_400.0, true));
        }
        let number: f64 = match NUMBERS.iter().position(|names| words[at].is_one_of(names)) {
            Some(number) => number as f64,
            None => words[at].folded.parse().ok()?,
        };
        let unit = &words.get(at + 1)?.folded;
        let long = LONG_UNITS.iter().find(|(_, names)| names.contains(&&**unit));
        let seconds = long.map(|(seconds, _)| *seconds).or_else(|| seconds_of(unit))?;
        is_framed.then_some((number * seconds, number * seconds >= WEEK_SECONDS))
    });
    spans
        .map(|(seconds, fits)| (seconds as u32, fits))
        .find(|(seconds, _)| (60..=31_536_000).contains(seconds))
}

/// The limit for the work as a whole that `text` sets, in whole seconds.
pub(in crate::planner) fn of(text: &str) -> Option<u32> {
    let words: Vec<Word<'_>> = Word::all(text).collect();
    let place = |table: &[&str]| words.iter().position(|word| word.is_one_of(table)).unwrap_or(words.len());
    let (ending, relative) = (place(ENDING), place(&["that", "which", "whose"]));
    let mut tightest: Option<f64> = None;
    let mut at = 0;
    while at < words.len().min(relative) {
        let Some((bounded, mut seconds, mut end)) = amount(&words, at) else {
            at += 1;
            continue;
        };
        // "1 hour 30 minutes"
        while end < words.len()
            && let Some((_, more, behind)) = amount(&words, end)
        {
            (seconds, end) = (seconds + more, behind);
        }
        let is = |place: Option<usize>, table: &[&str]| {
            place.and_then(|place| words.get(place)).is_some_and(|word| word.is_one_of(table))
        };
        let before = |back: usize, table: &[&str]| is(at.checked_sub(back), table);
        let of_another = |back: usize| {
            at.checked_sub(back).is_some_and(|place| {
                !words[place].text.ends_with([',', ':'])
                    && !before(back, OF_THE_WORK)
                    && !before(back, ENDING)
            })
        };
        let foreign = before(1, &["under", "below"]) && of_another(2)
            || before(1, &["than"]) && before(2, &["longer", "shorter", "more", "less"]) && of_another(3);
        let marked = bounded
            || at == 0 && end == words.len()
            || at > 0 && matches!(words[at - 1].text, "<" | "≤" | "<=")
            || before(1, LIMITING) && !foreign
            || before(1, &["to"]) && before(2, &["up", "limit", "limited"])
            || before(1, &["of"]) && before(2, &["max", "maximum"])
            || (2..=3).any(|back| before(back, LIMITING_FROM_AFAR))
            || before(1, &["in"]) && ending < at
            || is(Some(end), LIMITING_FROM_BEHIND)
            || is(Some(end), &["or"]) && is(Some(end + 1), &["less", "fewer"]);
        if marked && (1.0..=LONGEST_LIMIT_SECONDS).contains(&seconds) {
            tightest = Some(tightest.map_or(seconds, |known| known.min(seconds)));
        }
        at = end;
    }
    let seconds = tightest.map(|seconds| seconds as u32).or_else(|| unspaced_limit(text))?;
    (!words.iter().any(|word| word.is_one_of(PROPERTY))).then_some(seconds)
}

/// The amount of time at `at` ("<2 minutes", "30s", "two hours", "half an hour"): whether it has a sign that
/// bounds it, its seconds, and the word after it.
fn amount(words: &[Word<'_>], at: usize) -> Option<(bool, f64, usize)> {
    let word = words[at].text;
    let unit_at = |place: usize| seconds_of(&words.get(place)?.folded);
    let Some(digits) = word.find(|c: char| c.is_ascii_digit()) else {
        if word.eq_ignore_ascii_case("half")
            && words.get(at + 1).is_some_and(|next| next.is_one_of(&["a", "an"]))
        {
            return Some((false, unit_at(at + 2)? / 2.0, at + 3));
        }
        let number = NUMBERS.iter().position(|names| words[at].is_one_of(names))?;
        return Some((false, number as f64 * unit_at(at + 1)?, at + 2));
    };
    let (sign, figures) = word.split_at(digits);
    let end = figures.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(figures.len());
    let (number, unit) = figures.split_at(end);
    let grouped = number.split(',').skip(1).all(|group| group.len() == 3);
    let number = number.replace(',', if grouped { "" } else { "." });
    let number: f64 = number.trim_end_matches('.').parse().ok()?;
    let unit = unit.trim_start_matches('-');
    // "5 m users" are millions.
    let apart = || unit_at(at + 1).filter(|_| words[at + 1].folded != "m");
    let (unit, end) = if unit.is_empty() { (apart()?, at + 2) } else { (seconds_of(&fold(unit))?, at + 1) };
    Some((sign.contains(['<', '≤']), number * unit, end))
}

/// As in "请在5分钟内完成": no spaces around the number.
fn unspaced_limit(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let figures = &text[digits..];
    let end = figures.find(|c: char| !c.is_ascii_digit())?;
    let number: f64 = figures[..end].parse().ok()?;
    let rest = figures[end..].trim_start();
    let (seconds, unit) = UNITS.iter().find_map(|&(seconds, names)| {
        let unit = names.iter().find(|name| !name.is_ascii() && rest.starts_with(**name))?;
        Some((number * seconds, unit))
    })?;
    let bounded = ["内", "以内", "之内"].iter().any(|within| rest[unit.len()..].starts_with(within));
    (bounded && (1.0..=LONGEST_LIMIT_SECONDS).contains(&seconds)).then_some(seconds as u32)
}

/// The seconds of one `unit`, a [`fold`]ed word.
fn seconds_of(unit: &str) -> Option<f64> {
    UNITS.iter().find(|(_, names)| names.contains(&unit)).map(|(seconds, _)| *seconds)
}

/// A word as it is written, and as the tables have it.
struct Word<'t> {
    text: &'t str,
    folded: Cow<'t, str>,
}

impl<'t> Word<'t> {
    fn all(text: &'t str) -> impl Iterator<Item = Self> {
        text.split_whitespace().map(|text| Self { text, folded: fold(text) })
    }

    fn is_one_of(&self, table: &[&str]) -> bool {
        table.contains(&&*self.folded)
    }
}

/// `word` in lower case, without punctuation around it.
fn fold(word: &str) -> Cow<'_, str> {
    lowercase(word.trim_matches(|c: char| !c.is_alphanumeric()))
}
/// Whether `text` says that something stays below a figure: "in under 55 minutes".
pub(super) fn compares(text: &str) -> bool {
    let folded = crate::text::fold(text);
    COMPARING.iter().any(|phrase| find_phrase(&folded, phrase).is_some())
}
