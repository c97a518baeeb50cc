//! Tells of the Application in Events, which `kubectl describe application` shows. What happens again is counted,
//! not repeated; an event that cannot be written is logged and lost, since no sync waits for it.

use ring::digest;
use serde_json::json;

use super::stage;
use crate::cluster::registry::{Patch, Registry, Target, WriteOptions};
use crate::object::clock::rfc3339;
use crate::object::{ApiError, Object, ObjectKey, kinds};

const COMPONENT: &str = "windlass-sync";
/// The API's limit for a message.
const LONGEST: usize = 1024;

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `Normal` or `Warning`.
    kind: &'static str,
    reason: &'static str,
    message: String,
}

impl Note {
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind: "Normal", reason, message: message.into() }
    }

    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind: "Warning", reason, message: message.into() }
    }
}

/// Records notes about an Application.
pub async fn tell(registry: &Registry, application: &ObjectKey, notes: &[Note]) {
    let Ok(about) = registry.get(application) else { return };
    if let Err(error) = write(registry, &about, notes).await {
        tracing::debug!(%error, "an event was not recorded");
    }
}

async fn write(registry: &Registry, about: &Object, notes: &[Note]) -> Result<(), ApiError> {
    let mut transaction = registry.begin(&stage::author(None));
    let now = rfc3339(registry.clock().now());
    for note in notes {
        let name = name(about, note);
        let target = Target::new(kinds::EVENT, &about.key.namespace, &name);
        if let Some(known) = transaction.current(&target.key) {
            let count = known["count"].as_i64().unwrap_or(1).saturating_add(1);
            let patch = Patch::Merge(json!({"count": count, "lastTimestamp": now}));
            transaction.patch(&target, patch, WriteOptions::default())?;
            continue;
        }
        let kind = about.key.kind;
        let message: String = note.message.chars().take(LONGEST / 4).collect();
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": about.key.namespace},
            "involvedObject": {"apiVersion": kind.api_version(), "kind": kind.kind, "name": about.key.name,
                "namespace": about.key.namespace, "uid": about.meta.uid,
                "resourceVersion": about.meta.revision.to_string()},
            "type": note.kind, "reason": note.reason, "message": if note.message.len() > LONGEST { &message } else { &note.message },
            "count": 1, "firstTimestamp": now, "lastTimestamp": now, "eventTime": null,
            "source": {"component": COMPONENT}, "reportingComponent": COMPONENT, "reportingInstance": "",
        });
        transaction.create(kinds::EVENT, &about.key.namespace, event, WriteOptions::default())?;
    }
    transaction.commit().await.map(drop)
}

/// The same note about the same object has the same name, so counting needs no memory.
fn name(about: &Object, note: &Note) -> String {
    let text = [about.meta.uid.as_str(), note.kind, note.reason, note.message.as_str()].join("\n");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}.{hash}", about.key.name)
}
