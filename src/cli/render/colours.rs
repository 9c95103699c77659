//! One colour for each arm.

use std::borrow::Cow;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use console::Style;

/// The 256-colour numbers of what arms are shown in. Each has a contrast of 3.6 and more to black and to white
/// (WCAG 2.2), so that it can be read on either.
const PALETTE: [u8; 10] = [164, 100, 28, 32, 129, 63, 166, 94, 160, 30];

/// Whether arms are shown in colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Colours(bool);

impl Colours {
    /// Without any.
    #[cfg(test)]
    pub(in crate::cli) const NONE: Self = Self(false);

    /// As `wish` says for what is written to `stream`; where it leaves that open, as `NO_COLOR`, `CLICOLOR_FORCE`,
    /// `CLICOLOR` and `TERM` say, and on terminals alone.
    pub(in crate::cli) fn on(stream: &impl RawStream, wish: clap::ColorChoice) -> Self {
        let are_on = match wish {
            clap::ColorChoice::Always => true,
            clap::ColorChoice::Never => false,
            clap::ColorChoice::Auto => AutoStream::choice(stream) != ColorChoice::Never,
        };
        if are_on {
            // Tables would ask `NO_COLOR` again.
            crossterm::style::force_color_output(true);
        }
        Self(are_on)
    }

    pub(in crate::cli) fn are_on(self) -> bool {
        self.0
    }

    /// `text` in the colour of `arm`.
    pub(in crate::cli) fn paint<'a>(self, arm: &str, text: &'a str) -> Cow<'a, str> {
        if !self.0 {
            return text.into();
        }
        let style = Style::new().color256(colour_of(arm)).force_styling(true);
        style.apply_to(text).to_string().into()
    }

    /// The colour of `arm` in a table.
    pub(in crate::cli) fn in_table(self, arm: &str) -> Option<comfy_table::Color> {
        self.0.then(|| comfy_table::Color::AnsiValue(colour_of(arm)))
    }
}

/// The colour of an arm: from its id alone, so that it has the same one in every plan and installation. Two arms may
/// share one, the usual six do not.
fn colour_of(arm: &str) -> u8 {
    // Bernstein's hash.
    let hash = arm.bytes().fold(5_381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()));
    PALETTE[hash as usize % PALETTE.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::arms::ArmRegistry;

    /// The relative luminance of one of the 216 colours of the cube (WCAG 2.2).
    fn luminance(colour: u8) -> f64 {
        let place = colour - 16;
        [(place / 36, 0.2126), (place / 6 % 6, 0.7152), (place % 6, 0.0722)]
            .into_iter()
            .map(|(level, weight)| {
                let level = if level == 0 { 0.0 } else { f64::from(55 + 40 * level) / 255.0 };
                weight
                    * if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055_f64).powf(2.4) }
            })
            .sum()
    }

    #[test]
    fn every_colour_can_be_read_on_black_and_on_white() {
        for colour in PALETTE {
            let luminance = luminance(colour);
            let (to_black, to_white) = ((luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05));
            assert!(to_black >= 3.6 && to_white >= 3.6, "{colour}: {to_black:.1} {to_white:.1}");
        }
    }

    #[test]
    fn the_usual_arms_have_colours_of_their_own() {
        let registry = ArmRegistry::default();
        let colours: HashSet<u8> = registry.arms().iter().map(|arm| colour_of(&arm.id)).collect();
        assert_eq!(colours.len(), registry.arms().len());
        assert_eq!(colour_of("coder"), 28, "as it was yesterday");
    }

    #[test]
    fn a_colour_ends_where_the_name_does() {
        assert_eq!(Colours(true).paint("coder", "coder"), "\u{1b}[38;5;28mcoder\u{1b}[0m");
        assert_eq!(Colours::NONE.paint("coder", "coder"), "coder");
        assert_eq!(Colours::NONE.in_table("coder"), None);
    }
}
