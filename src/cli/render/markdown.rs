//! A plan as Markdown, for issues and wikis.

use std::fmt::Write as _;

use crate::domain::PlanResponse;
use crate::text::duration;

use super::{durations, mermaid, numbers, visible_line};

/// Characters that mean something in Markdown or HTML.
const MARKUP: [char; 13] = ['\\', '`', '*', '_', '[', ']', '<', '>', '#', '|', '~', '&', '@'];

/// The plan as a checklist, with its acceptance criteria and a flowchart.
pub(in crate::cli) fn markdown(plan: &PlanResponse) -> String {
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
    let _ = write!(
        text,
        "\n{}. Confidence {}.\n\n```mermaid\n{}```\n",
        durations(plan),
        plan.confidence,
        mermaid(&plan.plan),
    );
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
    use super::super::tests::{plan, step};
    use super::*;

    #[test]
    fn each_step_is_an_item_to_check_off_and_nothing_in_it_is_markup() {
        let mut first = step(1, "Say <b>*hi*</b>\n@all", &[]);
        first.acceptance_criteria = vec!["`x` is [set]".into()];
        let mut second = step(2, "End", &[1]);
        second.acceptance_criteria = vec!["It is over".into()];
        let text = markdown(&plan(vec![first, second]));
        let items = text.split_once("\n\n```mermaid\nflowchart LR\n").expect("a flowchart").0;
        assert_eq!(
            items,
            "Because.\n\n\
             - [ ] **1. Say \\<b\\>\\*hi\\*\\</b\\> \\@all** (coder, 1 min 30 s, cost tier 3)\n  \
             - \\`x\\` is \\[set\\]\n\
             - [ ] **2. End** (coder, 1 min 30 s, cost tier 3, after 1)\n  \
             - It is over\n\n\
             About 3 min on the critical path 1 → 2; 3 min of work in total. Confidence 0.9."
        );
        assert!(text.ends_with("    s1 --> s2\n```\n"), "{text}");
    }
}
