//! The planner arm of OctoLLM: a goal goes in, a sound plan comes out.
//!
//! The modules in the order in which a request travels:
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | parses the command line and runs one command |
//! | [`config`] | settings: a file, the environment, checks that report everything at once |
//! | [`telemetry`] | logs and traces |
//! | [`server`], [`lifecycle`] | serve until told to stop, and stop without losing a plan |
//! | [`app`] | what all requests share, and the router over it |
//! | [`http`] | limits, authorisation, request ids, problems, documentation |
//! | `mcp` | the same for agent hosts, as tools of the Model Context Protocol |
//! | [`models`], [`registry`] | the wire types; the arms that a step can be given to |
//! | [`cache`], [`redis`] | plans that were made before; what replicas share |
//! | [`planner`] | prompt, parse, repair, check, estimate; the embedded planner |
//! | [`llm`], [`prices`] | one call to a model, and how many of them against which models; what they cost |
//! | [`resilience`] | backoff, circuit breaker, retry budget: for whatever calls another service |
//! | [`client`] | the caller's side: what an orchestrator links against |
//! | `orchestrator` | the reference orchestrator, with the feature of that name |
//! | `outbound` | calls to other services: HTTP clients, bounded answers |
//! | `headers` | lists in headers |
//! | [`metrics`], [`text`] | every metric; comparing words as people mean them |
//!
//! Data goes one way: [`planner`] knows nothing of HTTP, [`http`] nothing of prompts, [`llm`] nothing of plans.

pub mod app;
pub mod cache;
pub mod cli;
pub mod client;
pub mod config;
mod headers;
pub mod http;
pub mod lifecycle;
pub mod llm;
mod mcp;
pub mod metrics;
pub mod models;
#[cfg(feature = "orchestrator")]
pub mod orchestrator;
mod outbound;
pub mod planner;
pub mod prices;
pub mod redis;
pub mod registry;
pub mod resilience;
pub mod server;
pub mod telemetry;
pub mod text;
