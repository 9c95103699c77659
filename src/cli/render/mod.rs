//! Plans as a table, a tree, a Mermaid flowchart, Markdown or JSON.

mod colours;
mod markdown;
mod mermaid;
mod table;
mod tree;

use std::fmt::Write as _;

use console::Term;
use serde::Serialize;

use crate::domain::{EngineKind, PlanResponse, SubTask};
use crate::llm::fallback::UsageTotals;
use crate::planner::normalize::PlanDetails;
use crate::planner::{Origin, estimate};
use crate::text::{duration, is_direction_mark, thousands};

pub(super) use colours::Colours;
pub(super) use markdown::markdown;
pub(super) use mermaid::mermaid;
pub(super) use table::{fit, new_table, table};
pub(super) use tree::tree;

/// Columns if standard output is not a terminal.
const DEFAULT_WIDTH: usize = 120;
/// Columns below which a table breaks words, and a tree or a list reads better.
const MIN_TABLE_WIDTH: usize = 80;

/// A plan with its details and its origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct FinishedPlan<'a> {
    pub(super) plan: &'a PlanResponse,
    pub(super) details: &'a PlanDetails,
    /// Who made it, if that is known.
    pub(super) origin: Option<&'a Origin>,
}

impl FinishedPlan<'_> {
    /// The lines below the steps: rationale, duration, origin, what the LLM calls cost, warnings, repairs.
    fn summary(&self) -> String {
        let Self { plan, details, origin } = self;
        let mut text = format!("{}\n{}\n", visible(&plan.rationale), durations(plan));
        let _ = write!(text, "Confidence {} · complexity {}", plan.confidence, plan.complexity_score);
        if let Some(Origin { engine, model, usage_totals }) = origin {
            let _ = write!(text, " · by {}", maker(engine.as_str(), model));
            if usage_totals.attempts > 0 {
                let _ = write!(text, "\n{}", usage(usage_totals));
            }
        }
        text.push('\n');
        if let Some(id) = &plan.plan_id {
            let _ = writeln!(text, "{id}");
        }
        for question in plan.open_questions.iter().flatten() {
            let _ = writeln!(text, "Question: {}", visible(question));
        }
        for warning in &details.warnings {
            let _ = writeln!(text, "Warning: {}", visible(&about(warning.step, &warning.message)));
        }
        for repair in &details.repairs {
            let _ = writeln!(text, "Repaired: {}", visible(&about(repair.step, &repair.message)));
        }
        text
    }
}

/// `message` with the step that it is about, where it is about one: `step 2: The cost tier was lowered.`
fn about(step: Option<u32>, message: &str) -> String {
    step.map_or_else(|| message.to_owned(), |step| format!("step {step}: {message}"))
}

/// How long the plan takes: `About 3 min on the critical path 1 → 2; 5 min of work in total`.
fn durations(plan: &PlanResponse) -> String {
    let schedule = estimate::schedule(&plan.plan);
    format!(
        "About {} on the critical path {}; {} of work in total",
        duration(schedule.critical_path_seconds),
        numbers(&schedule.critical_path, " → "),
        duration(plan.total_estimated_duration),
    )
}

/// What made a plan: `openai (gpt-4o-mini)`, `the embedded planner`.
pub(super) fn maker(engine: &str, model: &str) -> String {
    if engine == EngineKind::Embedded.as_str() {
        "the embedded planner".into()
    } else {
        format!("{engine} ({})", visible(model))
    }
}

/// Tokens and cost of the LLM calls: `2,310 tokens, $0.0031`.
fn usage(totals: &UsageTotals) -> String {
    let tokens = match totals.prompt_tokens.saturating_add(totals.completion_tokens) {
        0 => "Tokens not reported".to_owned(),
        1 => "1 token".to_owned(),
        tokens => format!("{} tokens", thousands(tokens)),
    };
    let cost = totals.cost_usd().map_or_else(|| "price unknown".to_owned(), dollars);
    format!("{tokens}, {cost}")
}

/// An amount with three significant digits and at least two decimals: `$0`, `$0.0031`, `$0.0451`, `$12.30`.
pub(super) fn dollars(usd: f64) -> String {
    if usd == 0.0 {
        return "$0".into();
    }
    let decimals = (2.0 - usd.log10().floor()).clamp(2.0, 12.0) as usize;
    let mut text = format!("${usd:.decimals$}");
    let shortest = text.len() - (decimals - 2);
    while text.len() > shortest && text.ends_with('0') {
        text.pop();
    }
    text
}

/// Whether standard output is a terminal too narrow for a table.
pub(super) fn is_too_narrow_for_a_table() -> bool {
    width() < MIN_TABLE_WIDTH
}

/// A step in one line, to be shown while the plan is made.
pub(super) fn line(step: &SubTask, colours: Colours) -> String {
    let (arm, action) = (visible_line(&step.required_arm), visible_line(&step.action));
    format!("{} {}  {action}", step.step, colours.paint(&step.required_arm, &arm))
}

/// Columns of standard output.
fn width() -> usize {
    Term::stdout().size_checked().map_or(DEFAULT_WIDTH, |(_, columns)| columns.into())
}

/// `text` without characters that control a terminal.
pub(super) fn visible(text: &str) -> String {
    text.chars().filter(|&c| !is_control(c) || c == '\n').collect()
}

/// `text` on one line, without characters that control a terminal.
fn visible_line(text: &str) -> String {
    visible(text).replace('\n', " ")
}

/// `value` as indented JSON that can be shown in a terminal, with a line feed at its end.
pub(super) fn json(value: &impl Serialize) -> Result<String, String> {
    let json = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Ok(visible_json(&json) + "\n")
}

/// `json` with characters escaped that JSON allows and that control a terminal.
fn visible_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // Line feeds are JSON's layout: in strings they are escaped already.
        if is_control(c) && c != '\n' {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether `c` is a control character, or one that changes the order in which text is shown.
fn is_control(c: char) -> bool {
    c.is_control() || is_direction_mark(c)
}

fn numbers(numbers: &[u32], separator: &str) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::domain::{Repair, RepairCode, Warning, WarningCode};
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
            ..PlanResponse::default()
        }
    }

    /// `plan` after a repair, from an LLM that reported 2,310 tokens of unknown price.
    pub(super) fn finished(plan: &PlanResponse) -> FinishedPlan<'_> {
        static DETAILS: LazyLock<PlanDetails> = LazyLock::new(|| {
            let message = "The cost tier was lowered.".into();
            let repairs = vec![Repair { code: RepairCode::Clamped, step: Some(2), message }];
            let message = "The action does not say what to do.".into();
            let warnings = vec![Warning { code: WarningCode::VagueAction, step: Some(1), message }];
            PlanDetails { repairs, warnings, ..PlanDetails::default() }
        });
        static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin {
            engine: EngineKind::OpenAi,
            model: "gpt".into(),
            usage_totals: totals(2_000, 310, None),
        });
        FinishedPlan { plan, details: &DETAILS, origin: Some(&ORIGIN) }
    }

    fn totals(prompt_tokens: u64, completion_tokens: u64, cost_usd: Option<f64>) -> UsageTotals {
        let mut totals = UsageTotals::default();
        totals.attempts = 1;
        totals.add(prompt_tokens, completion_tokens, cost_usd);
        totals
    }

    #[test]
    fn usage_is_tokens_and_dollars() {
        for (tokens, cost, text) in [
            (2_310, Some(0.0031), "2,310 tokens, $0.0031"),
            (1_234_567, Some(1.25), "1,234,567 tokens, $1.25"),
            (310, Some(0.000_041_2), "310 tokens, $0.0000412"),
            (1, Some(0.0), "1 token, $0"),
            (999, None, "999 tokens, price unknown"),
            (0, None, "Tokens not reported, price unknown"),
        ] {
            assert_eq!(usage(&totals(tokens, 0, cost)), text);
        }
    }

    #[test]
    fn small_amounts_keep_three_significant_digits() {
        for (usd, text) in
            [(0.0, "$0"), (0.000_975, "$0.000975"), (0.045_1, "$0.0451"), (0.5, "$0.50"), (12.3, "$12.30")]
        {
            assert_eq!(dollars(usd), text);
        }
    }

    #[test]
    fn json_for_a_terminal_is_equal_and_has_no_control_characters() {
        let original = serde_json::json!({ "action": "a\u{9b}31m\u{1b}[2J\u{7f}\u{202e}b\n\"é\"" });
        let safe = visible_json(&serde_json::to_string_pretty(&original).expect("JSON"));
        assert!(!safe.chars().any(|c| is_control(c) && c != '\n'), "{safe:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).expect("JSON"), original);
    }
}
