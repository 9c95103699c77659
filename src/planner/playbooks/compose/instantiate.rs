//! From a group of parts and its playbook to steps.

use std::collections::BTreeSet;

use super::super::arms::Staff;
use super::super::language::Language;
use super::super::parts::Part;
use super::super::wording::{capitalized, quoted};
use super::{CHECK_SECONDS, Frame, Group, Node};
use crate::domain::playbooks::{Mode, Playbook, PlaybookStep};

/// The result of steps that make a copy, which serves later parts too.
const BACKUP: &str = "backup";
/// Duration of work about which nothing is known, in seconds.
const UNKNOWN_SECONDS: u32 = 900;

/// Adds the steps of one group to `nodes`.
pub(super) fn instantiate(
    group: &Group<'_>,
    number: usize,
    is_last: bool,
    must_verify: bool,
    frame: &Frame<'_>,
    nodes: &mut Vec<Node>,
) {
    let staff = frame.staff;
    let Some(playbook) = group[0].playbook else {
        // If the words give no hint, the arm of the previous part continues.
        let before = nodes
            .iter()
            .rfind(|node| node.group + 1 == number && node.is_core && !staff.verifies(node.arm))
            .map(|node| node.arm);
        for matched in group {
            outline(&matched.part, number, before, staff, nodes);
        }
        return;
    };
    if absorbed(group, playbook, nodes) {
        return;
    }
    let text: String = group.iter().map(|matched| matched.part.text.as_str()).collect::<Vec<_>>().join(" ");
    let applies = frame.library.applicable(playbook, &text);
    let is_fixed = playbook.mode == Mode::Fixed;
    let core_arm = playbook.steps.iter().filter(|step| step.is_core()).find_map(|step| staff.for_step(step));
    // For each step of the playbook its nodes: its own, or those that a left-out step needs.
    let mut places: Vec<Vec<usize>> = Vec::new();
    for (index, step) in playbook.steps.iter().enumerate() {
        let needs: BTreeSet<usize> = step
            .depends_on
            .iter()
            .filter_map(|id| playbook.steps.iter().position(|other| other.id == *id))
            .flat_map(|place| places[place].iter().copied())
            .collect();
        let closes = step.checks() && index + 1 == playbook.steps.len();
        let arm =
            staff.for_step(step).or(if step.needs_checks() || step.rank == 1 { core_arm } else { None });
        let is_wanted = applies[index] && !(closes && (!is_last || !must_verify));
        let Some(arm) = arm.filter(|_| is_wanted) else {
            places.push(needs.into_iter().collect());
            continue;
        };
        // An earlier group has done this already; what it checked was not yet what this group makes.
        let is_first = needs.iter().all(|need| nodes[*need].group < number);
        let is_done = |node: &Node| {
            node.group < number
                && !step.produces.is_empty()
                && step.produces.iter().all(|result| node.produces.contains(result))
        };
        if (is_first || step.produces.iter().all(|result| result == BACKUP))
            && !step.is_core()
            && !step.needs_checks()
            && let Some(done) = nodes.iter().rposition(is_done)
        {
            places.push(needs.into_iter().chain([done]).collect());
            continue;
        }
        let first: Vec<usize> = needs.into_iter().collect();
        let mut before = first.clone();
        let mut copies = Vec::new();
        let count = if step.is_core() { group.len() } else { 1 };
        for matched in &group[..count] {
            let action = frame.filler.fill(&step.action, &matched.part);
            let own_arm = if step.is_core() && step.arm.is_none() { staff.named_in(&action) } else { None };
            nodes.push(Node {
                action,
                arm: own_arm.unwrap_or(arm),
                criteria: frame.filler.criteria(step, &matched.part),
                needs: before.clone(),
                cost_tier: step.cost_tier,
                seconds: step.duration_seconds,
                group: number,
                rank: if is_fixed || step.is_core() || step.needs_checks() || closes { 0 } else { step.rank },
                is_core: step.is_core(),
                closes,
                needs_checks: step.needs_checks(),
                checks: step.checks()
                    || step.produces.iter().any(|result| ["checked", BACKUP].contains(&result.as_str())),
                produces: step.produces.clone(),
                consumes: step.consumes.clone(),
            });
            copies.push(nodes.len() - 1);
            before = if step.parallel { first.clone() } else { vec![nodes.len() - 1] };
        }
        places.push(if step.parallel { copies } else { before });
    }
    // A playbook without a step for the part itself: the parts are named in what it does first.
    if !playbook.steps.iter().any(PlaybookStep::is_core)
        && let Some(first) = nodes.iter_mut().find(|node| node.group == number)
    {
        first.rank = 0;
        for matched in group.iter().filter(|matched| !first.action.contains(&matched.part.text)) {
            first.criteria.push(format!("Covers what was asked: {}", quoted(&matched.part.text)));
        }
    }
}

/// Whether a step of an earlier group already does what this group is about ("fix it and add tests"): then that step
/// cannot be left out, and names what was asked.
fn absorbed(group: &Group<'_>, playbook: &Playbook, nodes: &mut [Node]) -> bool {
    let produced: Vec<&String> =
        playbook.steps.iter().filter(|step| step.is_core()).flat_map(|step| &step.produces).collect();
    let does_it = |node: &&mut Node| {
        !node.is_core && !produced.is_empty() && produced.iter().all(|result| node.produces.contains(result))
    };
    let Some(node) = nodes.iter_mut().find(does_it) else { return false };
    node.rank = 0;
    node.is_core = true;
    for matched in group {
        node.criteria.push(format!("Covers what was asked: {}", quoted(&matched.part.text)));
    }
    true
}

/// Adds the step for a part that no playbook fits: its own words, and criteria without invented detail. What cannot be
/// undone is checked before.
fn outline(part: &Part, group: usize, before: Option<usize>, staff: &Staff, nodes: &mut Vec<Node>) {
    let arm = staff.for_words(&part.text).or(before).unwrap_or_else(|| staff.for_text(&part.text));
    let is_final = Language::get().is_final(&part.text);
    let mut needs = Vec::new();
    if let Some(verifier) = staff.verifier().filter(|_| is_final) {
        let action = format!(
            "Check that everything is ready, and agreed with those concerned, for this: {}",
            quoted(&part.text)
        );
        let criteria = vec!["Nothing that it depends on is open, and those who decide have agreed".into()];
        needs.push(nodes.len());
        nodes.push(Node {
            group,
            rank: 1,
            checks: true,
            ..Node::new(action, verifier, criteria, CHECK_SECONDS, staff)
        });
    }
    let criteria = vec!["It is done as described, and the result is available to the next step".into()];
    nodes.push(Node {
        group,
        needs,
        is_core: true,
        needs_checks: is_final,
        checks: staff.verifies(arm),
        ..Node::new(capitalized(&part.text), arm, criteria, UNKNOWN_SECONDS, staff)
    });
}
