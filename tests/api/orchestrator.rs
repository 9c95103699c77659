//! The reference orchestrator, with SQLite and with PostgreSQL.

mod api;
mod cli;
mod crash;
mod deploy;
mod flow;
mod outage;
mod queue;
mod readme;
mod support;
