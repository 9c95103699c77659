//! What every part of the service speaks of: requests, plans, arms, rules, error codes. Pure data and its rules.

pub mod arms;
mod budget;
mod cache;
mod collect;
mod engine;
pub(crate) mod faults;
mod installation;
mod plan;
pub mod playbooks;
pub mod prices;
pub mod problem;
mod replan;
pub(crate) mod request;
mod rules;
mod status;
pub(crate) mod validate;
mod warning;

pub use budget::Budget;
pub use cache::{CacheStatus, RedisOperation};
pub use engine::{EMBEDDED_MODEL, EngineKind, ServerAddress};
pub use faults::FieldError;
pub use installation::Installation;
pub use plan::{MAX_STEP_SECONDS, PlanResponse, Repair, RepairCode, Schedule, SubTask, Usage};
pub use replan::{MAX_PLAN_SO_FAR, Progress, ReplanRequest, StepStatus};
pub use request::{
    InvalidRequest, MAX_CONSTRAINT_CHARS, MAX_CONSTRAINTS, MAX_CONTEXT_BYTES, MAX_GOAL_CHARS,
    MAX_REQUEST_ID_CHARS, PlanRequest,
};
pub use rules::PlanRules;
pub use status::{Capabilities, Health, Readiness};
pub use warning::{CriticsMode, FindingCode, FindingOutcome, Warning, WarningCode};
