//! A plan as a tree of its dependencies.
//!
//! A plan is a graph: a step may depend on several others. Each step is drawn once, below the dependency that finishes
//! last, and lists its dependencies if there are several. The child that finishes last continues in the column of its
//! parent, so that the critical path is one straight line; the other children branch off before it.

use std::cmp::Reverse;
use std::fmt::Write as _;

use textwrap::Options;

use crate::domain::SubTask;
use crate::planner::graph;
use crate::text::duration;

use super::{Colours, FinishedPlan, numbers, visible, width};

/// The fewest columns for an action, at any depth.
const MIN_ACTION_WIDTH: usize = 20;

/// The plan as a tree, with its summary below.
pub(in crate::cli) fn tree(finished: &FinishedPlan<'_>, colours: Colours) -> String {
    tree_of_width(finished, colours, width())
}

fn tree_of_width(finished: &FinishedPlan<'_>, colours: Colours, width: usize) -> String {
    let (steps, roots) = arrange(&finished.plan.plan);
    let mut writer = TreeWriter { steps, colours, width, text: String::new() };
    for root in roots {
        writer.branch(root, "", "");
        writer.text.push('\n');
    }
    format!("{}● on the critical path · cost tiers 1-5\n{}", writer.text, finished.summary())
}

/// A step and its place in the tree.
struct TreeStep<'a> {
    step: &'a SubTask,
    is_critical: bool,
    /// Indices of the steps below it; the last continues in its column.
    children: Vec<usize>,
    /// The earliest time at which it is finished, in seconds from the start.
    finish: u64,
    /// The same of its column.
    column_finish: u64,
}

/// Arranges `steps`: all of them in order, and the indices of the roots. The steps must be numbered from 1 in order, with
/// dependencies on earlier steps only.
fn arrange(steps: &[SubTask]) -> (Vec<TreeStep<'_>>, Vec<usize>) {
    let (critical, _) = graph::critical_path(steps);
    let mut nodes: Vec<TreeStep<'_>> = Vec::with_capacity(steps.len());
    let mut roots = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        // The same choice as that of the critical path.
        let needed = step.depends_on.iter().map(|&needed| needed as usize - 1);
        let parent = needed.max_by_key(|&needed| (nodes[needed].finish, Reverse(needed)));
        let start = parent.map_or(0, |parent| nodes[parent].finish);
        parent.map_or(&mut roots, |parent| &mut nodes[parent].children).push(place);
        let finish = start + u64::from(step.estimated_duration_seconds);
        let is_critical = critical.contains(&step.step);
        nodes.push(TreeStep { step, is_critical, children: Vec::new(), finish, column_finish: finish });
    }
    for place in (0..nodes.len()).rev() {
        let mut children = std::mem::take(&mut nodes[place].children);
        move_latest_to_end(&mut children, &nodes);
        nodes[place].column_finish =
            children.last().map_or(nodes[place].finish, |&successor| nodes[successor].column_finish);
        nodes[place].children = children;
    }
    move_latest_to_end(&mut roots, &nodes);
    (nodes, roots)
}

/// Moves the entry of `indices` to the end that is on the critical path, or whose column finishes last.
fn move_latest_to_end(indices: &mut [usize], nodes: &[TreeStep<'_>]) {
    let last =
        indices.iter().copied().max_by_key(|&p| (nodes[p].is_critical, nodes[p].column_finish, Reverse(p)));
    indices.sort_by_key(|&index| (Some(index) == last, index));
}

struct TreeWriter<'a> {
    steps: Vec<TreeStep<'a>>,
    colours: Colours,
    width: usize,
    text: String,
}

impl TreeWriter<'_> {
    /// Draws the column that starts with `index`, and what branches off it. The first line is prefixed with `joint`, the
    /// others with `indent`.
    fn branch(&mut self, index: usize, joint: &str, indent: &str) {
        let (mut index, mut joint) = (index, joint);
        loop {
            let children = self.steps[index].children.clone();
            self.step(index, joint, indent, !children.is_empty());
            let Some((&successor, others)) = children.split_last() else { return };
            for &other in others {
                self.branch(other, &format!("{indent}├─"), &format!("{indent}│ "));
            }
            (index, joint) = (successor, indent);
        }
    }

    /// Draws one step: its arm, duration and cost tier, and below them the action.
    fn step(&mut self, index: usize, joint: &str, indent: &str, continues: bool) {
        let TreeStep { step, is_critical, .. } = &self.steps[index];
        let mark = if *is_critical { "●" } else { "○" };
        let line = if continues { "│" } else { " " };
        // Word by word, so that no colour crosses the end of a line.
        let arm: Vec<String> = visible(&step.required_arm)
            .split_whitespace()
            .map(|word| self.colours.paint(&step.required_arm, word).into_owned())
            .collect();
        let mut head = format!(
            "{mark} {} {} · {} · tier {}",
            step.step,
            arm.join(" "),
            duration(u64::from(step.estimated_duration_seconds)),
            step.estimated_cost_tier,
        );
        if step.depends_on.len() > 1 {
            let _ = write!(head, " · after {}", numbers(&step.depends_on, ", "));
        }
        let below = format!("{indent}{line}   ");
        let columns = self.width.max(textwrap::core::display_width(&below) + MIN_ACTION_WIDTH);
        let action = visible(&step.action);
        for (text, first) in [(head.as_str(), joint), (action.as_str(), below.as_str())] {
            let options = Options::new(columns).initial_indent(first).subsequent_indent(&below);
            for line in textwrap::wrap(text, options) {
                let _ = writeln!(self.text, "{}", line.trim_end());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finished, plan, step};
    use super::*;

    /// The tree of steps with these durations and dependencies, without the summary.
    fn shape(steps: &[(u32, &[u32])], width: usize) -> String {
        let steps = steps.iter().zip(1..).map(|(&(seconds, needs), number)| SubTask {
            estimated_duration_seconds: seconds,
            ..step(number, &format!("Do {number}"), needs)
        });
        let plan = plan(steps.collect());
        let text = tree_of_width(&finished(&plan), Colours::NONE, width);
        text.split_once("\n● on").expect("the end of the tree").0.to_owned()
    }

    #[test]
    fn a_step_with_two_dependencies_is_drawn_once_and_lists_both() {
        insta::assert_snapshot!(shape(&[(20, &[]), (60, &[1]), (45, &[1]), (90, &[2, 3])], 80), @"
        ● 1 coder · 20 s · tier 3
        │   Do 1
        ├─○ 3 coder · 45 s · tier 3
        │     Do 3
        ● 2 coder · 1 min · tier 3
        │   Do 2
        ● 4 coder · 1 min 30 s · tier 3 · after 2, 3
            Do 4
        ");
    }

    #[test]
    fn each_root_has_a_column() {
        insta::assert_snapshot!(shape(&[(10, &[]), (50, &[]), (5, &[1, 2]), (7, &[2]), (1, &[1])], 80), @"
        ○ 1 coder · 10 s · tier 3
        │   Do 1
        ○ 5 coder · 1 s · tier 3
            Do 5

        ● 2 coder · 50 s · tier 3
        │   Do 2
        ├─○ 3 coder · 5 s · tier 3 · after 1, 2
        │     Do 3
        ● 4 coder · 7 s · tier 3
            Do 4
        ");
    }

    #[test]
    fn branches_have_branches_of_their_own() {
        insta::assert_snapshot!(shape(&[(100, &[]), (10, &[1]), (1, &[2]), (2, &[2]), (50, &[1])], 80), @"
        ● 1 coder · 1 min 40 s · tier 3
        │   Do 1
        ├─○ 2 coder · 10 s · tier 3
        │ │   Do 2
        │ ├─○ 3 coder · 1 s · tier 3
        │ │     Do 3
        │ ○ 4 coder · 2 s · tier 3
        │     Do 4
        ● 5 coder · 50 s · tier 3
            Do 5
        ");
    }

    #[test]
    fn every_step_of_every_small_plan_is_drawn_once_and_the_critical_path_is_marked() {
        // Every set of dependencies among four steps.
        for edges in 0_u32..64 {
            let needs = |of: u32, first_bit: u32| -> Vec<u32> {
                (1..of).filter(|needed| edges >> (first_bit + needed - 1) & 1 == 1).collect()
            };
            let step = |(n, bit): (u32, u32)| step(n, &format!("Do {n}"), &needs(n, bit));
            let steps: Vec<SubTask> = [(1, 0), (2, 0), (3, 1), (4, 3)].map(step).into();
            let (critical, _) = graph::critical_path(&steps);
            let plan = plan(steps.clone());
            let text = tree_of_width(&finished(&plan), Colours::NONE, 80);
            for step in &steps {
                let mark = if critical.contains(&step.step) { "●" } else { "○" };
                let head = format!("{mark} {} coder", step.step);
                assert_eq!(text.matches(&head).count(), 1, "{head}\n{text}");
                let after = format!("tier 3 · after {}\n", numbers(&step.depends_on, ", "));
                assert_eq!(step.depends_on.len() > 1, text.contains(&after), "{after}\n{text}");
            }
        }
    }

    #[test]
    fn long_and_wide_texts_fit_a_narrow_terminal() {
        let mut first = step(1, "依存関係を解決してからデプロイする手順を書く 🚀🚀🚀 and then some", &[]);
        first.required_arm = "an arm of one's own with a long name indeed".into();
        let plan = plan(vec![first, step(2, &"x".repeat(90), &[1]), step(3, "Check", &[1, 2])]);
        let text = tree_of_width(&finished(&plan), Colours::NONE, 40);
        let tree = text.split_once("\n● on").expect("the end of the tree").0;
        assert!(tree.lines().all(|line| textwrap::core::display_width(line) <= 40), "{tree}");
        let words: String = tree.split(|c: char| c == '│' || c.is_whitespace()).collect();
        for part in ["●1anarmofone'sownwithalongnameindeed·", "手順を書く🚀🚀🚀andthensome", &"x".repeat(90)]
        {
            assert!(words.contains(part), "{part}\n{tree}");
        }
    }
}
