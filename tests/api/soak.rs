//! The service as a process among impatient callers and an LLM that fails in every way: whatever happens, every
//! request is accounted for and nothing is left behind.
//!
//! `PLANNER_TEST_SOAK_SECONDS` sets how long the long ones take, `PLANNER_TEST_SOAK_SEED` repeats the random choices.

mod callers;
mod chaos;
mod ledger;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{sleep, timeout};

use crate::process::Process;
use crate::simulation::dice::Dice;
use crate::support::fake_llm::Transport;
use crate::support::plain_client;
use callers::Callers;
use chaos::Chaos;
use ledger::{Ledger, Log};

/// Callers that ask at once; fewer have a place.
const CALLERS: u64 = 24;
const PLACES: &str = "16";
/// The deadline of every request.
const TIMEOUT: Duration = Duration::from_secs(2);
/// No answer is later than this, on a busy machine either.
const LATEST: Duration = Duration::from_secs(5);
/// What the memory may grow by from the end of the warm-up to that of the soak, in MiB.
const MEMORY_ALLOWANCE: f64 = 16.0;
/// How long the allocator may take to give back to the system what it holds, with a probe now and then.
const GIVING_BACK: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
async fn a_few_seconds_of_faults_lose_no_request() {
    let soak = Soak::start(seed(), Transport::Http).await;
    let before = soak.storm(Duration::from_secs(1), 1).await;
    let after = soak.storm(Duration::from_secs(2), 2).await;
    soak.reconcile().await;
    assert!(after.descriptors <= before.descriptors, "{before:?} became {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes three minutes and needs /proc; run by .ci/run"]
async fn three_minutes_of_faults_lose_no_request_and_leave_nothing_behind() {
    soak(Transport::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes three minutes and needs /proc; run by .ci/run"]
async fn three_minutes_of_faults_over_tls_lose_no_request_and_leave_nothing_behind() {
    soak(Transport::Http2).await;
}

async fn soak(transport: Transport) {
    // Side by side they would disturb each other.
    static ALONE: Mutex<()> = Mutex::const_new(());
    let _alone = ALONE.lock().await;
    let seconds = number_in("PLANNER_TEST_SOAK_SECONDS").unwrap_or(180);
    let soak = Soak::start(seed(), transport).await;
    let time = Duration::from_secs(seconds);
    let before = soak.storm(time / 5, 1).await;
    let room = before.memory + MEMORY_ALLOWANCE;
    let mut after = soak.storm(time * 4 / 5, 2).await;
    let until = Instant::now() + GIVING_BACK;
    while after.memory > room && Instant::now() < until {
        sleep(Duration::from_millis(500)).await;
        soak.callers(&client(0)).get("/health").await;
        after = Vitals::of(soak.process);
    }
    eprintln!("after the warm-up {before:?}, at the end {after:?}");
    soak.reconcile().await;
    assert!(after.descriptors <= before.descriptors, "{before:?} became {after:?}");
    assert!(after.memory <= room, "{before:?} became {after:?}");
}

fn seed() -> u64 {
    let now = || SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let seed = number_in("PLANNER_TEST_SOAK_SEED").unwrap_or_else(now);
    eprintln!("PLANNER_TEST_SOAK_SEED={seed}");
    seed
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect(variable))
}

struct Soak {
    seed: u64,
    chaos: Chaos,
    ledger: Ledger,
    process: u32,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    log: tokio::task::JoinHandle<(Option<i32>, Log)>,
}

/// What the process holds while nobody asks.
#[derive(Debug, Clone, Copy)]
struct Vitals {
    /// MiB.
    memory: f64,
    descriptors: usize,
}

impl Soak {
    async fn start(seed: u64, transport: Transport) -> Self {
        let chaos = Chaos::new(seed, transport);
        let timeout = TIMEOUT.as_secs().to_string();
        let more = [
            // Probes have lines of their own only then.
            ("PLANNER_LOG_LEVEL", "debug"),
            ("PLANNER_TIMEOUT_SECONDS", timeout.as_str()),
            ("PLANNER_MAX_CONCURRENT_PLANS", PLACES),
            ("PLANNER_LLM_BREAKER_THRESHOLD", "20"),
            ("PLANNER_LLM_BREAKER_RESET_SECONDS", "1"),
            // Full when the warm-up ends, so that it is no growth of memory.
            ("PLANNER_CACHE_MAX_ENTRIES", "100"),
        ];
        let process = Process::start(&[&chaos.llm.settings()[..], &more].concat()).await;
        let address = process.url.trim_start_matches("http://").parse().expect("an address");
        let (id, (stop, stopped)) = (process.id(), oneshot::channel::<()>());
        let log = tokio::spawn(async move {
            let mut log = Log::default();
            let over = async {
                let _ = stopped.await;
            };
            (process.follow(over, |line| log.sees(line)).await, log)
        });
        Self { seed, chaos, ledger: Ledger::default(), process: id, address, stop, log }
    }

    fn callers<'a>(&'a self, client: &'a reqwest::Client) -> Callers<'a> {
        Callers { address: self.address, ledger: &self.ledger, client }
    }

    /// Lets everybody ask for a while under changing chaos: what is held when it has passed.
    async fn storm(&self, lasts: Duration, phase: u64) -> Vitals {
        let client = client(usize::MAX);
        let (callers, end) = (self.callers(&client), Instant::now() + lasts);
        let all = (0..CALLERS).map(|caller| callers.ask(Dice::new(&[self.seed, phase, caller + 2]), end));
        let mut dice = Dice::new(&[self.seed, phase]);
        let asking = async { tokio::join!(join_all(all), callers.watch(end)).1 };
        let slowest = tokio::select! {
            slowest = asking => slowest,
            () = self.chaos.change(&mut dice) => unreachable!("it changes for ever"),
        };
        eprintln!("phase {phase}: {:?}, slowest poll {slowest:?}", self.ledger.counts());
        drop(client);
        self.rest().await
    }

    /// What the process holds once nobody asks and the LLM has closed every connection.
    async fn rest(&self) -> Vitals {
        let client = client(0);
        let is_idle = async {
            while !self.callers(&client).get("/metrics").await.1.contains("\nplanner_plans_in_flight 0\n") {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(TIMEOUT + LATEST, is_idle).await.expect("every plan ends");
        self.chaos.end().await;
        let (mut vitals, mut since) = (Vitals::of(self.process), Instant::now());
        while since.elapsed() < Duration::from_secs(2) {
            sleep(Duration::from_millis(100)).await;
            let now = Vitals::of(self.process);
            if now.descriptors != vitals.descriptors {
                since = Instant::now();
            }
            vitals = now;
        }
        vitals
    }

    /// Stops the process, and compares what callers, log and metrics say.
    async fn reconcile(self) {
        let client = client(0);
        let (scrape, metrics) = self.callers(&client).get("/metrics").await;
        self.stop.send(()).expect("a running process");
        let (code, log) = self.log.await.expect("a log");
        assert_eq!(code, Some(0));
        self.ledger.is_that_of(&log);
        log.is_that_of(&metrics, &scrape);

        let sum = |name: &str| -> f64 {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        // Some never reached the LLM.
        let (made, met) = (sum("planner_llm_calls_total{") as usize, self.chaos.llm.number_of_calls());
        eprintln!("{made} calls to the LLM, of which it met {met}");
        assert!((1..=made).contains(&met));
        assert!(sum("planner_panics_total ") < 1.0);
        let counts = self.ledger.counts();
        let kinds =
            ["ok", "llm_unavailable", "llm_failed", "plan_invalid", "deadline_exceeded", "overloaded"];
        let lacks = kinds.iter().find(|kind| !counts.contains_key(&format!("/plan {kind}")));
        assert!(lacks.is_none() || !self.chaos.has_been_through_all(), "no {lacks:?} in {counts:?}");
    }
}

impl Vitals {
    fn of(process: u32) -> Self {
        let status =
            std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux, and a process");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
        let kib: f64 = resident.expect("its memory").trim().parse().expect("a number");
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).expect("Linux, and a process");
        Self { memory: kib / 1_024.0, descriptors: descriptors.count() }
    }
}

fn client(max_idle: usize) -> reqwest::Client {
    plain_client().pool_max_idle_per_host(max_idle).build().expect("a client")
}
