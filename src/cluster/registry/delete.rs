//! Deletion: at once, or marked and finished later when grace period, finalizers or contents hold it.
//! (The rules of Kubernetes's `rest.BeforeDelete` and of its generic store.)

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::options::{DeleteOptions, Preconditions, Propagation};
use super::policies::Judged;
use super::strategy;
use super::transaction::Transaction;
use crate::object::error::About;
use crate::object::{ApiError, ObjectKey, Reason, SYSTEM_NAMESPACE, kinds};
use crate::policy::Operation;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// Namespaces that the cluster cannot do without.
const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public", SYSTEM_NAMESPACE];

/// How long a deletion waits for the object's own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    /// The object is removed at once, unless finalizers hold it.
    None,
    /// It is marked, and whoever runs it deletes it again with no grace.
    Begins(i64),
    /// The deletion under way is brought forward.
    Shortens(i64),
    /// The deletion under way stays as it is.
    Pending,
}

impl Transaction {
    /// # Errors
    /// The refusal for the client.
    pub fn delete(&mut self, key: &ObjectKey, options: &DeleteOptions) -> Result<(), ApiError> {
        if key.kind == kinds::NAMESPACE && IMMORTAL.contains(&key.name.as_str()) {
            return Err(ApiError::forbidden(key.kind, &key.name, "this namespace may not be deleted"));
        }
        let current = self.require(key)?;
        check_preconditions(key, &options.preconditions, &current)?;
        let operation = Operation::Delete;
        self.judge(&Judged { key, subresource: "", operation, object: None, old: Some(&current) })?;
        self.delete_allowed(key, options)
    }

    /// Deletes what policies were asked about.
    pub(super) fn delete_allowed(&mut self, key: &ObjectKey, options: &DeleteOptions) -> Result<(), ApiError> {
        let current = self.require(key)?;
        check_preconditions(key, &options.preconditions, &current)?;
        let mut next = current.clone();
        let grace = grace_of(key, &current, options.grace_period_seconds);
        if grace != Grace::Pending {
            set_finalizers(&mut next, options.propagation);
            self.hold_definition(key, &mut next);
        }
        match grace {
            Grace::Pending => {}
            Grace::Begins(seconds) => mark(&mut next, self.now, seconds),
            Grace::Shortens(seconds) => shorten(&mut next, seconds),
            Grace::None if is_held(key, &next) => {
                if next["metadata"]["deletionTimestamp"].is_null() {
                    mark(&mut next, self.now, 0);
                }
                if key.kind == kinds::NAMESPACE {
                    if let Some(metadata) = next["metadata"].as_object_mut() {
                        metadata.remove("deletionGracePeriodSeconds");
                    }
                    next["status"]["phase"] = json!("Terminating");
                }
            }
            Grace::None => {}
        }
        let waits = next["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
        if (grace != Grace::None && (waits || grace == Grace::Pending)) || is_held(key, &next) {
            self.put(key.clone(), Some(&current), next);
        } else {
            self.remove(key);
        }
        Ok(())
    }
}

/// Finalizers, or the contents of a namespace, keep the object.
fn is_held(key: &ObjectKey, object: &Value) -> bool {
    let held = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    held(&object["metadata"]["finalizers"]) || key.kind == kinds::NAMESPACE && held(&object["spec"]["finalizers"])
}

fn grace_of(key: &ObjectKey, object: &Value, asked: Option<i64>) -> Grace {
    let metadata = &object["metadata"];
    if !metadata["deletionTimestamp"].is_null() {
        return match (metadata["deletionGracePeriodSeconds"].as_i64(), asked) {
            (Some(left), Some(asked)) if asked.max(0) < left => Grace::Shortens(asked.max(0)),
            _ if key.kind == kinds::NAMESPACE => Grace::None,
            _ => Grace::Pending,
        };
    }
    if key.kind != kinds::POD {
        return Grace::None;
    }
    let bound = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let ended = matches!(object["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    let seconds = asked.or(object["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(0);
    match if seconds < 0 { 1 } else { seconds } {
        0 => Grace::None,
        _ if !bound || ended => Grace::None,
        seconds => Grace::Begins(seconds),
    }
}

/// Marks the object as being deleted; it is a change of intent, so its generation counts it.
fn mark(object: &mut Value, now: Timestamp, seconds: i64) {
    let end = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    let metadata = &mut object["metadata"];
    metadata["deletionTimestamp"] = strategy::time(end);
    metadata["deletionGracePeriodSeconds"] = json!(seconds);
    if let Some(generation) = metadata["generation"].as_i64().filter(|g| *g > 0) {
        metadata["generation"] = json!(generation + 1);
    }
}

/// The end moves by as much as the period became shorter: it counts from when the deletion was asked for.
fn shorten(object: &mut Value, seconds: i64) {
    let metadata = &mut object["metadata"];
    let before = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(seconds);
    let end = metadata["deletionTimestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    if let Some(end) = end.and_then(|end| end.checked_sub(SignedDuration::from_secs(before - seconds)).ok()) {
        metadata["deletionTimestamp"] = strategy::time(end);
    }
    metadata["deletionGracePeriodSeconds"] = json!(seconds);
}

/// What becomes of dependents is kept as a finalizer, which the garbage collector takes off when it is done.
/// Without a policy the object's own finalizers say it; the default is to collect dependents afterwards.
fn set_finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let metadata = &mut object["metadata"];
    let mut finalizers: Vec<Value> = metadata["finalizers"].as_array().cloned().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => finalizers.push(json!(FOREGROUND)),
        Propagation::Orphan => finalizers.push(json!(ORPHAN)),
    }
    if !finalizers.is_empty() {
        metadata["finalizers"] = json!(finalizers);
    } else if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("finalizers");
    }
}

fn check_preconditions(key: &ObjectKey, wanted: &Preconditions, current: &Value) -> Result<(), ApiError> {
    let metadata = &current["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default();
    let why = match wanted {
        Preconditions { uid: Some(uid), .. } if uid != text("uid") => format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            text("uid")
        ),
        Preconditions { revision: Some(revision), .. } if revision.to_string() != text("resourceVersion") => format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({}). The object might have been modified",
            text("resourceVersion")
        ),
        _ => return Ok(()),
    };
    // Kubernetes names the kind here where other conflicts name the resource.
    let kind = key.kind;
    let message = format!("Operation cannot be fulfilled on {} \"{}\": {why}", kind.qualified_kind(), key.name);
    let about = About { name: key.name.clone(), group: kind.group.into(), kind: kind.kind.into(), ..About::default() };
    Err(ApiError { about: Some(Box::new(about)), ..ApiError::new(Reason::Conflict, message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(changes: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p", "namespace": "d", "generation": 1},
            "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Running"}});
        json_patch::merge(&mut pod, &changes);
        pod
    }

    #[test]
    fn grace_is_for_pods_that_run_on_a_node() {
        let key = ObjectKey::new(kinds::POD, "d", "p");
        let deleting =
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}});
        let cases = [
            ("bound", json!({}), None, Grace::Begins(30)),
            ("bound, asked for less", json!({}), Some(5), Grace::Begins(5)),
            ("bound, forced", json!({}), Some(0), Grace::None),
            ("bound, negative", json!({}), Some(-1), Grace::Begins(1)),
            ("not bound", json!({"spec": {"nodeName": null}}), None, Grace::None),
            ("ended", json!({"status": {"phase": "Succeeded"}}), None, Grace::None),
            ("deleting already", deleting.clone(), None, Grace::Pending),
            ("deleting already, asked for more", deleting.clone(), Some(60), Grace::Pending),
            ("deleting already, asked for less", deleting.clone(), Some(10), Grace::Shortens(10)),
            ("deleting already, forced", deleting, Some(0), Grace::Shortens(0)),
        ];
        for (case, changes, asked, grace) in cases {
            assert_eq!(grace_of(&key, &pod(changes), asked), grace, "{case}");
        }
    }

    #[test]
    fn a_shorter_grace_period_counts_from_the_first_deletion() {
        let mut object = pod(json!({}));
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        mark(&mut object, now, 30);
        assert_eq!(object["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
        assert_eq!(object["metadata"]["generation"], 2);
        shorten(&mut object, 10);
        assert_eq!(object["metadata"]["deletionTimestamp"], "2026-01-01T00:00:10Z");
        assert_eq!(object["metadata"]["generation"], 2);
    }

    #[test]
    fn the_propagation_policy_becomes_a_finalizer() {
        let cases = [
            (None, vec!["orphan", "e.x/f"], vec!["orphan", "e.x/f"]),
            (Some(Propagation::Background), vec!["orphan", "e.x/f"], vec!["e.x/f"]),
            (Some(Propagation::Foreground), vec!["orphan", "e.x/f"], vec!["e.x/f", "foregroundDeletion"]),
            (Some(Propagation::Orphan), vec![], vec!["orphan"]),
        ];
        for (policy, before, after) in cases {
            let mut object = json!({"metadata": {"finalizers": before}});
            set_finalizers(&mut object, policy);
            assert_eq!(object["metadata"]["finalizers"], json!(after), "{policy:?}");
        }
    }
}
