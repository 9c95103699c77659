//! `planner-arm config`: the current settings.

use crate::config::{PREFIX, Settings};

/// Prints each setting as `PLANNER_NAME=value`, and those of traces, with secrets masked; which model
/// makes the plans is printed above them, as a comment, if none was configured.
pub(super) fn print(settings: &Settings) -> Result<(), String> {
    let ours = settings.shown().iter().map(|(name, value)| format!("{PREFIX}{name}={value}\n"));
    let of_traces = settings.shown_of_traces().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    let notice = settings.model_notice().map(|notice| format!("# {notice}\n"));
    super::print(&notice.into_iter().chain(ours).chain(of_traces).collect::<String>())
}
