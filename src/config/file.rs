//! Files of lists that the settings name or commands are given: TOML, YAML or JSON, by the ending.

use std::path::Path;

use ::config::FileFormat;
use serde::de::DeserializeOwned;

/// The format of the settings in the file at `path`; `None` for any other file.
pub(super) fn format(path: &Path) -> Option<FileFormat> {
    match path.extension()?.to_str()? {
        "toml" => Some(FileFormat::Toml),
        "yaml" | "yml" => Some(FileFormat::Yaml),
        _ => None,
    }
}

/// What is in the file at `path`, which is JSON unless its name ends in .toml, .yaml or .yml. The error continues a
/// sentence that begins with the file, and names the line and the column where that helps.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read ({error})"))?;
    match format(path) {
        Some(FileFormat::Toml) => toml::from_str(&text).map_err(|error| {
            let place = error.span().map(|span| place_in(&text, span.start)).unwrap_or_default();
            format!("is invalid: {place}{}", error.message())
        }),
        Some(_) => serde_saphyr::from_str(&text).map_err(|error| {
            let place = error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
            let message = error.without_snippet().to_string();
            let message = message.lines().next().unwrap_or_default();
            let end = message.rfind(" at line ").unwrap_or(message.len());
            format!("is invalid: {}{}", place.unwrap_or_default(), &message[..end])
        }),
        None => serde_json::from_str(&text).map_err(|error| {
            format!("is invalid: line {}, column {}: it is not valid JSON", error.line(), error.column())
        }),
    }
}

/// `line 3, column 7: ` for the byte `at` of `text`.
fn place_in(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    format!(
        "line {}, column {}: ",
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1
    )
}
