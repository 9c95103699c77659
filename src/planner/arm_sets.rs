//! The arms of the installation and those of single requests, each with what is built from them once.

use std::sync::{Arc, OnceLock};

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::domain::PlanRules;
use crate::domain::arms::{ArmChoice, ArmRegistry, DEFAULT_MAX_PROMPT_ARMS};
use crate::telemetry::metrics::Metrics;

use super::critics::Critics;
use super::playbooks::EmbeddedPlanner;
use super::validate::PlanValidator;

/// What is kept of sets that requests brought, in bytes of their arms; each takes several times that, with its prompts,
/// schemas and index.
const KEPT_BYTES: u64 = 2 * 1024 * 1024;
/// What a set takes in any case, counted in the same way.
const BYTES_OF_SET: usize = 1024;
/// So many are built at once, so that a flood of them does not take the processors from all else.
static BUILDERS: Semaphore = Semaphore::const_new(2);

/// Arms, and what is built from them.
pub(super) struct ArmSet {
    pub(super) validator: Arc<PlanValidator>,
    /// Built when it is first asked.
    embedded: OnceLock<EmbeddedPlanner>,
    /// The set is the one that the engine was made for.
    is_default: bool,
}

impl ArmSet {
    fn new(validator: PlanValidator, is_default: bool) -> Self {
        Self { validator: Arc::new(validator), embedded: OnceLock::new(), is_default }
    }

    /// The embedded planner for these arms, where `default` is the one for those of the installation.
    pub(super) fn embedded<'a>(&'a self, default: &'a EmbeddedPlanner) -> &'a EmbeddedPlanner {
        if self.is_default {
            return default;
        }
        let PlanValidator { registry, rules, .. } = &*self.validator;
        self.embedded.get_or_init(|| EmbeddedPlanner::new(registry.clone(), rules.clone()))
    }
}

/// All sets: the installation's own, and the ones that requests asked for last.
pub(super) struct ArmSets {
    default: Arc<ArmSet>,
    of_requests: Cache<[u8; 32], Arc<ArmSet>>,
}

impl ArmSets {
    pub(super) fn new(registry: Arc<ArmRegistry>, rules: PlanRules, metrics: Arc<Metrics>) -> Self {
        let validator = PlanValidator::new(registry, rules, DEFAULT_MAX_PROMPT_ARMS, metrics);
        let weigh =
            |_: &[u8; 32], set: &Arc<ArmSet>| (set.validator.registry.text_bytes() + BYTES_OF_SET) as u32;
        Self {
            default: Arc::new(ArmSet::new(validator, true)),
            of_requests: Cache::builder().max_capacity(KEPT_BYTES).weigher(weigh).build(),
        }
    }

    pub(super) fn with_max_prompt_arms(mut self, most: usize) -> Self {
        let validator = &self.default.validator;
        if validator.max_prompt_arms != most {
            let PlanValidator { registry, rules, metrics, critics, .. } = &**validator;
            let validator = PlanValidator::new(registry.clone(), rules.clone(), most, metrics.clone());
            self.default = Arc::new(ArmSet::new(validator.with_critics(critics.clone()), true));
        }
        self
    }

    pub(super) fn with_critics(mut self, critics: Critics) -> Self {
        let validator = (*self.default.validator).clone().with_critics(critics);
        self.default = Arc::new(ArmSet::new(validator, true));
        self
    }

    /// That of the installation.
    pub(super) fn default_set(&self) -> &ArmSet {
        &self.default
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.default.validator.metrics
    }

    /// The set of a request with these arms, which have no fault.
    pub(super) async fn set(&self, choices: Option<&[ArmChoice]>) -> Arc<ArmSet> {
        let Some(choices) = choices else { return self.default.clone() };
        let json = serde_json::to_vec(choices).expect("texts and numbers serialise");
        let key: [u8; 32] = Sha256::digest(json).into();
        if let Some(set) = self.of_requests.get(&key) {
            return set;
        }
        let _builder = BUILDERS.acquire().await;
        let PlanValidator { registry, rules, metrics, max_prompt_arms, critics, .. } =
            &*self.default.validator;
        let registry = Arc::new(registry.chosen(choices));
        let (rules, metrics, most, critics) =
            (rules.clone(), metrics.clone(), *max_prompt_arms, critics.clone());
        let sets = self.of_requests.clone();
        let build = move || {
            sets.get_with(key, || {
                let validator = PlanValidator::new(registry, rules, most, metrics).with_critics(critics);
                Arc::new(ArmSet::new(validator, false))
            })
        };
        let building = tokio::task::spawn_blocking(build);
        building.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}
