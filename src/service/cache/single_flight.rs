//! Single flight: of those who want the same at once, one gets it for all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Key;

/// What is under way.
#[derive(Debug)]
pub(super) struct SingleFlight<T>(Mutex<HashMap<Key, watch::Receiver<Option<T>>>>);

/// A place on the way to an answer.
pub(super) enum Participant<'a, T> {
    /// Nobody else is on the way: go.
    Leader(Leader<'a, T>),
    /// Somebody is on the way; see [`Follower::completed`].
    Follower(Follower<T>),
}

/// The way of a leader. Dropped without having completed, it leaves the lead to one of those who wait.
pub(super) struct Leader<'a, T> {
    single_flight: &'a SingleFlight<T>,
    key: Key,
    answer: watch::Sender<Option<T>>,
}

/// Somebody who waits for a leader.
pub(super) struct Follower<T>(watch::Receiver<Option<T>>);

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> SingleFlight<T> {
    /// A seat for whoever wants the answer to `key`.
    pub(super) fn join(&self, key: Key) -> Participant<'_, T> {
        match self.lock().entry(key) {
            Entry::Occupied(flight) => Participant::Follower(Follower(flight.get().clone())),
            Entry::Vacant(place) => {
                let (answer, completed) = watch::channel(None);
                place.insert(completed);
                Participant::Leader(Leader { single_flight: self, key, answer })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Option<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Leader<'_, T> {
    /// Gives the answer to all who wait; those who come later fly anew.
    pub(super) fn complete(self, answer: T) {
        self.answer.send_replace(Some(answer));
    }
}

impl<T> Drop for Leader<'_, T> {
    fn drop(&mut self) {
        self.single_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<T: Clone> Follower<T> {
    /// The leader's answer; `None` when it gave up, and the lead is free.
    pub(super) async fn completed(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([7; 32]);

    fn follow(single_flight: &SingleFlight<u8>) -> Follower<u8> {
        match single_flight.join(KEY) {
            Participant::Follower(waiting) => waiting,
            Participant::Leader(_) => panic!("somebody leads already"),
        }
    }

    #[tokio::test]
    async fn one_leads_and_all_get_its_answer() {
        let single_flight = SingleFlight::default();
        let Participant::Leader(flight) = single_flight.join(KEY) else { panic!("nobody leads") };
        let (one, two) = (follow(&single_flight), follow(&single_flight));
        flight.complete(5);
        assert_eq!((one.completed().await, two.completed().await), (Some(5), Some(5)));
        assert!(
            matches!(single_flight.join(KEY), Participant::Leader(_)),
            "what has completed is no longer under way"
        );
    }

    #[tokio::test]
    async fn a_leader_that_is_gone_leaves_the_lead_to_another() {
        let single_flight = SingleFlight::default();
        let Participant::Leader(flight) = single_flight.join(KEY) else { panic!("nobody leads") };
        let waiting = follow(&single_flight);
        drop(flight);
        assert_eq!(waiting.completed().await, None);
        assert!(matches!(single_flight.join(KEY), Participant::Leader(_)));
        assert!(single_flight.lock().is_empty(), "nothing is left behind");
    }
}
