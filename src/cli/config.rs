//! `planner-arm config`: the current settings.

use crate::config::{PREFIX, Settings};

/// Prints each setting as `PLANNER_NAME=value`, and those of traces, with secrets masked.
pub(super) fn print(settings: &Settings) -> Result<(), String> {
    let ours = settings.shown().into_iter().map(|(name, value)| format!("{PREFIX}{name}={value}\n"));
    let of_traces = settings.shown_of_traces().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    super::print(&ours.chain(of_traces).collect::<String>())
}
