//! `detect_local_llm`: the settings with a language model that was found on this machine.

use std::time::Duration;

use crate::domain::EngineKind;

use super::{Settings, SettingsError};

/// How long one request may take with a model on this machine, unless `timeout_seconds` is set: without a fast
/// graphics processor a plan takes more than the usual 10 s.
const TIMEOUT_SECONDS: u64 = 120;

/// Whether a language model on this machine makes the plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalLlm {
    /// None is looked for.
    Off,
    /// Look for a model, with this name if there is one.
    Requested(Option<String>),
    /// None was found.
    NotFound,
    /// This one makes them.
    Found(LocalModel),
}

/// A model on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    /// The base URL of its server.
    pub base_url: String,
    /// Its name there.
    pub name: String,
}

impl Settings {
    /// The settings after a model was looked for on this machine, as [`LocalLlm::Requested`] asks.
    ///
    /// # Errors
    /// When there is none, and the environment requires one.
    pub fn with_local_model(mut self, found: Option<LocalModel>) -> Result<Self, SettingsError> {
        let Some(model) = found else {
            if self.engine == EngineKind::OpenAi {
                let fault = "PLANNER_OPENAI_API_KEY is not set, and no language model was found on this machine; set \
                             it or PLANNER_LLM_BASE_URL, or set PLANNER_ENGINE to embedded";
                return Err(SettingsError(vec![fault.into()]));
            }
            return Ok(Self { local_llm: LocalLlm::NotFound, ..self });
        };
        self.engine = EngineKind::OpenAi;
        self.llm_base_url.clone_from(&model.base_url);
        self.llm_model.clone_from(&model.name);
        if !self.is_timeout_set {
            self.timeout = Duration::from_secs(TIMEOUT_SECONDS);
        }
        let shown = [
            ("ENGINE", self.engine.as_str().to_owned()),
            ("LLM_BASE_URL", self.llm_base_url.clone()),
            ("LLM_MODEL", self.llm_model.clone()),
            ("TIMEOUT_SECONDS", self.timeout.as_secs_f64().to_string()),
        ];
        for (name, value) in shown {
            self.shown
                .iter_mut()
                .filter(|(shown, _)| *shown == name)
                .for_each(|(_, old)| old.clone_from(&value));
        }
        self.local_llm = LocalLlm::Found(model);
        Ok(self)
    }

    /// One sentence on which model makes the plans if none was configured: the model that was found on this
    /// machine, or that there is none, and how to connect one.
    pub fn model_notice(&self) -> Option<String> {
        let connect =
            "set PLANNER_OPENAI_API_KEY (OpenAI) or PLANNER_LLM_BASE_URL (any OpenAI-compatible server)";
        match &self.local_llm {
            LocalLlm::Found(LocalModel { base_url, name }) => Some(format!(
                "Plans come from the model {name} at {base_url}, which was found on this machine; set \
                 PLANNER_DETECT_LOCAL_LLM=false to use no such model."
            )),
            _ if self.engine != EngineKind::Embedded || self.is_engine_chosen => None,
            LocalLlm::NotFound => Some(format!(
                "No language model is connected: plans come from the embedded planner. To connect one, {connect}, or \
                 start Ollama, llama.cpp or LM Studio on this machine."
            )),
            LocalLlm::Off | LocalLlm::Requested(_) => Some(format!(
                "No language model is connected: plans come from the embedded planner. To connect one, {connect}."
            )),
        }
    }
}
