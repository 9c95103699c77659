//! What arms consume and produce.

use super::Arm;

impl Arm {
    /// Whether what this arm produces can be what `consumer` needs; true also where either is not known.
    pub fn can_feed(&self, consumer: &Self) -> bool {
        self.outputs.is_empty() || consumer.inputs.is_empty() || self.feeds(consumer)
    }

    /// Whether it is known that this arm produces something that `consumer` needs.
    pub fn feeds(&self, consumer: &Self) -> bool {
        self.outputs.iter().any(|output| consumer.inputs.iter().any(|input| is_same_type(output, input)))
    }
}

/// Whether two names mean the same type.
fn is_same_type(a: &str, b: &str) -> bool {
    a == b || a.trim().to_lowercase() == b.trim().to_lowercase()
}
