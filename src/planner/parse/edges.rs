//! Dependencies that are written next to the steps: lists of edges, maps from step to steps, orders.

use serde_json::{Map, Value};

use super::arm_names::ArmNames;
use super::columns::{add_edges, says_something};
use super::doubt::Doubt;
use super::keys::{self, Direction};
use super::locate::repeats_a_step;
use super::references::References;
use super::steps::{StepList, is_step, known_fields};
use super::values::whole;
use crate::domain::arms::is_same_name;
use crate::planner::draft::DraftStep;

/// Edges of one list that are read.
const MAX_EDGES: usize = 2_000;
/// Steps beyond which nothing is accounted for: the plan is refused as too long.
const MAX_STEPS: usize = 100;
/// How many objects deep edges may be nested (`{"graph": {"edges": […]}}`).
const MAX_DEPTH: usize = 3;
/// Keys of an edge whose value comes first.
const FIRST_WORDS: &[&str] = &[
    "from",
    "source",
    "src",
    "start",
    "predecess",
    "parent",
    "prereq",
    "upstream",
    "before",
    "blocker",
    "tail",
];
/// And those whose value comes after it.
const SECOND_WORDS: &[&str] = &[
    "to",
    "target",
    "dst",
    "dest",
    "end",
    "success",
    "child",
    "dependent",
    "downstream",
    "after",
    "blocked",
    "head",
];
/// Keys of the step that an entry is about.
const STEP_WORDS: &[&str] = &["step", "task", "id", "node", "number", "name"];
/// Words in keys of orders.
const ORDER_WORDS: &[&str] =
    &["order", "sequence", "level", "group", "batch", "wave", "parallel", "schedul", "flow", "layer"];
/// Those in keys of steps that belong together and do not wait for each other.
const GROUP_WORDS: &[&str] = &["group", "batch", "wave", "parallel", "level", "layer"];

/// Reads what the members of `object`, other than `plan`, in which the steps were found, say about the steps.
pub(super) fn read_beside(list: &mut StepList, object: &Map<String, Value>, plan: &Value, arms: &ArmNames) {
    if list.draft.steps.len() > MAX_STEPS {
        return;
    }
    let read_already = [keys::RATIONALE, keys::CONFIDENCE, keys::QUESTIONS, keys::DETAILS];
    let is_open = |key: &str| !read_already.iter().any(|names| keys::is_one_of(key, names));
    for (key, value) in object.iter().filter(|(key, value)| is_open(key) && !std::ptr::eq(*value, plan)) {
        if !read_member(list, key, value, arms, MAX_DEPTH) && says_something(value) {
            list.draft.unused.push(key.clone());
        }
    }
}

/// Whether the member says something about the steps, or is a text or a number about the whole plan.
fn read_member(list: &mut StepList, key: &str, value: &Value, arms: &ArmNames, depth: usize) -> bool {
    match value {
        Value::Array(items) if !items.is_empty() => read_list(list, key, items, arms),
        Value::Object(members) if !members.is_empty() => {
            if read_map(list, key, members) {
                return true;
            }
            if depth == 0 {
                return false;
            }
            let is_step = is_further_step(list, value, arms);
            if is_step {
                list.doubts.push(Doubt::UnusedSteps);
            }
            let parts = members
                .iter()
                .filter(|(_, value)| value.is_array() || value.is_object() || value.is_string());
            let read = parts.map(|(key, value)| read_member(list, key, value, arms, depth - 1));
            read.fold(false, |any, one| any | one) || is_step
        }
        Value::String(text) if has_arrow(text) => {
            if let Some(edges) = in_text(&list.references(0), text) {
                add_pairs(list, &edges);
            } else if !list.references(0).mentioned(text).is_empty() {
                list.doubts.push(Doubt::UnclearEdges);
            }
            true
        }
        _ => depth == MAX_DEPTH,
    }
}

fn read_list(list: &mut StepList, key: &str, items: &[Value], arms: &ArmNames) -> bool {
    if items.iter().take(MAX_EDGES).any(|item| contradicts(list, item)) {
        list.doubts.push(Doubt::UnusedSteps);
        return true;
    }
    if items.iter().any(|item| is_further_step(list, item, arms)) && edges_of(list, items).is_none() {
        list.doubts.push(Doubt::UnusedSteps);
        return true;
    }
    let is_order = keys::has_word(key, ORDER_WORDS);
    if !is_order && let Some(edges) = edges_of(list, items) {
        add_pairs(list, &edges);
    } else if let Some(needs) = needs_of_each(list, items) {
        add_edges(list, key, &needs);
        list.has_dependencies = true;
    } else if let Some(levels) = levels(list, items) {
        read_levels(list, &levels, is_order);
    } else if let Some(groups) = groups(list, key, items) {
        for steps in &groups {
            check_group(list, steps);
        }
    } else if let Some(edges) = edges_of(list, items) {
        add_pairs(list, &edges);
    } else if items.len() > 1
        && items.iter().all(|item| !item.is_object())
        && let Some(steps) = list.references(0).certain(&Value::Array(items.to_vec()))
    {
        check_group(list, &steps);
    } else {
        return false;
    }
    true
}

/// `before`, `after`: each edge from a step to one that waits for it.
fn add_pairs(list: &mut StepList, edges: &[Edge]) {
    for edge in edges {
        match *edge {
            Edge::Pair(before, after) => list.add_dependency(after, before),
            Edge::Unclear => list.doubts.push(Doubt::UnclearEdges),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Edge {
    /// The first, and the one that waits for it.
    Pair(i64, i64),
    /// Two steps, and which of them comes first is not said.
    Unclear,
}

/// The edges in a list that has nothing else.
fn edges_of(list: &StepList, items: &[Value]) -> Option<Vec<Edge>> {
    let references = list.references(0);
    let read = |item: &Value| match item {
        Value::Array(ends) => match ends.as_slice() {
            [first, second] => Some(vec![Edge::Pair(one(&references, first)?, one(&references, second)?)]),
            _ => None,
        },
        Value::Object(members) => edge_object(&references, members),
        Value::String(text) if has_arrow(text) => in_text(&references, text),
        _ => None,
    };
    let is_between_steps = |item: &&Value| !touches_an_end(&references, item);
    let edges: Option<Vec<Vec<Edge>>> =
        items.iter().filter(is_between_steps).take(MAX_EDGES).map(read).collect();
    edges.map(|edges| edges.concat()).filter(|edges| !edges.is_empty())
}

/// Whether a value is the beginning or the end of a graph, as `LangGraph` and others write them, and not a step.
fn is_end(references: &References<'_>, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let word = text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    matches!(word.as_str(), "start" | "end" | "begin" | "finish" | "stop" | "entry" | "exit")
        && one(references, value).is_none()
}

fn touches_an_end(references: &References<'_>, edge: &Value) -> bool {
    match edge {
        Value::Array(ends) => ends.len() == 2 && ends.iter().any(|end| is_end(references, end)),
        Value::Object(members) => {
            let is_end = |(key, end): (&String, &Value)| {
                (keys::has_word(key, FIRST_WORDS) || keys::has_word(key, SECOND_WORDS))
                    && is_end(references, end)
            };
            members.iter().any(is_end)
        }
        _ => false,
    }
}

/// `{"from": 1, "to": 2}`, `{"step": 2, "depends_on": [1]}`.
fn edge_object(references: &References<'_>, members: &Map<String, Value>) -> Option<Vec<Edge>> {
    let ends = || members.iter().filter_map(|(key, value)| Some((key.as_str(), one(references, value)?)));
    let with = |words: &[&str]| {
        let mut found = ends().filter(|(key, _)| keys::has_word(key, words));
        found.next().filter(|_| found.next().is_none())
    };
    if let (Some((first_key, first)), Some((second_key, second))) = (with(FIRST_WORDS), with(SECOND_WORDS))
        && first_key != second_key
    {
        return Some(vec![Edge::Pair(first, second)]);
    }
    let is_about_step = |key: &str| keys::has_word(key, STEP_WORDS) && keys::direction(key).is_none();
    if let Some((own_key, own)) = ends().find(|(key, _)| is_about_step(key)) {
        let mut others = members.iter().filter(|(key, _)| *key != own_key && keys::direction(key).is_some());
        let (key, value) = others.next()?;
        if others.next().is_some() {
            return None;
        }
        let steps = match value {
            Value::Number(_) => vec![one(references, value)?],
            Value::Null => Vec::new(),
            other => references.certain(other)?,
        };
        let edge = |other| match keys::direction(key) {
            Some(Direction::Forward) => Edge::Pair(own, other),
            _ => Edge::Pair(other, own),
        };
        return Some(steps.into_iter().map(edge).collect());
    }
    (members.len() >= 2 && ends().count() == 2).then_some(vec![Edge::Unclear])
}

/// The one step that a value means.
fn one(references: &References<'_>, value: &Value) -> Option<i64> {
    let steps = if value.is_number() {
        references.certain(&Value::Array(vec![value.clone()]))?
    } else if value.is_string() {
        references.certain(value)?
    } else {
        return None;
    };
    match steps.as_slice() {
        [step] => Some(*step),
        _ => None,
    }
}

const ARROWS: [&str; 6] = ["-->", "->", "→", "=>", "⇒", "➔"];

fn has_arrow(text: &str) -> bool {
    ARROWS.iter().any(|arrow| text.contains(arrow))
}

/// `1 -> 2 -> 4; 1 -> 3`, `1 -> (2, 3) -> 4`, mermaid's `graph TD; S1[Gather]-->S2`.
fn in_text(references: &References<'_>, text: &str) -> Option<Vec<Edge>> {
    let plain = ARROWS.iter().fold(text.to_owned(), |text, arrow| text.replace(arrow, "\u{1}"));
    let mut edges = Vec::new();
    let mut seen: Vec<i64> = Vec::new();
    for part in parts(&plain) {
        if is_head_of_diagram(part) {
            continue;
        }
        let ends: Vec<Vec<i64>> = part
            .split('\u{1}')
            .filter(|end| !is_end(references, &Value::from(*end)))
            .map(|end| group(references, end.trim()))
            .collect::<Option<_>>()?;
        // `1 -> 2, 3 -> 4` may be two edges, or a group without brackets.
        let is_apart = !seen.is_empty() && !ends.iter().flatten().any(|end| seen.contains(end));
        edges.extend(is_apart.then_some(Edge::Unclear));
        seen.extend(ends.iter().flatten());
        for pair in ends.windows(2) {
            let all = pair[0].iter().flat_map(|first| pair[1].iter().map(|second| (*first, *second)));
            edges.extend(all.map(|(first, second)| Edge::Pair(first, second)));
        }
    }
    (!edges.is_empty()).then_some(edges)
}

/// The parts of a text between commas, semicolons and ends of lines that are not in brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let parts = text.split(move |c| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        depth <= 0 && matches!(c, '\n' | ';' | ',')
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// `graph TD`, `flowchart LR`: what a diagram for mermaid begins with.
fn is_head_of_diagram(part: &str) -> bool {
    matches!(part.split(' ').next(), Some("graph" | "flowchart")) && part.split(' ').count() <= 2
}

/// The steps at one end of an arrow: one, which may have its title in brackets behind it, or a group in brackets.
fn group(references: &References<'_>, end: &str) -> Option<Vec<i64>> {
    if let Some(step) = one(references, &Value::from(end)) {
        return Some(vec![step]);
    }
    match end.find(['(', '[', '{'])? {
        0 => references.certain(&Value::from(end)),
        at => one(references, &Value::from(end[..at].trim())).map(|step| vec![step]),
    }
}

/// `{"2": [1], "3": [1, 2]}`: each step and those that it is related to.
fn read_map(list: &mut StepList, key: &str, members: &Map<String, Value>) -> bool {
    let references = list.references(0);
    let mut edges = Vec::new();
    for (step, value) in members.iter().take(MAX_EDGES) {
        let Some(step) = one(&references, &Value::from(step.as_str())) else { return false };
        let others = match value {
            Value::Object(inner) if inner.len() == 1 && keys::field(inner, keys::DEPENDS_ON).is_some() => {
                match inner.values().next().and_then(|value| references.certain(value)) {
                    Some(others) => others,
                    None => return false,
                }
            }
            Value::Null => Vec::new(),
            Value::Number(_) => match one(&references, value) {
                Some(other) => vec![other],
                None => return false,
            },
            other if !other.is_object() && references.read(other).is_empty() => Vec::new(),
            other => match references.certain(other) {
                Some(others) => others,
                None => return false,
            },
        };
        edges.extend(others.into_iter().map(|other| (step, other)));
    }
    // Numbers may be anything: durations, costs.
    let are_numbers = members.values().all(Value::is_number);
    if are_numbers && keys::direction(key).is_none() {
        return false;
    }
    add_edges(list, key, &edges);
    list.has_dependencies = true;
    true
}

/// `[[], [1], [1, 2]]`: for each step, in order, what it needs.
fn needs_of_each(list: &StepList, items: &[Value]) -> Option<Vec<(i64, i64)>> {
    if items.len() != list.numbers.len() || !items.iter().all(Value::is_array) {
        return None;
    }
    let references = list.references(0);
    let mut edges = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let own = list.numbers[place];
        let needs = references.certain(item)?;
        // A step in its own entry shows that this is another kind of list.
        if needs.contains(&own) || needs.iter().any(|needed| list.place_of(*needed) > Some(place)) {
            return None;
        }
        edges.extend(needs.into_iter().map(|needed| (own, needed)));
    }
    Some(edges)
}

/// All steps, each once, in groups that follow each other.
fn levels(list: &StepList, items: &[Value]) -> Option<Vec<Vec<i64>>> {
    let references = list.references(0);
    let levels: Vec<Vec<i64>> = items
        .iter()
        .map(|item| {
            if item.is_array() {
                references.certain(item)
            } else {
                one(&references, item).map(|step| vec![step])
            }
        })
        .collect::<Option<_>>()?;
    let mut all = levels.concat();
    all.sort_unstable();
    let mut numbers = list.numbers.clone();
    numbers.sort_unstable();
    (all == numbers).then_some(levels)
}

/// An order counts where nothing else is said about dependencies, and must otherwise agree with what is.
fn read_levels(list: &mut StepList, levels: &[Vec<i64>], is_order: bool) {
    if list.has_dependencies {
        let contradicts = |at: usize, step: i64| {
            levels[at..].concat().into_iter().any(|later| later != step && list.waits_for(step, later))
        };
        if levels.iter().enumerate().any(|(at, level)| level.iter().any(|step| contradicts(at, *step))) {
            list.doubts.push(Doubt::UnclearEdges);
        }
        return;
    }
    if !is_order {
        list.doubts.push(Doubt::UnclearEdges);
    }
    for pair in levels.windows(2) {
        for (step, needed) in
            pair[1].iter().flat_map(|step| pair[0].iter().map(move |needed| (*step, *needed)))
        {
            list.add_dependency(step, needed);
        }
    }
}

/// Some of the steps in groups, under a key that says so.
fn groups(list: &StepList, key: &str, items: &[Value]) -> Option<Vec<Vec<i64>>> {
    let references = list.references(0);
    let is_group = keys::has_word(key, GROUP_WORDS) && items.iter().all(Value::is_array);
    is_group.then(|| items.iter().map(|item| references.certain(item)).collect())?
}

/// Some steps in a list of their own: a chain that the dependencies have, or a group without any adds nothing.
fn check_group(list: &mut StepList, steps: &[i64]) {
    let is_chain = steps.windows(2).all(|pair| list.waits_for(pair[1], pair[0]));
    let is_free =
        steps.iter().all(|step| steps.iter().all(|other| step == other || !list.waits_for(*step, *other)));
    if list.has_dependencies && !is_chain && !is_free {
        list.doubts.push(Doubt::UnclearEdges);
    }
}

/// Whether a value says of one of the steps that another arm does it, or that it depends on other steps.
fn contradicts(list: &StepList, value: &Value) -> bool {
    let Some(object) = value.as_object() else { return false };
    let (said, _) = known_fields(value, object);
    let same_action = |step: &DraftStep| !said.action.is_empty() && step.action.trim() == said.action.trim();
    let by_action = list.draft.steps.iter().position(same_action);
    let Some(place) = said.number.and_then(|number| list.place_of(number)).or(by_action) else {
        return false;
    };
    let step = &list.draft.steps[place];
    let needs = keys::field(object, keys::DEPENDS_ON).and_then(|value| list.references(place).certain(value));
    let differs = |needs: Vec<i64>| {
        !step.depends_on.is_empty()
            && (needs.len() != step.depends_on.len()
                || needs.into_iter().any(|needed| !step.depends_on.contains(&Some(needed))))
    };
    !said.arm.is_empty() && !is_same_name(&said.arm, &step.arm) || needs.is_some_and(differs)
}

/// Whether a value is a step that is not in the list; one with the number of a step there says something about it.
fn is_further_step(list: &StepList, value: &Value, arms: &ArmNames) -> bool {
    let Some(object) = value.as_object().filter(|_| is_step(value, arms)) else { return false };
    let number = keys::field(object, keys::NUMBER).and_then(whole);
    let is_about_step = number.is_some_and(|number| list.numbers.contains(&number))
        && keys::field(object, keys::CRITERIA).is_none();
    !is_about_step && !repeats_a_step(&list.draft, value)
}
