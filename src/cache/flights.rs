//! Single flight: of those who want the same at once, one gets it for all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Key;

/// What is under way.
#[derive(Debug)]
pub(super) struct Flights<T>(Mutex<HashMap<Key, watch::Receiver<Option<T>>>>);

/// A place on the way to an answer.
pub(super) enum Seat<'a, T> {
    /// Nobody else is on the way: go.
    Leader(Flight<'a, T>),
    /// Somebody is on the way; see [`Waiting::landed`].
    Follower(Waiting<T>),
}

/// The way of a leader. Dropped without having landed, it leaves the lead to one of those who wait.
pub(super) struct Flight<'a, T> {
    flights: &'a Flights<T>,
    key: Key,
    answer: watch::Sender<Option<T>>,
}

/// Somebody who waits for a leader.
pub(super) struct Waiting<T>(watch::Receiver<Option<T>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// A seat for whoever wants the answer to `key`.
    pub(super) fn board(&self, key: Key) -> Seat<'_, T> {
        match self.lock().entry(key) {
            Entry::Occupied(flight) => Seat::Follower(Waiting(flight.get().clone())),
            Entry::Vacant(place) => {
                let (answer, landed) = watch::channel(None);
                place.insert(landed);
                Seat::Leader(Flight { flights: self, key, answer })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Option<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Flight<'_, T> {
    /// Gives the answer to all who wait; those who come later fly anew.
    pub(super) fn land(self, answer: T) {
        self.answer.send_replace(Some(answer));
    }
}

impl<T> Drop for Flight<'_, T> {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<T: Clone> Waiting<T> {
    /// The leader's answer; `None` when it gave up, and the lead is free.
    pub(super) async fn landed(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([7; 32]);

    fn follow(flights: &Flights<u8>) -> Waiting<u8> {
        match flights.board(KEY) {
            Seat::Follower(waiting) => waiting,
            Seat::Leader(_) => panic!("somebody leads already"),
        }
    }

    #[tokio::test]
    async fn one_leads_and_all_get_its_answer() {
        let flights = Flights::default();
        let Seat::Leader(flight) = flights.board(KEY) else { panic!("nobody leads") };
        let (one, two) = (follow(&flights), follow(&flights));
        flight.land(5);
        assert_eq!((one.landed().await, two.landed().await), (Some(5), Some(5)));
        assert!(matches!(flights.board(KEY), Seat::Leader(_)), "what has landed is no longer under way");
    }

    #[tokio::test]
    async fn a_leader_that_is_gone_leaves_the_lead_to_another() {
        let flights = Flights::default();
        let Seat::Leader(flight) = flights.board(KEY) else { panic!("nobody leads") };
        let waiting = follow(&flights);
        drop(flight);
        assert_eq!(waiting.landed().await, None);
        assert!(matches!(flights.board(KEY), Seat::Leader(_)));
        assert!(flights.lock().is_empty(), "nothing is left behind");
    }
}
