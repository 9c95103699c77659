//! `planner-arm arms`: the arms that steps can be assigned to.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use clap::Args;
use comfy_table::Cell;

use crate::config::Settings;
use crate::domain::arms::{ArmList, ArmSourceStatus, ListedArm};
use crate::service::read_arms;
use crate::telemetry;

use super::output::{ListFormat, OutputArguments};
use super::render::{Colours, is_too_narrow_for_a_table, json, new_table, visible};

/// Arguments of `planner-arm arms`.
#[derive(Debug, Args)]
pub(super) struct ArmsArguments {
    #[command(flatten)]
    output: OutputArguments<ListFormat>,
}

/// Prints the arms of `settings`, and those that their sources have now.
pub(super) async fn print(arguments: ArmsArguments, settings: Settings) -> Result<(), String> {
    telemetry::init_for_command(settings.log_level, std::io::stderr().is_terminal(), std::io::stderr);
    let list = read_arms(&settings).await?;
    let text = match arguments.output.format {
        ListFormat::Table => {
            let colours = Colours::on(&std::io::stdout(), arguments.output.color);
            let sources = if list.sources.is_empty() { String::new() } else { sources_table(&list.sources) };
            let arms =
                if is_too_narrow_for_a_table() { plain(&list, colours) } else { table(&list, colours) };
            arms + &sources
        }
        ListFormat::Json => json(&list)?,
    };
    super::print(&text)
}

/// What each source has, or why it cannot be read.
fn sources_table(sources: &[ArmSourceStatus]) -> String {
    let mut table = new_table(&["Source", "Arms", "Available", "Note"]);
    for status in sources {
        table.add_row(vec![
            visible(&status.source),
            status.arms.to_string(),
            if status.available { "yes" } else { "no" }.to_owned(),
            visible(status.error.as_deref().unwrap_or_default()),
        ]);
    }
    format!("{table}\n")
}

/// A list, for terminals in which a table would break words.
fn plain(list: &ArmList, colours: Colours) -> String {
    let mut text = String::new();
    for ListedArm { arm, source, .. } in &list.arms {
        let id = visible(&arm.id);
        let _ = writeln!(text, "{} · cost tier {}", colours.paint(&arm.id, &id), arm.cost_tier);
        let origin = if list.sources.is_empty() { "" } else { source.as_str() };
        for (title, words) in [
            ("", arm.description.as_str()),
            ("Capabilities: ", &arm.capabilities.join(", ")),
            ("Keywords: ", &arm.keywords.join(", ")),
            ("Takes: ", &arm.inputs.join(", ")),
            ("Makes: ", &arm.outputs.join(", ")),
            ("Source: ", origin),
        ] {
            if !words.is_empty() {
                let _ = writeln!(text, "  {title}{}", visible(words));
            }
        }
    }
    text
}

fn table(list: &ArmList, colours: Colours) -> String {
    let has_types =
        list.arms.iter().any(|listed| !listed.arm.inputs.is_empty() || !listed.arm.outputs.is_empty());
    let has_sources = !list.sources.is_empty();
    let mut header = vec!["Arm", "What it does", "Capabilities", "Keywords", "Cost 1-5"];
    if has_types {
        header.push("Takes → makes");
    }
    if has_sources {
        header.push("Source");
    }
    let mut table = new_table(&header);
    if colours.are_on() {
        table.enforce_styling();
    }
    let words = |words: &[String]| visible(&words.join(", "));
    for ListedArm { arm, source, .. } in &list.arms {
        let mut id = Cell::new(visible(&arm.id));
        if let Some(colour) = colours.in_table(&arm.id) {
            id = id.fg(colour);
        }
        let mut row = vec![
            id,
            Cell::new(visible(&arm.description)),
            Cell::new(words(&arm.capabilities)),
            Cell::new(words(&arm.keywords)),
            Cell::new(arm.cost_tier),
        ];
        if has_types {
            row.push(Cell::new(format!("{} → {}", words(&arm.inputs), words(&arm.outputs))));
        }
        if has_sources {
            row.push(Cell::new(visible(source)));
        }
        table.add_row(row);
    }
    format!("{table}\n")
}
