//! The `orchestrator` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    planner_arm::orchestrator::cli::run().await
}
