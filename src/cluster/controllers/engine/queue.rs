//! Decides which key runs next: each key waits at most once, runs at most once at a time, waits longer after each
//! failure in a row, and is not run again for a change that its run has seen already. Pure: time is an argument.
//!
//! It is bounded by the number of objects: a key that is added again takes no more room.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::object::{ObjectKey, Revision};

/// The pause after the first failure; it doubles with each one that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What becomes of a key when its run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    After(Duration),
    Failed,
}

#[derive(Debug, Default)]
pub struct Queue {
    ready: VecDeque<ObjectKey>,
    /// What `ready` holds.
    queued: HashSet<ObjectKey>,
    running: HashMap<ObjectKey, Running>,
    timers: BTreeSet<(Instant, ObjectKey)>,
    due: HashMap<ObjectKey, Instant>,
    /// Failures in a row.
    failures: HashMap<ObjectKey, u32>,
}

#[derive(Debug)]
struct Running {
    /// The revision of the snapshot that the run decides from.
    seen: Revision,
    again: bool,
}

impl Queue {
    /// Asks for a run of `key` because of a change at revision `at`.
    pub fn add(&mut self, key: ObjectKey, at: Revision) {
        match self.running.get_mut(&key) {
            Some(run) => run.again |= at > run.seen,
            None => self.enqueue(key),
        }
    }

    /// Makes the keys ready whose time has come.
    pub fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned() {
            if at > now {
                break;
            }
            self.cancel_timer(&key);
            // A key with a timer is not running: finishing sets the timer, starting cancels it.
            self.enqueue(key);
        }
    }

    /// When `wake` has something to do next.
    pub fn next_due(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Takes the key that is to run now, from a snapshot at revision `seen`.
    pub fn start(&mut self, seen: Revision) -> Option<ObjectKey> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.cancel_timer(&key);
        self.running.insert(key.clone(), Running { seen, again: false });
        Some(key)
    }

    /// Takes back a key whose run has ended. A later time that an earlier run asked for is void: each run says anew.
    pub fn finish(&mut self, key: ObjectKey, outcome: Outcome, now: Instant) {
        let again = self.running.remove(&key).is_some_and(|run| run.again);
        let pause = match outcome {
            Outcome::Done | Outcome::After(_) => {
                self.failures.remove(&key);
                if let Outcome::After(pause) = outcome { Some(pause) } else { None }
            }
            Outcome::Failed => {
                let failures = self.failures.entry(key.clone()).or_default();
                *failures = failures.saturating_add(1);
                Some(pause_after(*failures))
            }
        };
        if again {
            self.enqueue(key);
        } else if let Some(pause) = pause {
            self.timers.insert((now + pause, key.clone()));
            self.due.insert(key, now + pause);
        }
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn enqueue(&mut self, key: ObjectKey) {
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn cancel_timer(&mut self, key: &ObjectKey) {
        if let Some(at) = self.due.remove(key) {
            self.timers.remove(&(at, key.clone()));
        }
    }
}

fn pause_after(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1).min(31)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(kinds::POD, "d", name)
    }

    #[test]
    fn a_key_that_is_added_twice_runs_once() {
        let mut queue = Queue::default();
        queue.add(key("a"), Revision(1));
        queue.add(key("a"), Revision(2));
        assert_eq!(queue.start(Revision(2)), Some(key("a")));
        assert_eq!(queue.start(Revision(2)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_key_runs_again_only_for_what_its_snapshot_does_not_hold() {
        let mut queue = Queue::default();
        for (change, again) in [(4, false), (5, false), (6, true)] {
            queue.add(key("a"), Revision(1));
            queue.start(Revision(5));
            queue.add(key("a"), Revision(change));
            assert!(!queue.has_ready(), "one run at a time");
            queue.finish(key("a"), Outcome::Done, Instant::now());
            assert_eq!(queue.start(Revision(9)).is_some(), again, "change at {change}");
            queue.finish(key("a"), Outcome::Done, Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_wait_longer_and_a_success_forgets_them() {
        let mut queue = Queue::default();
        let now = Instant::now();
        queue.add(key("a"), Revision(1));
        for millis in [5, 10, 20, 40] {
            queue.start(Revision(1));
            queue.finish(key("a"), Outcome::Failed, now);
            assert_eq!(queue.next_due(), Some(now + Duration::from_millis(millis)));
            queue.wake(now + Duration::from_millis(millis));
            assert!(queue.has_ready());
        }
        queue.start(Revision(1));
        queue.finish(key("a"), Outcome::Done, now);
        queue.add(key("a"), Revision(2));
        queue.start(Revision(2));
        queue.finish(key("a"), Outcome::Failed, now);
        assert_eq!(queue.next_due(), Some(now + FIRST_PAUSE));
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn each_run_says_anew_when_the_next_is_due() {
        let mut queue = Queue::default();
        let now = Instant::now();
        queue.add(key("a"), Revision(1));
        queue.start(Revision(1));
        queue.finish(key("a"), Outcome::After(Duration::from_secs(9)), now);
        queue.add(key("a"), Revision(2));
        queue.start(Revision(2));
        assert_eq!(queue.next_due(), None);
        queue.finish(key("a"), Outcome::Done, now);
        assert_eq!(queue.next_due(), None);
    }
}
