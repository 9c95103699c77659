//! A goal as the embedded planner reads it: its parts, each with the playbook or the outline that it follows.

use crate::domain::PlanRequest;
use crate::domain::playbooks::{NO_PLAYBOOK, PhraseMatches, Place, Playbook, PlaybookStep};

use super::EmbeddedPlanner;
use super::language::Language;
use super::parts::{self, Goal, Part, Turn};

/// A part of a goal and the playbook that fits it, or else the outline.
#[derive(Clone)]
pub(super) struct Matched<'a> {
    pub(super) part: Part,
    pub(super) playbook: &'a Playbook,
    /// The place of the step that does it, if that is not the work as a whole: the playbook is that of an earlier part.
    pub(super) step: Option<usize>,
    /// Whether the score of the playbook is high enough to guide an LLM.
    pub(super) is_certain: bool,
    /// Whether it says what the work of an earlier part consists of: "Start a book club: choose five books, find a room".
    pub(super) is_listed: bool,
}

/// A goal, read with the playbooks of an installation.
pub(super) struct ReadGoal<'a> {
    /// What the plan is made of; never empty.
    pub(super) matched: Vec<Matched<'a>>,
    /// Parts that the playbook which the caller asked for has no step for.
    pub(super) aside: Vec<String>,
    /// Sentences that describe the state of things.
    pub(super) background: Vec<String>,
    /// The phrases of playbooks in it.
    pub(super) found: PhraseMatches,
}

impl EmbeddedPlanner {
    /// The parts of the goal, each with its playbook: the one that fits, or what the caller asked for.
    pub(super) fn read(&self, request: &PlanRequest) -> ReadGoal<'_> {
        let Goal { parts, mut background } = parts::split(&request.goal);
        let asked = request.playbook.as_deref();
        let found = self.library.phrases_in(&request.goal);
        let language = Language::get();
        let matched = parts.into_iter().enumerate().map(|(index, part)| {
            // What is said before the first part belongs to it.
            let before = if index == 0 { background.join(" ") } else { String::new() };
            let refers = language.is_pronoun(&part.object) || language.attaches_pronoun(&part.text);
            let place = match index {
                0 => Place::First,
                _ if refers => Place::Referring,
                _ => Place::Later,
            };
            let said = &part.text;
            let caused = language.caused(said);
            let is_caused = caused.is_some();
            let text = caused.unwrap_or_else(|| language.with_plain_verb(said));
            let outline = self.library.outline(&text);
            // "…, document it and announce it": what it is says little about what is done with it.
            let matter = part.referred.unwrap_or(part.aside);
            let aside = if is_caused { text.len() } else { text.len() - said.len() + matter.min(said.len()) };
            let subject = language.before_times(&text);
            let fits =
                |best: &(&Playbook, bool)| asked != Some(NO_PLAYBOOK) && self.can_follow(best.0, &found);
            let alone = self.library.best(&text, aside..text.len(), subject, outline, place).filter(fits);
            // "The page is slow, please fix it"
            let refers = said.split(' ').any(|word| language.is_pronoun(word))
                // "…, find out why"
                || said.rsplit(' ').next().is_some_and(|last| language.is_question_word(last));
            let with_background = || {
                let (text, subject) = (format!("{text} {before}"), format!("{subject} {before}"));
                self.library.best(&text, aside..text.len(), &subject, outline, place).filter(fits)
            };
            let best = match alone {
                _ if before.is_empty() => alone,
                _ if refers => with_background(),
                // "We got a warning letter, respond before Friday"
                Some((_, false)) => with_background().filter(|(_, is_certain)| *is_certain).or(alone),
                _ => alone,
            };
            let (playbook, is_certain) = best.unwrap_or((outline, false));
            Matched { playbook, part, step: None, is_certain, is_listed: false }
        });
        let mut matched: Vec<Matched<'_>> = matched.collect();
        open_heads(&mut matched, &mut background);
        self.part_from_work(&mut matched);
        self.cover(&mut matched);
        self.put_in_order(&mut matched);
        let mut aside = Vec::new();
        if let Some(playbook) = asked.and_then(|name| self.library.named(name))
            && self.can_begin(playbook, &found)
        {
            let fits = |part: &Matched<'_>| {
                part.playbook.name == playbook.name
                    || self.library.covering(playbook, &self.phrases_before_aside(&part.part)).is_some()
            };
            // Without a part that it fits, the first one says what the plan is about.
            let first = matched.iter().position(fits).unwrap_or(0);
            let (follow, others): (Vec<_>, Vec<_>) =
                matched.into_iter().enumerate().partition(|(index, part)| *index == first || fits(part));
            aside.extend(others.into_iter().map(|(_, other)| other.part.text));
            matched = follow
                .into_iter()
                .map(|(_, part)| Matched { playbook, step: None, is_certain: true, ..part })
                .collect();
            self.cover(&mut matched);
        }
        self.mark_list_items(&mut matched);
        ReadGoal { matched, aside, background, found }
    }

    /// Gives parts to the steps that do them anyway: "Organise the trip and book the coaches".
    fn cover(&self, matched: &mut [Matched<'_>]) {
        for index in 1..matched.len() {
            let earlier = &matched[..index];
            let found = self.phrases_before_aside(&matched[index].part);
            let heads = earlier.iter().enumerate().filter(|(_, head)| head.step.is_none());
            let mut covering = heads.filter_map(|(at, head)| {
                let step = self.library.covering(head.playbook, &found)?;
                // What is asked for in between comes first, unless the step prepares the work.
                let (steps, is_core) = (&head.playbook.steps, PlaybookStep::is_core);
                let prepares = steps[step + 1..].iter().any(is_core) && !steps[step].needs_checks();
                let is_its = |other: &Matched<'_>| {
                    other.playbook.name == head.playbook.name || other.playbook.outline && prepares
                };
                earlier[at..].iter().all(is_its).then_some((head.playbook, step))
            });
            if let Some((playbook, step)) = covering.next() {
                matched[index].playbook = playbook;
                matched[index].step = Some(step);
                matched[index].is_certain = true;
            }
        }
    }

    /// The phrases of playbooks in `part` up to where it says how, when or for what.
    fn phrases_before_aside(&self, part: &Part) -> PhraseMatches {
        // "die alten Sachen auf dem Flohmarkt verkaufen": the verb comes last.
        let end = if Language::get().ends_with_verb(&part.text) { part.text.len() } else { part.aside };
        self.library.phrases_in(part.text.get(..end).unwrap_or(&part.text))
    }

    /// Whether there are arms for what `playbook` is about.
    fn can_follow(&self, playbook: &Playbook, found: &PhraseMatches) -> bool {
        self.staff.can_follow(playbook) && self.can_begin(playbook, found)
    }

    /// Whether at least one step of `playbook` is for this goal and has an arm; its last check counts only where plans
    /// are verified.
    fn can_begin(&self, playbook: &Playbook, found: &PhraseMatches) -> bool {
        let mut steps = playbook.steps.iter().zip(self.library.applicable(playbook, found));
        steps.any(|(step, applies)| {
            let ends = step.checks() && playbook.steps.last() == Some(step);
            applies && (!ends || self.rules.require_verification) && self.staff.for_step(step).is_some()
        })
    }

    /// Lets what the work of a part before a colon consists of follow its playbook where another one fits hardly better, and
    /// marks the rest.
    fn mark_list_items(&self, matched: &mut [Matched<'_>]) {
        let heads = |matched: &Matched<'_>| matched.part.heads && !matched.playbook.outline;
        let Some(head) = matched.iter().position(heads) else { return };
        let playbook = matched[head].playbook;
        // Steps of these do later parts.
        let covering: Vec<&Playbook> =
            matched.iter().filter(|part| part.step.is_some()).map(|part| part.playbook).collect();
        let items = matched[head + 1..].iter_mut();
        let items = items.take_while(|item| !item.playbook.is_final() && !item.part.heads);
        let items = items.filter(|item| item.step.is_none() && item.playbook.name != playbook.name);
        for item in items {
            if !covering.contains(&item.playbook) && self.library.fits_nearly_best(playbook, &item.part.text)
            {
                item.playbook = playbook;
            } else {
                item.is_listed = true;
            }
        }
    }

    /// Takes parts that cannot be undone out of a playbook that is not for them: "Prepare the accounts and file them"
    /// files what was checked.
    fn part_from_work<'a>(&'a self, matched: &mut [Matched<'a>]) {
        for index in 1..matched.len() {
            let playbook = matched[index].playbook;
            let continues = matched[index - 1].playbook.name == playbook.name;
            let is_for_work = playbook.steps.iter().any(PlaybookStep::is_core) && !playbook.is_final();
            let outline = self.library.outline(&matched[index].part.text);
            if continues && is_for_work && outline.is_final() {
                matched[index].playbook = outline;
            }
        }
    }

    /// Puts parts where the goal says that they belong: "Publish the library, but run the tests first". What asks for an
    /// approval comes before what cannot be undone in any case.
    fn put_in_order(&self, matched: &mut [Matched<'_>]) {
        for index in 1..matched.len() {
            let Matched { part, playbook, step, .. } = &matched[index];
            // Its place is that of the step.
            if step.is_some() {
                continue;
            }
            let mut finals = (0..index).filter(|at| matched[*at].playbook.is_final());
            let approves = || {
                !playbook.is_final() && self.library.addons(&[&part.text]).iter().any(|step| step.checks())
            };
            let first_final = match part.turn {
                Turn::First => finals.next().or(Some(index - 1)),
                Turn::BeforeFinal => finals.next_back(),
                Turn::AsWritten if approves() => finals.next(),
                Turn::AsWritten => None,
                Turn::BeforeAll => {
                    matched[..=index].rotate_right(1);
                    continue;
                }
            };
            let Some(place) = first_final else { continue };
            let (finals, mut others): (Vec<_>, Vec<_>) =
                matched[place..index].iter().cloned().partition(|earlier| earlier.playbook.is_final());
            others.push(matched[index].clone());
            // "Read it and check the figures first": without anything final, the part before waits.
            if finals.is_empty() {
                others.rotate_right(1);
            }
            matched[place..=index].clone_from_slice(&[others, finals].concat());
        }
    }
}

/// Replaces parts without a playbook of their own by those that say what they consist of: "Get the hotel ready for the
/// inspection: check the exits and …". What cannot be undone comes after them.
fn open_heads(matched: &mut Vec<Matched<'_>>, background: &mut Vec<String>) {
    let is_opened = |matched: &Matched<'_>| matched.part.heads && matched.playbook.outline;
    let count = matched.len();
    for index in
        (0..count.saturating_sub(1)).rev().filter(|index| is_opened(&matched[*index])).collect::<Vec<_>>()
    {
        let head = matched.remove(index);
        if head.playbook.is_final() {
            matched.push(head);
        } else {
            background.push(head.part.text);
        }
    }
}
