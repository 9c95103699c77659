//! Everything that a caller, an operator or a developer relies on, in one integration binary.

#![expect(unreachable_pub, reason = "in a binary of its own every item is for its other modules")]

mod cache;
mod cli;
mod client;
mod contract;
mod corpus;
mod deviants;
mod end_to_end;
mod eval;
mod faults;
mod hostile;
mod http;
mod injection;
mod kubernetes;
mod limits;
mod llm;
mod matrix;
mod monitoring;
mod ops;
#[cfg(feature = "orchestrator")]
mod orchestrator;
mod overload;
mod parrot;
mod planning;
mod privacy;
mod promises;
mod promql;
mod readme;
mod real_llm;
mod redis;
mod repairs;
mod replan;
mod requests;
mod secrets;
mod settings;
mod shutdown;
mod simulation;
mod soak;
mod strangers;
mod stream;
mod support;
mod usage;
mod validate;
mod wire;
