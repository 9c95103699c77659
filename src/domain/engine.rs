//! Who makes plans, and where.

/// The name under which the embedded planner answers as a model.
pub const EMBEDDED_MODEL: &str = "embedded";

/// Who made a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// An LLM behind an OpenAI-compatible API.
    OpenAi,
    /// The embedded planner, from playbooks.
    Embedded,
}

impl EngineKind {
    /// The name in headers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Embedded => "embedded",
        }
    }
}

/// Where the models of a server are, for traces and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Its name or IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
}
