//! What a text asks to be done, by its verb: to check, to write, to find something.
//!
//! The acts are those of the outlines. A playbook serves those that its examples ask for, so that a goal which asks for
//! something else about the same thing does not follow it: checking a menu is not writing one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::text::{fold, is_ideograph};

use super::format::Playbook;
use super::library::GENERAL_OUTLINE;

/// Most words of a verb ("have it checked by").
const VERB_WORDS: usize = 4;
/// Most characters of a verb in scripts without spaces.
const UNSPACED_VERB_CHARS: usize = 5;
/// How many words or characters may precede the verb: "could you please …", "请帮我给租客…".
const LEAD_IN: usize = 4;
const UNSPACED_LEAD_IN: usize = 9;

/// From this share of a playbook's examples on, an act is usual in them.
const USUAL: f32 = 0.1;
/// From fewer examples it is not known what is usual.
const FEWEST_EXAMPLES: usize = 10;
/// Acts that are as close as this in the examples of all playbooks are the same: "create" and "design", "check" and "inspect".
const SAME: f32 = 0.5;

/// The acts by their verbs, and how well each fits each playbook.
#[derive(Debug, Default)]
pub(super) struct Acts {
    /// `None` for verbs that stand for any work: "do", "get", "prepare".
    by_verb: HashMap<String, Option<usize>>,
    /// For each playbook with enough examples how well each act fits it, from 0 to 1.
    fits: Vec<Option<Vec<f32>>>,
}

impl Acts {
    /// The acts of `outlines`, each with its verbs, and the folded examples of each playbook. A verb belongs to the outline
    /// without conditions that has it, or else to the only one that has it with conditions.
    pub(super) fn new<'t>(outlines: &[&'t Playbook], examples: impl Iterator<Item = &'t [String]>) -> Self {
        let (mut acts, count) = (Self::default(), outlines.len());
        for (act, outline) in outlines.iter().enumerate() {
            let is_conditional = !outline.matches.any_of.is_empty();
            for verb in outline.matches.keywords.iter().map(|verb| fold(verb)) {
                let act = Some(act).filter(|_| outline.name != GENERAL_OUTLINE);
                match acts.by_verb.entry(verb) {
                    Entry::Vacant(entry) => _ = entry.insert(act),
                    Entry::Occupied(mut entry) if is_conditional => {
                        let is_other = |other: &mut usize| {
                            act != Some(*other) && !outlines[*other].matches.any_of.is_empty()
                        };
                        entry.get_mut().take_if(is_other);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        let shares: Vec<Option<Vec<f32>>> = examples.map(|texts| acts.shares(texts, count)).collect();
        let column = |act: usize| shares.iter().flatten().map(move |shares| shares[act]);
        let product = |a: usize, b: usize| column(a).zip(column(b)).map(|(a, b)| a * b).sum::<f32>();
        let length: Vec<f32> = (0..count).map(|act| product(act, act).sqrt()).collect();
        let close = |a: usize, b: usize| {
            let cosine = if a == b { 1.0 } else { product(a, b) / (length[a] * length[b]).max(f32::EPSILON) };
            (cosine / SAME).min(1.0)
        };
        let close: Vec<Vec<f32>> = (0..count).map(|a| (0..count).map(|b| close(a, b)).collect()).collect();
        let fit = |shares: &Vec<f32>, act: usize| {
            let usual = shares.iter().zip(&close[act]).map(|(share, close)| (share / USUAL).min(1.0) * close);
            usual.fold(0.0, f32::max)
        };
        acts.fits = shares
            .iter()
            .map(|shares| shares.as_ref().map(|shares| (0..count).map(|act| fit(shares, act)).collect()))
            .collect();
        acts
    }

    /// The share of each of `count` acts in what the folded `texts` ask for; `None` if they are too few.
    fn shares(&self, texts: &[String], count: usize) -> Option<Vec<f32>> {
        let asked: Vec<usize> = texts.iter().filter_map(|text| self.of(text)).collect();
        let mut shares = vec![0.0; count];
        for act in &asked {
            shares[*act] += 1.0 / asked.len() as f32;
        }
        (asked.len() >= FEWEST_EXAMPLES).then_some(shares)
    }

    /// How well `act` fits the playbook with this number, from 0 to 1.
    pub(super) fn fit(&self, playbook: usize, act: usize) -> f32 {
        self.fits[playbook].as_ref().map_or(1.0, |fits| fits[act])
    }

    /// The act that a `folded` text asks for: that of the verb at its beginning, at its end, or near its beginning.
    pub(super) fn of(&self, folded: &str) -> Option<usize> {
        let find = |verb: &str| self.by_verb.get(verb).copied();
        if folded.contains(is_ideograph) {
            let chars: Vec<usize> = folded.char_indices().map(|(at, _)| at).chain([folded.len()]).collect();
            let longest = |start: usize| {
                let last = (start + UNSPACED_VERB_CHARS).min(chars.len() - 1);
                (start + 1..=last).rev().find_map(|end| find(&folded[chars[start]..chars[end]]))
            };
            // "把…统计出来": the first words may say only that something is done with it.
            return (0..chars.len().min(UNSPACED_LEAD_IN)).filter_map(longest).find_map(|act| act);
        }
        // Where each word begins, and what is behind the last one.
        let spaces = folded.match_indices(' ').map(|(at, _)| at + 1);
        let words: Vec<usize> = std::iter::once(0).chain(spaces).chain([folded.len() + 1]).collect();
        let count = words.len() - 1;
        let longest = |start: usize| {
            let ends = (start + 1..=(start + VERB_WORDS).min(count)).rev();
            ends.map(|end| &folded[words[start]..words[end] - 1]).find_map(find)
        };
        // "Die Rechnung prüfen" ends with its verb, but not "the staff report".
        let last = || find(&folded[words[count - 1]..]).filter(|_| folded.ends_with('n'));
        longest(0).or_else(last).or_else(|| (1..count.min(LEAD_IN)).find_map(longest)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::playbooks::Library;

    fn outline(name: &str, keywords: &[&str], any_of: &[&str]) -> Playbook {
        let text = format!(
            "name = {name:?}\ndescription = \"\"\noutline = true\nsteps = []\n[match]\nkeywords = {keywords:?}\nany_of = {:?}",
            if any_of.is_empty() { vec![] } else { vec![any_of] }
        );
        toml::from_str(&text).expect("an outline")
    }

    fn acts(examples: &[&[&str]]) -> Acts {
        let outlines = [
            outline("outline-check", &["check", "prüfen", "检查"], &[]),
            outline("outline-write", &["write", "schreibe", "写"], &[]),
            outline("outline-list", &["list", "prepare a", "check off"], &["list"]),
            outline("outline-plan", &["prepare a"], &["plan"]),
            outline(GENERAL_OUTLINE, &["prepare", "给"], &[]),
        ];
        let examples: Vec<Vec<String>> =
            examples.iter().map(|texts| texts.iter().map(|&text| fold(text)).collect()).collect();
        Acts::new(&outlines.iter().collect::<Vec<_>>(), examples.iter().map(Vec::as_slice))
    }

    #[test]
    fn the_act_is_that_of_the_verb() {
        let acts = acts(&[]);
        let (check, write, list) = (Some(0), Some(1), Some(2));
        for (text, act) in [
            ("Check the menu", check),
            ("Please check the menu", check),
            ("Die Speisekarte prüfen", check),
            ("请检查菜单", check),
            ("给租客写一封通知", write),
            ("Check off the guests", list),
            // Several outlines have the verb, or it stands for any work.
            ("Prepare a menu", None),
            ("Prepare the menu", None),
            ("The menu", None),
        ] {
            assert_eq!(acts.of(&fold(text)), act, "{text}");
        }
    }

    #[test]
    fn an_act_fits_a_playbook_whose_examples_ask_for_it() {
        let writing = ["Write a menu"; 12];
        let few = ["Write a menu"; 3];
        let acts = acts(&[&writing, &few]);
        assert_eq!((acts.fit(0, 1), acts.fit(0, 0)), (1.0, 0.0));
        assert_eq!((acts.fit(1, 1), acts.fit(1, 0)), (1.0, 1.0));
    }

    #[test]
    fn checking_a_thing_is_not_making_it() {
        let library = Library::built_in();
        let best = |text: &str| library.scored(text).next().map(|(playbook, _)| playbook.name.clone());
        assert_eq!(best("Write the new menu of our restaurant").as_deref(), Some("menu"));
        assert_ne!(best("Check the allergens on the menu of our restaurant").as_deref(), Some("menu"));
    }
}
