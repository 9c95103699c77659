//! What requests may refer to.

use std::sync::Arc;

use super::arms::ArmRegistry;
use super::playbooks::Library;

/// The arms and playbooks of an installation at one moment.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Its arms.
    pub arms: Arc<ArmRegistry>,
    /// Its playbooks.
    pub playbooks: Arc<Library>,
}
