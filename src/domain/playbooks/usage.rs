//! Which playbooks a plan was made with.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// The playbooks that a plan was made with, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookUse {
    /// Their names, in the order of the plan; at least one.
    names: Vec<String>,
    /// Whether the plan was made from a playbook of mode `fixed` instead of by the configured model.
    is_compiled: bool,
}

impl PlaybookUse {
    /// The playbook that guided an LLM.
    pub(crate) fn guided(name: &str) -> Self {
        Self { names: vec![name.to_owned()], is_compiled: false }
    }

    /// The playbooks that the embedded planner followed; `None` where it followed none.
    pub(crate) fn followed(names: Vec<String>) -> Option<Self> {
        (!names.is_empty()).then_some(Self { names, is_compiled: false })
    }

    /// The same for a plan that took the place of one by the configured model.
    #[must_use]
    pub(crate) fn compiled(self) -> Self {
        Self { is_compiled: true, ..self }
    }

    /// Whether the plan was made from a playbook of mode `fixed` instead of by the configured model.
    pub fn is_compiled(&self) -> bool {
        self.is_compiled
    }
}

/// The names, as in `X-Planner-Playbook`.
impl Display for PlaybookUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}
