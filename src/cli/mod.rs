//! The command line of `planner-arm`; each command has a file.

mod arms;
mod arms_file;
mod config;
mod eval;
mod man;
mod plan;
mod progress;
mod render;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{EXIT_CODE, Settings};
use crate::server::process::{exit_as, healthcheck};
use crate::service::PlannerService;

use render::visible;

/// The planner arm of OctoLLM: a goal goes in, a valid plan comes out.
///
/// Settings are environment variables with the prefix `PLANNER_`, or a file named by `PLANNER_CONFIG_FILE`;
/// `planner-arm config` prints the current ones.
#[derive(Debug, Parser)]
#[command(name = "planner-arm", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API (the default command)
    Serve,
    /// Serve the Model Context Protocol on standard input and output
    ///
    /// Offers the tools `create_plan`, `validate_plan`, `replan` and `list_arms` to the agent host that starts this
    /// program. The log goes to standard error. A running service offers the same tools at /mcp.
    Mcp,
    /// Make one plan and print it
    Plan(plan::PlanArguments),
    /// Evaluate the configured engine on a set of scenarios and print a report
    Eval(eval::EvalArguments),
    /// Print the arms that steps can be given to, those of sources included
    Arms(arms::ArmsArguments),
    /// Check whether a running service is healthy; the exit code is 0 or 1
    Healthcheck {
        /// The URL to request [default: /health at `PLANNER_HOST` and `PLANNER_PORT`]
        url: Option<String>,
    },
    /// Print the settings in force, secrets masked (`config --help` explains each)
    #[command(after_long_help = config::help())]
    Config,
    /// Print a shell completion script
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page; show it with `planner-arm man | man -l -`
    Man,
}

/// Runs the command in the arguments of the process. `serve` and `serve_mcp` are passed in, as they belong to a layer
/// above.
pub(crate) fn run(
    serve: impl AsyncFnOnce(Settings) -> Result<(), String>,
    serve_mcp: impl AsyncFnOnce(Settings) -> Result<(), String>,
) -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    // Commands that need no settings come first, so that they work with invalid ones.
    match &command {
        Command::Healthcheck { url: Some(url) } => return exit(block_on(1, healthcheck(url))),
        Command::Completions { shell } => return exit(print(&completions(*shell))),
        Command::Man => return exit(man::page(Arguments::command()).and_then(|page| print(&page))),
        Command::Plan(arguments) if !arguments.have_a_goal() => {
            usage_error("plan", "no goal: give one as an argument or on standard input")
        }
        _ => {}
    }
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(error) => return exit_as("planner-arm", Err(error.to_string()), EXIT_CODE),
    };
    if !matches!(command, Command::Serve | Command::Mcp) {
        // Those two have a log.
        for variable in &settings.unknown_variables {
            eprintln!("planner-arm: {variable}");
        }
    }
    let threads = settings.worker_threads;
    exit(match command {
        Command::Serve => block_on(threads, serve(settings)),
        Command::Mcp => block_on(threads, serve_mcp(settings)),
        Command::Plan(arguments) => return block_on(threads, plan::plan(arguments, &settings)),
        Command::Eval(arguments) => block_on(threads, eval::eval(arguments, settings)),
        Command::Healthcheck { .. } => block_on(1, healthcheck(&settings.health_url())),
        Command::Arms(arguments) => block_on(threads, arms::print(arguments, settings)),
        Command::Config => config::print(&settings),
        Command::Completions { .. } | Command::Man => unreachable!("they need no settings"),
    })
}

/// Reads the sources of arms, and says what is wrong with them.
async fn read_arm_sources(service: &Arc<PlannerService>) {
    service.read_arm_sources().await;
    for status in &service.arms().sources {
        if let Some(error) = &status.error {
            eprintln!("planner-arm: the source of arms {}: {}", visible(&status.source), visible(error));
        }
    }
}

/// Runs `future` on a runtime with that many worker threads.
fn block_on<F: Future>(worker_threads: usize, future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads)
        .enable_all()
        .build()
        .expect("the system has threads left");
    let output = runtime.block_on(future);
    // Does not wait for a thread that reads standard input, which may never end.
    runtime.shutdown_background();
    output
}

/// The completion script for `shell`.
fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "planner-arm", &mut script);
    String::from_utf8(script).expect("clap writes texts")
}

/// Ends the process as clap does for invalid arguments of the command `name`.
fn usage_error(name: &str, message: &str) -> ! {
    let mut command = Arguments::command();
    command.build();
    let command = command.find_subcommand_mut(name).expect("a command of ours");
    command.error(ErrorKind::MissingRequiredArgument, message).exit()
}

fn exit(outcome: Result<(), String>) -> ExitCode {
    exit_as("planner-arm", outcome, 1)
}

/// Writes `text` to standard output. A reader that stops early (`| head`) is no error.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write the output: {error}"))
        }
        _ => Ok(()),
    }
}
