//! The playbooks of an installation, as it lists them.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Library, Mode, Playbook, PlaybookStep};

/// All playbooks that can be followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlaybookList {
    /// In the order in which they are tried.
    pub playbooks: Vec<ListedPlaybook>,
}

/// One playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedPlaybook {
    /// Its name, for `playbook` of a request.
    #[schema(example = "release-deploy")]
    pub name: String,
    /// What kind of work it is for.
    pub description: String,
    /// Whether it guides plans (`guide`) or is followed exactly (`fixed`).
    pub mode: Mode,
    /// Whether it is built in; `false` for those in the settings.
    pub built_in: bool,
    /// Its steps, in order.
    pub steps: Vec<PlaybookStep>,
}

impl PlaybookList {
    /// The playbooks of `library`.
    pub fn of(library: &Library) -> Self {
        let listed = |playbook: &Playbook| ListedPlaybook {
            name: playbook.name.clone(),
            description: playbook.description.clone(),
            mode: playbook.mode,
            built_in: playbook.built_in,
            steps: playbook.steps.clone(),
        };
        Self { playbooks: library.playbooks().map(listed).collect() }
    }
}
