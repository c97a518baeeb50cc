//! The pods that wait for a node: those to be tried now, the most important first; those that were tried a moment
//! ago; and those for which nothing has changed since they were found not to fit. Pure: time is an argument.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::framework::Wake;
use super::pod::PodInfo;
use crate::object::{Object, ObjectKey};

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A pod that nothing woke is tried again after so long, in case that a wake-up rule is wrong.
const FLUSH: Duration = Duration::from_secs(5 * 60);

/// A pod that waits.
#[derive(Clone, Debug)]
pub struct Pending {
    pub pod: Arc<PodInfo>,
    pub object: Arc<Object>,
    attempts: u32,
}

/// Place in the queue: importance, then age.
type Order = (Reverse<i32>, u64);

#[derive(Debug, Default)]
pub struct Queue {
    entries: HashMap<ObjectKey, (Pending, State)>,
    active: BTreeMap<Order, ObjectKey>,
    /// When the pods that are not active are tried again without being woken.
    timers: BTreeSet<(Instant, ObjectKey)>,
    joined: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Active(Order),
    /// Tried again then.
    Backoff(Instant),
    /// Does not fit. Woken by `wake`, but not before `backoff`; tried again at `flush` in any case.
    Parked {
        wake: Wake,
        backoff: Instant,
        flush: Instant,
    },
    /// Somebody is placing it.
    Out,
}

impl Queue {
    /// A pod that is new or has changed. One that asks for the same as before keeps its place.
    pub fn put(&mut self, pod: Arc<PodInfo>, object: Arc<Object>, now: Instant) {
        let Some((known, state)) = self.entries.get_mut(&pod.key) else {
            self.insert(Pending { pod, object, attempts: 0 }, now);
            return;
        };
        let (same, state) = (pod.uid == known.pod.uid && pod.asks_as(&known.pod), *state);
        (known.pod, known.object) = (pod, object);
        let key = known.pod.key.clone();
        if let (false, State::Parked { backoff, .. }) = (same, state) {
            self.wait_until(&key, backoff, now);
        }
    }

    pub fn remove(&mut self, key: &ObjectKey) {
        if let Some((_, state)) = self.entries.remove(key) {
            self.unlink(key, state);
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.entries.keys()
    }

    /// Somebody is placing the pod.
    pub fn is_out(&self, key: &ObjectKey) -> bool {
        matches!(self.entries.get(key), Some((_, State::Out)))
    }

    /// The pod to place next. It stays known, and is given back by `park`, `retry` or `remove`.
    pub fn pop(&mut self, now: Instant) -> Option<Pending> {
        while let Some((at, key)) = self.timers.first().cloned()
            && at <= now
        {
            self.activate(&key);
        }
        let (_, key) = self.active.pop_first()?;
        let (pending, state) = self.entries.get_mut(&key)?;
        *state = State::Out;
        pending.attempts += 1;
        Some(pending.clone())
    }

    /// When something can be popped that cannot be now.
    pub fn next(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// It fits nowhere; what happened is to be one of `wake` to change that.
    pub fn park(&mut self, key: &ObjectKey, wake: Wake, now: Instant) {
        let Some((pending, state)) = self.entries.get_mut(key) else { return };
        let backoff = now + backoff(pending.attempts);
        let flush = now + FLUSH;
        let old = std::mem::replace(state, State::Parked { wake, backoff, flush });
        self.unlink(key, old);
        self.timers.insert((flush, key.clone()));
    }

    /// Placing it failed for a reason that is not the pod's.
    pub fn retry(&mut self, key: &ObjectKey, now: Instant) {
        if let Some((pending, _)) = self.entries.get(key) {
            let at = now + backoff(pending.attempts);
            self.wait_until(key, at, now);
        }
    }

    /// Something happened: pods that wait for it, and that it `helps`, are tried again.
    pub fn wake(&mut self, what: Wake, now: Instant, helps: impl Fn(&PodInfo, Wake) -> bool) {
        let woken = |(key, (pending, state)): (&ObjectKey, &(Pending, State))| match state {
            State::Parked { wake, backoff, .. } if wake.meets(what) && helps(&pending.pod, *wake) => {
                Some((key.clone(), *backoff))
            }
            _ => None,
        };
        let mut woken: Vec<_> = self.entries.iter().filter_map(woken).collect();
        // The map has no order of its own, and equal pods shall be placed in the same order each time.
        woken.sort();
        for (key, backoff) in woken {
            self.wait_until(&key, backoff, now);
        }
    }

    fn insert(&mut self, pending: Pending, now: Instant) {
        let key = pending.pod.key.clone();
        self.entries.insert(key.clone(), (pending, State::Out));
        self.wait_until(&key, now, now);
    }

    fn wait_until(&mut self, key: &ObjectKey, at: Instant, now: Instant) {
        if at <= now {
            return self.activate(key);
        }
        let Some((_, state)) = self.entries.get_mut(key) else { return };
        let old = std::mem::replace(state, State::Backoff(at));
        self.unlink(key, old);
        self.timers.insert((at, key.clone()));
    }

    fn activate(&mut self, key: &ObjectKey) {
        let Some((pending, state)) = self.entries.get_mut(key) else { return };
        self.joined += 1;
        let order = (Reverse(pending.pod.priority), self.joined);
        let old = std::mem::replace(state, State::Active(order));
        self.unlink(key, old);
        self.active.insert(order, key.clone());
    }

    fn unlink(&mut self, key: &ObjectKey, state: State) {
        match state {
            State::Active(order) => drop(self.active.remove(&order)),
            State::Backoff(at) | State::Parked { flush: at, .. } => drop(self.timers.remove(&(at, key.clone()))),
            State::Out => {}
        }
    }
}

/// 1 s, 2 s, 4 s, 8 s, then 10 s.
fn backoff(attempts: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << attempts.saturating_sub(1).min(8)).min(LONGEST_BACKOFF)
}
