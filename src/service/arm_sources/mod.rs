//! Arms that are read from elsewhere while the service runs: in the background, never in the path of a request.
//!
//! A source that cannot be read keeps its last arms for a while; then they are not offered until it can. The arms of
//! the installation change at once for all requests that begin afterwards.

mod describe;
mod mcp;
mod openapi;
mod reader;
mod stdio;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use crate::config::Settings;
use crate::domain::arms::{Arm, ArmList, ArmRegistry, SourceState};
use crate::resilience::backoff::Backoff;
use crate::telemetry::metrics::{ArmSourceGauges, Metrics};

use super::PlannerService;
use reader::{SourceArms, SourceReader};

/// How long the service waits at its start for sources to be read.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait before the first retry of a source that could not be read; waits then grow to the usual time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How long sources may take to end.
const END_TIME: Duration = Duration::from_secs(5);

/// The sources of the settings, and what they last had.
pub(crate) struct ArmSources {
    own: ArmRegistry,
    known: Mutex<Vec<KnownSource>>,
    /// The arms that the planner has, and where they come from.
    published: Mutex<Arc<ArmList>>,
    /// The readers, until reading starts.
    readers: Mutex<Vec<SourceReader>>,
    refresh: Duration,
    stale: Duration,
    metrics: Arc<Metrics>,
    /// How many have been tried.
    tried: watch::Sender<usize>,
    /// Held while new arms are published, so that they are published one set at a time.
    publishing: tokio::sync::Mutex<()>,
}

/// What is known of one source.
#[derive(Debug, Clone, Default)]
struct KnownSource {
    name: String,
    arms: Vec<Arm>,
    left_out: Vec<String>,
    error: Option<String>,
    read_at: Option<(Instant, SystemTime)>,
    is_tried: bool,
    /// Whether its arms are no longer offered, since it has not been read for too long.
    is_withdrawn: bool,
}

impl KnownSource {
    fn state(&self) -> SourceState {
        SourceState {
            source: self.name.clone(),
            arms: self.arms.clone(),
            left_out: self.left_out.clone(),
            is_available: self.read_at.is_some() && !self.is_withdrawn,
            error: self.error.clone().or_else(|| (!self.is_tried).then(|| "has not been read yet".into())),
            refreshed_at: self.read_at.map(|(_, at)| humantime::format_rfc3339_millis(at).to_string()),
        }
    }
}

impl ArmSources {
    /// The sources that `settings` name. Nothing is read yet.
    ///
    /// # Errors
    /// When an HTTP client cannot be set up.
    pub(crate) fn from_settings(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, String> {
        let readers: Result<Vec<_>, String> = settings.arm_sources.iter().map(SourceReader::new).collect();
        let known = |source: &crate::config::ArmSource| KnownSource {
            name: source.name.clone(),
            ..Default::default()
        };
        let known: Vec<KnownSource> = settings.arm_sources.iter().map(known).collect();
        Ok(Self {
            published: Mutex::new(Arc::new(list(&settings.arms, &known))),
            own: settings.arms.clone(),
            known: Mutex::new(known),
            readers: Mutex::new(readers?),
            refresh: settings.arm_refresh,
            stale: settings.arm_stale,
            metrics,
            tried: watch::Sender::new(0),
            publishing: tokio::sync::Mutex::new(()),
        })
    }

    /// The arms that the planner has, and where they come from.
    pub(crate) fn published(&self) -> Arc<ArmList> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All arms that are known now, and where they come from.
    pub(crate) fn list(&self) -> ArmList {
        let known = self.known().clone();
        list(&self.own, &known)
    }

    /// Reads each source once, for commands that run once.
    pub(crate) async fn read_once(&self) {
        let readers = std::mem::take(&mut *self.readers());
        join_all(readers.into_iter().enumerate().map(async |(place, mut reader)| {
            let found = reader.read().await;
            self.record(place, found);
            reader.end().await;
        }))
        .await;
    }

    /// Reads the sources repeatedly until `stopped`, and passes their arms to the planner of `service`.
    pub(crate) async fn keep_fresh(&self, service: &Arc<PlannerService>, stopped: watch::Receiver<bool>) {
        let readers = std::mem::take(&mut *self.readers());
        let loops = readers.into_iter().enumerate();
        join_all(loops.map(|(place, reader)| self.keep_one_fresh(place, reader, service, stopped.clone())))
            .await;
    }

    /// Waits until each source has been read or has failed, but not for long.
    pub(crate) async fn first_round(&self) {
        let all = self.known().len();
        let _ = timeout(FIRST_WAIT, self.tried.subscribe().wait_for(|tried| *tried >= all)).await;
    }

    async fn keep_one_fresh(
        &self,
        place: usize,
        mut reader: SourceReader,
        service: &Arc<PlannerService>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut schedule = Schedule::new(self.refresh);
        loop {
            let found = tokio::select! {
                found = reader.read() => found,
                never = self.withdraw_when_stale(place, service) => match never {},
                _ = stopped.wait_for(|stopped| *stopped) => break,
            };
            let is_read = found.is_ok();
            self.record(place, found);
            self.publish(service).await;
            self.tried.send_modify(|tried| *tried += 1);
            tokio::select! {
                () = schedule.next(is_read, reader.changed()) => {}
                never = self.withdraw_when_stale(place, service) => match never {},
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        let _ = timeout(END_TIME, reader.end()).await;
    }

    /// Records the result of reading a source; changes are logged once.
    fn record(&self, place: usize, found: Result<SourceArms, String>) {
        let mut known = self.known();
        let known = &mut known[place];
        let source = known.name.clone();
        known.is_tried = true;
        match found {
            Ok(SourceArms { arms, left_out }) => {
                let changes = changes(&known.arms, &arms);
                if known.read_at.is_none() || changes != (0, 0) || known.error.is_some() {
                    let (added, removed) = changes;
                    info!(source, arms = arms.len(), added, removed, "the arms of an arm source were read");
                }
                if !left_out.is_empty() && left_out != known.left_out {
                    warn!(
                        source,
                        left_out = left_out.join(", "),
                        "some tools of an arm source cannot be arms"
                    );
                }
                known.read_at = Some((Instant::now(), SystemTime::now()));
                (known.arms, known.left_out, known.error, known.is_withdrawn) = (arms, left_out, None, false);
            }
            Err(error) => {
                self.metrics.arm_sources.record_failure(&source);
                if known.error.is_none() {
                    warn!(source, error, kept = known.arms.len(), "an arm source cannot be read");
                }
                known.error = Some(error);
            }
        }
    }

    /// Withdraws the arms of a source that cannot be read once they are too old. Never ends.
    async fn withdraw_when_stale(&self, place: usize, service: &Arc<PlannerService>) -> Infallible {
        if let Some(stale_at) = self.stale_at(place) {
            sleep_until(stale_at).await;
            self.withdraw(place);
            self.publish(service).await;
        }
        std::future::pending().await
    }

    /// When the arms of a source that cannot be read are too old; `None` if they never will be, or have been for long.
    fn stale_at(&self, place: usize) -> Option<Instant> {
        let known = self.known();
        let known = &known[place];
        let is_failing = known.error.is_some() && !known.is_withdrawn;
        known.read_at.filter(|_| is_failing).map(|(read_at, _)| read_at + self.stale)
    }

    /// Says in the log that the arms of a source are not offered any more.
    fn withdraw(&self, place: usize) {
        let mut known = self.known();
        let known = &mut known[place];
        known.is_withdrawn = true;
        let (source, arms) = (&known.name, known.arms.len());
        warn!(source, arms, "an arm source has not been read for too long; its arms are unavailable");
    }

    /// Gives the planner of `service` the arms there are now, if they are others.
    pub(crate) async fn publish(&self, service: &Arc<PlannerService>) {
        let _one_at_a_time = self.publishing.lock().await;
        let list = self.list();
        let registry = list.registry();
        if registry != *service.planner.registry() {
            let service = service.clone();
            // Prompts, schemas and the index of many arms take a while.
            let replacing = tokio::task::spawn_blocking(move || service.planner.replace_arms(registry));
            replacing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        }
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
    }

    /// Updates the gauges.
    pub(crate) fn update_gauges(&self) {
        let list = self.published();
        for (known, status) in self.known().iter().zip(&list.sources) {
            let gauges = ArmSourceGauges {
                is_up: known.read_at.is_some() && known.error.is_none(),
                arms: if status.available { status.arms } else { 0 },
                age_seconds: known.read_at.map(|(at, _)| at.elapsed().as_secs_f64()),
            };
            self.metrics.arm_sources.set(&known.name, gauges);
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<KnownSource>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<SourceReader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The arms of the settings and of the sources.
fn list(own: &ArmRegistry, known: &[KnownSource]) -> ArmList {
    let states: Vec<SourceState> = known.iter().map(KnownSource::state).collect();
    ArmList::with_sources(own, &states)
}

/// When a source is read next.
struct Schedule {
    refresh: Duration,
    retries: Option<Backoff>,
    /// How long changes that the source announces have to wait.
    change_delay: Duration,
}

impl Schedule {
    fn new(refresh: Duration) -> Self {
        Self { refresh, retries: None, change_delay: FIRST_RETRY }
    }

    /// Waits for the next time: the usual one, an earlier one when the source could not be read, or when it has
    /// `changed`. A source that changes, or ends, again and again is read ever less often.
    async fn next(&mut self, is_read: bool, changed: impl Future<Output = ()>) {
        if !is_read {
            let refresh = self.refresh;
            let retries = self.retries.get_or_insert_with(|| Backoff::new(FIRST_RETRY, refresh));
            return sleep(retries.next_wait()).await;
        }
        self.retries = None;
        let change_delay = self.change_delay.min(self.refresh);
        let change = async {
            sleep(change_delay).await;
            changed.await;
        };
        tokio::select! {
            () = sleep(jittered(self.refresh)) => self.change_delay = FIRST_RETRY,
            () = change => self.change_delay = change_delay * 2,
        }
    }
}

/// How many arms are new or different, and how many are gone.
fn changes(before: &[Arm], after: &[Arm]) -> (usize, usize) {
    let added = after.iter().filter(|arm| !before.contains(arm)).count();
    let is_gone = |arm: &&Arm| !after.iter().any(|other| other.id == arm.id);
    (added, before.iter().filter(is_gone).count())
}

/// `wait`, up to a tenth shorter, so that replicas do not all ask at the same moment.
fn jittered(wait: Duration) -> Duration {
    let share = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
    wait.mul_f64(1.0 - share / 10.0)
}
