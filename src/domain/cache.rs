//! What the cache did for an answer, and what Redis is asked for.

/// What the cache did for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// The plan was in the cache.
    Hit,
    /// It was not, and was made for this request.
    Miss,
    /// An identical request was in progress; its plan answers this one too.
    Coalesced,
    /// The caller asked for a new plan.
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
