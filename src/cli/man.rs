//! `planner-arm man`: the manual page, made from what the command line is made of.

use std::collections::HashMap;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::config::{PREFIX, Settings};

/// Exit codes and what they say.
const EXIT_CODES: [(&str, &str); 5] = [
    ("0", "It succeeded."),
    ("1", "It failed; standard error says why in a sentence."),
    ("2", "The arguments are wrong."),
    ("78", "Settings are wrong; standard error names each."),
    ("130", "A plan was interrupted while it could be seen being made."),
];

/// Variables that are no settings, and what they do.
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
        roff.text([roman(said(command.get_about()))]);
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
            roff.text([roman(said(argument.get_help()))]);
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
fn said(help: Option<&clap::builder::StyledStr>) -> String {
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
