//! The command line of `planner-arm`; each command has a file.

mod arms;
mod arms_file;
mod config;
mod eval;
mod generate;
mod man;
mod output;
mod plan;
mod playbooks;
mod progress;
mod render;
mod replan;
mod request;
mod validate;

use std::collections::HashMap;
use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::config::table::{SETTINGS, help};
use crate::config::{
    CONFIG_FILE, EXIT_CODE, LocalLlm, PREFIX, Settings, SettingsError, process_variables, unknown_variables,
};
use crate::llm::local;
use crate::server::process::{exit_as, healthcheck};
use crate::service::{PlannerService, detect_local_llm};

use render::visible;

/// The planner arm of OctoLLM: turns goals into valid plans.
///
/// Settings are environment variables with the prefix `PLANNER_`, or a file named by `PLANNER_CONFIG_FILE`;
/// `planner-arm config` prints the current ones.
#[derive(Debug, Parser)]
#[command(name = "planner-arm", version)]
struct Arguments {
    /// The settings file to use instead of the one that `PLANNER_CONFIG_FILE` names
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<String>,
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
    /// Check a plan without a language model and print it; the exit code is 1 if it is not valid
    Validate(validate::ValidateArguments),
    /// Plan the remaining steps of a plan, or change them as feedback asks
    Replan(replan::ReplanArguments),
    /// Evaluate the configured engine on a set of scenarios and print a report
    Eval(eval::EvalArguments),
    /// Print the arms that steps can be assigned to, including those of arm sources
    Arms(arms::ArmsArguments),
    /// Print all playbooks, one playbook, or those that fit a goal
    Playbooks(playbooks::PlaybooksArguments),
    /// Check whether a running service is healthy; the exit code is 0 or 1
    Healthcheck {
        /// The URL to request [default: /health at `PLANNER_HOST` and `PLANNER_PORT`]
        url: Option<String>,
    },
    /// Print the settings in force, with secrets masked (`config --help` explains each setting)
    #[command(after_long_help = help(SETTINGS, PREFIX))]
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
    let Arguments { config, command } =
        Arguments::try_parse().unwrap_or_else(|error| with_hint(error).exit());
    let command = command.unwrap_or(Command::Serve);
    let mut variables = process_variables();
    if let Some(file) = config {
        variables.insert(CONFIG_FILE.to_owned(), file);
    }
    // Those that serve have a log.
    if !command.serves() {
        report(&unknown_variables(&variables));
    }
    // Commands that need no settings come first, so that they work with invalid ones.
    match &command {
        Command::Healthcheck { url: Some(url) } => return exit(block_on(1, healthcheck(url))),
        Command::Completions { shell } => return exit(print(&completions(*shell))),
        Command::Man => return exit(man::page(Arguments::command()).and_then(|page| print(&page))),
        Command::Plan(arguments) if !arguments.has_goal() => usage_error("plan", plan::NO_GOAL),
        Command::Validate(arguments) if !arguments.has_plan() => {
            usage_error("validate", "no plan: give a file as an argument, or a plan on standard input")
        }
        _ => {}
    }
    let settings = match settings(&variables, &command) {
        Ok(settings) => settings,
        Err(error) => {
            if command.serves() {
                report(&unknown_variables(&variables));
            }
            return exit_as("planner-arm", Err(error.to_string()), EXIT_CODE);
        }
    };
    let threads = settings.worker_threads;
    exit(match command {
        Command::Serve => block_on(threads, serve(settings)),
        Command::Mcp => block_on(threads, serve_mcp(settings)),
        Command::Plan(arguments) => return block_on(threads, plan::plan(arguments, &settings)),
        Command::Validate(arguments) => return block_on(threads, validate::validate(arguments, &settings)),
        Command::Replan(arguments) => return block_on(threads, replan::replan(arguments, &settings)),
        Command::Eval(arguments) => block_on(threads, eval::eval(arguments, settings)),
        Command::Healthcheck { .. } => block_on(1, healthcheck(&settings.health_url())),
        Command::Arms(arguments) => block_on(threads, arms::print(arguments, settings)),
        Command::Playbooks(arguments) => playbooks::print(&arguments, &settings),
        Command::Config => config::print(&settings),
        Command::Completions { .. } | Command::Man => unreachable!("they need no settings"),
    })
}

/// Reads the sources of arms, and says what is wrong with them.
async fn read_arm_sources(service: &Arc<PlannerService>) {
    service.read_arm_sources().await;
    for status in &service.arms().sources {
        if let Some(error) = &status.error {
            eprintln!("planner-arm: arm source {}: {}", visible(&status.source), visible(error));
        }
    }
}

impl Command {
    /// Whether it runs until it is stopped, and has a log.
    fn serves(&self) -> bool {
        matches!(self, Self::Serve | Self::Mcp)
    }

    /// Whether it makes plans, or shows what would make them.
    fn needs_engine(&self) -> bool {
        self.serves() || matches!(self, Self::Plan(_) | Self::Replan(_) | Self::Eval(_) | Self::Config)
    }
}

/// The settings in `variables`, with the model on this machine that they ask for where `command` needs one.
fn settings(variables: &HashMap<String, String>, command: &Command) -> Result<Settings, SettingsError> {
    let settings = Settings::load(variables)?;
    if !command.needs_engine() || !matches!(settings.local_llm, LocalLlm::Requested(_)) {
        return Ok(settings);
    }
    let addresses = local::usual_addresses(settings.port);
    block_on(1, detect_local_llm(settings, &addresses))
}

/// Prints `lines` to standard error.
fn report<T: Display>(lines: &[T]) {
    for line in lines {
        // Standard error may be closed.
        let _ = writeln!(std::io::stderr(), "planner-arm: {line}");
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

/// Adds to an error about an unknown argument what is usually the reason: a text without quotes, or the goal of
/// `plan` as an option, which it is in other commands.
fn with_hint(mut error: clap::Error) -> clap::Error {
    let hint = match error.get(ContextKind::InvalidArg) {
        _ if error.kind() != ErrorKind::UnknownArgument => None,
        Some(ContextValue::String(given)) if given == "--goal" || given == "-g" => {
            Some("write the goal without an option, as in planner-arm plan fix the bug")
        }
        Some(ContextValue::String(given)) if !given.starts_with('-') => {
            Some("put a text of several words in quotes, as in --goal \"fix the bug\"")
        }
        _ => None,
    };
    if let Some(hint) = hint {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    }
    error
}

/// A whole number above 0.
fn positive<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number > T::from(0));
    number.ok_or_else(|| "it must be a whole number above 0".into())
}

/// Exits as clap does for invalid arguments of the command `name`.
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
