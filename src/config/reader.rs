//! Reads one setting after the other and collects what is wrong instead of stopping at the first.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use config::{Map, Value, ValueKind};
use secrecy::SecretString;

use super::show::mask_url;
use super::{LogFormat, LogLevel};

/// The settings as they were given, and the faults found so far.
pub(crate) struct Reader {
    /// Prefix of the variables.
    pub(crate) prefix: &'static str,
    pub(crate) values: Map<String, Value>,
    pub(crate) faults: Vec<String>,
}

impl Reader {
    /// Whether there is a value, be it good or bad.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.into_string().map_or(true, |text| !text.trim().is_empty()))
    }

    /// The value's text, without white space around it; `None` when absent or empty.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let text = self.scalar(name)?.trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    }

    /// A text that must not be blank, where a blank one is a fault and not an absence.
    pub(crate) fn not_blank(&mut self, name: &str, default: &str) -> String {
        match self.scalar(name).map(|text| text.trim().to_owned()) {
            Some(text) if text.is_empty() || text.chars().any(char::is_control) => {
                self.fault(name, "is blank or has a control character in it", "must be a name");
                default.to_owned()
            }
            Some(text) => text,
            None => default.to_owned(),
        }
    }

    /// A secret of visible ASCII characters; what it is to be said to be, as `key`, stands in its fault.
    pub(crate) fn visible_ascii(&mut self, name: &str, noun: &str) -> Option<SecretString> {
        let secret = self.text(name)?;
        if secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(SecretString::from(secret));
        }
        self.fault(name, "has a space or a special character in it", &format!("must be the bare {noun}"));
        None
    }

    /// A time in seconds.
    pub(crate) fn seconds(&mut self, name: &str, default: f64, low: f64, high: f64) -> Duration {
        Duration::from_secs_f64(self.number(name, default, low..=high))
    }

    /// The setting `log_level`.
    pub(crate) fn log_level(&mut self) -> LogLevel {
        let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        self.choice("log_level", LogLevel::Info, &levels.map(|level| (level.as_str(), level)))
    }

    /// The setting `log_format`.
    pub(crate) fn log_format(&mut self, default: LogFormat) -> LogFormat {
        let formats = [LogFormat::Pretty, LogFormat::Json];
        self.choice("log_format", default, &formats.map(|format| (format.as_str(), format)))
    }

    /// A number within `range`.
    pub(crate) fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = self.text(name) else { return default };
        match text.parse::<T>() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let kind = if "0.5".parse::<T>().is_ok() { "a number" } else { "a whole number" };
                let (low, high) = (range.start(), range.end());
                self.fault(name, &format!("is \"{text}\""), &format!("must be {kind} from {low} to {high}"));
                default
            }
        }
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(text) = self.text(name) else { return default };
        if let Some((_, choice)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            return *choice;
        }
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fault(name, &format!("is \"{text}\""), &format!("must be one of {}", allowed.join(", ")));
        default
    }

    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        let words =
            [("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)];
        self.choice(name, default, &words)
    }

    /// A comma list, or an array in the file; blank entries do not count.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let entries: Option<Vec<String>> = match value.kind {
            ValueKind::Array(entries) => entries.into_iter().map(|entry| entry.into_string().ok()).collect(),
            ValueKind::Table(_) => None,
            _ => value.into_string().ok().map(|text| text.split(',').map(str::to_owned).collect()),
        };
        let Some(entries) = entries else {
            self.fault(name, "is something else", "must be a comma list or an array of texts");
            return Vec::new();
        };
        let trimmed = |entry: String| entry.trim().to_owned();
        entries.into_iter().map(trimmed).filter(|entry| !entry.is_empty()).collect()
    }

    /// A URL of one of `schemes` with a host; `None` when absent or bad.
    pub(crate) fn url(&mut self, name: &str, schemes: &[&str], rule: &str) -> Option<url::Url> {
        let text = self.text(name)?;
        let url = url::Url::parse(&text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
        if url.is_none() {
            self.fault(name, &format!("is \"{}\"", mask_url(&text)), rule);
        }
        url
    }

    /// Notes that `name` (as in the file, in lower case) is bad.
    pub(crate) fn fault(&mut self, name: &str, what: &str, rule: &str) {
        let source = self
            .values
            .get(name)
            .and_then(Value::origin)
            .filter(|origin| *origin != "the environment")
            .map(|file| format!(" (in {file})"))
            .unwrap_or_default();
        self.faults.push(format!("{}{}{source} {what}; it {rule}", self.prefix, name.to_uppercase()));
    }

    /// The value as a text; an array or a table is a fault.
    fn scalar(&mut self, name: &str) -> Option<String> {
        let text = self.value(name)?.into_string();
        if text.is_err() {
            self.fault(name, "is an array or a table", "must be one value");
        }
        text.ok()
    }

    fn value(&self, name: &str) -> Option<Value> {
        self.values.get(name).filter(|value| value.kind != ValueKind::Nil).cloned()
    }
}
