//! `planner-arm config`: the current settings.

use crate::config::table::SETTINGS;
use crate::config::{PREFIX, Settings};

/// Prints each setting as `PLANNER_NAME=value`, and those of traces, with secrets masked; which model
/// makes the plans is printed above them, as a comment, if none was configured.
pub(super) fn print(settings: &Settings) -> Result<(), String> {
    let ours = settings.shown().iter().map(|(name, value)| format!("{PREFIX}{name}={value}\n"));
    let of_traces = settings.shown_of_traces().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    let notice = settings.model_notice().map(|notice| format!("# {notice}\n"));
    super::print(&notice.into_iter().chain(ours).chain(of_traces).collect::<String>())
}

/// What every setting does, for `--help`.
pub(super) fn help() -> String {
    let line = |setting: &crate::config::table::Setting| {
        let name = if setting.is_file_only() {
            format!("{} (in the settings file only)", setting.key())
        } else {
            setting.variable(PREFIX)
        };
        format!("  {name}\n          {}\n", setting.description())
    };
    format!("Settings:\n{}", SETTINGS.iter().map(line).collect::<String>())
}
