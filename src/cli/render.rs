//! Plans for people and for Mermaid.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};

use crate::models::{PlanResponse, Repair, SubTask};
use crate::planner::{Origin, estimate};

/// Width of the table where the terminal's is not known, in columns.
const USUAL_WIDTH: u16 = 120;
/// Narrower than this, wrapped lines of a table read better than its columns.
const NARROWEST: u16 = 60;

/// The plan as a table, with its totals and repairs below.
pub(super) fn table(plan: &PlanResponse, repairs: &[Repair], origin: &Origin) -> String {
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
    fit(&mut table);
    for step in &plan.plan {
        table.add_row([
            step.step.to_string(),
            visible(&step.required_arm),
            visible(&step.action),
            step.acceptance_criteria
                .iter()
                .map(|c| format!("• {}", visible(c)))
                .collect::<Vec<_>>()
                .join("\n"),
            numbers(&step.depends_on, ", "),
            "$".repeat(step.estimated_cost_tier.into()),
            time(u64::from(step.estimated_duration_seconds)),
        ]);
    }
    let schedule = estimate::schedule(&plan.plan);
    let mut text = format!("{table}\n");
    let _ = writeln!(text, "{}", visible(&plan.rationale));
    let _ = writeln!(
        text,
        "Time {} in all, {} along the critical path {} · confidence {} · complexity {} · by {} ({})",
        time(plan.total_estimated_duration),
        time(schedule.critical_path_seconds),
        numbers(&schedule.critical_path, " → "),
        plan.confidence,
        plan.complexity_score,
        origin.engine.as_str(),
        origin.model,
    );
    for repair in repairs {
        let place = repair.step.map(|step| format!("step {step}: ")).unwrap_or_default();
        let _ = writeln!(text, "Repaired: {place}{}", repair.message);
    }
    text
}

/// Makes `table` as wide as the terminal at most.
pub(super) fn fit(table: &mut Table) {
    let width = table.width().filter(|&width| width > 0).unwrap_or(USUAL_WIDTH);
    table.set_width(width.max(NARROWEST));
}

/// The plan as a Mermaid flowchart, one node a step.
pub(super) fn mermaid(steps: &[SubTask]) -> String {
    let mut text = String::from("flowchart LR\n");
    for step in steps {
        let _ = writeln!(
            text,
            "    s{0}[\"{0}. {1}<br/>{2} · {3}\"]",
            step.step,
            mermaid_text(&step.action),
            mermaid_text(&step.required_arm),
            time(u64::from(step.estimated_duration_seconds)),
        );
    }
    for step in steps {
        for needed in &step.depends_on {
            let _ = writeln!(text, "    s{needed} --> s{}", step.step);
        }
    }
    text
}

/// `text` without what would end or restyle a quoted Mermaid label.
fn mermaid_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '"' => safe.push_str("#quot;"),
            '#' => safe.push_str("#35;"),
            '&' => safe.push_str("#amp;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '`' => safe.push_str("#96;"),
            '\n' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// `text` without what could steer a terminal.
pub(super) fn visible(text: &str) -> String {
    text.chars().filter(|&c| !steers(c) || c == '\n').collect()
}

/// `json` with that escaped which JSON lets stand, and which could steer a terminal.
pub(super) fn visible_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // What JSON itself is laid out with stands outside of texts, where the rest cannot.
        if steers(c) && c != '\n' {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether `c` is a control character, or shows what follows in another order than it is written in.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn numbers(numbers: &[u32], separator: &str) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// Seconds in the form in which people say them: `45 s`, `2 min`, `1 h 30 min`.
fn time(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let parts = [(hours, "h"), (minutes, "min"), (rest, "s")];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    if said.is_empty() { "0 s".into() } else { said.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u32, action: &str, depends_on: &[u32]) -> SubTask {
        SubTask {
            step: number,
            action: action.into(),
            required_arm: "coder".into(),
            acceptance_criteria: vec!["It \u{1b}[31mworks".into()],
            depends_on: depends_on.to_vec(),
            estimated_cost_tier: 3,
            estimated_duration_seconds: 90,
        }
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        for (seconds, said) in
            [(0, "0 s"), (45, "45 s"), (120, "2 min"), (5_400, "1 h 30 min"), (3_661, "1 h 1 min 1 s")]
        {
            assert_eq!(time(seconds), said);
        }
    }

    #[test]
    fn mermaid_has_a_node_a_step_and_an_edge_a_dependency_and_no_way_out_of_a_label() {
        let text = mermaid(&[step(1, "Say \"hi\"] --> x[<b>#1</b>", &[]), step(2, "End", &[1])]);
        assert_eq!(
            text,
            "flowchart LR\n    \
             s1[\"1. Say #quot;hi#quot;] --#gt; x[#lt;b#gt;#35;1#lt;/b#gt;<br/>coder · 1 min 30 s\"]\n    \
             s2[\"2. End<br/>coder · 1 min 30 s\"]\n    \
             s1 --> s2\n"
        );
    }

    #[test]
    fn json_for_a_terminal_says_the_same_and_steers_nothing() {
        let said = serde_json::json!({ "action": "a\u{9b}31m\u{1b}[2J\u{7f}\u{202e}b\n\"é\"" });
        let safe = visible_json(&serde_json::to_string_pretty(&said).expect("JSON"));
        assert!(!safe.chars().any(|c| steers(c) && c != '\n'), "{safe:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).expect("JSON"), said);
    }

    #[test]
    fn a_table_says_everything_and_steers_no_terminal() {
        let plan = PlanResponse {
            plan: vec![step(1, "Write it", &[]), step(2, "Run it", &[1])],
            rationale: "Because.".into(),
            confidence: 0.9,
            total_estimated_duration: 180,
            complexity_score: 0.3,
            plan_id: None,
            schedule: None,
            usage: None,
            repairs: None,
        };
        let repairs = [Repair {
            code: crate::models::RepairCode::Clamped,
            step: Some(2),
            message: "The cost tier was lowered.".into(),
        }];
        let origin = Origin {
            engine: crate::planner::EngineKind::OpenAi,
            model: "gpt".into(),
            tally: crate::llm::ladder::Tally::default(),
        };
        let text = table(&plan, &repairs, &origin);
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
