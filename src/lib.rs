//! The planner arm of OctoLLM: a goal goes in, a sound plan comes out.

pub mod llm;
pub mod models;
pub mod planner;
pub mod registry;
pub mod resilience;
pub mod text;
