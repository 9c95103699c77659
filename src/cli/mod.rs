//! The command line of `planner-arm`: one file for each command.

mod config;
mod eval;
mod man;
mod plan;
mod progress;
mod render;

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{EXIT_CODE, Settings};
use crate::server::process::{exit_as, healthcheck};

/// The planner arm of OctoLLM: a goal goes in, a sound plan comes out.
///
/// Settings are environment variables with the prefix `PLANNER_`, or a file named by `PLANNER_CONFIG_FILE`;
/// `planner-arm config` shows those in force.
#[derive(Debug, Parser)]
#[command(name = "planner-arm", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API (this is what happens without a command)
    Serve,
    /// Serve an agent host (Model Context Protocol) on standard input and output
    ///
    /// Offers the tools `create_plan` and `validate_plan` to the host that starts this program. The log goes to
    /// standard error. The same tools are at /mcp of a running service.
    Mcp,
    /// Make one plan and print it
    Plan(plan::PlanArguments),
    /// Measure how well the configured engine plans: run many scenarios and report on them
    Eval(eval::EvalArguments),
    /// Ask a running service whether it is healthy: exit code 0 or 1
    Healthcheck {
        /// Where to ask [default: /health at `PLANNER_HOST` and `PLANNER_PORT`]
        url: Option<String>,
    },
    /// Print the settings in force, secrets masked (`config --help` explains each)
    #[command(after_long_help = config::help())]
    Config,
    /// Print a script that makes a shell complete this program's arguments
    Completions {
        /// For which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, for `man -l -`
    Man,
}

/// Runs the command that the process was started with; `serve` and `serve_mcp` are the commands that serve, which
/// this layer cannot name.
pub(crate) fn run(
    serve: impl AsyncFnOnce(Settings) -> Result<(), String>,
    serve_mcp: impl AsyncFnOnce(Settings) -> Result<(), String>,
) -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    // What needs no settings comes before them, so that invalid ones do not matter.
    match &command {
        Command::Healthcheck { url: Some(url) } => return exit(block_on(1, healthcheck(url))),
        Command::Completions { shell } => return exit(print(&completions(*shell))),
        Command::Man => return exit(man::page(Arguments::command()).and_then(|page| print(&page))),
        Command::Plan(arguments) if !arguments.have_a_goal() => {
            usage_error("plan", "there is no goal: give one as an argument, or on standard input")
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
        Command::Config => config::print(&settings),
        Command::Completions { .. } | Command::Man => unreachable!("they need no settings"),
    })
}

/// Runs `future` on a runtime of so many worker threads.
fn block_on<F: Future>(worker_threads: usize, future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads)
        .enable_all()
        .build()
        .expect("the system has threads left");
    let output = runtime.block_on(future);
    // A thread that waits for standard input ends with its next line, which may never come.
    runtime.shutdown_background();
    output
}

/// The script for `shell`.
fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "planner-arm", &mut script);
    String::from_utf8(script).expect("clap writes texts")
}

/// Ends the process as clap does for wrong arguments of the command `name`.
fn usage_error(name: &str, what: &str) -> ! {
    let mut command = Arguments::command();
    command.build();
    let command = command.find_subcommand_mut(name).expect("a command of ours");
    command.error(ErrorKind::MissingRequiredArgument, what).exit()
}

fn exit(outcome: Result<(), String>) -> ExitCode {
    exit_as("planner-arm", outcome, 1)
}

/// Writes `text` to standard output; a reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write the output: {error}"))
        }
        _ => Ok(()),
    }
}
