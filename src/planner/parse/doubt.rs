//! What an answer leaves open.

/// Something in an answer that may be read in more than one way, or that found no place in the plan.
///
/// The draft holds the likeliest reading. An LLM is asked about a doubt; only where that is not possible, or did not
/// help, the reading counts, as an assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// No step says what it depends on. Read as: each on the one before it.
    NoDependencies,
    /// Edges next to the steps, or on one of them, whose direction or ends are not clear.
    UnclearEdges,
    /// There are further steps outside the list. Read as: they do not count.
    UnusedSteps,
    /// Something in the dependencies of the step at this place, from 0, means steps, and which is not clear.
    UnclearDependency(usize),
    /// The step at this place, from 0, speaks of a step on which it does not depend.
    UnplacedReference(usize),
    /// The step at this place, from 0, has steps inside. Read as: they are part of its action.
    NestedSteps(usize),
}

impl Doubt {
    /// The same about a step behind `steps` others.
    pub(super) fn behind(self, steps: usize) -> Self {
        match self {
            Self::UnclearDependency(place) => Self::UnclearDependency(place + steps),
            Self::UnplacedReference(place) => Self::UnplacedReference(place + steps),
            Self::NestedSteps(place) => Self::NestedSteps(place + steps),
            Self::NoDependencies | Self::UnclearEdges | Self::UnusedSteps => self,
        }
    }
}
