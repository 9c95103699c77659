//! `planner-arm plan`: one plan, printed.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::config::Settings;
use crate::domain::problem::Problem;
use crate::domain::{InvalidRequest, MAX_GOAL_CHARS};

use super::generate::{GenerateArguments, generate_and_print};
use super::output::{STANDARD, findings};
use super::request::RequestArguments;

/// The longest goal in UTF-8 with its line ending.
const MAX_INPUT_BYTES: u64 = 4 * MAX_GOAL_CHARS + 2;

pub(super) const NO_GOAL: &str = "no goal: give one as an argument or on standard input";

/// Arguments of `planner-arm plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// What you want to get done, in one or more words; `-`, or no goal if standard input is not a terminal, reads it
    /// from standard input
    #[arg(value_name = "GOAL")]
    goal: Vec<String>,
    /// The playbook to follow, or `none` (`planner-arm playbooks` lists them) [default: the one that fits best]
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,
    #[command(flatten)]
    request: RequestArguments,
    #[command(flatten)]
    generate: GenerateArguments,
}

impl PlanArguments {
    /// Whether there is a goal, or one can be read from standard input without a person having to type it.
    pub(super) fn has_goal(&self) -> bool {
        !self.goal.is_empty() || !std::io::stdin().is_terminal()
    }
}

/// Makes a plan and prints it.
pub(super) async fn plan(arguments: PlanArguments, settings: &Settings) -> ExitCode {
    generate_and_print(&arguments.generate, settings, |service| {
        let mut body = arguments.request.fields()?;
        body.insert("goal".to_owned(), goal(&arguments.goal)?.into());
        if let Some(playbook) = &arguments.playbook {
            body.insert("playbook".to_owned(), playbook.as_str().into());
        }
        let body = Value::Object(body).to_string();
        service.planner.read_request(body.as_bytes()).map_err(|InvalidRequest { faults, .. }| {
            match faults.len() {
                1 => Problem::from(faults).detail,
                _ => findings("the request is invalid", &faults),
            }
        })
    })
    .await
}

/// The words of the goal as one text, or the goal on standard input.
fn goal(words: &[String]) -> Result<String, String> {
    match words {
        [] => goal_on_standard_input(),
        [word] if word == STANDARD => goal_on_standard_input(),
        words => Ok(words.join(" ")),
    }
}

/// The goal on standard input, without its line ending.
fn goal_on_standard_input() -> Result<String, String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MAX_INPUT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read standard input ({error})"))?;
    if bytes.is_empty() {
        return Err(NO_GOAL.into());
    }
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        return Err("The goal on standard input is longer than 10,000 characters.".into());
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| "The goal on standard input is not UTF-8; convert it, for example with iconv.")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
