//! Reads one source.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::config::{ArmSource, ArmSourceKind};
use crate::domain::arms::Arm;
use crate::http_client::{bearer, body_within, http_client};

use super::stdio::StdioServer;
use super::{describe, mcp, openapi};

/// The longest time for reading a source that runs already.
const READ_TIME: Duration = Duration::from_secs(10);
/// The longest answer.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Of more tools than these, the first are taken.
pub(super) const MAX_TOOLS: usize = 1_000;

/// Of more capabilities than these, the first are taken.
const MAX_CAPABILITIES: usize = 50;

/// The arms of a source.
#[derive(Debug, Default)]
pub(super) struct SourceArms {
    pub(super) arms: Vec<Arm>,
    /// What cannot be an arm, and why.
    pub(super) left_out: Vec<String>,
}

/// A tool as a source describes it.
pub(super) struct FoundTool {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
}

/// Reads a source, whenever it is asked to.
pub(super) struct SourceReader {
    source: ArmSource,
    access: Access,
}

enum Access {
    Http(reqwest::Client),
    Process(Box<StdioServer>),
}

impl SourceReader {
    pub(super) fn new(source: &ArmSource) -> Result<Self, String> {
        let access = match &source.kind {
            ArmSourceKind::Mcp(url) | ArmSourceKind::OpenApi(url) | ArmSourceKind::Capabilities(url) => {
                Access::Http(http_client(url.as_str())?)
            }
            ArmSourceKind::McpCommand { command, env } => {
                Access::Process(Box::new(StdioServer::new(&source.name, command, env)))
            }
        };
        Ok(Self { source: source.clone(), access })
    }

    /// What the source has now, or why it cannot be read.
    pub(super) async fn read(&mut self) -> Result<SourceArms, String> {
        let Self { source, access } = self;
        let found = match access {
            Access::Process(server) => return Ok(arms(source, server.tools().await?)),
            Access::Http(client) => timeout(READ_TIME, read_over_http(source, client)),
        };
        found.await.unwrap_or_else(|_| Err(format!("does not answer within {} s", READ_TIME.as_secs())))
    }

    /// Resolves when the source says that its tools have changed, or has ended.
    pub(super) async fn changed(&self) {
        match &self.access {
            Access::Http(_) => std::future::pending().await,
            Access::Process(server) => server.changed().await,
        }
    }

    /// Ends what was started to read it.
    pub(super) async fn end(&mut self) {
        if let Access::Process(server) = &mut self.access {
            server.end().await;
        }
    }
}

async fn read_over_http(source: &ArmSource, client: &reqwest::Client) -> Result<SourceArms, String> {
    match &source.kind {
        ArmSourceKind::Mcp(url) => {
            Ok(arms(source, mcp::tools_at(url, source.token.as_ref(), client.clone()).await?))
        }
        ArmSourceKind::OpenApi(url) => {
            let text =
                body_at(source, url, client, "application/json, application/yaml;q=0.9, */*;q=0.1").await?;
            // A long document in YAML would hold up requests.
            let document = tokio::task::spawn_blocking(move || openapi::document(&text)).await;
            let document = document.unwrap_or_else(|_| Err("cannot be parsed".into()))?;
            Ok(arms(source, openapi::operations(&document)?))
        }
        ArmSourceKind::Capabilities(url) => {
            let text = body_at(source, url, client, "application/json").await?;
            let answer = serde_json::from_slice(&text).map_err(|_| "does not answer with JSON")?;
            self_described_arm(source, answer)
        }
        ArmSourceKind::McpCommand { .. } => unreachable!("a command is not read over HTTP"),
    }
}

/// What a GET of `url` answers with, preferably in one of the `accepted` media types.
async fn body_at(
    source: &ArmSource,
    url: &Url,
    client: &reqwest::Client,
    accepted: &'static str,
) -> Result<Bytes, String> {
    let mut request = client.get(url.clone()).header(ACCEPT, accepted);
    if let Some(token) = source.token.as_ref().and_then(bearer) {
        request = request.header(AUTHORIZATION, token);
    }
    let mut response = request.send().await.map_err(|error| describe::http(&error))?;
    if !response.status().is_success() {
        return Err(describe::status(response.status().as_u16()));
    }
    let body = body_within(&mut response, MAX_BYTES).await.map_err(|error| describe::http(&error))?;
    body.ok_or_else(|| describe::TOO_LARGE.into())
}

/// The tools that `source` takes as arms.
fn arms(source: &ArmSource, tools: Vec<FoundTool>) -> SourceArms {
    let mut found = SourceArms::default();
    let taken = tools.into_iter().filter(|tool| source.takes(&tool.name));
    for (place, tool) in taken.enumerate() {
        if place == MAX_TOOLS {
            found.left_out.push(format!("all beyond the first {MAX_TOOLS}"));
            break;
        }
        match Arm::of_source(&format!("{}{}", source.prefix, tool.name), &tool.description) {
            Ok(arm) if found.arms.iter().any(|other| other.id == arm.id) => {
                found.left_out.push(format!("`{}` is listed twice", describe::quoted(&arm.id)));
            }
            Ok(arm) => found.arms.push(Arm { inputs: tool.inputs, outputs: tool.outputs, ..arm }),
            Err(why) => found.left_out.push(why),
        }
    }
    found
}

/// What an arm of `OctoLLM` says of itself.
#[derive(Deserialize)]
struct SelfDescription {
    arm_id: String,
    #[serde(default)]
    capabilities: Vec<String>,
    cost_tier: Option<u8>,
}

fn self_described_arm(source: &ArmSource, answer: Value) -> Result<SourceArms, String> {
    let description: SelfDescription = serde_json::from_value(answer).map_err(|error| {
        format!("does not answer with the capabilities of an arm: {}", describe::quoted(&error.to_string()))
    })?;
    if !source.takes(&description.arm_id) {
        return Ok(SourceArms::default());
    }
    let arm = Arm::of_source(&format!("{}{}", source.prefix, description.arm_id), "")?;
    let cost_tier = description.cost_tier.unwrap_or(arm.cost_tier);
    if !(1..=5).contains(&cost_tier) {
        return Err(format!("says that its cost_tier is {cost_tier}; it must be from 1 to 5"));
    }
    let clean = |capability: String| describe::quoted(&capability);
    let capabilities = description.capabilities.into_iter().map(clean).filter(|text| !text.is_empty());
    let capabilities = capabilities.take(MAX_CAPABILITIES).collect();
    Ok(SourceArms { arms: vec![Arm { capabilities, cost_tier, ..arm }], left_out: Vec::new() })
}
