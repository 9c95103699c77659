//! `planner-arm man`: the manual page, rendered by `clap_mangen`.

use std::io::{self, Write as _};

use clap::builder::PossibleValue;
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config::PREFIX;
use crate::config::table::SETTINGS;

/// Exit codes and their meanings.
const EXIT_CODES: [(&str, &str); 5] = [
    ("0", "Success."),
    ("1", "Failure; standard error says why."),
    ("2", "Invalid arguments."),
    ("78", "Invalid settings; standard error lists each."),
    ("130", "Planning was interrupted in a terminal."),
];

/// Variables without our prefix, and what they do.
const OTHER_VARIABLES: [(&str, &str); 16] = [
    ("PLANNER_CONFIG_FILE", "A YAML or TOML file with settings, in lower case and without the prefix."),
    ("OPENAI_API_KEY", "The key of the LLM server, if PLANNER_OPENAI_API_KEY is not set."),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where traces are sent, over OTLP (HTTP, protobuf). If it is not set, no traces are made.",
    ),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "The same for traces only, as a complete URL."),
    ("OTEL_EXPORTER_OTLP_HEADERS", "Headers for the collector: a comma-separated list of NAME=VALUE."),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "How batches are compressed: none or gzip. Default: none."),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "Time limit for sending a batch, in milliseconds. Default: 10000."),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "Attributes of this process in every trace: a comma-separated list of NAME=VALUE.",
    ),
    ("OTEL_TRACES_SAMPLER", "Which traces are sent. Default: parentbased_always_on."),
    ("OTEL_TRACES_SAMPLER_ARG", "The ratio for samplers that take one, 0 to 1. Default: 1."),
    ("OTEL_BSP_SCHEDULE_DELAY", "Milliseconds between batches. Default: 5000."),
    (
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "Maximum number of spans that wait to be sent; further spans are dropped. Default: 2048.",
    ),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "Maximum number of spans in one batch. Default: 512."),
    (
        "NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM",
        "Whether arms are shown in colours, unless --color is given.",
    ),
    ("HTTPS_PROXY, HTTP_PROXY", "The proxy through which the LLM server is called."),
    ("NO_PROXY", "Hosts that are called without the proxy."),
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
    let is_own = |argument: &Arg| argument.get_id() != "help" && !argument.is_global_set();
    for part in
        std::iter::once(command).chain(command.get_subcommands().filter(|c| c.get_arguments().any(is_own)))
    {
        let is_whole = part.get_name() == command.get_name();
        // The heading of the section; without one, each would be called "OPTIONS".
        let heading = if is_whole {
            "options".to_owned()
        } else {
            format!("options of planner-arm {}", part.get_name())
        };
        let is_shown = |argument: &Arg| is_whole || is_own(argument);
        let part = part.clone().mut_args(|argument| for_page(argument, &heading, is_shown));
        Man::new(part).render_options_section(page)?;
    }
    exit_status().to_writer(page)?;
    environment().to_writer(page)
}

/// `argument` under `heading` if it `is_shown`, its possible values in the help text: `clap_mangen`'s list of them is invalid for mandoc.
fn for_page(argument: Arg, heading: &str, is_shown: impl Fn(&Arg) -> bool) -> Arg {
    let is_hidden = !is_shown(&argument);
    let values = argument.get_possible_values();
    let values: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
    let mut argument = argument.help_heading(heading.to_owned()).hide(is_hidden).hide_possible_values(true);
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

/// Every variable: what it does, what it may be, its default.
fn environment() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    for setting in SETTINGS.iter().filter(|setting| !setting.is_file_only()) {
        roff.control("TP", []);
        roff.text([bold(setting.variable(PREFIX))]);
        roff.text([roman(setting.description())]);
    }
    for (names, meaning) in OTHER_VARIABLES {
        roff.control("TP", []);
        roff.text([bold(names)]).text([roman(meaning)]);
    }
    roff
}
