//! `planner-arm playbooks`: the playbooks that plans can follow, one of them, or those that fit a goal.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use comfy_table::Cell;

use crate::config::Settings;
use crate::domain::playbooks::{Library, Match, Mode, Playbook, PlaybookList};
use crate::planner::playbooks::EmbeddedPlanner;
use crate::text::duration;

use super::output::ListFormat;
use super::render::{json, new_table, visible};

/// Maximum number of playbooks that are shown for a goal.
const MAX_RANKED: usize = 5;
/// How many of its examples are shown of a playbook.
const SHOWN_EXAMPLES: usize = 5;

/// Arguments of `planner-arm playbooks`.
#[derive(Debug, Args)]
pub(super) struct PlaybooksArguments {
    /// The playbook to show in full
    name: Option<String>,
    /// Show which playbooks fit this goal of one or more words, and how well; after NAME, whether that one does
    #[arg(long, value_name = "GOAL", num_args = 1.., conflicts_with = "format")]
    test: Vec<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
}

/// Prints the playbooks of `settings`.
pub(super) fn print(arguments: &PlaybooksArguments, settings: &Settings) -> Result<(), String> {
    let library = &settings.playbooks;
    if let Some(fault) = arguments.name.as_ref().and_then(|name| library.fault_of_name(name)) {
        return Err(fault.message);
    }
    let named = arguments.name.as_ref().map(|name| {
        library
            .named(name)
            .ok_or_else(|| "`none` is not a playbook: it means that no playbook is followed".to_owned())
    });
    let named = named.transpose()?;
    super::print(&match (arguments.test.as_slice(), named, arguments.format) {
        ([_, ..], named, _) => test(&arguments.test.join(" "), named, settings),
        ([], Some(playbook), ListFormat::Table) => in_full(playbook),
        ([], None, ListFormat::Table) => table(library),
        ([], named, ListFormat::Json) => {
            let mut list = PlaybookList::of(library);
            list.playbooks.retain(|listed| named.is_none_or(|playbook| playbook.name == listed.name));
            json(&list)?
        }
    })
}

fn table(library: &Library) -> String {
    let mut table = new_table(&["Playbook", "What it is for", "Steps", "From"]);
    for playbook in library.playbooks() {
        let from = if playbook.built_in { "built in" } else { "settings" };
        let from = if playbook.mode == Mode::Fixed { format!("{from}, fixed") } else { from.to_owned() };
        table.add_row(vec![
            Cell::new(visible(&playbook.name)),
            Cell::new(visible(&playbook.description)),
            Cell::new(playbook.steps.len()),
            Cell::new(from),
        ]);
    }
    format!("{table}\n")
}

/// One playbook with all its steps.
fn in_full(playbook: &Playbook) -> String {
    let mut text = format!("{}: {}\n", playbook.name, playbook.description);
    if playbook.mode == Mode::Fixed {
        text.push_str("Followed exactly, without a language model.\n");
    }
    for (index, step) in playbook.steps.iter().enumerate() {
        let who = step.arm.clone().unwrap_or_else(|| step.capability.join(" or "));
        let took = duration(step.duration_seconds.into());
        let _ =
            write!(text, "\n{}. {}\n   by {who}; cost {}; {took}", index + 1, step.action, step.cost_tier);
        if !step.depends_on.is_empty() {
            let _ = write!(text, "; after {}", step.depends_on.join(", "));
        }
        if !step.when.is_empty() {
            let _ = write!(text, "; only for goals with: {}", step.when.join(", "));
        }
        if !step.covers.is_empty() {
            let _ = write!(text, "; does parts of goals with: {}", step.covers.join(", "));
        }
        for criterion in &step.acceptance_criteria {
            let _ = write!(text, "\n   • {criterion}");
        }
        text.push('\n');
    }
    let Match { keywords, examples, .. } = &playbook.matches;
    text.push('\n');
    if !keywords.is_empty() {
        let _ = writeln!(text, "Matches goals with: {}", keywords.join(", "));
    }
    if !examples.is_empty() {
        let some: Vec<&str> = examples.iter().map(String::as_str).take(SHOWN_EXAMPLES).collect();
        let _ = writeln!(text, "Matches goals like {} examples: {}…", examples.len(), some.join("; "));
    }
    if !playbook.notes.is_empty() {
        let _ = writeln!(text, "Notes: {}", playbook.notes.trim());
    }
    visible_lines(&text)
}

/// Which playbooks fit `goal`.
fn test(goal: &str, named: Option<&Playbook>, settings: &Settings) -> String {
    let library = &settings.playbooks;
    let ranked: Vec<(&Playbook, usize)> = library.scored(goal).collect();
    let mut text = String::new();
    if let Some(playbook) = named {
        let score =
            ranked.iter().find(|(other, _)| other.name == playbook.name).map_or(0, |(_, score)| *score);
        let fits = if score > 0 { "fits" } else { "does not fit" };
        let _ = writeln!(text, "{} {fits} the goal (score {score}).", playbook.name);
    }
    if ranked.is_empty() {
        text.push_str("No playbook fits the goal.\n");
    }
    for (playbook, score) in ranked.iter().take(MAX_RANKED) {
        let _ = writeln!(text, "{score:>4}  {}: {}", playbook.name, playbook.description);
    }
    match library.guiding(goal) {
        Some(playbook) => {
            let _ = writeln!(text, "With a language model, {} guides the plan.", playbook.name);
        }
        None => text.push_str("With a language model, no playbook guides the plan.\n"),
    }
    text.push_str("Without one, the parts of the goal follow:\n");
    let planner =
        EmbeddedPlanner::new(Arc::new(settings.arms.clone()), settings.rules.clone(), library.clone());
    for (part, playbook) in planner.matches(goal) {
        let what = if playbook.outline { "no playbook, but the outline " } else { "" };
        let _ = writeln!(text, "- {part}: {what}{}", playbook.name);
    }
    visible_lines(&text)
}

/// `text` with what a terminal would act on made visible, line by line.
fn visible_lines(text: &str) -> String {
    text.lines().fold(String::with_capacity(text.len()), |shown, line| shown + &visible(line) + "\n")
}
