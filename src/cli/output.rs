//! What several commands are given: `--format`, `--color` and `--include`, and the files that they read.

use std::fs::File;
use std::io::Read as _;

use clap::{Args, ColorChoice, ValueEnum};

use crate::domain::FieldError;
use crate::domain::problem::Problem;
use crate::service::Include;

use super::render::{self, Colours, FinishedPlan, visible};

/// The name for standard input or standard output.
pub(super) const STANDARD: &str = "-";
/// The largest plan with all that belongs to it, as the API has it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// How something is printed.
#[derive(Debug, Args)]
pub(super) struct OutputArguments<F: ValueEnum + Clone + Send + Sync + 'static> {
    /// Output format
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) format: F,
    /// Whether to colour arms (auto: in a terminal, unless `NO_COLOR` is set)
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(super) color: ColorChoice,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    /// A table, or a tree if the terminal has fewer than 80 columns
    Table,
    /// Each step below its dependencies
    Tree,
    /// The JSON response of POST /plan
    Json,
    /// A Mermaid flowchart
    Mermaid,
    /// A Markdown checklist with a Mermaid flowchart
    Markdown,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// A table for people
    Table,
    /// JSON, as the API returns it
    Json,
}

impl OutputArguments<PlanFormat> {
    /// A plan as it is printed.
    pub(super) fn plan(&self, finished: &FinishedPlan<'_>) -> Result<String, String> {
        let colours = Colours::on(&std::io::stdout(), self.color);
        Ok(match self.format {
            PlanFormat::Table if !render::is_too_narrow_for_a_table() => render::table(finished, colours),
            PlanFormat::Table | PlanFormat::Tree => render::tree(finished, colours),
            PlanFormat::Mermaid => render::mermaid(&finished.plan.plan),
            PlanFormat::Markdown => render::markdown(finished),
            PlanFormat::Json => render::json(finished.plan)?,
        })
    }
}

/// The extras in a comma-separated list, as `?include=` takes them.
pub(super) fn include(list: &str) -> Result<Include, String> {
    Include::from_lists([list]).map_err(|problem: Problem| {
        let unknown: Vec<&str> = problem.errors.iter().map(|error| error.message.as_str()).collect();
        format!("{}; {}", unknown.join(", "), problem.detail)
    })
}

/// What is in the file at `path`, or on standard input for `-`; at most 1 MiB of UTF-8.
pub(super) fn read(path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if path == STANDARD {
        std::io::stdin().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| format!("cannot read {} ({error})", name_of(path)))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{} is larger than 1 MiB", name_of(path)));
    }
    String::from_utf8(bytes)
        .map_err(|_| format!("{} is not UTF-8; convert it, for example with iconv", name_of(path)))
}

/// What a message calls the file at `path`.
pub(super) fn name_of(path: &str) -> String {
    if path == STANDARD { "standard input".into() } else { format!("the file \"{}\"", visible(path)) }
}

/// `what` as a heading, and below it one line for each of `errors`.
pub(super) fn findings(what: &str, errors: &[FieldError]) -> String {
    let lines = errors.iter().map(|error| {
        // A file is not the body of a request.
        let field = if error.field == "body" { "it" } else { &error.field };
        format!("\n  - {} {}", visible(field), visible(&error.message))
    });
    format!("{what}:{}", lines.collect::<String>())
}
