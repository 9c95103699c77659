//! Who asks: well and badly, patiently and not, for JSON and for events.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

use super::ledger::{End, Fate, Ledger};
use super::{LATEST, TIMEOUT};
use crate::faults::calls;
use crate::simulation::dice::Dice;
use crate::stream::events::Events;
use crate::support::{assert_valid_by_default, header, problem};

/// Goals that are asked for again and again.
const USUAL_GOALS: usize = 40;
/// Method, path, media type, body; status and outcome.
type Refused = (&'static str, &'static str, &'static str, &'static str, u16, Option<&'static str>);
/// Requests that cannot be answered with a plan.
const BAD: [Refused; 7] = [
    ("POST", "/plan", "application/json", "{\"goal\": ", 422, Some("invalid_request")),
    ("POST", "/plan", "application/json", "{\"goal\": \" \"}", 422, Some("invalid_request")),
    ("POST", "/plan", "application/json", "[]", 422, Some("invalid_request")),
    ("POST", "/plan?include=all", "application/json", "{\"goal\": \"g\"}", 400, Some("unknown_include")),
    ("POST", "/plan", "text/plain", "{\"goal\": \"g\"}", 415, Some("unsupported_media_type")),
    ("GET", "/plan", "application/json", "", 405, None),
    ("GET", "/nowhere", "application/json", "", 404, None),
];

/// Those who ask one service.
#[derive(Clone, Copy)]
pub struct Callers<'a> {
    pub address: SocketAddr,
    pub ledger: &'a Ledger,
    pub client: &'a reqwest::Client,
}

impl Callers<'_> {
    /// Asks for one thing after the other until `end`.
    pub async fn ask(self, mut dice: Dice, end: Instant) {
        while Instant::now() < end {
            match dice.below(100) {
                0..8 => self.asks_badly(&mut dice).await,
                8..20 => self.leaves(&mut dice).await,
                _ => self.asks(&mut dice).await,
            }
            sleep(Duration::from_millis(dice.below(60) as u64)).await;
        }
    }

    /// Asks how the service is until `end`: always answered, and well.
    pub async fn watch(self, end: Instant) -> Duration {
        let mut slowest = Duration::ZERO;
        while Instant::now() < end {
            for route in ["/health", "/ready", "/metrics"] {
                let asked = Instant::now();
                self.get(route).await;
                slowest = slowest.max(asked.elapsed());
                sleep(Duration::from_millis(50)).await;
            }
        }
        slowest
    }

    /// The id of a request for what must be there, and what is.
    pub async fn get(self, route: &str) -> (String, String) {
        let id = self.ledger.id();
        let response = self.request("GET", route, &id).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{route}");
        let text = response.text().await.expect("a body");
        self.ledger.enter(id.clone(), Fate::Answered(End::new("GET", route, 200, None)));
        (id, text)
    }

    fn request(self, method: &str, path: &str, id: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url).header("x-request-id", id).timeout(TIMEOUT + LATEST)
    }

    async fn asks(self, dice: &mut Dice) {
        let id = self.ledger.id();
        let mut request = self.request("POST", "/plan", &id).json(&goal(&id, dice));
        if dice.chance(40) {
            request = request.header("accept", "text/event-stream");
        }
        if dice.chance(10) {
            request = request.header("cache-control", "no-cache");
        }
        if dice.chance(15) {
            request = request.header("x-request-timeout-ms", (1 + dice.below(300)).to_string());
        }
        let response = request.send().await.expect("an answer");
        let (status, outcome) = outcome(response).await;
        self.ledger.enter(id, Fate::Answered(End::new("POST", "/plan", status, Some(&outcome))));
    }

    async fn asks_badly(self, dice: &mut Dice) {
        let id = self.ledger.id();
        let (method, path, media_type, body, status, outcome) = *dice.pick(&BAD);
        let request = self.request(method, path, &id).header("content-type", media_type).body(body);
        let (told, document) = problem(request.send().await.expect("an answer")).await;
        // Plans are shed before their bodies are read.
        let is_shed = told == 503 && document["code"] == "overloaded" && status == 422;
        assert!(told == status || is_shed, "{told} instead of {status}: {document}");
        let (status, outcome) = if is_shed { (503, Some("overloaded")) } else { (status, outcome) };
        let route = if status == 404 { "unmatched" } else { "/plan" };
        self.ledger.enter(id, Fate::Answered(End::new(method, route, status, outcome)));
    }

    /// Asks, and hangs up before the answer or within it.
    async fn leaves(self, dice: &mut Dice) {
        let id = self.ledger.id();
        let accept = if dice.chance(60) { "accept: text/event-stream\r\n" } else { "" };
        let headers = format!("x-request-id: {id}\r\n{accept}");
        let body = goal(&id, dice).to_string();
        let mut caller = calls(self.address, &headers, body.as_bytes()).await;
        let patience = if dice.chance(50) { TIMEOUT } else { Duration::from_millis(dice.below(10) as u64) };
        let read = timeout(patience, caller.read(&mut [0; 64])).await;
        let fate = if matches!(read, Ok(Ok(1..))) { Fate::LeftWithin } else { Fate::LeftBefore };
        drop(caller);
        self.ledger.enter(id, fate);
    }
}

/// A goal of one's own, or one of the usual.
fn goal(id: &str, dice: &mut Dice) -> Value {
    let goal = if dice.chance(40) { dice.below(USUAL_GOALS).to_string() } else { id.to_owned() };
    json!({ "goal": format!("Ship {goal}") })
}

/// HTTP status and outcome of an answer, which must be a valid plan or a reason that is no fault of ours.
async fn outcome(response: reqwest::Response) -> (u16, String) {
    let (status, document) = if header(&response, "content-type") == "text/event-stream" {
        (200, Events::in_response(response).rest().await.2)
    } else if response.status() == 200 {
        (200, response.json().await.expect("JSON"))
    } else {
        problem(response).await
    };
    let Some(code) = document["code"].as_str() else {
        assert_valid_by_default(&serde_json::from_value(document).expect("a plan"));
        return (status, "ok".into());
    };
    let codes = ["llm_unavailable", "llm_failed", "plan_invalid", "deadline_exceeded", "overloaded"];
    assert!(codes.contains(&code), "{document}");
    (status, code.into())
}
