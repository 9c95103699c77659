//! How long steps take, and how long the caller lets them take.

use super::arms::Intent;
use super::lexicon::is_one_of;
use super::reading::Kind;

/// Beyond this many words a clause does not make its step longer.
const MOST_WORDS: usize = 60;
const SECONDS_PER_WORD: u32 = 2;
const LONGEST_LIMIT_SECONDS: f64 = 50.0 * 86_400.0;

#[rustfmt::skip]
const LIMITING: &[&str] = &[
    "within", "under", "max", "maximum", "below", "than", "most", "limit", "to", "unter", "innerhalb",
    "binnen", "maximal", "höchstens", "menos", "máximo", "moins", "exceed", "exceeding",
];
/// These set one with a word or two in between ("within the next 5 minutes").
const LIMITING_FROM_AFAR: &[&str] = &["within", "innerhalb", "limit"];
/// Numbers in words, by their place.
const NUMBERS: &[&[&str]] = &[
    &[],
    &["a", "an", "one", "einer"],
    &["two", "zwei"],
    &["three", "drei"],
    &["four"],
    &["five", "fünf"],
    &["six"],
    &["seven"],
    &["eight"],
    &["nine"],
    &["ten", "zehn"],
];
/// With one of these before it, a plain "in" sets a limit too.
const ENDING: &[&str] =
    &["complete", "completed", "finish", "finished", "done", "deliver", "ready", "fertig"];
/// With one of these, a time is a property of what is made and no limit for the work.
#[rustfmt::skip]
const PROPERTY: &[&str] = &[
    "respond", "responds", "response", "responses", "latency", "load", "loads", "timeout", "timeouts",
    "expire", "expires", "expiry", "ttl", "cache", "cached", "interval", "every", "per", "retry",
    "retries", "request", "requests", "query", "queries", "startup", "render", "renders", "refresh",
    "session", "sessions", "token", "p95", "p99", "downtime", "uptime", "rto", "rpo", "last", "past",
    "older", "newer",
];
const UNITS: &[(f64, &[&str])] = &[
    (
        1.0,
        &[
            "s",
            "sec",
            "secs",
            "second",
            "seconds",
            "sekunde",
            "sekunden",
            "segundos",
            "secondes",
            "секунд",
            "秒",
        ],
    ),
    (60.0, &["m", "min", "mins", "minute", "minutes", "minuten", "minutos", "минут", "минуты", "分钟", "分"]),
    (
        3_600.0,
        &["h", "hr", "hrs", "hour", "hours", "stunde", "stunden", "hora", "horas", "heure", "heures", "小时"],
    ),
    (86_400.0, &["d", "day", "days", "tag", "tage", "tagen", "día", "días", "jour", "jours", "天"]),
];

/// The tightest limit in `texts` for the work as a whole, in whole seconds.
pub(super) fn limit<'t>(texts: impl Iterator<Item = &'t str>) -> Option<u32> {
    texts.filter_map(limit_in).min()
}

fn limit_in(text: &str) -> Option<u32> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let limit = |at: usize| {
        let (sign, number, unit) = amount(&words, at)?;
        let before = |back: usize| at.checked_sub(back).and_then(|at| words.get(at)).copied().unwrap_or("");
        let marked = sign.contains(['<', '≤'])
            || matches!(before(1), "<" | "≤" | "<=")
            || is_one_of(before(1), LIMITING)
            || [2, 3].iter().any(|&back| is_one_of(before(back), LIMITING_FROM_AFAR))
            || is_one_of(before(1), &["in"]) && words[..at].iter().any(|word| is_one_of(word, ENDING));
        let seconds = number * seconds_of(unit)?;
        (marked && (1.0..=LONGEST_LIMIT_SECONDS).contains(&seconds)).then_some(seconds as u32)
    };
    let seconds = (0..words.len()).filter_map(limit).min().or_else(|| unspaced_limit(text))?;
    (!words.iter().any(|word| is_one_of(word, PROPERTY))).then_some(seconds)
}

/// What stands before the number at `at`, the number, and its unit: "<2 minutes", "30s", "two hours".
fn amount<'w>(words: &[&'w str], at: usize) -> Option<(&'w str, f64, &'w str)> {
    let word = words[at];
    let next = words.get(at + 1).copied();
    let Some(digits) = word.find(|c: char| c.is_ascii_digit()) else {
        let unit = next.filter(|unit| seconds_of(unit).is_some())?;
        let number = NUMBERS.iter().position(|names| is_one_of(word, names))?;
        return Some(("", number as f64, unit));
    };
    let (sign, figures) = word.split_at(digits);
    let end = figures.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(figures.len());
    let (number, unit) = figures.split_at(end);
    let unit = unit.trim_start_matches('-');
    Some((sign, number.trim_end_matches('.').parse().ok()?, if unit.is_empty() { next? } else { unit }))
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

fn seconds_of(unit: &str) -> Option<f64> {
    UNITS.iter().find(|(_, names)| is_one_of(unit, names)).map(|(seconds, _)| *seconds)
}

/// What a step of this intent usually takes for a clause of that many words, in seconds.
pub(super) fn usual_seconds(intent: Intent, kind: Kind, words: usize) -> u32 {
    let base = match (intent, kind) {
        (_, Kind::Tests) => 75,
        (_, Kind::Fix | Kind::Ship) => 90,
        (Intent::Make, _) => 105,
        (Intent::Gather | Intent::Guard, _) => 25,
        (Intent::Think | Intent::Run | Intent::Check, _) => 40,
    };
    (base + SECONDS_PER_WORD * words.min(MOST_WORDS) as u32).next_multiple_of(5)
}

/// Shrinks durations in proportion so that their sum stays below `limit`, each at least one second.
pub(super) fn fit(seconds: &mut [u32], limit: u32) {
    // One second less, so that "in less than" holds as well.
    let budget = u64::from(limit.saturating_sub(1).max(1));
    let sum: u64 = seconds.iter().map(|&s| u64::from(s)).sum();
    if sum <= budget {
        return;
    }
    for duration in seconds.iter_mut() {
        *duration = ((u64::from(*duration) * budget / sum) as u32).max(1);
    }
    let mut over = seconds.iter().map(|&s| u64::from(s)).sum::<u64>().saturating_sub(budget);
    while over > 0 {
        let Some(longest) = seconds.iter_mut().max_by_key(|s| **s).filter(|s| **s > 1) else { return };
        *longest -= 1;
        over -= 1;
    }
}
