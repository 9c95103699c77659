//! Plans in the forms in which a terminal, a reader or another program wants them.

mod colours;
mod mermaid;
mod table;
mod tree;

use std::fmt::Write as _;

use console::Term;

use crate::domain::{PlanResponse, Repair, SubTask};
use crate::planner::{Origin, estimate};

pub(super) use colours::Colours;
pub(super) use mermaid::mermaid;
pub(super) use table::{fit, table};
pub(super) use tree::tree;

/// Columns of what is no terminal.
const USUAL_WIDTH: usize = 120;

/// A plan, and how it came to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) plan: &'a PlanResponse,
    pub(super) repairs: &'a [Repair],
    pub(super) origin: &'a Origin,
}

impl Made<'_> {
    /// What concerns the plan as a whole, in lines.
    fn totals(&self) -> String {
        let Self { plan, repairs, origin } = self;
        let schedule = estimate::schedule(&plan.plan);
        let mut text = format!("{}\n", visible(&plan.rationale));
        let _ = writeln!(
            text,
            "Time {} in all, {} along the critical path {} · confidence {} · complexity {} · by {} ({})",
            time(plan.total_estimated_duration),
            time(schedule.critical_path_seconds),
            numbers(&schedule.critical_path, " → "),
            plan.confidence,
            plan.complexity_score,
            origin.engine.as_str(),
            visible(&origin.model),
        );
        for repair in *repairs {
            let place = repair.step.map(|step| format!("step {step}: ")).unwrap_or_default();
            let _ = writeln!(text, "Repaired: {place}{}", visible(&repair.message));
        }
        text
    }
}

/// A step in one line, for while the plan is made.
pub(super) fn line(step: &SubTask, colours: Colours) -> String {
    let arm = visible(&step.required_arm).replace('\n', " ");
    let action = visible(&step.action).replace('\n', " ");
    format!("{} {}  {action}", step.step, colours.paint(&step.required_arm, &arm))
}

/// Columns of standard output.
fn width() -> usize {
    Term::stdout().size_checked().map_or(USUAL_WIDTH, |(_, columns)| columns.into())
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
    use std::sync::LazyLock;

    use super::*;
    use crate::domain::EngineKind;
    use crate::domain::RepairCode;
    use crate::llm::fallback::UsageTotals;

    pub(super) fn step(number: u32, action: &str, depends_on: &[u32]) -> SubTask {
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

    pub(super) fn plan(steps: Vec<SubTask>) -> PlanResponse {
        PlanResponse {
            total_estimated_duration: estimate::total_seconds(&steps),
            plan: steps,
            rationale: "Because.".into(),
            confidence: 0.9,
            complexity_score: 0.3,
            plan_id: None,
            schedule: None,
            usage: None,
            repairs: None,
        }
    }

    /// `plan` after a repair.
    pub(super) fn made(plan: &PlanResponse) -> Made<'_> {
        static REPAIRS: LazyLock<[Repair; 1]> = LazyLock::new(|| {
            let message = "The cost tier was lowered.".into();
            [Repair { code: RepairCode::Clamped, step: Some(2), message }]
        });
        static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin {
            engine: EngineKind::OpenAi,
            model: "gpt".into(),
            usage_totals: UsageTotals::default(),
        });
        Made { plan, repairs: &*REPAIRS, origin: &ORIGIN }
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
    fn json_for_a_terminal_says_the_same_and_steers_nothing() {
        let said = serde_json::json!({ "action": "a\u{9b}31m\u{1b}[2J\u{7f}\u{202e}b\n\"é\"" });
        let safe = visible_json(&serde_json::to_string_pretty(&said).expect("JSON"));
        assert!(!safe.chars().any(|c| steers(c) && c != '\n'), "{safe:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).expect("JSON"), said);
    }
}
