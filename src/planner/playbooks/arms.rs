//! Which arm of the registry does a step.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::arms::{Arm, ArmQuery, ArmRegistry, Resolution, fold_name};
use crate::domain::playbooks::{PhraseSet, PhraseSetBuilder, Playbook, PlaybookStep};
use crate::text::fold;

/// Least relevance at which words point to an arm: that of a rare word in the arm's name.
const CLEAR_SCORE: f32 = 1.6;

/// How an arm is described that does what no other arm does.
const GENERAL_WORK: &str = "general purpose assistant: plans, coordinates and does any other task";

/// The arms of an installation as playbooks see them.
#[derive(Debug)]
pub(super) struct Staff {
    registry: Arc<ArmRegistry>,
    /// The first arm with each folded capability.
    capabilities: HashMap<String, usize>,
    /// The folded keywords of each arm.
    keywords: Vec<Vec<usize>>,
    /// The words of each arm's name.
    names: Vec<Vec<usize>>,
    phrases: PhraseSet,
    /// The arm without keywords, where it is the only one.
    takes_the_rest: Option<usize>,
    /// The arm for what no arm fits.
    most_general: usize,
    are_tools: bool,
}

impl Staff {
    pub(super) fn new(registry: Arc<ArmRegistry>) -> Self {
        let mut capabilities = HashMap::new();
        let mut phrases = PhraseSetBuilder::default();
        let mut keywords = Vec::new();
        let mut names = Vec::new();
        for (place, arm) in registry.arms().iter().enumerate() {
            for capability in &arm.capabilities {
                capabilities.entry(fold(capability)).or_insert(place);
            }
            keywords.push(phrases.numbers(&arm.keywords));
            let words: Vec<String> = fold_name(&arm.id).split(' ').map(str::to_owned).collect();
            names.push(phrases.numbers(&words));
        }
        let mut others = registry.arms().iter().filter(|arm| !arm.verifies()).peekable();
        let are_tools = others.peek().is_some()
            && others.all(|arm| arm.keywords.is_empty() && arm.capabilities.is_empty());
        let (takes_the_rest, most_general) = (takes_the_rest(&registry), most_general(&registry));
        let phrases = phrases.build();
        Self { registry, capabilities, keywords, names, phrases, takes_the_rest, most_general, are_tools }
    }

    /// Whether there are arms for what a playbook is about: each of its core steps, and most of the others.
    pub(super) fn can_follow(&self, playbook: &Playbook) -> bool {
        let staffed = |step: &&PlaybookStep| self.for_step(step).is_some();
        let count = playbook.steps.iter().filter(staffed).count();
        playbook.steps.iter().filter(|step| step.is_core()).all(|step| staffed(&step))
            && count * 2 > playbook.steps.len()
    }

    /// The arm for a playbook's step.
    pub(super) fn for_step(&self, step: &PlaybookStep) -> Option<usize> {
        if let Some(name) = &step.arm {
            // Found as an arm that an LLM names, by its name alone.
            return match self.registry.resolve(&ArmQuery { name, ..ArmQuery::default() }) {
                Resolution::Exact(arm) | Resolution::Found(arm, _) => self.place(&arm.id),
                Resolution::Unclear(_) => None,
            };
        }
        step.capability.iter().find_map(|capability| self.capabilities.get(&fold(capability)).copied())
    }

    /// The arm whose name, of two words or more, `text` says in full: `send_invoice` sends the invoice.
    pub(super) fn named_in(&self, text: &str) -> Option<usize> {
        let found = self.phrases.find(&fold(text));
        let is_named = |words: &Vec<usize>| words.len() > 1 && words.iter().all(|word| found.any(&[*word]));
        let named = self.names.iter().enumerate().filter(|(_, words)| is_named(words));
        named.max_by_key(|(place, words)| (words.len(), Reverse(*place))).map(|(place, _)| place)
    }

    /// Whether the arms other than those that verify have neither keywords nor capabilities: what they do is known from
    /// their descriptions alone.
    pub(super) fn are_tools(&self) -> bool {
        self.are_tools
    }

    /// The arm that the words of `text` point to, if they do: by its keywords, else by what it is said to do.
    pub(super) fn for_words(&self, text: &str) -> Option<usize> {
        self.by_keywords(text).or_else(|| {
            let best = self.registry.best_arms(text).into_iter().find(|ranked| !ranked.arm.verifies())?;
            (best.score >= CLEAR_SCORE).then_some(best.place)
        })
    }

    /// The arm for work that is known by its words only: the one they point to, else the one that takes the rest,
    /// else the one that they fit best, else the most general one.
    pub(super) fn for_text(&self, text: &str) -> usize {
        let ranked = || self.registry.best_arms(text).first().map(|ranked| ranked.place);
        self.for_words(text).or(self.takes_the_rest).or_else(ranked).unwrap_or(self.most_general)
    }

    /// Whether anything about `arm` speaks for giving `text` to it.
    pub(super) fn fits(&self, arm: usize, text: &str) -> bool {
        self.takes_the_rest == Some(arm)
            || self.by_keywords(text) == Some(arm)
            || self.registry.best_arms(text).iter().any(|ranked| ranked.place == arm)
    }

    /// The arm with the most keywords in `text`; among equals the one whose keyword comes first in it.
    fn by_keywords(&self, text: &str) -> Option<usize> {
        let found = self.phrases.find(&fold(text));
        let found = self.keywords.iter().enumerate().filter_map(|(place, keywords)| {
            let places: Vec<usize> = keywords.iter().filter_map(|keyword| found.at(*keyword)).collect();
            Some((places.len(), Reverse(*places.iter().min()?), Reverse(place)))
        });
        found.max().map(|(_, _, place)| place.0)
    }

    /// The arm that verifies plans.
    pub(super) fn verifier(&self) -> Option<usize> {
        self.registry.verifier().and_then(|arm| self.place(&arm.id))
    }

    pub(super) fn verifies(&self, arm: usize) -> bool {
        self.registry.arms()[arm].verifies()
    }

    /// Whether an arm can work with what it makes itself, as far as it is known what it makes and needs.
    pub(super) fn takes_own_results(&self, arm: usize) -> bool {
        let arm = &self.registry.arms()[arm];
        arm.feeds(arm) || arm.outputs.is_empty() || arm.inputs.is_empty()
    }

    pub(super) fn cost_tier(&self, arm: usize) -> u8 {
        self.registry.arms()[arm].cost_tier
    }

    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.registry.arms().iter().position(|arm| arm.id == id)
    }
}

/// The only arm that takes what fits nowhere else.
fn takes_the_rest(registry: &ArmRegistry) -> Option<usize> {
    let takes = |arm: &Arm| arm.takes_the_rest() && !arm.verifies();
    let mut places = (0..registry.arms().len()).filter(|place| takes(&registry.arms()[*place]));
    places.next().filter(|_| places.next().is_none())
}

/// The arm whose description is the most general; where none says that, the cheapest one, verifying ones last.
fn most_general(registry: &ArmRegistry) -> usize {
    let ranked = registry.best_arms(GENERAL_WORK);
    let described = ranked.iter().find(|ranked| !ranked.arm.verifies()).map(|ranked| ranked.place);
    let rank = |place: &usize| {
        let arm = &registry.arms()[*place];
        (arm.verifies(), arm.cost_tier, &arm.id)
    };
    described.or((0..registry.arms().len()).min_by_key(rank)).unwrap_or_default()
}
