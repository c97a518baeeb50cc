//! Writes Events about objects, as few as tell the same: what happens again is counted, and when one object has
//! ten different things of one kind to tell, those from the tenth on are combined into one Event. Who tells a lot about
//! one object is heard twenty-five times, and then once in five minutes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cluster::registry::{Author, Patch, Registry, Target, Transaction, WriteOptions};
use crate::object::clock::rfc3339;
use crate::object::{ApiError, Object, kinds};

/// Different messages of one reason about one object that are told one by one; the tenth begins a combined one.
const SIMILAR: usize = 9;
/// After this long without a further one they are told one by one again.
const SIMILAR_FOR: SignedDuration = SignedDuration::from_mins(10);
/// Events about one object that are written one after the other; each later one needs the time of `ONE_MORE_AFTER`.
const AT_ONCE: i64 = 25;
const ONE_MORE_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Objects and reasons that are remembered; beyond it the oldest half is forgotten.
const REMEMBERED: usize = 4096;

/// Something that is worth telling about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: NoteKind,
    pub reason: &'static str,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoteKind {
    Normal,
    Warning,
}

impl Note {
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind: NoteKind::Normal, reason, message: message.into() }
    }

    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind: NoteKind::Warning, reason, message: message.into() }
    }
}

/// Tells notes in the name of one controller.
#[derive(Clone)]
pub struct Recorder {
    registry: Registry,
    author: Author,
    component: &'static str,
    memory: Arc<Mutex<Memory>>,
}

impl Recorder {
    pub fn new(registry: &Registry, author: &Author, component: &'static str) -> Self {
        Self { registry: registry.clone(), author: author.clone(), component, memory: Arc::default() }
    }

    /// Records the notes. An event that cannot be written is logged and lost: no work waits for it.
    pub async fn tell(&self, about: &Object, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        let now = self.registry.clock().now();
        let told = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.combine(&about.meta.uid, notes, now)
        };
        let mut transaction = self.registry.begin(&self.author);
        let written = told.values().try_for_each(|told| self.write(&mut transaction, about, told, now));
        let outcome = match written {
            Ok(()) => transaction.commit().await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!(about = %about.key, %error, "an event was not recorded");
        }
    }

    fn write(
        &self,
        transaction: &mut Transaction,
        about: &Object,
        told: &Told,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let namespace = if about.key.kind.namespaced { about.key.namespace.as_str() } else { "default" };
        // The same event has the same name, so that counting needs no memory.
        let mut hash = DefaultHasher::new();
        (&told.identity, self.component).hash(&mut hash);
        let name = format!("{}.{:016x}", about.key.name, hash.finish());
        let target = Target::new(kinds::EVENT, namespace, &name);
        let Some(known) = transaction.current(&target.key) else {
            let event = self.event(about, told, &name, now);
            return transaction.create(kinds::EVENT, namespace, event, WriteOptions::default());
        };
        let count = known["count"].as_i64().unwrap_or(1).saturating_add(told.count);
        let patch = json!({"count": count, "lastTimestamp": rfc3339(now), "message": told.note.message});
        transaction.patch(&target, Patch::Merge(patch), WriteOptions::default())
    }

    fn event(&self, about: &Object, told: &Told, name: &str, now: Timestamp) -> Value {
        let kind = about.key.kind;
        let namespace = if kind.namespaced { about.key.namespace.as_str() } else { "default" };
        let now = rfc3339(now);
        let mut involved = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "name": about.key.name,
            "uid": about.meta.uid, "resourceVersion": about.meta.revision.to_string()});
        if kind.namespaced {
            involved["namespace"] = json!(about.key.namespace);
        }
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved, "type": format!("{:?}", told.note.kind), "reason": told.note.reason,
            "message": told.note.message, "count": told.count, "firstTimestamp": now, "lastTimestamp": now,
            "eventTime": null, "source": {"component": self.component}, "reportingComponent": self.component,
            "reportingInstance": ""})
    }
}

/// One event to write: a note, and how often it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    note: Note,
    count: i64,
    identity: u64,
}

/// What was told lately.
#[derive(Debug, Default)]
struct Memory {
    similar: HashMap<u64, Similar>,
    /// What was written about each object, by its uid.
    written: HashMap<String, Written>,
}

/// How much was written about one object.
#[derive(Debug)]
struct Written {
    /// Events that may be written now.
    left: i64,
    /// Since when no time has been turned into events.
    since: Timestamp,
    /// How often each event happened that was not written: the next of it tells.
    untold: HashMap<u64, i64>,
}

#[derive(Debug)]
struct Similar {
    messages: HashSet<u64>,
    last: Timestamp,
}

impl Memory {
    /// The events that say what `notes` say, in the order of their identities.
    fn combine(&mut self, uid: &str, notes: &[Note], now: Timestamp) -> BTreeMap<u64, Told> {
        let mut told: BTreeMap<u64, Told> = BTreeMap::new();
        for note in notes {
            let (note, identity) = self.one_of_many(uid, note, now);
            let Some(untold) = self.may_tell(uid, identity, now) else { continue };
            let told = told.entry(identity).or_insert_with(|| Told { note: note.clone(), count: 0, identity });
            told.count += 1 + untold;
            told.note = note;
        }
        self.forget();
        told
    }

    fn one_of_many(&mut self, uid: &str, note: &Note, now: Timestamp) -> (Note, u64) {
        let group = hash_of(&(uid, note.kind, note.reason));
        let alone = hash_of(&(uid, note.kind, note.reason, &note.message));
        let fresh = || Similar { messages: HashSet::new(), last: now };
        let similar = self.similar.entry(group).or_insert_with(fresh);
        if now.duration_since(similar.last) > SIMILAR_FOR {
            similar.messages.clear();
        }
        similar.last = now;
        if similar.messages.len() < SIMILAR || similar.messages.contains(&alone) {
            similar.messages.insert(alone);
        }
        if similar.messages.contains(&alone) {
            return (note.clone(), alone);
        }
        let message = format!("(combined from similar events): {}", note.message);
        (Note { message, ..note.clone() }, group)
    }

    /// How often this has happened untold, if it may be told now.
    fn may_tell(&mut self, uid: &str, identity: u64, now: Timestamp) -> Option<i64> {
        let fresh = || Written { left: AT_ONCE, since: now, untold: HashMap::new() };
        let written = self.written.entry(uid.to_owned()).or_insert_with(fresh);
        let earned = now.duration_since(written.since).as_secs() / ONE_MORE_AFTER.as_secs();
        if earned > 0 {
            written.left = written.left.saturating_add(earned).min(AT_ONCE);
            written.since = now;
        }
        if written.left > 0 {
            written.left -= 1;
            return Some(written.untold.remove(&identity).unwrap_or(0));
        }
        *written.untold.entry(identity).or_default() += 1;
        None
    }

    fn forget(&mut self) {
        if self.written.len() > REMEMBERED {
            let mut times: Vec<Timestamp> = self.written.values().map(|w| w.since).collect();
            times.sort_unstable();
            let median = times[times.len() / 2];
            self.written.retain(|_, written| written.since > median);
        }
        if self.similar.len() > REMEMBERED {
            let mut times: Vec<Timestamp> = self.similar.values().map(|s| s.last).collect();
            times.sort_unstable();
            let median = times[times.len() / 2];
            self.similar.retain(|_, similar| similar.last > median);
        }
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_of_similar_notes_begins_a_combined_one() {
        let mut memory = Memory::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let pods: Vec<Note> = (0..14).map(|n| Note::normal("SuccessfulCreate", format!("Created pod: p{n}"))).collect();
        let told = memory.combine("u", &pods, start);
        assert_eq!(told.len(), 10);
        let combined: Vec<_> = told.values().filter(|t| t.count > 1).collect();
        assert_eq!(combined[0].count, 5);
        assert_eq!(combined[0].note.message, "(combined from similar events): Created pod: p13");
        assert!(memory.combine("other", &pods[..1], start).values().all(|t| t.note == pods[0]));
        let later = start + SignedDuration::from_mins(11);
        assert_eq!(memory.combine("u", &pods[13..], later).values().next().unwrap().note, pods[13]);
    }

    #[test]
    fn who_tells_too_much_of_one_object_is_heard_again_after_a_while() {
        let mut memory = Memory::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let note = Note::normal("Scaled", "up");
        let count = |memory: &mut Memory, uid: &str, times: usize, now: Timestamp| -> i64 {
            memory.combine(uid, &vec![note.clone(); times], now).values().map(|t| t.count).sum()
        };
        assert_eq!(count(&mut memory, "u", 24, start), 24);
        assert_eq!(count(&mut memory, "u", 3, start), 1);
        assert_eq!(count(&mut memory, "other", 1, start), 1);
        let later = start + SignedDuration::from_secs(299);
        assert_eq!(count(&mut memory, "u", 1, later), 0);
        let later = start + SignedDuration::from_mins(5);
        assert_eq!(count(&mut memory, "u", 1, later), 1 + 3, "with those that were not told");
        assert_eq!(count(&mut memory, "u", 1, later), 0);
    }

    #[test]
    fn the_same_note_is_counted() {
        let mut memory = Memory::default();
        let note = Note::warning("FailedCreate", "no");
        let told = memory.combine("u", &[note.clone(), note.clone()], Timestamp::UNIX_EPOCH);
        assert_eq!(told.values().map(|t| t.count).collect::<Vec<_>>(), [2]);
    }
}
