//! A plan as a table.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, ContentArrangement, Table};

use super::{Colours, Made, numbers, time, visible, width};

/// Narrower than this, wrapped lines of a table read better than its columns.
const NARROWEST: usize = 60;

/// The plan as a table, with its totals and repairs below.
pub(in crate::cli) fn table(made: &Made<'_>, colours: Colours) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_header([
        "#",
        "Arm",
        "Action",
        "Done when",
        "After",
        "Cost",
        "Time",
    ]);
    if colours.are_on() {
        table.enforce_styling();
    }
    fit(&mut table);
    for step in &made.plan.plan {
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
            Cell::new("$".repeat(step.estimated_cost_tier.into())),
            Cell::new(time(u64::from(step.estimated_duration_seconds))),
        ]);
    }
    format!("{table}\n{}", made.totals())
}

/// Makes `table` as wide as the terminal at most.
pub(in crate::cli) fn fit(table: &mut Table) {
    table.set_width(u16::try_from(width().max(NARROWEST)).unwrap_or(u16::MAX));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{made, plan, step};
    use super::*;

    #[test]
    fn a_table_says_everything_and_steers_no_terminal() {
        let plan = plan(vec![step(1, "Write it", &[]), step(2, "Run it", &[1])]);
        let text = table(&made(&plan), Colours::NONE);
        for part in [
            "Write it",
            "• It [31mworks",
            "$$$",
            "1 → 2",
            "3 min in all",
            "by openai (gpt)",
            "step 2: The cost",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
