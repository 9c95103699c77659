//! Settings as people see them: secrets masked, words for choices.

use super::{Environment, FallbackEngine};

pub(super) const MASK: &str = "********";
const MASK_AT: &str = "********@";

/// `url` with user, password and query masked.
pub(crate) fn mask_url(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(after_scheme);
    // A password may have a question mark in it, and even an @.
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| (MASK_AT, rest));
    match rest.split_once('?') {
        Some((place, _)) => format!("{scheme}{user}{place}?{MASK}"),
        None => format!("{scheme}{user}{rest}"),
    }
}

impl FallbackEngine {
    pub(super) const ALL: [Self; 2] = [Self::None, Self::Embedded];

    /// As in the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Embedded => "embedded",
        }
    }
}

impl Environment {
    pub(super) const ALL: [Self; 3] = [Self::Development, Self::Staging, Self::Production];

    /// As in the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}
