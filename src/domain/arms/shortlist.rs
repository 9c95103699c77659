//! The arms that are offered to an LLM where there are too many for one prompt.

use std::collections::HashSet;

use super::{Arm, ArmRegistry};

/// Verifying arms that are always offered, at most.
const MAX_VERIFIERS: usize = 10;

impl ArmRegistry {
    /// The `most` arms that fit `text` best, those that are `wanted` in any case, and those that verify; `None` where
    /// there are no more arms than that.
    pub fn shortlist(&self, text: &str, most: usize, wanted: impl Fn(&Arm) -> bool) -> Option<Self> {
        if self.arms.len() <= most {
            return None;
        }
        let mut places: HashSet<usize> = (0..self.arms.len()).filter(|at| wanted(&self.arms[*at])).collect();
        let ranked: Vec<usize> = self.best_arms(text).iter().map(|ranked| ranked.place).collect();
        // Arms that do not fit at all come last, in an order independent of the file.
        let mut others: Vec<usize> = {
            let fitting: HashSet<usize> = ranked.iter().copied().collect();
            (0..self.arms.len()).filter(|at| !fitting.contains(at)).collect()
        };
        others.sort_by(|a, b| self.arms[*a].id.cmp(&self.arms[*b].id));
        let order = || ranked.iter().chain(&others).copied();
        places.extend(order().filter(|at| self.arms[*at].verifies()).take(MAX_VERIFIERS));
        places.extend(order().take(most));
        let offered = self.arms.iter().enumerate().filter(|(at, _)| places.contains(at));
        Some(Self::of(offered.map(|(_, arm)| arm.clone()).collect()))
    }

    /// How long the texts of all arms are together, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.arms.iter().map(Arm::text_bytes).sum()
    }
}

impl Arm {
    /// How long its texts are together, in bytes.
    pub(super) fn text_bytes(&self) -> usize {
        let lists = [&self.capabilities, &self.keywords, &self.aliases, &self.inputs, &self.outputs];
        let lists = lists.into_iter().flatten().map(String::len).sum::<usize>();
        self.id.len() + self.description.len() + lists
    }
}
