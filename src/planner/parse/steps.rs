//! Steps under any keys: known names first, then what a key's words and its values in all steps say.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::arm_names::{ArmNames, arm, arms_in};
use super::columns::Columns;
use super::doubt::Doubt;
use super::keys::{self, field, member};
use super::lists::texts;
use super::probability::fraction;
use super::references::{Reference, References, is_zero, number_of_key};
use super::values::{number, seconds, text, whole};
use crate::planner::draft::{Draft, DraftStep};
use crate::text::{fold, is_blank};

/// Members of a step beyond which none is looked for as an id.
const MAX_MEMBERS: usize = 100;
/// Longest text that may be an arm's name, in characters.
const MAX_ARM_NAME: usize = 100;

/// A list of steps that was read, and what is needed to read references to them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepList {
    pub(super) draft: Draft,
    /// The number by which references mean each step.
    pub(super) numbers: Vec<i64>,
    /// The same by what else each step is called, in lower case.
    pub(super) names: HashMap<String, i64>,
    /// Whether anything is said about dependencies, if only that there are none.
    pub(super) has_dependencies: bool,
    /// The places of steps that say nothing about them under a known name.
    silent: Vec<usize>,
    pub(super) doubts: Vec<Doubt>,
}

impl StepList {
    /// A plan without steps.
    pub(super) fn empty() -> Self {
        Self {
            draft: Draft::default(),
            numbers: Vec::new(),
            names: HashMap::new(),
            has_dependencies: true,
            silent: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// The steps in `items`.
    pub(super) fn read(items: &[Cow<'_, Value>], arms: &ArmNames) -> Self {
        let empty = Map::new();
        let objects: Vec<&Map<String, Value>> =
            items.iter().map(|item| item.as_object().unwrap_or(&empty)).collect();
        let mut claimed: Vec<Vec<&str>> = Vec::with_capacity(items.len());
        let mut steps: Vec<DraftStep> = Vec::with_capacity(items.len());
        for (item, object) in items.iter().zip(&objects) {
            let (step, keys) = known_fields(item, object);
            steps.push(step);
            claimed.push(keys);
        }
        let mut columns = Columns::new(&objects, &claimed);
        fill_numbers(&mut steps, &mut columns);
        fill_arms(&mut steps, &mut columns, arms);
        fill_actions(&mut steps, &mut columns);
        let numbers = numbers(&mut steps, &objects);
        let names = names(&objects, &steps, &numbers);
        let mut list = Self {
            draft: Draft { steps, ..Draft::default() },
            numbers,
            names,
            has_dependencies: false,
            silent: Vec::new(),
            doubts: Vec::new(),
        };
        fill_criteria(&mut list, &mut columns);
        list.read_known_dependencies(&objects);
        columns.place_the_rest(&mut list, arms);
        list
    }

    pub(super) fn references(&self, place: usize) -> References<'_> {
        References { names: &self.names, numbers: &self.numbers, before: &self.numbers[..place] }
    }

    /// Dependencies under the names that are known for them.
    fn read_known_dependencies(&mut self, objects: &[&Map<String, Value>]) {
        let says_something =
            |object: &&Map<String, Value>| object.keys().any(|key| keys::is_one_of(key, keys::DEPENDS_ON));
        let is_silent = |(_, object): &(usize, &&Map<String, Value>)| !says_something(object);
        self.silent = objects.iter().enumerate().filter(is_silent).map(|(place, _)| place).collect();
        for (place, object) in objects.iter().enumerate() {
            let Some(value) = field(object, keys::DEPENDS_ON) else { continue };
            self.has_dependencies = true;
            let mut references = self.references(place).read(value);
            let is_unclear = |reference: &Reference| match reference {
                Reference::Step(_) => false,
                Reference::Unclear => true,
                // Nothing is before the first step, so nothing of the order is lost.
                Reference::Other => place > 0,
            };
            if references.iter().any(is_unclear) {
                self.doubts.push(Doubt::UnclearDependency(place));
                references.retain(|reference| !is_unclear(reference));
            } else if references.is_empty() && is_zero(value) {
                // Who counts from 0 may mean the first step.
                references.push(Reference::Step(0));
            }
            self.draft.steps[place].depends_on = references.into_iter().map(Reference::number).collect();
        }
    }

    /// Lets the step of one number depend on that of another, unless it does.
    pub(super) fn add_dependency(&mut self, step: i64, needed: i64) {
        let Some(place) = self.place_of(step).filter(|_| step != needed) else { return };
        let depends_on = &mut self.draft.steps[place].depends_on;
        if !depends_on.contains(&Some(needed)) {
            depends_on.push(Some(needed));
        }
        self.has_dependencies = true;
    }

    pub(super) fn place_of(&self, number: i64) -> Option<usize> {
        self.numbers.iter().position(|known| *known == number)
    }

    /// Whether the step of one number waits, directly or through others, for that of another.
    pub(super) fn waits_for(&self, step: i64, needed: i64) -> bool {
        let mut open = vec![step];
        let mut seen = Vec::new();
        while let Some(step) = open.pop() {
            if step == needed {
                return true;
            }
            if seen.contains(&step) {
                continue;
            }
            seen.push(step);
            if let Some(place) = self.place_of(step) {
                open.extend(self.draft.steps[place].depends_on.iter().flatten());
            }
        }
        false
    }

    /// What `object`, in which the steps were found, says about the whole plan.
    pub(super) fn add_rest(&mut self, object: &Map<String, Value>) {
        let by_words =
            |words| object.iter().find(|(key, _)| keys::has_word(key, words)).map(|(_, value)| value);
        if self.draft.rationale.is_none() {
            let value = field(object, keys::RATIONALE).or_else(|| by_words(keys::RATIONALE_WORDS));
            self.draft.rationale = value.and_then(text);
        }
        if self.draft.confidence.is_none() {
            let value = field(object, keys::CONFIDENCE).or_else(|| by_words(&["confiden", "certaint"]));
            self.draft.confidence = value.and_then(fraction);
        }
        if self.draft.open_questions.is_empty()
            && let Some(questions) = field(object, keys::QUESTIONS)
        {
            self.draft.open_questions = texts(questions);
        }
    }

    /// Settles what can be settled only when all has been read: without a word about dependencies, the steps are
    /// taken in the order in which they are written.
    pub(super) fn finish(mut self) -> (Draft, Vec<Doubt>) {
        if !self.has_dependencies && self.draft.steps.len() > 1 {
            self.doubts.push(Doubt::NoDependencies);
            for (step, before) in self.draft.steps.iter_mut().skip(1).zip(&self.numbers) {
                step.depends_on = vec![Some(*before)];
            }
        }
        // A first step that says that it has none makes silence unclear; else silent ones may mean the same.
        let first_is_silent = self.silent.first() == Some(&0);
        let without = |place: &usize| self.draft.steps[*place].depends_on.is_empty();
        let doubt = |place: usize| {
            let action = &self.draft.steps[place].action;
            let names_another = || self.references(place).names_an_earlier_step(action);
            let unplaced = || names_another().then_some(Doubt::UnplacedReference(place));
            if first_is_silent { unplaced() } else { Some(Doubt::UnclearDependency(place)) }
        };
        let found: Vec<Doubt> = self.silent.iter().copied().filter(without).filter_map(doubt).collect();
        self.doubts.extend(found);
        self.doubts.sort_unstable();
        self.doubts.dedup();
        (self.draft, self.doubts)
    }
}

/// The fields under known names, and the keys that they have. Dependencies are read later.
pub(super) fn known_fields<'a>(item: &Value, object: &'a Map<String, Value>) -> (DraftStep, Vec<&'a str>) {
    let number_member = member(object, keys::NUMBER);
    let number_value = number_member.map(|(_, value)| value);
    let action = member(object, keys::ACTION)
        // `"step": "Write the tests"`
        .or_else(|| number_member.filter(|(_, value)| value.is_string() && whole(value).is_none()));
    let arm_member = member(object, keys::ARM);
    let criteria = member(object, keys::CRITERIA);
    let cost = member(object, keys::COST);
    let duration = member(object, keys::SECONDS);
    let minutes = member(object, keys::MINUTES);
    let step = DraftStep {
        number: number_value.and_then(whole),
        action: action
            .map(|(_, value)| value)
            .or(Some(item).filter(|item| item.is_string()))
            .and_then(text)
            .unwrap_or_default(),
        arm: arm_member.and_then(|(_, value)| arms_in(value)).unwrap_or_default(),
        criteria: criteria.map(|(_, value)| texts(value)).unwrap_or_default(),
        depends_on: Vec::new(),
        cost_tier: cost.and_then(|(_, value)| number(value)),
        seconds: duration
            .and_then(|(_, value)| seconds(value))
            .or_else(|| Some(number(minutes?.1)? * 60.0).filter(|seconds| seconds.is_finite())),
    };
    let depends_on = member(object, keys::DEPENDS_ON);
    let members = [number_member, action, arm_member, criteria, cost, duration, minutes, depends_on];
    (step, members.into_iter().flatten().map(|(key, _)| key).collect())
}

/// Whether `value` looks like a step, by the names of its keys or because an arm's name is in it.
pub(super) fn is_step(value: &Value, arms: &ArmNames) -> bool {
    has_keys_of_step(value, arms) || value.as_object().is_some_and(|object| has_text_and_arm(object, arms))
}

/// Whether `value` looks like a step by the names of its keys.
pub(super) fn has_keys_of_step(value: &Value, arms: &ArmNames) -> bool {
    value.as_object().is_some_and(|object| {
        let has = |names| field(object, names).is_some();
        if !has(keys::ARM) && !has(keys::CRITERIA) && is_phase(object, arms) {
            return false;
        }
        let is_text = |names| field(object, names).is_some_and(Value::is_string);
        has(keys::ARM)
            || has(keys::CRITERIA)
            || is_text(&["action"])
            || is_text(keys::ACTION) && has(keys::NUMBER)
    })
}

/// Whether an object is only a frame around steps.
fn is_phase(object: &Map<String, Value>, arms: &ArmNames) -> bool {
    let steps = field(object, keys::STEPS).and_then(Value::as_array);
    steps.is_some_and(|steps| !steps.is_empty() && steps.iter().all(|step| is_step(step, arms)))
}

/// Whether an arm's name is next to another text, regardless of the keys.
fn has_text_and_arm(object: &Map<String, Value>, arms: &ArmNames) -> bool {
    const MAX_MEMBERS_OF_STEP: usize = 30;
    let texts = || object.values().filter_map(Value::as_str);
    object.len() <= MAX_MEMBERS_OF_STEP && texts().count() > 1 && texts().any(|text| arms.has(text))
}

/// If no step has a number under a known key: whole numbers that are unique to each step, in order.
fn fill_numbers(steps: &mut [DraftStep], columns: &mut Columns<'_>) {
    if steps.iter().any(|step| step.number.is_some()) {
        return;
    }
    let count = steps.len();
    let column = columns.only(|column| {
        let numbers: Vec<i64> = column.values().filter(|value| !value.is_array()).filter_map(whole).collect();
        numbers.len() == count
            && (0..=1).contains(&numbers[0])
            && numbers.windows(2).all(|pair| pair[1] > pair[0])
    });
    for (place, value) in column.map(|column| columns.take(column)).unwrap_or_default() {
        steps[place].number = whole(value);
    }
}

/// Takes arms from the key whose values are mostly arms' names, unless a known key has such values.
fn fill_arms(steps: &mut [DraftStep], columns: &mut Columns<'_>, arms: &ArmNames) {
    let named = steps.iter().filter(|step| !step.arm.is_empty()).count();
    let known = steps.iter().filter(|step| arms.has(&step.arm)).count();
    let needs_another = known * 2 <= named;
    if named == steps.len() && !needs_another {
        return;
    }
    let is_arm = |value: &&Value| arm(value).is_some_and(|name| arms.has(&name));
    let best = columns.best(|column| {
        let exact = column.values().filter(|value| arm(value).is_some_and(|name| arms.is(&name))).count();
        let hits = column.values().filter(is_arm).count();
        // A list has arms only where each step may have several.
        let lists =
            column.values().filter(|value| value.as_array().is_some_and(|items| items.len() > 1)).count();
        (hits * 2 > column.len() && (exact * 2 > column.len() || lists == 0)).then_some((exact, hits))
    });
    if let Some(column) = best {
        for (place, value) in columns.take(column) {
            if steps[place].arm.is_empty() || needs_another && !arms.has(&steps[place].arm) {
                steps[place].arm = arms_in(value).unwrap_or_default();
            }
        }
    }
    if steps.iter().all(|step| !step.arm.is_empty()) {
        return;
    }
    let is_name = |value: &&Value| {
        arm(value).is_some_and(|name| !name.trim().is_empty() && name.chars().count() <= MAX_ARM_NAME)
    };
    let by_words = columns.best(|column| {
        let fits = column.has_word(keys::ARM_WORDS) && column.values().all(|value| is_name(&value));
        fits.then_some(column.len())
    });
    for (place, value) in by_words.map(|column| columns.take(column)).unwrap_or_default() {
        if steps[place].arm.is_empty() {
            steps[place].arm = arms_in(value).unwrap_or_default();
        }
    }
}

/// Where no step says what to do under a known key: the texts under a key that means it, else the longest.
fn fill_actions(steps: &mut [DraftStep], columns: &mut Columns<'_>) {
    let is_missing = |step: &DraftStep| is_blank(&step.action);
    if steps.iter().filter(|step| is_missing(step)).count() * 2 <= steps.len() {
        return;
    }
    let best = columns.best(|column| {
        let length: usize = column.values().map(|value| value.as_str().map_or(0, str::len)).sum();
        let fits = column.len() * 2 > steps.len() && column.values().all(Value::is_string);
        fits.then_some((column.has_word(keys::ACTION_WORDS), length))
    });
    for (place, value) in best.map(|column| columns.take(column)).unwrap_or_default() {
        if is_missing(&steps[place]) {
            steps[place].action = text(value).unwrap_or_default();
        }
    }
}

/// Where steps have no criteria under a known key: those under a key that means it, else the only lists of texts.
fn fill_criteria(list: &mut StepList, columns: &mut Columns<'_>) {
    if list.draft.steps.iter().all(|step| !step.criteria.is_empty()) {
        return;
    }
    let references = References { names: &list.names, numbers: &list.numbers, before: &[] };
    let holds_texts =
        |value: &Value| !texts(value).is_empty() && !value.is_number() && references.certain(value).is_none();
    let by_words = columns.best(|column| {
        let rank = keys::CRITERIA_WORDS.iter().rev().position(|word| column.has_word(&[word]))?;
        column.values().all(holds_texts).then_some((column.len(), rank))
    });
    let column = by_words.or_else(|| {
        let lists = |value: &Value| value.is_array() && holds_texts(value);
        columns.only(|column| column.len() * 2 > list.draft.steps.len() && column.values().all(lists))
    });
    for (place, value) in column.map(|column| columns.take(column)).unwrap_or_default() {
        let criteria = &mut list.draft.steps[place].criteria;
        if criteria.is_empty() {
            *criteria = texts(value);
        }
    }
}

/// The numbers by which steps are referred to: those that each step has for itself, else their places.
fn numbers(steps: &mut [DraftStep], objects: &[&Map<String, Value>]) -> Vec<i64> {
    let written: Vec<i64> = steps.iter().filter_map(|step| step.number).collect();
    if are_distinct(&written) && written.len() == steps.len() {
        return written;
    }
    let places: Vec<i64> = (1..=steps.len() as i64).collect();
    let is_named = |object: &&Map<String, Value>| field(object, keys::NUMBER).is_some_and(Value::is_string);
    if written.is_empty() && (objects.iter().all(is_named) || !id_keys(objects).is_empty()) {
        // Names are numbers enough.
        for (step, place) in steps.iter_mut().zip(&places) {
            step.number = Some(*place);
        }
    }
    places
}

pub(super) fn are_distinct(numbers: &[i64]) -> bool {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

/// The numbers of steps by what else they are called.
pub(super) fn names(
    objects: &[&Map<String, Value>],
    steps: &[DraftStep],
    numbers: &[i64],
) -> HashMap<String, i64> {
    let mut names = HashMap::new();
    let mut add = |name: &str, number: i64| {
        if !name.trim().is_empty() {
            let name = name.trim().trim_end_matches('.').to_lowercase();
            let folded = fold(&name);
            names.entry(name).or_insert(number);
            if folded.contains(char::is_alphabetic) {
                names.entry(folded).or_insert(number);
            }
        }
    };
    for ((object, step), number) in objects.iter().zip(steps).zip(numbers) {
        for key in keys::NAME {
            match field(object, &[*key]) {
                Some(Value::String(name)) => add(name, *number),
                // An id in addition to the number, unless it is another step's number.
                Some(Value::Number(id)) if id.as_i64().is_some_and(|id| !numbers.contains(&id)) => {
                    add(&id.to_string(), *number);
                }
                _ => {}
            }
        }
        add(&step.action, *number);
    }
    let are_numbered = objects.iter().all(|object| field(object, keys::NUMBER).is_some());
    for key in id_keys(objects) {
        let id = |object: &&Map<String, Value>| number_of_key(object[key].as_str()?);
        let ids: Vec<i64> = objects.iter().filter_map(id).filter(|id| numbers.contains(id)).collect();
        // `P3`, `P1`, `P2` beside the steps 1, 2, 3 is something else, such as a priority.
        if are_numbered && ids.len() == numbers.len() && are_distinct(&ids) && ids != numbers {
            continue;
        }
        for (object, number) in objects.iter().zip(numbers) {
            add(object[key].as_str().unwrap_or_default(), *number);
        }
    }
    names
}

/// The keys whose values look like ids and are different in all steps, whatever they are called.
fn id_keys<'a>(objects: &[&'a Map<String, Value>]) -> Vec<&'a str> {
    let is_id = |value: &&str| {
        value.len() <= 64
            && value.contains(|c: char| c.is_ascii_digit())
            && value.contains(char::is_alphabetic)
            && !value.contains(char::is_whitespace)
    };
    let Some(first) = objects.first().filter(|first| first.len() <= MAX_MEMBERS) else { return Vec::new() };
    let are_ids = |key: &&str| {
        let mut seen = HashSet::new();
        let id = |object: &&Map<String, Value>| {
            object.get(*key).and_then(Value::as_str).filter(is_id).map(str::to_owned)
        };
        objects.iter().all(|object| id(object).is_some_and(|id| seen.insert(id)))
    };
    let known = |key: &&str| {
        [keys::NAME, keys::ARM, keys::DEPENDS_ON, keys::COST, keys::SECONDS]
            .iter()
            .any(|names| keys::is_one_of(key, names))
    };
    first.keys().map(String::as_str).filter(|key| !known(key)).filter(are_ids).collect()
}
