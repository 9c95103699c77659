//! A plan as Markdown, for issues and wikis.

use std::fmt::Write as _;

use crate::text::duration;

use super::{FinishedPlan, about, durations, mermaid, numbers, visible_line};

/// Characters that mean something in Markdown or HTML.
const MARKUP: [char; 13] = ['\\', '`', '*', '_', '[', ']', '<', '>', '#', '|', '~', '&', '@'];

/// The plan as a checklist, with its acceptance criteria, its warnings and a flowchart.
pub(in crate::cli) fn markdown(finished: &FinishedPlan<'_>) -> String {
    let FinishedPlan { plan, details, .. } = finished;
    let mut text = format!("{}\n\n", escaped(&plan.rationale));
    for step in &plan.plan {
        let _ = write!(
            text,
            "- [ ] **{}. {}** ({}, {}, cost tier {}",
            step.step,
            escaped(&step.action),
            escaped(&step.required_arm),
            duration(u64::from(step.estimated_duration_seconds)),
            step.estimated_cost_tier,
        );
        if !step.depends_on.is_empty() {
            let _ = write!(text, ", after {}", numbers(&step.depends_on, ", "));
        }
        text.push_str(")\n");
        for criterion in &step.acceptance_criteria {
            let _ = writeln!(text, "  - {}", escaped(criterion));
        }
    }
    let _ = writeln!(text, "\n{}. Confidence {}.\n", durations(plan), plan.confidence);
    for warning in &details.warnings {
        let _ = writeln!(text, "- Warning: {}", escaped(&about(warning.step, &warning.message)));
    }
    if !details.warnings.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "```mermaid\n{}```", mermaid(&plan.plan));
    text
}

/// `text` on one line, with a backslash before each character of [`MARKUP`].
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible_line(text).chars() {
        if MARKUP.contains(&c) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finished, plan, step};
    use super::*;

    #[test]
    fn each_step_is_an_item_to_check_off_and_nothing_in_it_is_markup() {
        let mut first = step(1, "Say <b>*hi*</b>\n@all", &[]);
        first.acceptance_criteria = vec!["`x` is [set]".into()];
        let mut second = step(2, "End", &[1]);
        second.acceptance_criteria = vec!["It is over".into()];
        let plan = plan(vec![first, second]);
        let text = markdown(&finished(&plan));
        let items = text.split_once("\n\n```mermaid\nflowchart LR\n").expect("a flowchart").0;
        assert_eq!(
            items,
            "Because.\n\n\
             - [ ] **1. Say \\<b\\>\\*hi\\*\\</b\\> \\@all** (coder, 1 min 30 s, cost tier 3)\n  \
             - \\`x\\` is \\[set\\]\n\
             - [ ] **2. End** (coder, 1 min 30 s, cost tier 3, after 1)\n  \
             - It is over\n\n\
             About 3 min on the critical path 1 → 2; 3 min of work in total. Confidence 0.9.\n\n\
             - Warning: step 1: The action does not say what to do."
        );
        assert!(text.ends_with("    s1 --> s2\n```\n"), "{text}");
    }
}
