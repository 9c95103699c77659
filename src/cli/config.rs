//! `planner-arm config`: the settings in force.

use crate::config::{PREFIX, Settings};

/// Prints one `PLANNER_NAME=value` a line, and where traces go, secrets masked.
pub(super) fn print(settings: &Settings) -> Result<(), String> {
    let ours = settings.shown().into_iter().map(|(name, value)| format!("{PREFIX}{name}={value}\n"));
    let of_traces = settings.shown_of_traces().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    super::print(&ours.chain(of_traces).collect::<String>())
}
