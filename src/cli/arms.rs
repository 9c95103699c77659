//! `planner-arm arms`: the arms that steps can be given to.

use clap::{Args, ColorChoice, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, ContentArrangement, Table};

use crate::config::Settings;
use crate::domain::arms::{Arm, ArmList};

use super::render::{Colours, fit, visible, visible_json};

/// What `planner-arm arms` is given.
#[derive(Debug, Args)]
pub(super) struct ArmsArguments {
    /// How to print them
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Whether arms are shown in colours; auto: in a terminal, unless `NO_COLOR` is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// As GET /arms answers
    Json,
}

/// Prints the arms of `settings`.
pub(super) fn print(arguments: &ArmsArguments, settings: &Settings) -> Result<(), String> {
    let arms = settings.arms.arms();
    let text = match arguments.format {
        Format::Table => table(arms, Colours::on(&std::io::stdout(), arguments.color)),
        Format::Json => {
            let list = ArmList::of(&settings.arms);
            let json = serde_json::to_string_pretty(&list).map_err(|error| error.to_string())?;
            visible_json(&json) + "\n"
        }
    };
    super::print(&text)
}

fn table(arms: &[Arm], colours: Colours) -> String {
    let has_types = arms.iter().any(|arm| !arm.inputs.is_empty() || !arm.outputs.is_empty());
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    let mut header = vec!["Arm", "What it does", "Capabilities", "Keywords", "Cost"];
    if has_types {
        header.push("Takes → makes");
    }
    table.set_header(header);
    if colours.are_on() {
        table.enforce_styling();
    }
    fit(&mut table);
    let list = |words: &[String]| visible(&words.join(", "));
    for arm in arms {
        let mut id = Cell::new(visible(&arm.id));
        if let Some(colour) = colours.in_table(&arm.id) {
            id = id.fg(colour);
        }
        let mut row = vec![
            id,
            Cell::new(visible(&arm.description)),
            Cell::new(list(&arm.capabilities)),
            Cell::new(list(&arm.keywords)),
            Cell::new("$".repeat(arm.cost_tier.into())),
        ];
        if has_types {
            row.push(Cell::new(format!("{} → {}", list(&arm.inputs), list(&arm.outputs))));
        }
        table.add_row(row);
    }
    format!("{table}\n")
}
