//! A fake LLM whose faults come and go.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::matrix::good_in;
use crate::matrix::table::{Does, Fault, faults};
use crate::simulation::dice::Dice;
use crate::support::fake_llm::{Act, FakeLlm, Setup, Transport};
use crate::support::lock;

/// How the LLM is at the moment.
#[derive(Clone, Copy)]
enum Mood {
    Well,
    /// Every call meets this one.
    Fault(usize),
    /// So many of a hundred calls meet one of their own.
    Faults(usize),
}

/// The LLM.
pub struct Chaos {
    pub llm: FakeLlm,
    state: Arc<State>,
    /// How many faults every call has met for a while, one after the other.
    sessions: AtomicUsize,
}

struct State {
    mood: Mutex<Mood>,
    /// What calls draw from.
    dice: Mutex<Dice>,
    faults: Vec<Fault>,
}

impl Chaos {
    pub fn new(seed: u64, transport: Transport) -> Self {
        let faults = faults().into_iter().filter(|fault| fault.can_be_met_over(transport)).collect();
        let (mood, dice) = (Mutex::new(Mood::Well), Mutex::new(Dice::new(&[seed, 1])));
        let state = Arc::new(State { mood, dice, faults });
        let shared = state.clone();
        let setup = Setup { forgets: true, ..transport.into() };
        let llm = FakeLlm::new(setup, move |_, body| shared.answer(body["stream"] == json!(true)));
        Self { llm, state, sessions: AtomicUsize::new(0) }
    }

    /// Whether every fault has had its turn.
    pub fn has_been_through_all(&self) -> bool {
        self.sessions.load(Ordering::Relaxed) >= self.state.faults.len()
    }

    /// Changes for as long as it is polled.
    pub async fn change(&self, dice: &mut Dice) {
        loop {
            let lasts = Duration::from_millis(100 + dice.below(900) as u64);
            let mood = match dice.below(10) {
                0..4 => Mood::Well,
                4..8 => Mood::Fault(self.sessions.fetch_add(1, Ordering::Relaxed) % self.state.faults.len()),
                _ => Mood::Faults(10 + dice.below(80)),
            };
            *lock(&self.state.mood) = mood;
            let is_refused =
                matches!(mood, Mood::Fault(fault) if matches!(self.state.faults[fault].does, Does::Refuse));
            if is_refused || dice.chance(10) {
                self.llm.refuse().await;
                sleep(lasts).await;
                self.llm.listen();
            } else {
                sleep(lasts).await;
            }
        }
    }

    /// Every call succeeds, and no connection is open.
    pub async fn end(&self) {
        *lock(&self.state.mood) = Mood::Well;
        self.llm.refuse().await;
        self.llm.listen();
    }
}

impl State {
    fn answer(&self, is_stream: bool) -> Vec<Act> {
        let mut dice = lock(&self.dice);
        let fault = match *lock(&self.mood) {
            Mood::Fault(fault) => Some(&self.faults[fault]),
            Mood::Faults(percent) if dice.chance(percent) => Some(dice.pick(&self.faults)),
            Mood::Well | Mood::Faults(_) => None,
        };
        match fault.map(|fault| &fault.does) {
            Some(Does::Answer { whole, .. }) if !is_stream => whole.clone(),
            Some(Does::Answer { streamed, .. }) => streamed.clone(),
            Some(Does::Refuse) => vec![Act::Reset],
            None => slowed(good_in(is_stream), &mut dice),
        }
    }
}

/// Half of the answers come in pieces.
fn slowed(acts: Vec<Act>, dice: &mut Dice) -> Vec<Act> {
    let pause = Duration::from_millis(dice.below(20) as u64);
    let is_slow = dice.chance(50);
    let slow = |act| match act {
        Act::Body(bytes) if is_slow => {
            let piece = bytes.len() / 5 + 1;
            Act::Drip(bytes, piece, pause)
        }
        act => act,
    };
    acts.into_iter().map(slow).collect()
}
