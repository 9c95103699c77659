//! A plan as a table.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, ContentArrangement, Table};

use crate::text::duration;

use super::{Colours, FinishedPlan, numbers, visible, width};

/// Below this width a table that the terminal wraps reads better than narrower columns.
const MIN_WIDTH: usize = 60;

/// The plan as a table, with its summary below.
pub(in crate::cli) fn table(finished: &FinishedPlan<'_>, colours: Colours) -> String {
    // The tier in two lines leaves more room for the texts.
    let mut table = new_table(&["#", "Arm", "Action", "Done when", "After", "Cost\n1-5", "Duration"]);
    if colours.are_on() {
        table.enforce_styling();
    }
    for step in &finished.plan.plan {
        let mut arm = Cell::new(visible(&step.required_arm));
        if let Some(colour) = colours.in_table(&step.required_arm) {
            arm = arm.fg(colour);
        }
        let criteria: Vec<String> =
            step.acceptance_criteria.iter().map(|c| format!("• {}", visible(c))).collect();
        table.add_row([
            Cell::new(step.step),
            arm,
            Cell::new(visible(&step.action)),
            Cell::new(criteria.join("\n")),
            Cell::new(numbers(&step.depends_on, ", ")),
            Cell::new(step.estimated_cost_tier),
            Cell::new(duration(u64::from(step.estimated_duration_seconds))),
        ]);
    }
    format!("{table}\n{}", finished.summary())
}

/// A table with this header, as wide as the terminal at most.
pub(in crate::cli) fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    fit(&mut table, MIN_WIDTH);
    table
}

/// Makes `table` as wide as the terminal at most, but not narrower than `min_width` columns: a terminal with fewer
/// wraps its lines.
pub(in crate::cli) fn fit(table: &mut Table, min_width: usize) {
    table.set_width(u16::try_from(width().max(min_width)).unwrap_or(u16::MAX));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finished, plan, step};
    use super::*;

    #[test]
    fn a_table_shows_everything_without_control_characters() {
        let plan = plan(vec![step(1, "Write it", &[]), step(2, "Run it", &[1])]);
        let text = table(&finished(&plan), Colours::NONE);
        for part in [
            "Write it",
            "• It [31mworks",
            "┆ Cost ┆",
            "┆ 1-5  ┆",
            "About 3 min on the critical path 1 → 2; 3 min of work in total",
            "by openai (gpt)",
            "2,310 tokens, price unknown",
            "step 2: The cost",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
