//! Finds a language model on this machine: asks the ports on which such servers listen by default for their models.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::timeout;
use tracing::debug;

use crate::config::LocalModel;
use crate::http_client::{body_within, http_client};

/// Ollama, llama.cpp and LM Studio; a model of an earlier one is preferred.
const PORTS: [u16; 3] = [11_434, 8_080, 1_234];
/// How long each may take to list its models. They are asked in parallel.
const LIST_TIMEOUT: Duration = Duration::from_millis(300);
/// The longest list of models that is read; ten times what a server with hundreds of models sends.
const MAX_LIST_BYTES: usize = 256 * 1024;
/// The longest name of a model, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Where to look, in this order: the usual ports of this machine, without `own_port`, on which this program listens.
pub fn usual_addresses(own_port: u16) -> Vec<SocketAddr> {
    let others = PORTS.into_iter().filter(|port| *port != own_port);
    others.map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect()
}

/// The first model that a server at one of `addresses` offers, or the one that is `wanted`. Takes 300 ms at most.
pub async fn find_model(addresses: &[SocketAddr], wanted: Option<&str>) -> Option<LocalModel> {
    // For `http`, so that no certificate matters; what is on this machine is called without a proxy.
    let client = http_client("http://127.0.0.1").ok()?;
    let answers = addresses.iter().map(async |address| {
        let base_url = format!("http://{address}/v1");
        let names = timeout(LIST_TIMEOUT, model_names(&client, &base_url)).await.ok().flatten()?;
        let name = names
            .into_iter()
            .find(|name| is_usable(name) && wanted.is_none_or(|wanted| is_named(name, wanted)));
        debug!(%address, model = name.as_deref(), "a server on this machine lists its models");
        Some(LocalModel { base_url, name: name? })
    });
    join_all(answers).await.into_iter().flatten().next()
}

/// The models of the server at `base_url`; `None` when what listens there lists none.
async fn model_names(client: &reqwest::Client, base_url: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let mut response = client.get(format!("{base_url}/models")).send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let body = body_within(&mut response, MAX_LIST_BYTES).await.ok()??;
    let models: Models = serde_json::from_slice(&body).ok()?;
    Some(models.data.into_iter().map(|model| model.id).collect())
}

/// Whether a model of that name can plan. Ollama and LM Studio list models that only embed texts among the others.
fn is_usable(name: &str) -> bool {
    let is_name = !name.trim().is_empty()
        && name.chars().count() <= MAX_NAME_CHARS
        && !name.chars().any(char::is_control);
    is_name && !name.to_lowercase().contains("embed")
}

/// Whether a server's `name` is the model `wanted`; Ollama names a model without a tag `…:latest`.
fn is_named(name: &str, wanted: &str) -> bool {
    name == wanted || name.strip_suffix(":latest") == Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_port_is_not_asked() {
        let ports = |own| usual_addresses(own).iter().map(SocketAddr::port).collect::<Vec<_>>();
        assert_eq!(ports(8_001), [11_434, 8_080, 1_234]);
        assert_eq!(ports(8_080), [11_434, 1_234]);
        assert!(usual_addresses(8_001).iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn models_that_only_embed_texts_are_not_used() {
        for (name, usable) in [
            ("llama3.2:latest", true),
            ("qwen/qwen3-4b", true),
            ("nomic-embed-text:latest", false),
            ("text-embedding-3", false),
            (" ", false),
            ("a\nb", false),
            (&"x".repeat(201), false),
        ] {
            assert_eq!(is_usable(name), usable, "{name}");
        }
        assert!(is_named("llama3.2:latest", "llama3.2") && !is_named("llama3.2:1b", "llama3.2"));
    }
}
