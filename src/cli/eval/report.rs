//! The report of a run, as text and as JSON.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

use crate::cli::render::{dollars, fit, maker, visible};

use super::labels::Similarity;
use super::score::{EvalTarget, Score};
use super::summary::{KindSummary, Summary};

/// A whole run, as in the JSON report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The version of this program.
    pub(super) version: &'static str,
    /// The scenario file, null for the scenarios that ship with the program.
    pub(super) file: Option<String>,
    /// The configured engine.
    pub(super) engine: &'static str,
    /// Its first model.
    pub(super) model: String,
    /// The time for one plan, in seconds.
    pub(super) timeout_seconds: f64,
    /// The required share of valid plans.
    pub(super) min_success: f64,
    /// The maximum number of warnings of a run that passes; null without a limit.
    pub(super) max_warnings: Option<usize>,
    /// Whether both are kept.
    pub(super) passed: bool,
    /// The summary of all scenarios.
    pub(super) summary: Summary,
    /// The summary of each kind.
    pub(super) kinds: Vec<KindSummary>,
    /// Each scenario, in the order of the file.
    pub(super) scenarios: Vec<Score>,
}

/// What a run needs to pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gates {
    /// The smallest share of valid plans, 0.0 to 1.0.
    pub(super) min_success: f64,
    /// The most warnings of all plans.
    pub(super) max_warnings: Option<usize>,
}

impl Report {
    /// The report on `scores`, which must not be empty.
    pub(super) fn new(
        file: Option<String>,
        scores: Vec<Score>,
        target: &EvalTarget,
        timeout_seconds: f64,
        Gates { min_success, max_warnings }: Gates,
    ) -> Self {
        let summary = Summary::of(&scores.iter().collect::<Vec<_>>());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            file,
            engine: target.engine.as_str(),
            model: target.model.to_string(),
            timeout_seconds,
            min_success,
            max_warnings,
            passed: summary.success_rate >= min_success
                && max_warnings.is_none_or(|most| summary.warnings <= most),
            summary,
            kinds: Summary::by_kind(&scores),
            scenarios: scores,
        }
    }

    /// The sentence for fewer valid plans than required, or for more warnings than allowed.
    pub(super) fn shortfall(&self) -> String {
        let Summary { valid, scenarios, success_rate, warnings, .. } = self.summary;
        if let Some(most) = self.max_warnings.filter(|_| success_rate >= self.min_success) {
            return format!("the plans have {warnings} warnings, which is above --max-warnings {most}");
        }
        format!(
            "{valid} of {scenarios} plans are valid ({}), which is below --min-success {}",
            percent(valid, scenarios),
            self.min_success
        )
    }

    /// The report as indented JSON.
    pub(super) fn json(&self) -> Result<String, String> {
        Ok(serde_json::to_string_pretty(self).map_err(|error| error.to_string())? + "\n")
    }

    /// The report as tables, with sentences between and below them.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.score_table().trim_fmt());
        let remarks =
            self.scenarios.iter().flat_map(|score| remarks(score).into_iter().map(move |r| (score, r)));
        for (index, (score, remark)) in remarks.enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            let _ = writeln!(text, "{gap}{}: {}", visible(&score.name), visible(&remark));
        }
        let _ = writeln!(text, "\n{}\n", self.summary_table().trim_fmt());
        self.write_summary(&mut text);
        text
    }

    /// A row for each scenario, under a row for each kind.
    fn score_table(&self) -> Table {
        let mut table = Table::new();
        let header = ["Scenario", "Steps", "Arms", "Constr.", "Rep.", "Warn.", "Calls", "Tokens", "Time"];
        table.set_header(
            self.with_labels(header.map(str::to_owned), ["Node F1", "Link F1"].map(str::to_owned)),
        );
        let mut kind = "";
        for score in &self.scenarios {
            if score.kind != kind {
                kind = &score.kind;
                table.add_row([visible(kind)]);
            }
            let row = [
                format!("{} {}", if score.valid { '✓' } else { '✗' }, visible(&score.name)),
                score.steps.to_string(),
                part(score.arms.expected.len() - score.arms.missing.len(), score.arms.expected.len()),
                part(score.constraints.covered, score.constraints.total),
                score.repairs.count.to_string(),
                score.warnings.count.to_string(),
                score.attempts.to_string(),
                (score.prompt_tokens + score.completion_tokens).to_string(),
                milliseconds(score.latency_ms),
            ];
            table.add_row(self.with_labels(row, f1_of(score.labelled)));
        }
        right_aligned(table)
    }

    fn summary_table(&self) -> Table {
        let mut table = Table::new();
        let header =
            ["Kind", "Valid", "Arms", "Constr.", "Rep.", "Warn.", "Calls", "Tokens", "Cost", "p50", "p95"];
        table.set_header(self.with_labels(header.map(str::to_owned), ["Node", "Link"].map(str::to_owned)));
        let kinds = self.kinds.iter().map(|kind| (visible(&kind.kind), &kind.summary));
        for (kind, figures) in kinds.chain([("all".to_owned(), &self.summary)]) {
            let row = [
                kind,
                part(figures.valid, figures.scenarios),
                part(figures.expected_arms.count, figures.expected_arms.total),
                part(figures.constraints.count, figures.constraints.total),
                figures.repairs.to_string(),
                figures.warnings.to_string(),
                figures.calls.to_string(),
                (figures.prompt_tokens + figures.completion_tokens).to_string(),
                figures.cost_usd.map_or("?".into(), dollars),
                milliseconds(figures.latency_p50_ms),
                milliseconds(figures.latency_p95_ms),
            ];
            table.add_row(self.with_labels(row, f1_of(figures.labelled)));
        }
        right_aligned(table)
    }

    /// The cells of a row, including those of labelled plans if any scenario has one.
    fn with_labels<const N: usize>(&self, row: [String; N], labels: [String; 2]) -> Vec<String> {
        let labels = self.summary.labelled.map(|_| labels);
        row.into_iter().chain(labels.into_iter().flatten()).collect()
    }

    fn write_summary(&self, text: &mut String) {
        let all = &self.summary;
        let _ = write!(
            text,
            "{} of {} plans are valid ({}), made by {}",
            all.valid,
            all.scenarios,
            percent(all.valid, all.scenarios),
            maker(self.engine, &self.model),
        );
        if all.fallbacks > 0 {
            let _ = write!(text, ", {} answered by a fallback", all.fallbacks);
        }
        text.push('\n');
        for (what, share) in
            [("expected arms are used", all.expected_arms), ("constraints are covered", all.constraints)]
        {
            if share.total > 0 {
                let percent = percent(share.count, share.total);
                let _ = writeln!(text, "{} of {} {what} ({percent})", share.count, share.total);
            }
        }
        if let Some(Similarity { node_f1, link_f1 }) = all.labelled {
            let labelled = self.scenarios.iter().filter(|score| score.labelled.is_some()).count();
            let _ = writeln!(
                text,
                "node F1 {node_f1:.2}, link F1 {link_f1:.2}, averaged over {labelled} labelled plans"
            );
        }
        let calls =
            all.calls_per_plan.map_or(String::new(), |calls| format!(", {calls:.1} for each valid plan"));
        let _ = writeln!(text, "{} LLM calls{calls}", all.calls);
        let each = all
            .cost_usd_per_plan
            .map_or(String::new(), |cost| format!(", {} for each valid plan", dollars(cost)));
        let cost = all
            .cost_usd
            .map_or("unknown: a model has no price, or its server reports no tokens".into(), dollars);
        let _ = writeln!(text, "cost {cost}{each}");
    }
}

/// Columns that the figures need: a terminal with fewer wraps the lines, as narrower columns would break words.
const REPORT_WIDTH: usize = 80;
/// Only a line below the header, so that all columns fit into [`REPORT_WIDTH`].
const LINE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// `table` with all columns but the first aligned right, as wide as the terminal or [`REPORT_WIDTH`] at most.
fn right_aligned(mut table: Table) -> Table {
    table.load_style(LINE).set_content_arrangement(ContentArrangement::Dynamic);
    fit(&mut table, REPORT_WIDTH);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 0));
        column.set_cell_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

/// Remarks on a score, one sentence each.
fn remarks(score: &Score) -> Vec<String> {
    let mut remarks = score.warnings.messages.clone();
    if let Some(error) = &score.error {
        remarks.push(error.detail.clone());
    }
    if !score.broken_promises.is_empty() {
        remarks.push(format!("The plan is not valid: {}.", score.broken_promises.join("; ")));
    }
    if score.fallback && score.error.is_none() {
        remarks.push(format!("A fallback answered: {}.", maker(score.engine, &score.model)));
    }
    if score.error.is_none() && !score.arms.missing.is_empty() {
        remarks.push(format!("No step for {}.", score.arms.missing.join(", ")));
    }
    remarks
}

/// Node and link F1, with two decimals; empty if there is no labelled plan.
fn f1_of(labelled: Option<Similarity>) -> [String; 2] {
    let figure = |figure: fn(&Similarity) -> f64| labelled.as_ref().map(figure);
    [figure(|one| one.node_f1), figure(|one| one.link_f1)]
        .map(|f1| f1.map(|f1| format!("{f1:.2}")).unwrap_or_default())
}

/// `2/3`; empty where there is nothing to count.
fn part(count: usize, total: usize) -> String {
    if total == 0 { String::new() } else { format!("{count}/{total}") }
}

/// Rounded down to a tenth, so that only all of them are 100%.
fn percent(count: usize, total: usize) -> String {
    let tenths = count * 1_000 / total.max(1);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole}%"),
        (whole, tenth) => format!("{whole}.{tenth}%"),
    }
}

/// `0.4 ms`, `250 ms`, `12.5 s`.
fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{score, target};
    use super::*;

    fn report(scores: Vec<Score>, min_success: f64) -> Report {
        Report::new(None, scores, &target(), 10.0, Gates { min_success, max_warnings: None })
    }

    #[test]
    fn a_report_passes_with_the_required_share_of_valid_plans() {
        let scores = || (0..10).map(|index| score("s", "k", index < 9)).collect::<Vec<_>>();
        assert!(report(scores(), 0.9).passed);
        let failed = report(scores(), 0.91);
        assert!(!failed.passed);
        assert_eq!(failed.shortfall(), "9 of 10 plans are valid (90%), which is below --min-success 0.91");
    }

    #[test]
    fn tables_show_each_failure_with_its_reason_without_control_characters() {
        let mut invalid = score("b\u{1b}[31m", "one", true);
        invalid.valid = false;
        invalid.broken_promises = vec!["step 1: no action".into(), "2 steps, not 3 to 7".into()];
        invalid.arms.missing = vec!["coder".into()];
        invalid.arms.expected = vec!["coder".into()];
        let text = report(vec![score("a", "one", true), invalid, score("c", "two", false)], 1.0).text();
        for part in [
            "✓ a",
            "✗ b[31m",
            "✗ c",
            "b[31m: The plan is not valid: step 1: no action; 2 steps, not 3 to 7.",
            "b[31m: No step for coder.",
            "c: It is not a plan.",
            "1 of 3 plans are valid (33.3%), made by the embedded planner",
            "0 of 1 expected arms are used (0%)",
            "0 LLM calls, 0.0 for each valid plan\ncost $0, $0 for each valid plan\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn an_unknown_cost_is_reported_as_unknown() {
        let mut paid = score("a", "contradictory", true);
        (paid.prompt_tokens, paid.latency_ms) = (123_456, 250.0);
        let mut unknown = score("b", "two", true);
        (paid.cost_usd, unknown.cost_usd) = (Some(0.000_975), None);
        let text = report(vec![paid, unknown], 1.0).text();
        for part in
            ["$0.000975", " ?", "\ncost unknown: a model has no price, or its server reports no tokens\n"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn percentages_are_rounded_down_and_durations_have_a_unit() {
        for (count, total, expected) in [(1, 1, "100%"), (999, 1_000, "99.9%"), (9_999, 10_000, "99.9%")] {
            assert_eq!(percent(count, total), expected);
        }
        for (ms, expected) in [(0.04, "0.0 ms"), (9.94, "9.9 ms"), (250.4, "250 ms"), (12_540.0, "12.5 s")] {
            assert_eq!(milliseconds(ms), expected);
        }
    }
}
