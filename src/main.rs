//! The `planner-arm` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    planner_arm::cli::run().await
}
