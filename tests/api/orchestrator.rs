//! The reference orchestrator, with SQLite and with PostgreSQL.

mod api;
mod cli;
mod crash;
mod deploy;
mod flow;
mod openapi;
mod outage;
mod queue;
mod readme;
mod support;
mod tasks;
