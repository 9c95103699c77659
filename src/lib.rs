//! The planner arm of OctoLLM: turns goals into valid plans.
//!
//! The modules from top to bottom; each imports only from below itself (`tests/api/layers.rs` checks that):
//!
//! | module | what it holds |
//! |---|---|
//! | [`app`] | the composition root: front ends put together, the commands that serve |
//! | [`cli`], [`http`], `mcp` | front ends: parse, call the service, present |
//! | `orchestrator` | the reference orchestrator, with the feature of that name |
//! | [`service`] | state, admission, cache and single flight, arm sources, spend, track record |
//! | [`planner`] | prompts, parse, normalize, validate, critics, estimate; the embedded planner and its playbooks |
//! | [`llm`] | one call to a model, retries, the fallback chain over models |
//! | [`client`] | the caller's side: what an orchestrator links against |
//! | [`server`] | what HTTP servers are built from: connections, shutdown, request ids, problem documents |
//! | [`config`] | settings: a file, the environment, every fault reported at once |
//! | [`telemetry`] | logs, traces and metrics |
//! | [`policies`] | rules of an installation for its plans, in CEL |
//! | [`domain`] | requests, plans, arms, playbooks, rules, prices, error codes |
//! | [`resilience`], `http_client`, `headers` | backoff, breaker, retries; small helpers |
//! | [`text`] | pure helpers for texts, units of time |

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
mod headers;
pub mod http;
mod http_client;
pub mod llm;
mod mcp;
#[cfg(feature = "orchestrator")]
pub mod orchestrator;
pub mod planner;
pub mod policies;
pub mod resilience;
pub mod server;
pub mod service;
pub mod telemetry;
pub mod text;
