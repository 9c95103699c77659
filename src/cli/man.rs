//! `planner-arm man`: the manual page, rendered by `clap_mangen`.

use std::collections::HashMap;
use std::io::{self, Write as _};

use clap::builder::PossibleValue;
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config::{PREFIX, Settings};

/// Exit codes and their meanings.
const EXIT_CODES: [(&str, &str); 5] = [
    ("0", "Success."),
    ("1", "Failure; standard error says why."),
    ("2", "Invalid arguments."),
    ("78", "Invalid settings; standard error lists each."),
    ("130", "A plan was interrupted in a terminal."),
];

/// Variables without the prefix of settings, and what they do.
const OTHER_VARIABLES: [(&str, &str); 5] = [
    ("PLANNER_CONFIG_FILE", "A YAML or TOML file with settings, in lower case and without the prefix."),
    ("OPENAI_API_KEY", "The key for LLMs, where PLANNER_OPENAI_API_KEY is not set."),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, \
         OTEL_EXPORTER_OTLP_COMPRESSION, OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, \
         OTEL_TRACES_SAMPLER_ARG, OTEL_BSP_SCHEDULE_DELAY, OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "Where traces go, and which.",
    ),
    (
        "NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM",
        "Whether arms are shown in colours, unless --color says so.",
    ),
    ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "How LLMs are reached."),
];

/// The page of `command` in roff, for `man`.
pub(super) fn page(mut command: Command) -> Result<String, String> {
    command = command.disable_help_subcommand(true).subcommand_value_name("command");
    command.build();
    let mut page = Vec::new();
    render(&command, &mut page).map_err(|error| format!("cannot render the manual page: {error}"))?;
    String::from_utf8(page).map_err(|error| error.to_string())
}

fn render(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    // clap_mangen leaves an empty date out, so that the arguments after it move up.
    writeln!(page, ".TH planner-arm 1 \"\" \"planner-arm {}\" OctoLLM", env!("CARGO_PKG_VERSION"))?;
    let man = Man::new(command.clone());
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    commands(command).to_writer(page)?;
    for command in command.get_subcommands().filter(|command| command.get_arguments().count() > 1) {
        // The heading of the section; without one, each would be called "OPTIONS".
        let heading = format!("options of planner-arm {}", command.get_name());
        let command = command.clone().mut_args(|argument| for_page(argument, &heading));
        Man::new(command).render_options_section(page)?;
    }
    exit_status().to_writer(page)?;
    environment().to_writer(page)
}

/// `argument` under `heading`, its possible values in the help text: `clap_mangen`'s list of them is invalid for mandoc.
fn for_page(argument: Arg, heading: &str) -> Arg {
    let is_help = argument.get_id() == "help";
    let values = argument.get_possible_values();
    let values: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
    let mut argument = argument.help_heading(heading.to_owned()).hide(is_help).hide_possible_values(true);
    if !values.is_empty() {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        argument = argument.help(format!("{help}: {}", values.join(", ")));
    }
    argument
}

/// Each command with its description: all are in this page, where `clap_mangen` expects a page for each.
fn commands(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for command in command.get_subcommands() {
        roff.control("TP", []);
        roff.text([bold(format!("planner-arm {}", command.get_name()))]);
        roff.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
    roff
}

fn exit_status() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        roff.control("TP", []);
        roff.text([bold(code)]).text([roman(meaning)]);
    }
    roff
}

/// Every setting with its default.
fn environment() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    roff.text([roman("Settings and their defaults; README.md and .env.example explain each.")]);
    let settings = Settings::load(&HashMap::new()).expect("the defaults are good");
    // Arms and prices can stand in a file only.
    let shown = settings.shown().into_iter().filter(|(name, _)| !matches!(*name, "ARMS" | "PRICES"));
    for (name, value) in shown {
        let usual = match name {
            // What these come to depends on others.
            "ENGINE" => "Default: auto".into(),
            "LOG_FORMAT" => "Default: pretty in development, else json".into(),
            _ if value.is_empty() => "Not set.".into(),
            _ => format!("Default: {value}"),
        };
        roff.control("TP", []);
        roff.text([bold(format!("{PREFIX}{name}"))]);
        roff.text([roman(usual)]);
    }
    for (names, meaning) in OTHER_VARIABLES {
        roff.control("TP", []);
        roff.text([bold(names)]).text([roman(meaning)]);
    }
    roff
}
