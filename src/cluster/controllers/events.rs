//! Writes Events about objects, one object a kind of event: what happens again is counted, not repeated.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::cluster::registry::{Author, Patch, Registry, Target, Transaction, WriteOptions};
use crate::object::clock::rfc3339;
use crate::object::{ApiError, Object, kinds};

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
}

impl Recorder {
    pub fn new(registry: &Registry, author: &Author, component: &'static str) -> Self {
        Self { registry: registry.clone(), author: author.clone(), component }
    }

    /// Records the notes. An event that cannot be written is logged and lost: no work waits for it.
    pub async fn tell(&self, about: &Object, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        let mut transaction = self.registry.begin(&self.author);
        let written = notes.iter().try_for_each(|note| self.write(&mut transaction, about, note));
        let outcome = match written {
            Ok(()) => transaction.commit().await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!(about = %about.key, %error, "an event was not recorded");
        }
    }

    fn write(&self, transaction: &mut Transaction, about: &Object, note: &Note) -> Result<(), ApiError> {
        let namespace = if about.key.kind.namespaced { about.key.namespace.as_str() } else { "default" };
        let now = rfc3339(self.registry.clock().now());
        let target = Target::new(kinds::EVENT, namespace, &self.name(about, note));
        let Some(known) = transaction.current(&target.key) else {
            let event = self.event(about, note, &target.key.name, &now);
            return transaction.create(kinds::EVENT, namespace, event, WriteOptions::default());
        };
        let count = known["count"].as_i64().unwrap_or(1).saturating_add(1);
        let patch = Patch::Merge(json!({"count": count, "lastTimestamp": now}));
        transaction.patch(&target, patch, WriteOptions::default())
    }

    fn event(&self, about: &Object, note: &Note, name: &str, now: &str) -> Value {
        let kind = about.key.kind;
        let namespace = if kind.namespaced { about.key.namespace.as_str() } else { "default" };
        let mut involved = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "name": about.key.name,
            "uid": about.meta.uid, "resourceVersion": about.meta.revision.to_string()});
        if kind.namespaced {
            involved["namespace"] = json!(about.key.namespace);
        }
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved, "type": format!("{:?}", note.kind), "reason": note.reason,
            "message": note.message, "count": 1, "firstTimestamp": now, "lastTimestamp": now, "eventTime": null,
            "source": {"component": self.component}, "reportingComponent": self.component, "reportingInstance": ""})
    }

    /// The same note about the same object has the same name, so that counting needs no memory.
    fn name(&self, about: &Object, note: &Note) -> String {
        let mut hash = DefaultHasher::new();
        (&about.meta.uid, note.kind, note.reason, &note.message, self.component).hash(&mut hash);
        format!("{}.{:016x}", about.key.name, hash.finish())
    }
}
