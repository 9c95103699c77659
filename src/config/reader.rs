//! Reads one setting after the other and collects what is wrong instead of stopping at the first.
//!
//! `config` loads the layers; its own deserialisation, and `validator`'s checks behind it, end at the first value of
//! the wrong type and do not know where a value came from.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use config::{Map, Value, ValueKind};
use secrecy::SecretString;

use super::show::{MASK, mask_url};
use super::table::{DefaultValue, Kind, Setting};
use super::{LogFormat, LogLevel};

/// The settings as they were given, and the faults found so far.
pub(crate) struct SettingsReader {
    /// Prefix of the variables.
    prefix: &'static str,
    /// The table of settings.
    table: &'static [Setting],
    values: Map<String, Value>,
    pub(super) faults: Vec<String>,
    /// What was read, as it is shown.
    shown: Vec<(&'static str, String)>,
}

/// Settings of the table, by name.
impl SettingsReader {
    pub(crate) fn new(prefix: &'static str, table: &'static [Setting], values: Map<String, Value>) -> Self {
        Self { prefix, table, values, faults: Vec::new(), shown: Vec::new() }
    }

    /// Everything that was read, as it is shown, in the order of the table; and everything that is wrong.
    pub(crate) fn finish(self) -> (Vec<(&'static str, String)>, Vec<String>) {
        let mut shown = self.shown;
        let place = |name: &str| self.table.iter().position(|setting| setting.name == name);
        shown.sort_by_key(|(name, _)| place(name));
        (shown, self.faults)
    }

    /// Records the value of a setting, for display.
    pub(crate) fn show(&mut self, name: &str, value: impl Display) {
        let name = self.setting(name).name;
        self.shown.retain(|(shown, _)| *shown != name);
        self.shown.push((name, value.to_string()));
    }

    /// A text, the default where it is absent or empty.
    pub(crate) fn text(&mut self, name: &str) -> String {
        let text = self.given_or_default(name);
        self.show(name, &text);
        text
    }

    /// A text that is not to be shown as it is.
    pub(crate) fn given_or_default(&mut self, name: &str) -> String {
        self.given(name).unwrap_or_else(|| self.default(name).to_owned())
    }

    /// A text that must not be blank.
    pub(crate) fn name(&mut self, name: &str) -> String {
        let text = match self.scalar(name).map(|text| text.trim().to_owned()) {
            Some(text) if text.is_empty() || text.chars().any(char::is_control) => {
                self.fault(name, "is blank or has a control character in it", "must be a name");
                None
            }
            given => given,
        };
        let text = text.unwrap_or_else(|| self.default(name).to_owned());
        self.show(name, &text);
        text
    }

    /// A secret of visible ASCII characters.
    pub(crate) fn secret(&mut self, name: &str) -> Option<SecretString> {
        let secret = self.given(name);
        self.show(name, secret.as_ref().map_or("", |_| MASK));
        let secret = secret?;
        if secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(SecretString::from(secret));
        }
        let Kind::Secret(noun) = self.setting(name).kind else { unreachable!("{name} is a secret") };
        self.fault(name, "has a space or a special character in it", &format!("must be the bare {noun}"));
        None
    }

    /// A comma-separated list of secrets.
    pub(crate) fn secrets(&mut self, name: &str) -> Vec<SecretString> {
        let secrets = self.entries(name);
        if secrets.iter().any(|secret| !secret.bytes().all(|byte| byte.is_ascii_graphic())) {
            let rule = "must be a comma-separated list of tokens of visible ASCII characters";
            self.fault(name, "has a token with a space or a special character in it", rule);
        }
        self.show(name, vec![MASK; secrets.len()].join(","));
        secrets.into_iter().map(SecretString::from).collect()
    }

    /// A whole number within the range of the table.
    pub(crate) fn whole<T: TryFrom<u64>>(&mut self, name: &str) -> T {
        let default = self.default(name).parse().expect("a whole number as default");
        self.whole_or(name, default)
    }

    /// As [`whole`](Self::whole), with a default that was computed.
    pub(crate) fn whole_or<T: TryFrom<u64>>(&mut self, name: &str, default: u64) -> T {
        let Kind::Whole(low, high) = self.setting(name).kind else {
            unreachable!("{name} is a whole number")
        };
        let number = self.number_within(name, default, low..=high);
        self.show(name, number);
        T::try_from(number).ok().expect("the range fits the type")
    }

    /// A number within the range of the table.
    pub(crate) fn number(&mut self, name: &str) -> f64 {
        let Kind::Number(low, high) = self.setting(name).kind else { unreachable!("{name} is a number") };
        let default = self.default(name).parse().expect("a number as default");
        let number = self.number_within(name, default, low..=high);
        self.show(name, number);
        number
    }

    /// A number within the range in the table, for settings without a default.
    pub(crate) fn number_if_set(&mut self, name: &str) -> Option<f64> {
        let Kind::Number(low, high) = self.setting(name).kind else { unreachable!("{name} is a number") };
        let is_set = self.is_set(name);
        let number = is_set.then(|| self.number_within(name, low, low..=high));
        self.show(name, number.map(|number| number.to_string()).unwrap_or_default());
        number
    }

    /// A time in seconds.
    pub(crate) fn seconds(&mut self, name: &str) -> Duration {
        Duration::from_secs_f64(self.number(name))
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let default = self.default(name) == "true";
        let flag = self.flag_or(name, default);
        self.show(name, flag);
        flag
    }

    /// One of the words of the table, as the value that it names.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, all: &[T], word: fn(T) -> &'static str) -> T {
        let default = self.default(name);
        let default = *all.iter().find(|value| word(**value) == default).expect("a default among the words");
        self.word_or(name, all, word, default)
    }

    /// As [`word`](Self::word), with a default that was computed.
    pub(crate) fn word_or<T: Copy>(
        &mut self,
        name: &str,
        all: &[T],
        word: fn(T) -> &'static str,
        default: T,
    ) -> T {
        let words: Vec<(&str, T)> = all.iter().map(|value| (word(*value), *value)).collect();
        debug_assert!(
            matches!(self.setting(name).kind, Kind::Word(known) if known.iter().eq(words.iter().map(|(word, _)| word))),
            "the words of {name}"
        );
        let value = self.choice(name, default, &words);
        self.show(name, word(value));
        value
    }

    /// The setting `log_level`.
    pub(crate) fn log_level(&mut self) -> LogLevel {
        let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        self.word("log_level", &levels, LogLevel::as_str)
    }

    /// The setting `log_format`.
    pub(crate) fn log_format(&mut self, default: LogFormat) -> LogFormat {
        self.word_or("log_format", &[LogFormat::Pretty, LogFormat::Json], LogFormat::as_str, default)
    }

    /// A comma-separated list, or an array in the file; blank entries do not count.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let entries = self.entries(name);
        self.show(name, entries.join(","));
        entries
    }

    /// A comma-separated list of origins of web pages.
    pub(crate) fn origins(&mut self, name: &str) -> Vec<String> {
        let origins = self.list(name);
        for origin in &origins {
            let is_origin = url::Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *origin
            });
            if !is_origin {
                let rule = "must be a comma-separated list of origins such as https://app.example.com, without a path";
                self.fault(name, &format!("has \"{}\"", mask_url(origin)), rule);
            }
        }
        origins
    }

    /// A URL of one of `schemes` with a host; `None` when absent or invalid.
    pub(crate) fn url(&mut self, name: &str, schemes: &[&str], rule: &str) -> Option<url::Url> {
        let url = self.url_given(name, schemes, rule);
        self.show(name, url.as_ref().map_or_else(|| self.default(name).into(), |url| mask_url(url.as_str())));
        url
    }

    /// The value as written in the file, for settings that only the file can hold.
    pub(super) fn file_only(&self, name: &str) -> Option<Value> {
        debug_assert!(self.setting(name).is_file_only(), "{name}");
        self.value(name)
    }

    fn setting(&self, name: &str) -> &'static Setting {
        let setting = self.table.iter().find(|setting| setting.is_named(name));
        setting.unwrap_or_else(|| panic!("{name} is in the table of settings"))
    }

    /// The default as text; empty when there is none.
    pub(crate) fn default(&self, name: &str) -> &'static str {
        match self.setting(name).default {
            DefaultValue::Value(text) => text,
            DefaultValue::Computed(_) | DefaultValue::NotSet => "",
        }
    }
}

/// Values by name, in the table or not.
impl SettingsReader {
    /// Whether there is a value, valid or not.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.into_string().map_or(true, |text| !text.trim().is_empty()))
    }

    /// The value's text, without white space around it; `None` when absent or empty.
    pub(crate) fn given(&mut self, name: &str) -> Option<String> {
        let text = self.scalar(name)?.trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    }

    /// A number within `range`.
    pub(super) fn number_within<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = self.given(name) else { return default };
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
    pub(super) fn choice<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(text) = self.given(name) else { return default };
        if let Some((_, choice)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            return *choice;
        }
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fault(name, &format!("is \"{text}\""), &format!("must be one of {}", allowed.join(", ")));
        default
    }

    pub(super) fn flag_or(&mut self, name: &str, default: bool) -> bool {
        let words =
            [("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)];
        self.choice(name, default, &words)
    }

    pub(super) fn url_given(&mut self, name: &str, schemes: &[&str], rule: &str) -> Option<url::Url> {
        let text = self.given(name)?;
        let url = url::Url::parse(&text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
        if url.is_none() {
            self.fault(name, &format!("is \"{}\"", mask_url(&text)), rule);
        }
        url
    }

    /// Notes that `name` (as in the file, in lower case) is invalid.
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

    fn entries(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let entries: Option<Vec<String>> = match value.kind {
            ValueKind::Array(entries) => entries.into_iter().map(|entry| entry.into_string().ok()).collect(),
            ValueKind::Table(_) => None,
            _ => value.into_string().ok().map(|text| text.split(',').map(str::to_owned).collect()),
        };
        let Some(entries) = entries else {
            self.fault(name, "is something else", "must be a comma-separated list or an array of strings");
            return Vec::new();
        };
        let trimmed = |entry: String| entry.trim().to_owned();
        entries.into_iter().map(trimmed).filter(|entry| !entry.is_empty()).collect()
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
