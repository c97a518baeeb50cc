//! Ends definitions: deletes the objects of a CustomResourceDefinition that is being deleted, and lets it go when none
//! is left. Names that a definition gives up are offered to those that wait for them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::decode::update_status;
use super::engine::{Controller, Failure, Next, Source};
use crate::cluster::registry::{
    Author, DeleteOptions, Patch, Registry, Target, Transaction, WriteOptions, definitions,
};
use crate::cluster::store::{Change, Event, Snapshot};
use crate::object::{Kind, Object, ObjectKey, Reason, clock, kinds};

/// Objects that one transaction deletes.
const BATCH: usize = 500;

pub struct DefinitionController {
    registry: Registry,
    author: Author,
}

impl Controller for DefinitionController {
    fn name(&self) -> &'static str {
        "definitions"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::new(kinds::CUSTOM_RESOURCE_DEFINITION, concerned)]
    }

    fn custom_sources(&self) -> Option<fn(&'static Kind) -> Source> {
        Some(|kind| Source::new(kind, ending_definition))
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        if !object.meta.is_deleting() {
            return self.offer_names(object).await;
        }
        if !object.meta.finalizers.iter().any(|finalizer| finalizer == definitions::CLEANUP) {
            return Ok(Next::Done);
        }
        let crd = object.value();
        let (group, plural) = (&crd["spec"]["group"], &crd["spec"]["names"]["plural"]);
        let kind =
            snapshot.kinds().by_resource(group.as_str().unwrap_or_default(), plural.as_str().unwrap_or_default());
        let left: Vec<_> = kind.filter(|kind| !kind.is_built_in()).map_or_else(Vec::new, |kind| {
            snapshot.list(kind, "").map(|object| (object.key.clone(), object.meta.is_deleting())).collect()
        });
        if left.is_empty() {
            return self.finish(object).await;
        }
        let doomed: Vec<ObjectKey> = left.into_iter().filter(|(_, deleting)| !deleting).map(|(key, _)| key).collect();
        for batch in doomed.chunks(BATCH) {
            let mut transaction = self.registry.begin(&self.author);
            for key in batch {
                match transaction.delete(key, &DeleteOptions::default()) {
                    Err(error) if error.reason == Reason::NotFound => {}
                    deleted => deleted?,
                }
            }
            transaction.commit().await?;
        }
        let message = "CustomResource deletion is in progress";
        self.tell(object, "True", "InstanceDeletionInProgress", message, |_| Ok(())).await
    }
}

impl DefinitionController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("customresource-finalizer") }
    }

    /// Nothing is left: the definition may go.
    async fn finish(&self, object: &Object) -> Result<Next, Failure> {
        let kept: Vec<&String> = object.meta.finalizers.iter().filter(|f| *f != definitions::CLEANUP).collect();
        let kept = if kept.is_empty() { Value::Null } else { json!(kept) };
        let patch = json!({"metadata": {"finalizers": kept, "uid": object.meta.uid}});
        let target = Target::from(object.key.clone());
        self.tell(object, "False", "InstanceDeletionCompleted", "removed all instances", |transaction| {
            Ok(transaction.patch(&target, Patch::Merge(patch), WriteOptions::default())?)
        })
        .await
    }

    async fn tell(
        &self,
        object: &Object,
        status: &str,
        reason: &str,
        message: &str,
        then: impl FnOnce(&mut Transaction) -> Result<(), Failure>,
    ) -> Result<Next, Failure> {
        let now = json!(clock::rfc3339(self.registry.clock().now()));
        let mut transaction = self.registry.begin(&self.author);
        update_status(&mut transaction, &object.key, |crd| {
            definitions::set_condition(crd, "Terminating", status, reason, message, &now);
        })?;
        then(&mut transaction)?;
        transaction.commit().await?;
        Ok(Next::Done)
    }

    /// A definition whose names were taken is written again: the write looks whether they are free now.
    async fn offer_names(&self, object: &Object) -> Result<Next, Failure> {
        if !waits_for_names(object) {
            return Ok(Next::Done);
        }
        let mut transaction = self.registry.begin(&self.author);
        update_status(&mut transaction, &object.key, |_| {})?;
        transaction.commit().await?;
        Ok(Next::Done)
    }
}

fn waits_for_names(definition: &Object) -> bool {
    let crd = definition.value();
    let conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "NamesAccepted" && condition["status"] == "False")
}

/// A definition is looked at when it is being deleted; those that wait for names, when one goes.
fn concerned(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    if event.change != Change::Deleted {
        return vec![event.object.key.clone()];
    }
    let others = snapshot.list(kinds::CUSTOM_RESOURCE_DEFINITION, "");
    others.filter(|other| waits_for_names(other)).map(|other| other.key.clone()).collect()
}

/// The definition of an object that went, where it waits for that.
fn ending_definition(snapshot: &Snapshot, event: &Event) -> Vec<ObjectKey> {
    let Some(definition) = snapshot.kinds().definition(event.object.key.kind) else { return Vec::new() };
    let wanted = definition.terminating && event.change != Change::Modified;
    wanted.then(|| ObjectKey::new(kinds::CUSTOM_RESOURCE_DEFINITION, "", &*definition.name)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::start_workloads;
    use super::*;
    use crate::cluster::store::Store;
    use crate::object::Clock;
    use crate::tasks::Tasks;

    fn definition() -> Value {
        json!({"metadata": {"name": "wids.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "wids", "kind": "Wid"}, "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
    }

    #[tokio::test(start_paused = true)]
    async fn a_definition_goes_when_the_last_of_its_objects_has() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        let author = Author::controller("test");
        let controllers = start_workloads(&registry, &tasks);
        let options = WriteOptions::default();
        let crd = kinds::CUSTOM_RESOURCE_DEFINITION;
        for name in ["default", "going"] {
            let namespace = json!({"metadata": {"name": name}});
            registry.create(&author, kinds::NAMESPACE, "", namespace, options).await.expect("a namespace");
        }
        registry.create(&author, crd, "", definition(), options).await.expect("a definition");
        let kind = registry.snapshot().kinds().by_manifest("example.com/v1", "Wid").expect("it is served");
        for (name, namespace, finalizers) in [("a", "default", json!(["e.x/f"])), ("b", "going", json!([]))] {
            let object = json!({"apiVersion": "example.com/v1", "kind": "Wid",
                "metadata": {"name": name, "finalizers": finalizers}});
            registry.create(&author, kind, namespace, object, options).await.expect("an object");
        }
        // A namespace takes objects of custom kinds with it.
        let namespace = ObjectKey::new(kinds::NAMESPACE, "", "going");
        registry.delete(&author, &namespace, &DeleteOptions::default()).await.expect("it is being deleted");
        settle(&registry, |snapshot| snapshot.get(&namespace).is_none()).await;

        let key = ObjectKey::new(crd, "", "wids.example.com");
        registry.delete(&author, &key, &DeleteOptions::default()).await.expect("it is being deleted");
        settle(&registry, |snapshot| snapshot.list(kind, "").all(|object| object.meta.is_deleting())).await;
        let held = registry.get(&key).expect("an object holds it").value();
        let terminating = held["status"]["conditions"].as_array().expect("conditions").last().expect("one");
        assert_eq!((&terminating["type"], &terminating["status"]), (&json!("Terminating"), &json!("True")));
        let another = json!({"apiVersion": "example.com/v1", "kind": "Wid", "metadata": {"name": "late"}});
        let refusal = registry.create(&author, kind, "default", another, options).await.expect_err("too late");
        assert_eq!(refusal.message, "create not allowed while custom resource definition is terminating");

        let target = Target::new(kind, "default", "a");
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        registry.patch(&author, &target, free, options).await.expect("the last finalizer goes");
        settle(&registry, |snapshot| snapshot.get(&key).is_none()).await;
        assert_eq!(registry.snapshot().kinds().by_manifest("example.com/v1", "Wid"), None);
        assert!(controllers.runs() > 0);
        tasks.stop().await;
    }

    async fn settle(registry: &Registry, done: impl Fn(&Snapshot) -> bool) {
        for _ in 0..200 {
            if done(&registry.snapshot()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("it does not settle");
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_are_given_up_go_to_the_one_that_waits() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        let author = Author::controller("test");
        start_workloads(&registry, &tasks);
        let crd = kinds::CUSTOM_RESOURCE_DEFINITION;
        registry.create(&author, crd, "", definition(), WriteOptions::default()).await.expect("a definition");
        let mut second = definition();
        second["metadata"]["name"] = json!("others.example.com");
        second["spec"]["names"] = json!({"plural": "others", "kind": "Wid"});
        registry.create(&author, crd, "", second, WriteOptions::default()).await.expect("it waits");
        let key = ObjectKey::new(crd, "", "others.example.com");
        let waiting = registry.get(&key).expect("it is there").value();
        assert_eq!(waiting["status"]["conditions"][0]["reason"], "SingularConflict");
        assert_eq!(waiting["status"]["conditions"][1]["reason"], "NotAccepted");
        let first = ObjectKey::new(crd, "", "wids.example.com");
        registry.delete(&author, &first, &DeleteOptions::default()).await.expect("it has no objects");
        settle(&registry, |snapshot| snapshot.kinds().by_resource("example.com", "others").is_some()).await;
        tasks.stop().await;
    }
}
