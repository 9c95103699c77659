//! Everything that a caller, an operator or a developer relies on, in one integration binary.

#![expect(unreachable_pub, reason = "in a binary of its own every item is for its other modules")]

mod arm_sources;
mod arms;
mod cache;
mod cli;
mod client;
mod contract;
mod corpus;
mod critics;
mod end_to_end;
mod eval;
mod examples;
mod faults;
mod http;
mod injection;
mod interface_parity;
mod kubernetes;
mod layers;
mod limits;
mod links;
mod llm;
mod malicious_answers;
mod matrix;
mod mcp;
mod monitoring;
mod nonstandard_servers;
mod ops;
#[cfg(feature = "orchestrator")]
mod orchestrator;
mod overload;
mod page;
mod planning;
mod privacy;
mod promises;
mod readings;
mod readme;
mod real_llm;
mod redis;
mod repairs;
mod replan;
mod requests;
mod scripted_model;
mod secrets;
mod settings;
mod shutdown;
mod simulation;
mod soak;
mod stream;
mod support;
mod terminal;
mod tls;
mod traces;
mod untrusted_callers;
mod usage;
mod validate;
