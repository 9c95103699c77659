//! Where arms come from, other than the settings file: MCP servers, `OpenAPI` documents, other arms of `OctoLLM`.

use std::collections::HashMap;
use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;
use wildmatch::WildMatch;

use super::show::mask_url;

/// Longest name of a source, in characters.
const MAX_NAME_CHARS: usize = 100;

/// One place that arms are read from while the service runs.
#[derive(Debug, Clone)]
pub struct ArmSource {
    /// What it is called in `GET /arms`, logs and metrics; unique.
    pub name: String,
    /// What is read, and how.
    pub kind: ArmSourceKind,
    /// The bearer token for it.
    pub token: Option<SecretString>,
    /// The prefix of its arms' ids, before the names of the tools.
    pub prefix: String,
    include: Vec<WildMatch>,
    exclude: Vec<WildMatch>,
}

/// What a source is.
#[derive(Debug, Clone)]
pub enum ArmSourceKind {
    /// An MCP server over HTTP: each tool is an arm.
    Mcp(Url),
    /// An MCP server that is started as a child process.
    McpCommand {
        /// The program and its arguments; never empty.
        command: Vec<String>,
        /// Environment variables that it gets in addition to the usual ones.
        env: Vec<(String, SecretString)>,
    },
    /// An `OpenAPI` document: each operation is an arm.
    OpenApi(Url),
    /// The `/capabilities` of an arm of `OctoLLM`, which is one arm.
    Capabilities(Url),
}

impl ArmSource {
    /// Whether the tool with this name, without the prefix, becomes an arm.
    pub fn takes(&self, name: &str) -> bool {
        let is_among = |patterns: &[WildMatch]| patterns.iter().any(|pattern| pattern.matches(name));
        (self.include.is_empty() || is_among(&self.include)) && !is_among(&self.exclude)
    }
}

/// A source as written in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    name: Option<String>,
    mcp: Option<String>,
    mcp_command: Option<Vec<String>>,
    openapi: Option<String>,
    capabilities: Option<String>,
    token_env: Option<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

/// Which fields a source has, for faults.
pub(super) const FIELDS: &str = "each source has one of mcp, mcp_command, openapi and capabilities, and may have name, token_env, env, prefix, include, exclude";

/// The sources of the file; `variables` has the tokens that they name.
///
/// # Errors
/// Every fault of the list, one sentence each.
pub(super) fn read(
    entries: Vec<Entry>,
    variables: &HashMap<String, String>,
) -> Result<Vec<ArmSource>, Vec<String>> {
    let mut faults = Vec::new();
    let mut sources: Vec<ArmSource> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let place = format!("arm_sources[{index}]");
        let reader = EntryReader { place: place.clone(), variables, faults: &mut faults };
        let Some(source) = reader.read(entry) else { continue };
        if sources.iter().any(|earlier| earlier.name == source.name) {
            let name = &source.name;
            faults.push(format!(
                "{place} has the same name as an earlier one, `{name}`; give each its own `name`"
            ));
        }
        sources.push(source);
    }
    if faults.is_empty() { Ok(sources) } else { Err(faults) }
}

/// Reads one entry and notes everything that is wrong with it.
struct EntryReader<'a> {
    place: String,
    variables: &'a HashMap<String, String>,
    faults: &'a mut Vec<String>,
}

impl EntryReader<'_> {
    fn read(mut self, entry: Entry) -> Option<ArmSource> {
        let Entry { name, mcp, mcp_command, openapi, capabilities, token_env, env, prefix, include, exclude } =
            entry;
        let is_command = mcp_command.is_some();
        if token_env.is_some() && is_command {
            self.fault("token_env", "is for URLs; name the variables of a child process in `env`");
        }
        if !env.is_empty() && !is_command {
            self.fault("env", "is for mcp_command alone");
        }
        if prefix.trim_start() != prefix || prefix.chars().any(char::is_control) {
            self.fault("prefix", "starts with white space or has a control character in it");
        }
        let token = token_env.and_then(|variable| self.variable("token_env", &variable));
        let env = env.into_iter().filter_map(|variable| {
            let value = self.variable("env", &variable)?;
            Some((variable, value))
        });
        let env: Vec<_> = env.collect();
        let kinds = [
            mcp.and_then(|url| self.url("mcp", &url)).map(ArmSourceKind::Mcp),
            mcp_command.and_then(|command| self.command(command, env)),
            openapi.and_then(|url| self.url("openapi", &url)).map(ArmSourceKind::OpenApi),
            capabilities.and_then(|url| self.url("capabilities", &url)).map(ArmSourceKind::Capabilities),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let kind = kinds.next();
        if kinds.next().is_some() || (kind.is_none() && !self.has_fault()) {
            self.fault("", "must have exactly one of mcp, mcp_command, openapi and capabilities");
        }
        let kind = kind?;
        let name = name.unwrap_or_else(|| kind.name());
        if name.trim().is_empty()
            || name.chars().count() > MAX_NAME_CHARS
            || name.chars().any(char::is_control)
        {
            self.fault("name", "must be 1 to 100 characters, without control characters");
        }
        let patterns =
            |patterns: Vec<String>| patterns.iter().map(|pattern| WildMatch::new(pattern)).collect();
        Some(ArmSource { name, kind, token, prefix, include: patterns(include), exclude: patterns(exclude) })
    }

    fn url(&mut self, field: &str, text: &str) -> Option<Url> {
        let url = Url::parse(text.trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        match url {
            None => {
                let what = format!("is \"{}\"; it must be an http or https URL", mask_url(text));
                self.fault(field, &what);
            }
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                self.fault(
                    field,
                    "must not contain a user or password; name a variable with a token in `token_env`",
                );
            }
            Some(url) => return Some(url),
        }
        None
    }

    fn command(&mut self, command: Vec<String>, env: Vec<(String, SecretString)>) -> Option<ArmSourceKind> {
        if command.first().is_none_or(|program| program.trim().is_empty()) {
            self.fault("mcp_command", "must be a list: the program, then its arguments");
            return None;
        }
        if command.iter().any(|part| part.contains('\0')) {
            self.fault("mcp_command", "has a NUL character in it");
            return None;
        }
        Some(ArmSourceKind::McpCommand { command, env })
    }

    /// The value of the environment variable `name`, which is a secret.
    fn variable(&mut self, field: &str, name: &str) -> Option<SecretString> {
        let Some(value) = self.variables.get(name).filter(|value| !value.trim().is_empty()) else {
            self.fault(field, &format!("names the environment variable `{name}`, which is not set"));
            return None;
        };
        if field == "token_env" && !value.trim().bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = format!(
                "names `{name}`, which has a space or a special character in it; it must be the bare token"
            );
            self.fault(field, &what);
            return None;
        }
        Some(SecretString::from(value.trim()))
    }

    fn has_fault(&self) -> bool {
        self.faults.iter().any(|fault| fault.starts_with(&self.place))
    }

    fn fault(&mut self, field: &str, what: &str) {
        let dot = if field.is_empty() { "" } else { "." };
        self.faults.push(format!("{}{dot}{field} {what}", self.place));
    }
}

impl ArmSourceKind {
    /// What a source without a name is called: neither a query nor arguments, which may hold secrets.
    fn name(&self) -> String {
        match self {
            Self::Mcp(url) | Self::OpenApi(url) | Self::Capabilities(url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.set_fragment(None);
                crate::text::shorten(url.as_str(), MAX_NAME_CHARS)
            }
            Self::McpCommand { command, .. } => {
                let program = command.first().map(String::as_str).unwrap_or_default();
                let name = Path::new(program).file_name().map(|name| name.to_string_lossy().into_owned());
                name.unwrap_or_else(|| program.to_owned())
            }
        }
    }
}
