//! The reference orchestrator, with SQLite, and with PostgreSQL where `ORCHESTRATOR_TEST_DATABASE_URL` names a
//! server on which databases may be made.

mod api;
mod cli;
mod crash;
mod deploy;
mod flow;
mod outage;
mod queue;
mod readme;
mod support;
