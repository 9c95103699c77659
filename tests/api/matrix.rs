//! Every fault of an LLM, met by requests for JSON and for events, with a cache and without: the right answer in
//! time, nothing left behind, and a good plan at once when it is over.

pub mod table;

use std::fmt::{Display, Formatter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use planner_arm::domain::PlanResponse;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Handle};
use tokio::time::{sleep, timeout};

use crate::faults::kinds::good;
use crate::stream::events::{Events, stream_of};
use crate::support::fake_llm::{Act, FakeLlm, Transport};
use crate::support::{TestApp, assert_valid_by_default, good_plan, header, lock, plain_client, problem};
use table::{Becomes, Does, Fault, faults};

/// Cells that are played at once, since most of them wait.
const AT_ONCE: usize = 16;
/// The deadline of requests to which no answer comes.
const SHORT: Duration = Duration::from_secs(1);
/// The deadline of all others, in seconds: none comes near it, on a busy machine either.
const LONG: &str = "30";
/// No answer is waited for longer.
const IN_TIME: Duration = Duration::from_secs(20);

/// A fault and how it is met.
#[derive(Clone)]
struct Cell {
    transport: Transport,
    fault: Fault,
    events: bool,
    cache: bool,
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let form = if self.events { "events" } else { "JSON" };
        let cache = if self.cache { "a" } else { "no" };
        write!(f, "{} over {:?}: {form}, {cache} cache", self.fault.what, self.transport)
    }
}

#[test]
fn every_fault_is_answered_in_time_and_leaves_nothing_behind() {
    play(Transport::Http, &[(false, false), (false, true), (true, false), (true, true)]);
}

// How an answer is cached does not depend on how it came.
#[test]
fn every_fault_over_tls_is_answered_in_time_and_leaves_nothing_behind() {
    play(Transport::Https, &[(false, false), (true, false)]);
}

#[test]
fn every_fault_over_http2_is_answered_in_time_and_leaves_nothing_behind() {
    play(Transport::Http2, &[(false, false), (true, false)]);
}

/// Meets every fault over `transport` in these ways: whether by events, whether with a cache.
fn play(transport: Transport, ways: &[(bool, bool)]) {
    let faults = faults().into_iter().filter(|fault| fault.can_be_met_over(transport));
    let cells = faults.flat_map(|fault| {
        let cell = |&(events, cache): &(bool, bool)| Cell { transport, fault: fault.clone(), events, cache };
        ways.iter().map(cell).collect::<Vec<_>>()
    });
    let cells = Mutex::new(cells.collect::<Vec<_>>().into_iter());
    let next = || lock(&cells).next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(cell) = next() {
                    // A runtime of its own, whose tasks can be counted.
                    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                    runtime.block_on(cell.play());
                }
            });
        }
    });
}

/// What a caller was told.
struct Told {
    status: u16,
    code: Option<String>,
    attempts: u32,
    cache: String,
    retry_after: Option<u64>,
    took: Duration,
}

/// What is there while nothing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    llm_connections: usize,
    tasks: usize,
}

impl Level {
    fn now(llm: &FakeLlm) -> Self {
        Self { llm_connections: llm.open(), tasks: Handle::current().metrics().num_alive_tasks() }
    }

    fn is_within(self, most: Self) -> bool {
        self.llm_connections <= most.llm_connections && self.tasks <= most.tasks
    }

    /// The level once it no longer moves.
    async fn settled(llm: &FakeLlm) -> Self {
        let (mut level, mut since) = (Self::now(llm), Instant::now());
        while since.elapsed() < Duration::from_millis(20) {
            sleep(Duration::from_millis(2)).await;
            if level != Self::now(llm) {
                (level, since) = (Self::now(llm), Instant::now());
            }
        }
        level
    }
}

impl Cell {
    async fn play(&self) {
        let lasts = Arc::new(AtomicBool::new(false));
        let llm = self.llm(lasts.clone());
        let app = self.app(&llm).await;
        self.assert_healthy(&app, "before").await;
        let before = Level::settled(&llm).await;

        lasts.store(true, Ordering::SeqCst);
        if matches!(self.fault.does, Does::Refuse) {
            llm.refuse().await;
        }
        let told = self.ask(&app, "the goal", self.deadline()).await;
        self.is_as_expected(&told);
        if matches!(self.fault.does, Does::Refuse) {
            llm.listen();
        }
        lasts.store(false, Ordering::SeqCst);

        // Of the same goal, as no failure is kept.
        let goal = if matches!(self.fault.becomes, Becomes::Plan) { "another" } else { "the goal" };
        self.assert_healthy(&app, goal).await;
        assert_eq!(app.count("planner_plans_in_flight").await, 0, "{self}");
        // A question that follows an answer at once may find its connection not yet idle, and open another.
        let spare = usize::from(matches!(self.fault.becomes, Becomes::NoPlan));
        let most = Level { llm_connections: before.llm_connections + spare, tasks: before.tasks + 2 * spare };
        let returns = async {
            while !Level::now(&llm).is_within(most) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let returned = timeout(IN_TIME, returns).await;
        assert!(returned.is_ok(), "{self}: {before:?} became {:?}", Level::now(&llm));
    }

    fn llm(&self, lasts: Arc<AtomicBool>) -> FakeLlm {
        let does = self.fault.does.clone();
        FakeLlm::new(self.transport, move |_, body| {
            let is_stream = body["stream"] == json!(true);
            match &does {
                Does::Answer { whole, .. } if !is_stream && lasts.load(Ordering::SeqCst) => whole.clone(),
                Does::Answer { streamed, .. } if is_stream && lasts.load(Ordering::SeqCst) => {
                    streamed.clone()
                }
                _ => good_in(is_stream),
            }
        })
    }

    async fn app(&self, llm: &FakeLlm) -> TestApp {
        let ttl = if self.cache { "3600" } else { "0" };
        let more = [
            ("PLANNER_LLM_MAX_ATTEMPTS", "2"),
            ("PLANNER_CACHE_TTL_SECONDS", ttl),
            ("PLANNER_TIMEOUT_SECONDS", LONG),
        ];
        let mut app = TestApp::with_llm(llm, &more).await;
        // Connections of callers end with their answers, so that none is taken for a leak.
        app.client = plain_client().pool_max_idle_per_host(0).build().expect("a client");
        app
    }

    fn deadline(&self) -> Option<Duration> {
        matches!(self.fault.becomes, Becomes::Late).then_some(SHORT)
    }

    /// Asks for a plan, which must be answered in time.
    async fn ask(&self, app: &TestApp, goal: &str, deadline: Option<Duration>) -> Told {
        let mut request = app.client.post(app.url("/plan")).json(&json!({ "goal": goal }));
        if self.events {
            request = request.header("accept", "text/event-stream");
        }
        if let Some(deadline) = deadline {
            request = request.header("x-request-timeout-ms", deadline.as_millis().to_string());
        }
        let began = Instant::now();
        let told = async {
            let response = request.send().await.expect("an answer");
            if self.events { Told::in_events(response).await } else { Told::in_json(response).await }
        };
        let told = timeout(deadline.unwrap_or_default() + IN_TIME, told).await;
        Told { took: began.elapsed(), ..told.unwrap_or_else(|_| panic!("{self}: hung")) }
    }

    /// Asserts that a plan comes at once, from one call, and then without one where there is a cache.
    async fn assert_healthy(&self, app: &TestApp, goal: &str) {
        let first = self.ask(app, goal, None).await;
        let again = self.ask(app, goal, None).await;
        let answers = [(&*first.cache, first.attempts), (&*again.cache, again.attempts)];
        let expected = if self.cache { [("miss", 1), ("hit", 0)] } else { [("off", 1), ("off", 1)] };
        assert_eq!((first.status, again.status, answers), (200, 200, expected), "{self}, {goal}");
    }

    fn is_as_expected(&self, told: &Told) {
        let (status, code, calls) = match self.fault.becomes {
            Becomes::Plan => (200, None, 1..=1),
            Becomes::Outage => (503, Some("llm_unavailable"), 2..=2),
            Becomes::OutageFor(_, calls) => (503, Some("llm_unavailable"), calls..=calls),
            Becomes::Refusal => (500, Some("llm_failed"), 1..=1),
            Becomes::NoPlan => (500, Some("plan_invalid"), 2..=2),
            Becomes::Late => (504, Some("deadline_exceeded"), 1..=2),
        };
        assert_eq!((told.status, told.code.as_deref()), (status, code), "{self}");
        assert!(calls.contains(&told.attempts), "{self}: {} calls", told.attempts);
        let wait = if let Becomes::OutageFor(wait, _) = self.fault.becomes { Some(wait) } else { None };
        assert_eq!(told.retry_after, wait, "{self}");
        // Another call is not begun in the last moments, in which the request may end.
        let least = self.deadline().unwrap_or_default().saturating_sub(Duration::from_millis(20));
        assert!(told.took >= least, "{self}: {:?} is too early", told.took);
    }
}

/// A good answer, as a stream or not.
pub fn good_in(is_stream: bool) -> Vec<Act> {
    if is_stream { stream_of(&good_plan()) } else { good() }
}

impl Told {
    async fn in_json(response: reqwest::Response) -> Self {
        let head = |name: &str| header(&response, name).to_owned();
        let (attempts, cache) = (head("x-planner-attempts"), head("x-planner-cache"));
        let document = if response.status() == 200 {
            response.json().await.expect("JSON")
        } else {
            problem(response).await.1
        };
        Self::new(&document, &attempts, cache)
    }

    async fn in_events(response: reqwest::Response) -> Self {
        let mut events = Events::in_response(response);
        let (steps, name, document) = events.rest().await;
        let is_plan = document["status"].is_null();
        assert_eq!(name, if is_plan { "plan" } else { "error" });
        assert!(!is_plan || steps.ends_with(document["plan"].as_array().expect("steps")), "{steps:?}");
        let comment = |name| events.comment(name).unwrap_or_default().to_owned();
        Self::new(&document, &comment("x-planner-attempts"), comment("x-planner-cache"))
    }

    fn new(document: &Value, attempts: &str, cache: String) -> Self {
        assert!(!document.to_string().contains("canary"), "{document}");
        let code = document["code"].as_str().map(str::to_owned);
        if code.is_none() {
            let plan: PlanResponse = serde_json::from_value(document.clone()).expect("a plan");
            assert_valid_by_default(&plan);
        }
        Self {
            status: document["status"].as_u64().map_or(200, |status| status as u16),
            code,
            attempts: attempts.parse().expect("a number of calls"),
            cache,
            retry_after: document["retry_after_seconds"].as_u64(),
            took: Duration::ZERO,
        }
    }
}
