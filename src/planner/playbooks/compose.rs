//! From parts and their playbooks to the steps of one plan.

use std::collections::{BTreeSet, HashSet};

use crate::domain::PlanRules;

use super::arms::Staff;
use super::format::PlaybookStep;
use super::wording::{capitalized, fill, quoted};
use super::{Matched, Part};

/// How long work takes of which nothing is known, in seconds.
const UNKNOWN_SECONDS: u32 = 900;
pub(super) const CHECK_SECONDS: u32 = 300;

/// A step in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) action: String,
    /// The arm's place in the registry.
    pub(super) arm: usize,
    pub(super) criteria: Vec<String>,
    /// Places of the steps that must be done before.
    pub(super) needs: Vec<usize>,
    pub(super) cost_tier: u8,
    pub(super) seconds: u32,
    /// The group of parts that it belongs to.
    group: usize,
    /// 0: cannot be left out; then 1 to 3.
    rank: u8,
    /// Whether it is what a part asks for.
    pub(super) is_core: bool,
    /// Whether it is the last check of its playbook.
    closes: bool,
    /// Nothing unchecked may come before it.
    needs_checks: bool,
    /// Whether it checks, or its results count as checked.
    checks: bool,
    produces: Vec<String>,
    consumes: Vec<String>,
}

impl Node {
    /// A step that stands for itself, of an arm and with the cost of that arm.
    pub(super) fn new(
        action: String,
        arm: usize,
        criteria: Vec<String>,
        seconds: u32,
        staff: &Staff<'_>,
    ) -> Self {
        Self { action, arm, criteria, cost_tier: staff.cost_tier(arm), seconds, ..Self::default() }
    }
}

/// The steps of a plan for `parts`, each behind all that it needs.
pub(super) fn compose(
    parts: &[Matched<'_>],
    guard: Option<&PlaybookStep>,
    staff: &Staff<'_>,
    rules: &PlanRules,
    limit: Option<u32>,
) -> Vec<Node> {
    let verifier = staff.verifier().filter(|_| rules.require_verification);
    // Every step takes at least a second.
    let max_steps =
        limit.map_or(rules.max_steps, |seconds| rules.max_steps.min(rules.min_steps.max(seconds as usize)));
    let groups = grouped(parts);
    let order = group_order(&groups);
    let mut nodes = Vec::new();
    for (place, &group) in order.iter().enumerate() {
        let is_last = place + 1 == order.len();
        instantiate(&groups[group], place, is_last, verifier.is_some(), staff, &mut nodes);
    }
    join_groups(&mut nodes);
    protect(&mut nodes, guard, parts, staff);
    put_checks_first(&mut nodes);
    let room = max_steps
        - usize::from(verifier.is_some() && !nodes.iter().any(|node| node.closes)).min(max_steps - 1);
    let mut nodes = select(nodes, room);
    merge(&mut nodes, room, staff);
    let mut nodes = sorted(nodes);
    pad(&mut nodes, rules.min_steps.saturating_sub(usize::from(verifier.is_some())), staff);
    if let Some(verifier) = verifier {
        close(&mut nodes, verifier, rules.min_steps, max_steps, parts, staff);
    }
    distinct(&mut nodes);
    nodes
}

/// Neighbouring parts that follow the same playbook.
type Group<'a> = Vec<&'a Matched<'a>>;

fn grouped<'a>(parts: &'a [Matched<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for part in parts {
        let name = part.playbook.map(|playbook| &playbook.name);
        match groups.last_mut() {
            Some(group) if name.is_some() && group[0].playbook.map(|playbook| &playbook.name) == name => {
                group.push(part)
            }
            _ => groups.push(vec![part]),
        }
    }
    groups
}

/// The order of the groups: as written, but what cannot be undone or is public comes after all that it consumes.
fn group_order(groups: &[Group<'_>]) -> Vec<usize> {
    let results = |group: &Group<'_>, of: fn(&PlaybookStep) -> &Vec<String>| -> HashSet<String> {
        group[0].playbook.iter().flat_map(|playbook| &playbook.steps).flat_map(of).cloned().collect()
    };
    let produced: Vec<_> = groups.iter().map(|group| results(group, |step| &step.produces)).collect();
    let consumed: Vec<_> = groups.iter().map(|group| results(group, |step| &step.consumes)).collect();
    let is_public = |group: usize| {
        groups[group][0]
            .playbook
            .is_some_and(|playbook| playbook.steps.iter().any(PlaybookStep::needs_checks))
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    for group in (0..groups.len()).filter(|group| is_public(*group)) {
        let feeds = |other: &usize| {
            consumed[group].intersection(&produced[*other]).next().is_some()
                && consumed[*other].intersection(&produced[group]).next().is_none()
        };
        let at = order.iter().position(|other| *other == group).expect("each once");
        if let Some(last) = order.iter().rposition(feeds).filter(|last| *last > at) {
            order.remove(at);
            order.insert(last, group);
        }
    }
    order
}

/// Adds the steps of one group to `nodes`.
fn instantiate(
    group: &Group<'_>,
    number: usize,
    is_last: bool,
    must_verify: bool,
    staff: &Staff<'_>,
    nodes: &mut Vec<Node>,
) {
    let Some(playbook) = group[0].playbook else {
        // Where the words say nothing, whoever did the part before goes on.
        let before = nodes
            .iter()
            .rfind(|node| node.group + 1 == number && node.is_core && !staff.verifies(node.arm))
            .map(|node| node.arm);
        for matched in group {
            nodes.push(outline(&matched.part, number, before, staff));
        }
        return;
    };
    if absorbed(group, playbook, nodes) {
        return;
    }
    let text: String = group.iter().map(|matched| matched.part.text.as_str()).collect::<Vec<_>>().join(" ");
    let folded = crate::text::fold(&text);
    let applies = |step: &PlaybookStep| {
        step.when.is_empty()
            || step
                .when
                .iter()
                .any(|phrase| crate::text::find_phrase(&folded, &crate::text::fold(phrase)).is_some())
    };
    let core_arm = playbook.steps.iter().filter(|step| step.is_core()).find_map(|step| staff.for_step(step));
    // For each step of the playbook the nodes that stand for it: its own, or those that a left-out step needs.
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
        let is_wanted = applies(step) && !(closes && (!is_last || !must_verify));
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
        if is_first
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
            nodes.push(Node {
                action: fill(&step.action, &matched.part),
                arm,
                criteria: step.acceptance_criteria.clone(),
                needs: before.clone(),
                cost_tier: step.cost_tier,
                seconds: step.duration_seconds,
                group: number,
                rank: if step.is_core() || step.needs_checks() || closes { 0 } else { step.rank },
                is_core: step.is_core(),
                closes,
                needs_checks: step.needs_checks(),
                checks: step.checks()
                    || step.produces.iter().any(|result| ["checked", "backup"].contains(&result.as_str())),
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
fn absorbed(group: &Group<'_>, playbook: &super::Playbook, nodes: &mut [Node]) -> bool {
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

/// The step for a part that no playbook fits: its own words, and criteria without invented detail.
fn outline(part: &Part, group: usize, before: Option<usize>, staff: &Staff<'_>) -> Node {
    let arm = staff.for_words(&part.text).or(before).unwrap_or_else(|| staff.for_text(&part.text));
    let criteria = vec!["It is done as described, and the result is available to the next step".into()];
    Node {
        group,
        is_core: true,
        checks: staff.verifies(arm),
        ..Node::new(capitalized(&part.text), arm, criteria, UNKNOWN_SECONDS, staff)
    }
}

/// Links the groups: what consumes a result waits for what produces it, all else for the group before.
fn join_groups(nodes: &mut [Node]) {
    let groups = nodes.iter().map(|node| node.group + 1).max().unwrap_or(0);
    for group in 1..groups {
        let mut has_link = false;
        for index in 0..nodes.len() {
            if nodes[index].group != group {
                continue;
            }
            for result in nodes[index].consumes.clone() {
                let producers = (0..index)
                    .rev()
                    .filter(|&at| nodes[at].group < group && nodes[at].produces.contains(&result));
                // Of each group before the last producer.
                let mut seen = HashSet::new();
                let producers: Vec<usize> = producers.filter(|&at| seen.insert(nodes[at].group)).collect();
                has_link |= !producers.is_empty();
                nodes[index].needs.extend(producers);
            }
        }
        if has_link {
            continue;
        }
        let same_kind = |a: usize, b: usize| {
            let kind =
                |group: usize| nodes.iter().filter(|node| node.group == group).any(|node| node.needs_checks);
            !kind(a)
                && !kind(b)
                && nodes
                    .iter()
                    .any(|node| node.group == a && node.produces.iter().any(|result| result == "findings"))
                && nodes
                    .iter()
                    .any(|node| node.group == b && node.produces.iter().any(|result| result == "findings"))
        };
        if same_kind(group - 1, group) {
            continue;
        }
        let leaves = leaves(nodes, group - 1);
        for node in nodes.iter_mut().filter(|node| node.group == group) {
            if node.needs.is_empty() {
                node.needs.extend(&leaves);
            }
        }
    }
}

/// The steps of a group that no other step of it waits for.
fn leaves(nodes: &[Node], group: usize) -> Vec<usize> {
    let needed: HashSet<usize> =
        nodes.iter().filter(|node| node.group == group).flat_map(|node| node.needs.iter().copied()).collect();
    (0..nodes.len()).filter(|at| nodes[*at].group == group && !needed.contains(at)).collect()
}

/// Adds the step that protects personal data and secrets, unless a step guards them already.
fn protect(nodes: &mut Vec<Node>, guard: Option<&PlaybookStep>, parts: &[Matched<'_>], staff: &Staff<'_>) {
    let Some((step, arm)) = guard.and_then(|step| Some((step, staff.for_step(step)?))) else { return };
    if nodes.iter().any(|node| node.arm == arm) {
        return;
    }
    let at = nodes.len();
    let first = nodes.iter().position(|node| !node.is_core && !node.needs_checks);
    nodes.push(Node {
        action: fill(&step.action, &parts[0].part),
        arm,
        criteria: step.acceptance_criteria.clone(),
        needs: first.into_iter().collect(),
        cost_tier: step.cost_tier,
        seconds: step.duration_seconds,
        checks: true,
        ..Node::default()
    });
    let before: HashSet<usize> = first.into_iter().collect();
    for index in 0..at {
        if (nodes[index].is_core || nodes[index].needs_checks) && !before.contains(&index) {
            nodes[index].needs.push(at);
        }
    }
}

/// Steps that cannot be undone or that others notice wait for every check that does not itself wait for them.
fn put_checks_first(nodes: &mut [Node]) {
    for index in 0..nodes.len() {
        if !nodes[index].needs_checks {
            continue;
        }
        let behind = waiting_for(nodes, index);
        let group = nodes[index].group;
        let checks: Vec<usize> = (0..nodes.len())
            .filter(|&at| {
                at != index
                    && nodes[at].checks
                    && !nodes[at].closes
                    && nodes[at].group <= group
                    && !behind.contains(&at)
            })
            .collect();
        nodes[index].needs.extend(checks);
    }
    // What must be there for that cannot be left out.
    let guarded: Vec<usize> = (0..nodes.len()).filter(|&at| nodes[at].needs_checks).collect();
    for index in guarded {
        for before in ancestors(nodes, index) {
            if nodes[before].checks {
                nodes[before].rank = nodes[before].rank.min(1);
            }
        }
    }
}

/// The steps that wait for `index`, directly or through others.
fn waiting_for(nodes: &[Node], index: usize) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut open = vec![index];
    while let Some(at) = open.pop() {
        for (other, node) in nodes.iter().enumerate() {
            if node.needs.contains(&at) && found.insert(other) {
                open.push(other);
            }
        }
    }
    found
}

fn ancestors(nodes: &[Node], index: usize) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut open = nodes[index].needs.clone();
    while let Some(at) = open.pop() {
        if found.insert(at) {
            open.extend(&nodes[at].needs);
        }
    }
    found
}

/// Leaves out the least important steps until there are at most `room`; steps that waited for one of them wait for what
/// that one waited for.
fn select(mut nodes: Vec<Node>, room: usize) -> Vec<Node> {
    let mut kept: Vec<bool> = vec![true; nodes.len()];
    let mut count = nodes.len();
    // Checks that guard something go last of their rank.
    let guards = |nodes: &[Node], at: usize| {
        nodes[at].checks && nodes.iter().any(|node| node.needs_checks && node.needs.contains(&at))
    };
    while count > room {
        let spare = (0..nodes.len())
            .filter(|&at| kept[at] && nodes[at].rank > 0)
            .max_by_key(|&at| (nodes[at].rank, !guards(&nodes, at), nodes[at].group, std::cmp::Reverse(at)));
        let Some(spare) = spare else { break };
        kept[spare] = false;
        count -= 1;
        let needs = nodes[spare].needs.clone();
        for node in nodes.iter_mut().filter(|node| node.needs.contains(&spare)) {
            node.needs.retain(|need| *need != spare);
            node.needs.extend(&needs);
        }
    }
    renumbered(nodes, &kept)
}

/// The nodes that are `kept`, with their needs by their new places.
fn renumbered(nodes: Vec<Node>, kept: &[bool]) -> Vec<Node> {
    let mut place = 0;
    let places: Vec<Option<usize>> = kept
        .iter()
        .map(|kept| {
            kept.then(|| {
                place += 1;
                place - 1
            })
        })
        .collect();
    let mut nodes: Vec<Node> =
        nodes.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(node, _)| node).collect();
    for node in &mut nodes {
        node.needs = node.needs.iter().filter_map(|need| places[*need]).collect();
        node.needs.sort_unstable();
        node.needs.dedup();
    }
    nodes
}

/// Puts neighbours together where there are more parts than steps, never two that cannot be undone.
fn merge(nodes: &mut Vec<Node>, room: usize, staff: &Staff<'_>) {
    while nodes.len() > room.max(1) {
        let pair = (0..nodes.len() - 1).min_by_key(|&at| {
            let (a, b) = (&nodes[at], &nodes[at + 1]);
            (
                a.needs_checks || b.needs_checks,
                a.closes || b.closes,
                a.arm != b.arm,
                a.action.len() + b.action.len(),
            )
        });
        let Some(at) = pair else { return };
        let second = nodes.remove(at + 1);
        let first = &mut nodes[at];
        first.action = format!("{}; {}", first.action, lower_first(&second.action));
        for criterion in second.criteria {
            if !first.criteria.contains(&criterion) {
                first.criteria.push(criterion);
            }
        }
        if second.is_core && !first.is_core || staff.verifies(first.arm) && !staff.verifies(second.arm) {
            first.arm = second.arm;
        }
        first.seconds = first.seconds.saturating_add(second.seconds);
        first.cost_tier = first.cost_tier.max(second.cost_tier);
        first.is_core |= second.is_core;
        first.needs_checks |= second.needs_checks;
        first.needs.extend(second.needs);
        for (index, node) in nodes.iter_mut().enumerate() {
            for need in &mut node.needs {
                *need -= usize::from(*need > at);
            }
            node.needs.retain(|need| *need != index);
            node.needs.sort_unstable();
            node.needs.dedup();
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let is_name = text.chars().nth(1).is_some_and(char::is_uppercase);
    match chars.next() {
        Some(first) if !is_name => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// The nodes in an order in which each stands behind what it needs; otherwise as they were.
fn sorted(nodes: Vec<Node>) -> Vec<Node> {
    let mut order: Vec<usize> = Vec::with_capacity(nodes.len());
    let mut placed = vec![false; nodes.len()];
    while order.len() < nodes.len() {
        let next =
            (0..nodes.len()).find(|&at| !placed[at] && nodes[at].needs.iter().all(|need| placed[*need]));
        // A cycle cannot come about; if it did, the order of the text would break it.
        let next = next.unwrap_or_else(|| placed.iter().position(|placed| !placed).expect("one is left"));
        placed[next] = true;
        order.push(next);
    }
    let mut place = vec![0; nodes.len()];
    for (at, &index) in order.iter().enumerate() {
        place[index] = at;
    }
    let mut by_place: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut sorted: Vec<Node> =
        order.iter().map(|&index| by_place[index].take().expect("each once")).collect();
    for (at, node) in sorted.iter_mut().enumerate() {
        node.needs = node.needs.iter().map(|need| place[*need]).filter(|need| *need < at).collect();
        node.needs.sort_unstable();
        node.needs.dedup();
    }
    reduced(&mut sorted);
    sorted
}

/// Removes dependencies that follow from others.
fn reduced(nodes: &mut [Node]) {
    for index in 0..nodes.len() {
        let needs = nodes[index].needs.clone();
        let implied: HashSet<usize> = needs.iter().flat_map(|need| ancestors(nodes, *need)).collect();
        nodes[index].needs.retain(|need| !implied.contains(need));
    }
}

/// Adds general steps around the first ones until there are `min` of them.
fn pad(nodes: &mut Vec<Node>, min: usize, staff: &Staff<'_>) {
    const BEFORE: [(&str, &str); 2] = [
        (
            "Clarify what is wanted, what is given and when it is done",
            "What is wanted and how it will be checked is written down",
        ),
        ("Gather what is needed for it", "Everything that is needed is at hand"),
    ];
    const AROUND: [(&str, &str); 4] = [
        ("Look for what could go wrong with", "Each risk has an answer"),
        ("Record the result of", "The result can be found again"),
        ("Ask those concerned about", "Their answers are taken into account"),
        ("Check the outcome of", "Deviations are named"),
    ];
    let closing = nodes.last().filter(|node| node.closes).is_some();
    let mut missing = min.saturating_sub(nodes.len() - usize::from(closing));
    let general = |action: String, criterion: &str, needs: Vec<usize>, staff: &Staff<'_>| {
        let arm = staff.for_text(&action);
        Node {
            needs,
            cost_tier: 1,
            ..Node::new(action, arm, vec![criterion.to_owned()], CHECK_SECONDS, staff)
        }
    };
    for (action, criterion) in BEFORE.into_iter().rev() {
        if missing == 0 {
            return;
        }
        if missing == 1 && action.starts_with("Gather") && !closing && min < 4 {
            continue;
        }
        for node in nodes.iter_mut() {
            node.needs.iter_mut().for_each(|need| *need += 1);
            if node.needs.is_empty() {
                node.needs.push(0);
            }
        }
        nodes.insert(0, general(action.into(), criterion, Vec::new(), staff));
        missing -= 1;
    }
    let work = nodes.len() - usize::from(closing);
    for index in 0..missing {
        let (lead, criterion) = AROUND[index % AROUND.len()];
        let of = index % work;
        let at = nodes.len() - usize::from(closing);
        let step = general(format!("{lead} {}", quoted(&nodes[of].action)), criterion, vec![of], staff);
        nodes.insert(at, step);
        if closing {
            let last = nodes.len() - 1;
            nodes[last].needs.push(at);
        }
    }
}

/// Ends the plan with a step of the verifying arm that waits for everything.
fn close(
    nodes: &mut Vec<Node>,
    verifier: usize,
    min_steps: usize,
    max_steps: usize,
    parts: &[Matched<'_>],
    staff: &Staff<'_>,
) {
    let is_closed = nodes.last().is_some_and(|last| last.closes || staff.verifies(last.arm) && last.checks);
    if (!is_closed || nodes.len() < min_steps) && nodes.len() < max_steps {
        let goal = parts.iter().map(|matched| matched.part.object.as_str()).collect::<Vec<_>>();
        let action = match goal.as_slice() {
            [one] => format!("Verify that the result does what was asked about {one}"),
            _ => "Verify that the results together do everything that was asked".to_owned(),
        };
        let criteria =
            vec!["Every acceptance criterion of the earlier steps is met, or its failure is reported".into()];
        nodes.push(Node {
            closes: true,
            checks: true,
            ..Node::new(action, verifier, criteria, CHECK_SECONDS, staff)
        });
    }
    let needed: HashSet<usize> = nodes.iter().flat_map(|node| node.needs.iter().copied()).collect();
    let Some((last, others)) = nodes.split_last_mut() else { return };
    if !staff.verifies(last.arm) {
        last.arm = verifier;
    }
    last.needs.extend((0..others.len()).filter(|at| !needed.contains(at)));
    last.needs.sort_unstable();
    last.needs.dedup();
}

/// Makes actions distinct.
pub(super) fn distinct(nodes: &mut [Node]) {
    let mut taken = HashSet::new();
    for (index, node) in nodes.iter_mut().enumerate() {
        if !taken.insert(node.action.to_lowercase()) {
            node.action = format!("{} (step {})", node.action, index + 1);
            taken.insert(node.action.to_lowercase());
        }
        let mut seen = HashSet::new();
        node.criteria.retain(|criterion| !criterion.trim().is_empty() && seen.insert(criterion.clone()));
    }
}
