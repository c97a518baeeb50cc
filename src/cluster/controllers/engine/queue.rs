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
    /// How soon the key is to run again because of changes that the run has not seen.
    again: Option<Duration>,
}

impl Queue {
    /// Asks for a run of `key` within `wait` because of a change at revision `at`. A run that comes sooner for
    /// another reason sees the change, too, and is all that is needed.
    pub fn add_after(&mut self, key: ObjectKey, at: Revision, wait: Duration, now: Instant) {
        match self.running.get_mut(&key) {
            Some(run) if at > run.seen => run.again = Some(run.again.map_or(wait, |again| again.min(wait))),
            Some(_) => {}
            None if wait.is_zero() => self.enqueue(key),
            None if self.queued.contains(&key) => {}
            None => self.set_timer(key, now + wait),
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
        self.running.insert(key.clone(), Running { seen, again: None });
        Some(key)
    }

    /// Takes back a key whose run has ended. A later time that an earlier run asked for is void: each run says anew.
    pub fn finish(&mut self, key: ObjectKey, outcome: Outcome, now: Instant) {
        let again = self.running.remove(&key).and_then(|run| run.again);
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
        match again.into_iter().chain(pause).min() {
            _ if again == Some(Duration::ZERO) => self.enqueue(key),
            Some(wait) => self.set_timer(key, now + wait),
            None => {}
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

    /// The key is due at `at`, or at an earlier time that was set before.
    fn set_timer(&mut self, key: ObjectKey, at: Instant) {
        if self.due.get(&key).is_some_and(|due| *due <= at) {
            return;
        }
        self.cancel_timer(&key);
        self.timers.insert((at, key.clone()));
        self.due.insert(key, at);
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

    fn add(queue: &mut Queue, at: Revision) {
        queue.add_after(key("a"), at, Duration::ZERO, Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_added_twice_runs_once() {
        let mut queue = Queue::default();
        add(&mut queue, Revision(1));
        add(&mut queue, Revision(2));
        assert_eq!(queue.start(Revision(2)), Some(key("a")));
        assert_eq!(queue.start(Revision(2)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_key_runs_again_only_for_what_its_snapshot_does_not_hold() {
        let mut queue = Queue::default();
        for (change, again) in [(4, false), (5, false), (6, true)] {
            add(&mut queue, Revision(1));
            queue.start(Revision(5));
            add(&mut queue, Revision(change));
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
        add(&mut queue, Revision(1));
        for millis in [5, 10, 20, 40] {
            queue.start(Revision(1));
            queue.finish(key("a"), Outcome::Failed, now);
            assert_eq!(queue.next_due(), Some(now + Duration::from_millis(millis)));
            queue.wake(now + Duration::from_millis(millis));
            assert!(queue.has_ready());
        }
        queue.start(Revision(1));
        queue.finish(key("a"), Outcome::Done, now);
        add(&mut queue, Revision(2));
        queue.start(Revision(2));
        queue.finish(key("a"), Outcome::Failed, now);
        assert_eq!(queue.next_due(), Some(now + FIRST_PAUSE));
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn each_run_says_anew_when_the_next_is_due() {
        let mut queue = Queue::default();
        let now = Instant::now();
        add(&mut queue, Revision(1));
        queue.start(Revision(1));
        queue.finish(key("a"), Outcome::After(Duration::from_secs(9)), now);
        add(&mut queue, Revision(2));
        queue.start(Revision(2));
        assert_eq!(queue.next_due(), None);
        queue.finish(key("a"), Outcome::Done, now);
        assert_eq!(queue.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_may_wait_are_one_run_and_do_not_hold_up_others() {
        let mut queue = Queue::default();
        let now = Instant::now();
        let second = Duration::from_secs(1);
        queue.add_after(key("a"), Revision(1), second, now);
        queue.add_after(key("a"), Revision(2), second, now + second / 2);
        assert_eq!(queue.next_due(), Some(now + second), "the first change sets the time");
        add(&mut queue, Revision(3));
        assert!(queue.start(Revision(3)).is_some());
        assert_eq!(queue.next_due(), None, "the run saw what was waiting");
        queue.add_after(key("a"), Revision(4), second, now);
        queue.finish(key("a"), Outcome::After(second * 9), now);
        assert_eq!(queue.next_due(), Some(now + second));
    }
}
