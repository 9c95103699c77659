//! x
/// x
pub struct Ladder;
