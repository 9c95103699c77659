//! `planner-arm config`: the current settings.

use crate::config::table::SETTINGS;
use crate::config::{PREFIX, Settings};

/// Prints each setting as `PLANNER_NAME=value`, and those of traces, with secrets masked. Comments have what is no
/// variable: the model that makes the plans if none was configured, and settings that only the file can hold.
pub(super) fn print(settings: &Settings) -> Result<(), String> {
    let ours = settings.shown().iter().map(|(name, value)| {
        match SETTINGS.iter().find(|setting| setting.is_named(name)).filter(|setting| setting.is_file_only())
        {
            Some(setting) => format!("# {} (settings file): {value}\n", setting.key()),
            None => format!("{PREFIX}{name}={value}\n"),
        }
    });
    let of_traces = settings.shown_of_traces().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    let notice = settings.model_notice().map(|notice| format!("# {notice}\n"));
    super::print(&notice.into_iter().chain(ours).chain(of_traces).collect::<String>())
}
