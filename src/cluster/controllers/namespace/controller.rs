//! Ends namespaces that are deleted: asks their content to go, tells what remains, and lets go of the namespace when
//! nothing does.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::json;

use super::contents::{remaining, to_delete};
use crate::cluster::controllers::decode::{decode, update_status, whole_seconds};
use crate::cluster::controllers::engine::{Controller, Failure, Next, Source};
use crate::cluster::registry::{Author, DeleteOptions, Propagation, Registry, Target, WriteOptions};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::kinds::Subresource;
use crate::object::{Kind, Object, ObjectKey, Reason, kinds};

/// The finalizer in a namespace's spec that stands for its content.
const FINALIZER: &str = "kubernetes";
/// Objects that one transaction deletes; the next run does the rest.
const BATCH: usize = 500;

pub struct NamespaceController {
    registry: Registry,
    author: Author,
}

impl Controller for NamespaceController {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn sources(&self) -> Vec<Source> {
        let contents = kinds::all().iter().filter(|kind| kind.namespaced);
        let contents = contents.map(|kind| Source::new(kind, ending_around));
        std::iter::once(Source::own(kinds::NAMESPACE)).chain(contents).collect()
    }

    fn custom_sources(&self) -> Option<fn(&'static Kind) -> Source> {
        Some(|kind| Source::new(kind, ending_around))
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let Some(deleted) = object.meta.deleted else { return Ok(Next::Done) };
        let namespace = decode::<Namespace>(object)?;
        let finalizers = namespace.spec.as_ref().and_then(|s| s.finalizers.as_deref()).unwrap_or_default();
        if !finalizers.iter().any(|f| f == FINALIZER) {
            return Ok(Next::Done);
        }
        self.delete_contents(&snapshot, &key.name).await?;
        self.conclude(object, &namespace, deleted).await
    }
}

impl NamespaceController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("namespace-controller") }
    }

    async fn delete_contents(&self, snapshot: &Snapshot, namespace: &str) -> Result<(), Failure> {
        let doomed = to_delete(snapshot, namespace);
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        for batch in doomed.chunks(BATCH) {
            let mut transaction = self.registry.begin(&self.author);
            for key in batch {
                match transaction.delete(key, &options) {
                    Err(error) if error.reason == Reason::NotFound => {}
                    deleted => deleted?,
                }
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Looks at what is left after the deletions: nothing, and the namespace goes, or something, and it is told.
    async fn conclude(&self, object: &Object, namespace: &Namespace, deleted: Timestamp) -> Result<Next, Failure> {
        let now = whole_seconds(self.registry.clock().now());
        let snapshot = self.registry.snapshot();
        let remaining = remaining(&snapshot, &object.key.name, deleted, now);
        let mut transaction = self.registry.begin(&self.author);
        if !remaining.any {
            let kept: Vec<&String> = namespace
                .spec
                .iter()
                .flat_map(|s| s.finalizers.iter().flatten())
                .filter(|finalizer| *finalizer != FINALIZER)
                .collect();
            let target = Target { key: object.key.clone(), subresource: Some(Subresource::Finalize) };
            let update = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": object.key.name, "resourceVersion": object.meta.revision.to_string()},
                "spec": {"finalizers": kept}});
            transaction.update(&target, update, WriteOptions::default())?;
            transaction.commit().await?;
            return Ok(Next::Done);
        }
        let before = namespace.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
        let conditions = remaining.conditions(before, now);
        if conditions != before {
            let conditions = serde_json::to_value(&conditions)
                .map_err(|source| Failure::Decode { key: object.key.clone(), source })?;
            update_status(&mut transaction, &object.key, |object| {
                object["status"]["phase"] = json!("Terminating");
                object["status"]["conditions"] = conditions;
            })?;
            transaction.commit().await?;
        }
        // Each deletion and each finalizer that goes asks for a run; only the end of a grace period does not.
        Ok(remaining.due.map_or(Next::Done, Next::After))
    }
}

/// A namespace that is being deleted is looked at again when something in it goes, changes its finalizers or, by a
/// race, comes.
fn ending_around(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let key = ObjectKey::new(kinds::NAMESPACE, "", &*event.object.key.namespace);
    if !snapshot.get(&key).is_some_and(|namespace| namespace.meta.is_deleting()) {
        return Vec::new();
    }
    let before = event.previous.as_ref().map(|o| (&o.meta.finalizers, o.meta.is_deleting()));
    let now = (&event.object.meta.finalizers, event.object.meta.is_deleting());
    if event.change == Change::Modified && before == Some(now) { Vec::new() } else { vec![key] }
}
