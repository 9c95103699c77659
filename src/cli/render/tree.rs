//! A plan as a tree of its dependencies.
//!
//! A plan is no tree: a step may need several others. Each step stands once, below the one that it waits for longest,
//! and names all that it needs where they are more. What follows a step last goes on in its column, so that the
//! critical path is one straight line; what else follows branches off before.

use std::cmp::Reverse;
use std::fmt::Write as _;

use textwrap::Options;

use crate::domain::SubTask;
use crate::planner::graph;

use super::{Colours, Made, numbers, time, visible, width};

/// Actions are never broken into lines narrower than this, however deep they stand.
const NARROWEST: usize = 20;

/// The plan as a tree, with its totals and repairs below.
pub(in crate::cli) fn tree(made: &Made<'_>, colours: Colours) -> String {
    drawn(made, colours, width())
}

fn drawn(made: &Made<'_>, colours: Colours, width: usize) -> String {
    let (nodes, roots) = nodes(&made.plan.plan);
    let mut drawing = Drawing { nodes, colours, width, text: String::new() };
    for root in roots {
        drawing.branch(root, "", "");
        drawing.text.push('\n');
    }
    format!("{}● on the critical path\n{}", drawing.text, made.totals())
}

/// A step and its place in the tree.
struct Node<'a> {
    step: &'a SubTask,
    is_critical: bool,
    /// Those that wait for it longest, the one that goes on in its column at the end.
    children: Vec<usize>,
    /// When it is done at the earliest, in seconds.
    done: u64,
    /// When the last below it is.
    all_done: u64,
}

/// The places of `steps`, and those that wait for none. The steps must be numbered from 1 in order, with dependencies on
/// earlier steps only.
fn nodes(steps: &[SubTask]) -> (Vec<Node<'_>>, Vec<usize>) {
    let (critical, _) = graph::critical_path(steps);
    let mut nodes: Vec<Node<'_>> = Vec::with_capacity(steps.len());
    let mut roots = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        // As the critical path chooses.
        let needed = step.depends_on.iter().map(|&needed| needed as usize - 1);
        let parent = needed.max_by_key(|&needed| (nodes[needed].done, Reverse(needed)));
        let start = parent.map_or(0, |parent| nodes[parent].done);
        parent.map_or(&mut roots, |parent| &mut nodes[parent].children).push(place);
        let done = start + u64::from(step.estimated_duration_seconds);
        let is_critical = critical.contains(&step.step);
        nodes.push(Node { step, is_critical, children: Vec::new(), done, all_done: done });
    }
    for place in (0..nodes.len()).rev() {
        let mut children = std::mem::take(&mut nodes[place].children);
        put_last_at_the_end(&mut children, &nodes);
        nodes[place].all_done = children.last().map_or(nodes[place].done, |&heir| nodes[heir].all_done);
        nodes[place].children = children;
    }
    put_last_at_the_end(&mut roots, &nodes);
    (nodes, roots)
}

/// Moves that of `places` to the end which is on the critical path, or below which the work ends last.
fn put_last_at_the_end(places: &mut [usize], nodes: &[Node<'_>]) {
    let last = places.iter().copied().max_by_key(|&p| (nodes[p].is_critical, nodes[p].all_done, Reverse(p)));
    places.sort_by_key(|&place| (Some(place) == last, place));
}

struct Drawing<'a> {
    nodes: Vec<Node<'a>>,
    colours: Colours,
    width: usize,
    text: String,
}

impl Drawing<'_> {
    /// Draws what goes on in one column from `place`, and what branches off. `joint` stands before its first line,
    /// `before` before all others.
    fn branch(&mut self, place: usize, joint: &str, before: &str) {
        let (mut place, mut joint) = (place, joint);
        loop {
            let children = self.nodes[place].children.clone();
            self.step(place, joint, before, !children.is_empty());
            let Some((&heir, others)) = children.split_last() else { return };
            for &other in others {
                self.branch(other, &format!("{before}├─"), &format!("{before}│ "));
            }
            (place, joint) = (heir, before);
        }
    }

    /// Draws one step: who does it, what that takes, and below it the action.
    fn step(&mut self, place: usize, joint: &str, before: &str, goes_on: bool) {
        let Node { step, is_critical, .. } = &self.nodes[place];
        let mark = if *is_critical { "●" } else { "○" };
        let line = if goes_on { "│" } else { " " };
        // Word by word, so that no colour reaches over the end of a line.
        let arm: Vec<String> = visible(&step.required_arm)
            .split_whitespace()
            .map(|word| self.colours.paint(&step.required_arm, word).into_owned())
            .collect();
        let mut head = format!(
            "{mark} {} {} · {} · {}",
            step.step,
            arm.join(" "),
            time(u64::from(step.estimated_duration_seconds)),
            "$".repeat(step.estimated_cost_tier.into()),
        );
        if step.depends_on.len() > 1 {
            let _ = write!(head, " · after {}", numbers(&step.depends_on, ", "));
        }
        let below = format!("{before}{line}   ");
        let columns = self.width.max(textwrap::core::display_width(&below) + NARROWEST);
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
    use super::super::tests::{made, plan, step};
    use super::*;

    /// The tree of steps with these durations and needs, without what stands below it.
    fn shape(steps: &[(u32, &[u32])], width: usize) -> String {
        let steps = steps.iter().zip(1..).map(|(&(seconds, needs), number)| SubTask {
            estimated_duration_seconds: seconds,
            ..step(number, &format!("Do {number}"), needs)
        });
        let plan = plan(steps.collect());
        let text = drawn(&made(&plan), Colours::NONE, width);
        text.split_once("\n● on").expect("the end of the tree").0.to_owned()
    }

    #[test]
    fn a_step_with_two_needs_stands_once_and_names_both() {
        insta::assert_snapshot!(shape(&[(20, &[]), (60, &[1]), (45, &[1]), (90, &[2, 3])], 80), @"
        ● 1 coder · 20 s · $$$
        │   Do 1
        ├─○ 3 coder · 45 s · $$$
        │     Do 3
        ● 2 coder · 1 min · $$$
        │   Do 2
        ● 4 coder · 1 min 30 s · $$$ · after 2, 3
            Do 4
        ");
    }

    #[test]
    fn several_roots_and_several_ends_are_several_columns() {
        insta::assert_snapshot!(shape(&[(10, &[]), (50, &[]), (5, &[1, 2]), (7, &[2]), (1, &[1])], 80), @"
        ○ 1 coder · 10 s · $$$
        │   Do 1
        ○ 5 coder · 1 s · $$$
            Do 5

        ● 2 coder · 50 s · $$$
        │   Do 2
        ├─○ 3 coder · 5 s · $$$ · after 1, 2
        │     Do 3
        ● 4 coder · 7 s · $$$
            Do 4
        ");
    }

    #[test]
    fn branches_have_branches_of_their_own() {
        insta::assert_snapshot!(shape(&[(100, &[]), (10, &[1]), (1, &[2]), (2, &[2]), (50, &[1])], 80), @"
        ● 1 coder · 1 min 40 s · $$$
        │   Do 1
        ├─○ 2 coder · 10 s · $$$
        │ │   Do 2
        │ ├─○ 3 coder · 1 s · $$$
        │ │     Do 3
        │ ○ 4 coder · 2 s · $$$
        │     Do 4
        ● 5 coder · 50 s · $$$
            Do 5
        ");
    }

    #[test]
    fn every_step_of_every_small_plan_stands_once_and_the_critical_path_is_marked() {
        // Every set of dependencies among four steps.
        for edges in 0_u32..64 {
            let needs = |of: u32, first_bit: u32| -> Vec<u32> {
                (1..of).filter(|needed| edges >> (first_bit + needed - 1) & 1 == 1).collect()
            };
            let step = |(n, bit): (u32, u32)| step(n, &format!("Do {n}"), &needs(n, bit));
            let steps: Vec<SubTask> = [(1, 0), (2, 0), (3, 1), (4, 3)].map(step).into();
            let (critical, _) = graph::critical_path(&steps);
            let plan = plan(steps.clone());
            let text = drawn(&made(&plan), Colours::NONE, 80);
            for step in &steps {
                let mark = if critical.contains(&step.step) { "●" } else { "○" };
                let head = format!("{mark} {} coder", step.step);
                assert_eq!(text.matches(&head).count(), 1, "{head}\n{text}");
                let after = format!("$$$ · after {}\n", numbers(&step.depends_on, ", "));
                assert_eq!(step.depends_on.len() > 1, text.contains(&after), "{after}\n{text}");
            }
        }
    }

    #[test]
    fn long_and_wide_texts_stay_within_a_narrow_terminal() {
        let mut first = step(1, "依存関係を解決してからデプロイする手順を書く 🚀🚀🚀 and then some", &[]);
        first.required_arm = "an arm of one's own with a long name indeed".into();
        let plan = plan(vec![first, step(2, &"x".repeat(90), &[1]), step(3, "Check", &[1, 2])]);
        let text = drawn(&made(&plan), Colours::NONE, 40);
        let tree = text.split_once("\n● on").expect("the end of the tree").0;
        assert!(tree.lines().all(|line| textwrap::core::display_width(line) <= 40), "{tree}");
        let words: String = tree.split(|c: char| c == '│' || c.is_whitespace()).collect();
        for part in ["●1anarmofone'sownwithalongnameindeed·", "手順を書く🚀🚀🚀andthensome", &"x".repeat(90)]
        {
            assert!(words.contains(part), "{part}\n{tree}");
        }
    }
}
