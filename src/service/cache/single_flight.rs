//! Single flight: of identical requests that are in progress at once, one is answered for all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Key;

/// The requests in progress, and where each answer will be.
#[derive(Debug)]
pub(super) struct SingleFlight<T>(Mutex<HashMap<Key, watch::Receiver<Option<T>>>>);

/// The part of one request among identical ones.
pub(super) enum Participant<'a, T> {
    /// No identical request is in progress: this one has to be answered.
    Leader(Leader<'a, T>),
    /// An identical request is in progress; see [`Follower::answer`].
    Follower(Follower<T>),
}

/// Answers for all. If it is dropped without an answer, one of the followers becomes the leader.
pub(super) struct Leader<'a, T> {
    single_flight: &'a SingleFlight<T>,
    key: Key,
    answer: watch::Sender<Option<T>>,
}

/// Waits for a leader.
pub(super) struct Follower<T>(watch::Receiver<Option<T>>);

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> SingleFlight<T> {
    /// Joins the requests with this `key`.
    pub(super) fn join(&self, key: Key) -> Participant<'_, T> {
        match self.lock().entry(key) {
            Entry::Occupied(open) => Participant::Follower(Follower(open.get().clone())),
            Entry::Vacant(vacant) => {
                let (answer, receiver) = watch::channel(None);
                vacant.insert(receiver);
                Participant::Leader(Leader { single_flight: self, key, answer })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Option<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Leader<'_, T> {
    /// Gives the answer to all followers. Requests that join later get an answer of their own.
    pub(super) fn complete(self, answer: T) {
        self.answer.send_replace(Some(answer));
    }
}

impl<T> Drop for Leader<'_, T> {
    fn drop(&mut self) {
        self.single_flight.lock().remove(&self.key);
    }
}

impl<T: Clone> Follower<T> {
    /// The leader's answer; `None` when it was cancelled and another must lead.
    pub(super) async fn answer(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([7; 32]);

    fn follow(single_flight: &SingleFlight<u8>) -> Follower<u8> {
        match single_flight.join(KEY) {
            Participant::Follower(follower) => follower,
            Participant::Leader(_) => panic!("there is a leader already"),
        }
    }

    #[tokio::test]
    async fn all_followers_get_the_leaders_answer() {
        let single_flight = SingleFlight::default();
        let Participant::Leader(leader) = single_flight.join(KEY) else { panic!("there is no leader yet") };
        let (one, two) = (follow(&single_flight), follow(&single_flight));
        leader.complete(5);
        assert_eq!((one.answer().await, two.answer().await), (Some(5), Some(5)));
        assert!(
            matches!(single_flight.join(KEY), Participant::Leader(_)),
            "a completed question is no longer open"
        );
    }

    #[tokio::test]
    async fn a_dropped_leader_is_replaced() {
        let single_flight = SingleFlight::default();
        let Participant::Leader(leader) = single_flight.join(KEY) else { panic!("there is no leader yet") };
        let follower = follow(&single_flight);
        drop(leader);
        assert_eq!(follower.answer().await, None);
        assert!(matches!(single_flight.join(KEY), Participant::Leader(_)));
        assert!(single_flight.lock().is_empty(), "no entry is left");
    }
}
