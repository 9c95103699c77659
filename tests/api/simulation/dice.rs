//! Chance that a seed decides.

/// `SplitMix64`: small, even, and the same everywhere.
///
/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of their own for each list of numbers.
    pub fn new(seeds: &[u64]) -> Self {
        let mut dice = Self(0);
        for seed in seeds {
            dice.0 ^= seed;
            dice.0 = dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `bound - 1`; for bounds as small as here evenly enough.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub fn pick_mut<'a, T>(&mut self, items: &'a mut [T]) -> &'a mut T {
        &mut items[self.below(items.len())]
    }

    /// Three different numbers below `bound`, ascending.
    pub fn three_below(&mut self, bound: usize) -> [usize; 3] {
        loop {
            let mut drawn = [self.below(bound), self.below(bound), self.below(bound)];
            drawn.sort_unstable();
            if drawn[0] < drawn[1] && drawn[1] < drawn[2] {
                return drawn;
            }
        }
    }
}
