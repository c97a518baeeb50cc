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
    /// The parked pods by what they wait for: an event looks only at those that it can concern.
    parked: BTreeMap<Wake, BTreeSet<ObjectKey>>,
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
        self.parked.entry(wake).or_default().insert(key.clone());
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
        let concerned = self.parked.iter().filter(|(wake, _)| wake.meets(what));
        let concerned = concerned.flat_map(|(wake, keys)| keys.iter().map(|key| (*wake, key)));
        let woken = |(wake, key): (Wake, &ObjectKey)| match self.entries.get(key) {
            Some((pending, State::Parked { backoff, .. })) if helps(&pending.pod, wake) => {
                Some((key.clone(), *backoff))
            }
            _ => None,
        };
        let mut woken: Vec<_> = concerned.filter_map(woken).collect();
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
            State::Backoff(at) => drop(self.timers.remove(&(at, key.clone()))),
            State::Parked { flush, wake, .. } => {
                self.timers.remove(&(flush, key.clone()));
                if let Some(keys) = self.parked.get_mut(&wake) {
                    keys.remove(key);
                }
            }
            State::Out => {}
        }
    }
}

/// 1 s, 2 s, 4 s, 8 s, then 10 s.
fn backoff(attempts: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << attempts.saturating_sub(1).min(8)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Draft, Revision, kinds};

    fn waiting(name: &str, priority: i32, cpu: &str) -> (Arc<PodInfo>, Arc<Object>) {
        let value = json!({"metadata": {"name": name, "namespace": "d", "uid": name}, "spec": {"priority": priority,
            "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
        let object = Arc::new(Draft::new(kinds::POD, &value).seal(Revision(1)));
        (Arc::new(PodInfo::of(&object).unwrap()), object)
    }

    fn queue(pods: &[(&str, i32)], now: Instant) -> Queue {
        let mut queue = Queue::default();
        for (name, priority) in pods {
            let (pod, object) = waiting(name, *priority, "1");
            queue.put(pod, object, now);
        }
        queue
    }

    fn popped(queue: &mut Queue, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(now)).map(|pending| pending.pod.key.name.clone()).collect()
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(kinds::POD, "d", name)
    }

    #[tokio::test(start_paused = true)]
    async fn the_most_important_is_first_and_of_equals_the_one_that_came_first() {
        let now = Instant::now();
        let mut queue = queue(&[("b", 0), ("a", 0), ("vip", 10), ("z", -1)], now);
        assert_eq!(popped(&mut queue, now), ["vip", "b", "a", "z"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_parked_pod_is_woken_only_by_what_can_help_it_and_not_before_its_backoff() {
        let now = Instant::now();
        let mut queue = queue(&[("a", 0), ("b", 0)], now);
        popped(&mut queue, now);
        queue.park(&key("a"), Wake::NODE, now);
        queue.park(&key("b"), Wake::FREED, now);
        queue.wake(Wake::FREED, now, |pod, _| pod.key.name == "b");
        queue.wake(Wake::NODE, now, |_, _| false);
        assert_eq!(popped(&mut queue, now), Vec::<String>::new());
        assert_eq!(queue.next(), Some(now + FIRST_BACKOFF));
        assert_eq!(popped(&mut queue, now + FIRST_BACKOFF), ["b"]);
        assert_eq!(popped(&mut queue, now + FLUSH), ["a"], "nothing woke it: it is tried again at last");
    }

    #[tokio::test(start_paused = true)]
    async fn backoff_doubles_up_to_ten_seconds() {
        let mut now = Instant::now();
        let mut queue = queue(&[("a", 0)], now);
        for seconds in [1, 2, 4, 8, 10, 10] {
            assert_eq!(popped(&mut queue, now), ["a"]);
            queue.retry(&key("a"), now);
            assert_eq!(queue.next(), Some(now + Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_what_it_asks_brings_a_parked_pod_back_and_a_note_on_it_does_not() {
        let now = Instant::now();
        let mut queue = queue(&[("a", 0)], now);
        popped(&mut queue, now);
        queue.park(&key("a"), Wake::NODE, now);
        let later = now + LONGEST_BACKOFF;
        let (same, object) = waiting("a", 0, "1");
        let nominated = PodInfo { nominated: Some("n".into()), ..(*same).clone() };
        queue.put(Arc::new(nominated), object.clone(), later);
        assert_eq!(popped(&mut queue, later), Vec::<String>::new());
        let (smaller, object) = waiting("a", 0, "500m");
        queue.put(smaller, object, later);
        assert_eq!(popped(&mut queue, later), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_removed_pod_leaves_nothing_behind() {
        let now = Instant::now();
        let mut queue = queue(&[("active", 0), ("parked", 0), ("backoff", 0)], now);
        popped(&mut queue, now);
        queue.park(&key("parked"), Wake::NODE, now);
        queue.retry(&key("backoff"), now);
        for name in ["active", "parked", "backoff", "never seen"] {
            queue.remove(&key(name));
        }
        assert_eq!((queue.next(), queue.keys().count()), (None, 0));
        assert_eq!(popped(&mut queue, now + FLUSH), Vec::<String>::new());
    }
}
