//! Every request, as its caller, the log and the metrics have it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::lock;

/// How a request ended: method, route, status, and of a plan the outcome.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    pub method: String,
    pub route: String,
    pub status: u16,
    pub outcome: Option<String>,
}

impl End {
    pub fn new(method: &str, route: &str, status: u16, outcome: Option<&str>) -> Self {
        Self {
            method: method.to_owned(),
            route: route.to_owned(),
            status,
            outcome: outcome.map(str::to_owned),
        }
    }

    /// As a line of the log has it.
    fn in_line(line: &Value) -> Self {
        let text = |name: &str| line[name].as_str();
        let status = line["status"].as_u64().expect("a status") as u16;
        Self::new(text("method").expect("a method"), text("route").expect("a route"), status, text("outcome"))
    }

    /// The counters of the metrics that it is in.
    fn counters(&self) -> impl Iterator<Item = String> {
        let Self { method, route, status, outcome } = self;
        let http =
            format!(r#"planner_http_requests_total{{method="{method}",route="{route}",status="{status}"}}"#);
        let plan = |outcome| format!(r#"planner_plan_requests_total{{outcome="{outcome}"}}"#);
        std::iter::once(http).chain(outcome.as_ref().map(plan))
    }
}

/// How a request ended for its caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Answered(End),
    /// The caller left within the answer.
    LeftWithin,
    /// The caller left before any of it. Who hangs up before the head was read is dropped with the connection,
    /// by the HTTP library, and has no line.
    LeftBefore,
}

/// What the callers saw.
#[derive(Default)]
pub struct Ledger {
    number: AtomicUsize,
    /// By id.
    fates: Mutex<HashMap<String, Fate>>,
}

impl Ledger {
    /// An id for a request.
    pub fn id(&self) -> String {
        format!("soak-{}", self.number.fetch_add(1, Ordering::Relaxed))
    }

    /// Enters how a request ended.
    pub fn enter(&self, id: String, fate: Fate) {
        let before = lock(&self.fates).insert(id, fate);
        assert_eq!(before, None, "an id comes once");
    }

    /// How many requests ended how.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for fate in lock(&self.fates).values() {
            let kind = match fate {
                Fate::Answered(End { route, outcome: Some(outcome), .. }) => format!("{route} {outcome}"),
                Fate::Answered(End { route, status, .. }) => format!("{route} {status}"),
                left => format!("{left:?}"),
            };
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }

    /// Fails unless each request has one line that says what its caller saw, and no other request has one.
    pub fn is_that_of(&self, log: &Log) {
        let fates = lock(&self.fates);
        let lines = |id: &str| log.ends.get(id).map_or(&[][..], Vec::as_slice);
        let agrees = |fate: &Fate, lines: &[End]| match (fate, lines) {
            (Fate::Answered(end), [line]) => line == end,
            (Fate::LeftWithin | Fate::LeftBefore, [_]) | (Fate::LeftBefore, []) => true,
            _ => false,
        };
        let differs = fates.iter().filter(|(id, fate)| !agrees(fate, lines(id)));
        let differs: Vec<_> = differs.map(|(id, fate)| (id, fate, lines(id))).take(10).collect();
        assert!(differs.is_empty(), "caller and log say otherwise: {differs:#?}");
        let unknown: Vec<_> = log.ends.iter().filter(|(id, _)| !fates.contains_key(*id)).take(10).collect();
        assert!(unknown.is_empty(), "nobody asked: {unknown:#?}");
        eprintln!("{} requests, {} lines", fates.len(), log.ends.len());
    }
}

/// What the log says.
#[derive(Default)]
pub struct Log {
    /// By id.
    ends: HashMap<String, Vec<End>>,
    /// Lines that only a fault of ours writes.
    bad: Vec<Value>,
}

impl Log {
    pub fn sees(&mut self, line: Value) {
        let message = line["message"].as_str().unwrap_or_default();
        if message == "request" {
            let id = line["request_id"].as_str().expect("an id").to_owned();
            self.ends.entry(id).or_default().push(End::in_line(&line));
        } else if line["level"] == "ERROR" || message.starts_with("log lines were left out") {
            self.bad.push(line);
        }
    }

    /// Fails unless the counters of `metrics` are those of all lines but that of `scrape`, the request for them.
    pub fn is_that_of(&self, metrics: &str, scrape: &str) {
        assert!(self.bad.is_empty(), "{:#?}", self.bad);
        let mut logged: BTreeMap<String, u64> = BTreeMap::new();
        let ends = self.ends.iter().filter(|(id, _)| *id != scrape).flat_map(|(_, ends)| ends);
        for counter in ends.flat_map(End::counters) {
            *logged.entry(counter).or_default() += 1;
        }
        let counted = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let value: f64 = value.parse().ok()?;
            (value > 0.0).then(|| (name.to_owned(), value as u64))
        };
        let ours = ["planner_http_requests_total{", "planner_plan_requests_total{"];
        let lines = metrics.lines().filter(|line| ours.iter().any(|name| line.starts_with(name)));
        assert_eq!(lines.filter_map(counted).collect::<BTreeMap<_, _>>(), logged);
    }
}
