//! The command line of `orchestrator`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::info;

use crate::config::table::help;
use crate::config::{EXIT_CODE, health_url, warn_about_unknown};
use crate::server::lifecycle::Phase;
use crate::server::process::{exit_as, healthcheck};
use crate::server::{self, StopSignals};
use crate::telemetry;

use super::{Orchestrator, PREFIX, SETTINGS, Settings};

/// The reference orchestrator of OctoLLM: accepts tasks, has the planner arm plan them, and stores the plans.
///
/// Settings are environment variables with the prefix `ORCHESTRATOR_`.
#[derive(Debug, Parser)]
#[command(name = "orchestrator", version, after_long_help = help(SETTINGS, PREFIX))]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API and plan tasks (the default command)
    Serve,
    /// Check whether a running orchestrator is healthy; the exit code is 0 or 1
    Healthcheck {
        /// The URL to request [default: /health at `ORCHESTRATOR_HOST` and `ORCHESTRATOR_PORT`]
        url: Option<String>,
    },
}

/// Runs the command that the process was started with.
pub async fn run() -> ExitCode {
    const NAME: &str = "orchestrator";
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    if let Command::Healthcheck { url: Some(url) } = &command {
        // Needs no settings, so that invalid ones do not matter.
        return exit_as(NAME, healthcheck(url).await, 1);
    }
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(error) => return exit_as(NAME, Err(error.to_string()), EXIT_CODE),
    };
    let outcome = match command {
        Command::Serve => serve(&settings).await,
        Command::Healthcheck { .. } => {
            for variable in &settings.unknown_variables {
                eprintln!("{NAME}: {variable}");
            }
            healthcheck(&health_url(&settings.host, settings.port)).await
        }
    };
    exit_as(NAME, outcome, 1)
}

/// Serves until SIGTERM or SIGINT.
async fn serve(settings: &Settings) -> Result<(), String> {
    let _log = telemetry::init(settings.log_level, settings.log_format, "orchestrator");
    warn_about_unknown(&settings.unknown_variables);
    server::raise_open_file_limit();
    let listener = server::bind(&settings.host, settings.port, PREFIX).await?;
    // From here on, as the database may take a while.
    let signals = StopSignals::listen()?;
    let orchestrator = tokio::select! {
        started = Orchestrator::start(settings) => started?,
        () = signals.clone().first() => return Ok(()),
    };
    let on_second = orchestrator.clone();
    signals.on_second(move || on_second.lifecycle.enter(Phase::Aborting));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %listener.local_addr().map_err(|error| error.to_string())?,
        database = %settings.database,
        planner_arm = settings.planner_arm_url,
        "listening"
    );
    super::run(listener, orchestrator, settings.shutdown_grace, signals.first())
        .await
        .map_err(|error| format!("the server failed: {error}"))
}
