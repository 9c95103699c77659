//! Who makes plans, and what the cache did for one.

/// The name under which the embedded planner answers as a model.
pub const EMBEDDED_MODEL: &str = "embedded";

/// Who made a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// An LLM behind an OpenAI-compatible API.
    OpenAi,
    /// The rules in this program.
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

/// What the cache did for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// The plan had been made before.
    Hit,
    /// It was made now.
    Miss,
    /// Somebody else was having it made.
    Coalesced,
    /// The caller asked for a new one.
    Bypass,
    /// There is no cache.
    Off,
}

impl CacheStatus {
    /// Each of them, for metrics.
    pub const ALL: [Self; 5] = [Self::Hit, Self::Miss, Self::Coalesced, Self::Bypass, Self::Off];

    /// The name in headers, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Coalesced => "coalesced",
            Self::Bypass => "bypass",
            Self::Off => "off",
        }
    }
}

/// What Redis is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisOperation {
    /// A plan that another replica made.
    ReadPlan,
    /// Keeping a plan for the others.
    KeepPlan,
    /// How many plans a caller has asked for.
    RateLimit,
    /// What LLM calls have cost.
    Spend,
}

impl RedisOperation {
    /// Each of them, for metrics.
    pub const ALL: [Self; 4] = [Self::ReadPlan, Self::KeepPlan, Self::RateLimit, Self::Spend];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadPlan => "read_plan",
            Self::KeepPlan => "keep_plan",
            Self::RateLimit => "rate_limit",
            Self::Spend => "spend",
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
