//! `planner-arm config`: the settings in force.

use crate::config::{PREFIX, Settings};

/// Prints one `PLANNER_NAME=value` a line, secrets masked.
pub(super) fn print(settings: &Settings) -> Result<(), String> {
    let lines: String =
        settings.shown().into_iter().map(|(name, value)| format!("{PREFIX}{name}={value}\n")).collect();
    super::print(&lines)
}
