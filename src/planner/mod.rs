//! x
pub mod draft;
pub mod embedded;
pub mod error;
pub mod estimate;
pub mod graph;
pub mod parse;
pub mod prompts;
pub mod repair;
