//! `planner-arm man`: the manual page, made from what the command line is made of.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::config::PREFIX;
use crate::config::table::SETTINGS;

/// Exit codes and what they mean.
const EXIT_CODES: [(&str, &str); 5] = [
    ("0", "It succeeded."),
    ("1", "It failed; standard error says why in a sentence."),
    ("2", "The arguments are invalid."),
    ("78", "Settings are invalid; standard error names each."),
    ("130", "A plan was interrupted while its progress was shown."),
];

/// Variables without our prefix, and what they do.
const OTHER_VARIABLES: [(&str, &str); 16] = [
    ("PLANNER_CONFIG_FILE", "A YAML or TOML file with settings, in lower case and without the prefix."),
    ("OPENAI_API_KEY", "The key of the LLM server, where PLANNER_OPENAI_API_KEY is not set."),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where traces are sent, over OTLP (HTTP, protobuf); without it none are made.",
    ),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "The same, as a whole URL for traces alone."),
    ("OTEL_EXPORTER_OTLP_HEADERS", "Headers for the collector: a comma list of NAME=VALUE."),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "How batches are compressed: none or gzip. Default: none."),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "Milliseconds that a batch may take to be sent. Default: 10000."),
    ("OTEL_RESOURCE_ATTRIBUTES", "What every trace says of this process: a comma list of NAME=VALUE."),
    ("OTEL_TRACES_SAMPLER", "Which traces are sent. Default: parentbased_always_on."),
    ("OTEL_TRACES_SAMPLER_ARG", "The share for a sampler by ratio, 0 to 1. Default: 1."),
    ("OTEL_BSP_SCHEDULE_DELAY", "Milliseconds between batches. Default: 5000."),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "Most spans that wait to be sent; more are dropped. Default: 2048."),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "Most spans in one batch. Default: 512."),
    (
        "NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM",
        "Whether arms are shown in colours, unless --color says so.",
    ),
    ("HTTPS_PROXY, HTTP_PROXY", "The proxy through which the LLM server is called."),
    ("NO_PROXY", "Hosts that are called without it."),
];

/// The page of `command` in roff, for `man`.
pub(super) fn page(mut command: Command) -> Result<String, String> {
    command = command.disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    // By hand: without a date, which a build has none of, its other arguments would move up.
    page.extend(
        format!(".TH planner-arm 1 \"\" \"planner-arm {}\" OctoLLM\n", env!("CARGO_PKG_VERSION")).bytes(),
    );
    man.render_name_section(&mut page)
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| commands(&command).to_writer(&mut page))
        .and_then(|()| exit_status().to_writer(&mut page))
        .and_then(|()| environment().to_writer(&mut page))
        .map_err(|error| format!("the manual page cannot be written: {error}"))?;
    String::from_utf8(page).map_err(|error| error.to_string())
}

/// Each command with what it takes.
fn commands(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for command in command.get_subcommands() {
        roff.control("SS", [format!("planner-arm {}", command.get_name()).as_str()]);
        roff.text([roman(sentence(command.get_about()))]);
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            roff.control("TP", []);
            let value = argument.get_value_names().unwrap_or_default().join(" ");
            let mut head = Vec::new();
            if let Some(short) = argument.get_short() {
                head.extend([bold(format!("-{short}")), roman(", ")]);
            }
            if let Some(long) = argument.get_long() {
                head.extend([bold(format!("--{long}")), roman(" ")]);
            }
            head.push(italic(value));
            roff.text(head);
            roff.text([roman(sentence(argument.get_help()))]);
            let values: Vec<String> =
                argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            if !values.is_empty() {
                roff.text([roman(format!("One of {}.", values.join(", ")))]);
            }
            let usual: Vec<_> =
                argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
            if !usual.is_empty() {
                roff.text([roman(format!("Default: {}.", usual.join(", ")))]);
            }
        }
    }
    roff
}

/// A help text as a sentence.
fn sentence(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(|help| format!("{help}.")).unwrap_or_default()
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
