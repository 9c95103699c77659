//! The arms of the installation and those of single requests, each with what is built from them once.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::domain::PlanRules;
use crate::domain::arms::{ArmChoice, ArmRegistry, DEFAULT_MAX_PROMPT_ARMS};
use crate::domain::playbooks::Library;
use crate::telemetry::metrics::Metrics;

use super::critics::Critics;
use super::playbooks::EmbeddedPlanner;
use super::validate::PlanValidator;

/// What is kept of sets that requests brought, in bytes of their arms; each takes several times that, with its prompts,
/// schemas and index.
const KEPT_BYTES: u64 = 1024 * 1024;
/// What a set takes in any case, counted in the same way.
const BYTES_OF_SET: usize = 1024;
/// Maximum number of sets that are built at once, so that a flood of them does not starve other work.
static BUILDERS: Semaphore = Semaphore::const_new(2);

/// Arms, and what is built from them.
pub(super) struct ArmSet {
    pub(super) validator: Arc<PlanValidator>,
    /// Built when it is first asked.
    embedded: OnceLock<EmbeddedPlanner>,
}

impl ArmSet {
    fn new(validator: PlanValidator) -> Self {
        Self { validator: Arc::new(validator), embedded: OnceLock::new() }
    }

    /// The embedded planner for these arms with the `playbooks` of the installation.
    pub(super) fn embedded(&self, playbooks: &Arc<Library>) -> &EmbeddedPlanner {
        let PlanValidator { registry, rules, .. } = &*self.validator;
        self.embedded.get_or_init(|| EmbeddedPlanner::new(registry.clone(), rules.clone(), playbooks.clone()))
    }
}

/// The set of the installation, which changes with its arms.
struct DefaultSet {
    set: Arc<ArmSet>,
    version: ArmsVersion,
}

/// Which arms the installation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArmsVersion {
    /// Differs whenever arms, prompts or schemas do; the same in every replica with the same arms.
    pub fingerprint: [u8; 32],
    /// How often they have changed.
    generation: u64,
}

/// What all sets have in common.
#[derive(Clone)]
pub(super) struct SharedSettings {
    pub(super) rules: PlanRules,
    pub(super) metrics: Arc<Metrics>,
    pub(super) max_prompt_arms: usize,
    pub(super) critics: Critics,
}

impl SharedSettings {
    fn validator(&self, registry: Arc<ArmRegistry>) -> PlanValidator {
        let Self { rules, metrics, max_prompt_arms, critics } = self.clone();
        PlanValidator::new(registry, rules, max_prompt_arms, metrics).with_critics(critics)
    }
}

/// All sets: the installation's own, and the ones that requests asked for last.
pub(super) struct ArmSets {
    pub(super) shared: SharedSettings,
    default: RwLock<DefaultSet>,
    of_requests: Cache<[u8; 32], Arc<ArmSet>>,
}

impl ArmSets {
    pub(super) fn new(registry: Arc<ArmRegistry>, rules: PlanRules, metrics: Arc<Metrics>) -> Self {
        let weigh =
            |_: &[u8; 32], set: &Arc<ArmSet>| (set.validator.registry.text_bytes() + BYTES_OF_SET) as u32;
        let max_prompt_arms = DEFAULT_MAX_PROMPT_ARMS;
        let shared = SharedSettings { rules, metrics, max_prompt_arms, critics: Critics::default() };
        Self {
            default: RwLock::new(DefaultSet::new(shared.validator(registry), 0)),
            shared,
            of_requests: Cache::builder().max_capacity(KEPT_BYTES).weigher(weigh).build(),
        }
    }

    pub(super) fn with_max_prompt_arms(self, most: usize) -> Self {
        if self.shared.max_prompt_arms == most {
            return self;
        }
        let shared = SharedSettings { max_prompt_arms: most, ..self.shared.clone() };
        self.with(shared)
    }

    pub(super) fn with_critics(self, critics: Critics) -> Self {
        let shared = SharedSettings { critics, ..self.shared.clone() };
        self.with(shared)
    }

    fn with(self, shared: SharedSettings) -> Self {
        let registry = self.default_set().validator.registry.clone();
        let default = DefaultSet::new(shared.validator(registry), 0);
        Self { shared, default: RwLock::new(default), ..self }
    }

    /// Makes `registry` the arms of the installation. Requests in progress keep theirs. Takes some milliseconds where
    /// there are many arms.
    pub(super) fn replace(&self, registry: Arc<ArmRegistry>) {
        let validator = self.shared.validator(registry);
        let mut default = self.default.write().unwrap_or_else(PoisonError::into_inner);
        *default = DefaultSet::new(validator, default.version.generation + 1);
    }

    /// That of the installation.
    pub(super) fn default_set(&self) -> Arc<ArmSet> {
        self.default.read().unwrap_or_else(PoisonError::into_inner).set.clone()
    }

    /// Which arms the installation has now.
    pub(super) fn version(&self) -> ArmsVersion {
        self.default.read().unwrap_or_else(PoisonError::into_inner).version
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The set of a request with these arms, which have no fault.
    pub(super) async fn set(&self, choices: Option<&[ArmChoice]>) -> Arc<ArmSet> {
        let default = self.default_set();
        let Some(choices) = choices else { return default };
        let json = serde_json::to_vec(choices).expect("strings and numbers serialise");
        let key: [u8; 32] = Sha256::digest(json).into();
        if let Some(set) = self.of_requests.get(&key) {
            return set;
        }
        let _builder = BUILDERS.acquire().await;
        let registry = Arc::new(default.validator.registry.chosen(choices));
        let (shared, sets) = (self.shared.clone(), self.of_requests.clone());
        let build = move || {
            let set = sets.get_with(key, || Arc::new(ArmSet::new(shared.validator(registry))));
            // Otherwise sets beyond the limit stay for some time.
            sets.run_pending_tasks();
            set
        };
        let building = tokio::task::spawn_blocking(build);
        building.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

impl DefaultSet {
    fn new(validator: PlanValidator, generation: u64) -> Self {
        let PlanValidator { registry, prompts, .. } = &validator;
        let fingerprint = Sha256::digest(format!("{registry:?} {prompts:?}")).into();
        let version = ArmsVersion { fingerprint, generation };
        Self { set: Arc::new(ArmSet::new(validator)), version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::arms::Arm;

    #[tokio::test]
    async fn a_flood_of_sets_is_kept_within_bytes() {
        let sets = ArmSets::new(Arc::default(), PlanRules::default(), Metrics::new());
        let arm = |n: usize| {
            let arm = Arm::of_source(&format!("arm {n}"), &"word ".repeat(100)).expect("an arm");
            ArmChoice::Definition(Box::new(arm))
        };
        for round in 0..30 {
            let choices: Vec<ArmChoice> = (0..200).map(|n| arm(round * 1_000 + n)).collect();
            let set = sets.set(Some(&choices)).await;
            assert_eq!(set.validator.registry.arms().len(), 200);
        }
        sets.of_requests.run_pending_tasks();
        assert!(sets.of_requests.weighted_size() <= KEPT_BYTES, "{}", sets.of_requests.weighted_size());
        assert!((1..30).contains(&sets.of_requests.entry_count()), "{}", sets.of_requests.entry_count());
    }

    #[tokio::test]
    async fn requests_in_progress_keep_their_arms_when_those_of_the_installation_change() {
        let sets = ArmSets::new(Arc::default(), PlanRules::default(), Metrics::new());
        let (before, version) = (sets.set(None).await, sets.version());
        let baker = Arm::of_source("baker", "Bakes").expect("an arm");
        sets.replace(Arc::new(ArmRegistry::new(vec![baker], false).expect("a registry")));
        assert!(before.validator.registry.get("coder").is_some());
        assert!(sets.set(None).await.validator.registry.get("baker").is_some());
        assert_ne!(sets.version().fingerprint, version.fingerprint);
        sets.replace(Arc::default());
        assert_eq!(
            sets.version().fingerprint,
            version.fingerprint,
            "replicas with the same arms share plans"
        );
        assert_ne!(sets.version(), version);
    }
}
