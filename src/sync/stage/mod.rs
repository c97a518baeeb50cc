//! Puts what git declares into one registry transaction: applies every object, replaces those whose immutable
//! fields differ, prunes what the Application owned and git no longer has. Whether the transaction is then
//! committed (a sync) or only looked at (a plan) is the caller's business; the steps are the same.

mod apply;
mod namespaces;
mod verified;

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use self::apply::desired;
pub use self::verified::Verified;
use super::fingerprint::Key;
use super::guard::Pruning;
use super::mirror::Commit;
use super::render::Document;
use super::settings::Settings;
use super::waves::Hook;
use super::{order, tracking};
use crate::cluster::registry::{Author, DeleteOptions, Propagation, Transaction, WriteOptions};
use crate::cluster::store::Snapshot;
use crate::diff::plan::SourceError;
use crate::object::application::APPROVE_ANNOTATION;
use crate::object::custom::Kinds;
use crate::object::{ApiError, Kind, ObjectKey, Reason, schema};

/// Field manager of everything that comes from git.
pub const MANAGER: &str = "windlass";
/// On pod templates: a fingerprint of the ConfigMaps and Secrets in git that the pods read.
pub const CONFIG_ANNOTATION: &str = "windlass.dev/config";
/// `kubectl rollout history` shows it.
pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// What the server fills in; a manifest that was exported from a cluster carries them.
const SERVER_FIELDS: &[&str] =
    &["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink", "deletionTimestamp"];

/// The author of what a commit makes happen.
pub fn author(commit: Option<&Commit>) -> Author {
    Author {
        user: "windlass-sync".to_owned(),
        groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        client: "windlass".to_owned(),
        manager: MANAGER.to_owned(),
        commit: commit.map(|commit| commit.id.to_string()),
    }
}

/// What is to be staged.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub application: &'a str,
    /// `None` when the documents are of a work tree.
    pub commit: Option<&'a Commit>,
    pub documents: &'a [Document],
    /// What the Application owns so far.
    pub inventory: &'a [ObjectKey],
    pub verified: Option<&'a Verified>,
    /// How the Application wants it; as a plain one when absent.
    pub settings: Option<&'a Settings>,
    /// Whether what git no longer has is deleted.
    pub pruning: Pruning,
    /// Where workloads are to be rolled when configuration changes that is declared beside them.
    pub fingerprints: Option<&'a Key>,
    /// What asks to be deleted last stays for now.
    pub holds_last: bool,
    /// Only what somebody changed is put back; no sync.
    pub is_healing: bool,
}

/// An object that is no longer in git and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub key: ObjectKey,
    pub why: &'static str,
    /// It asks not to be counted as a difference either.
    pub is_ignored: bool,
}

/// What staging found beside the transaction's steps.
#[derive(Debug, Default)]
pub struct Staged {
    /// With any of these, the transaction must not be committed.
    pub errors: Vec<SourceError>,
    pub warnings: Vec<String>,
    pub pruned: Vec<ObjectKey>,
    /// Owned, no longer in git, and not to be deleted.
    pub left: Vec<Left>,
}

/// Adds everything to the transaction and reports all that is wrong, not only the first.
pub fn stage(transaction: &mut Transaction, live: &Snapshot, scope: Scope) -> Staged {
    let mut staged = Staged::default();
    staged.errors.extend(namespaces::make(transaction, &scope));
    staged.warnings.extend(scope.settings.iter().flat_map(|settings| settings.warnings.iter().cloned()));
    let mut documents: Vec<&Document> = scope.documents.iter().collect();
    documents.sort_by(|a, b| order::compare(&a.key, &b.key));
    for document in &documents {
        let drops_unknown = apply::drops_unknown_fields(&scope, document);
        if drops_unknown {
            let unknown = unknown_fields(transaction.kinds(), document);
            staged.warnings.extend(unknown.iter().map(|error| format!("{error}; it is left out")));
        }
        if scope.verified.is_some_and(|verified| verified.holds(document, live)) {
            continue;
        }
        if let Some(current) = apply::in_place(transaction, &scope, document) {
            transaction.keep(&document.key, current);
            continue;
        }
        let unknown = if drops_unknown { Vec::new() } else { unknown_fields(transaction.kinds(), document) };
        if !unknown.is_empty() {
            staged.errors.extend(unknown);
            continue;
        }
        match apply::apply(transaction, &scope, document) {
            Ok(()) => {}
            Err(error) => staged.errors.extend(refusals(document, &error)),
        }
    }
    prune(transaction, &scope, &documents, &mut staged);
    staged.warnings.extend(transaction.warnings().iter().cloned());
    staged.errors.sort();
    staged
}

fn prune(transaction: &mut Transaction, scope: &Scope, documents: &[&Document], staged: &mut Staged) {
    let wanted: BTreeSet<&ObjectKey> = documents.iter().map(|document| &document.key).collect();
    let mut gone: Vec<&ObjectKey> = scope.inventory.iter().filter(|key| !wanted.contains(key)).collect();
    gone.sort_by(|a, b| order::compare(b, a));
    let is_owned = |key: &&ObjectKey| {
        transaction.current(key).is_some_and(|live| tracking::is_tracked(scope.application, key, &live))
    };
    gone.retain(is_owned);
    let held = scope.pruning.holds_back(gone.len(), scope.inventory.len());
    if let Some(why) = held.filter(|_| scope.pruning.waits() && !gone.is_empty()) {
        let (many, all) = (gone.len(), scope.inventory.len());
        let commit = scope.commit.map(Commit::short).unwrap_or_else(|| "COMMIT".to_owned());
        staged.warnings.push(format!(
            "{many} of {all} objects are no longer in git and stay for now: {why}; \
             to delete them, `windlass sync --approve {commit}` or annotate the Application with \
             {APPROVE_ANNOTATION}: {commit}"
        ));
    }
    let is_last = |live: &serde_json::Value| {
        scope.settings.is_some_and(|settings| settings.options.prune_last) || tracking::prune_last(live)
    };
    for key in gone {
        let Some(live) = transaction.current(key).filter(|live| !(scope.holds_last && is_last(live))) else { continue };
        let why = if tracking::prune_disabled(&live) {
            Some("asks not to be pruned")
        } else if scope.pruning.waits() && tracking::prune_needs_approval(&live) {
            Some("asks to be pruned only once the commit is approved")
        } else {
            held
        };
        if let Some(why) = why {
            staged.left.push(Left { key: key.clone(), why, is_ignored: tracking::ignores_extraneous(&live) });
            continue;
        }
        let propagation = scope.settings.and_then(|settings| settings.options.propagation);
        let propagation = Some(propagation.unwrap_or(Propagation::Background));
        match transaction.delete(key, &DeleteOptions { propagation, ..DeleteOptions::default() }) {
            Ok(()) => staged.pruned.push(key.clone()),
            Err(error) if error.reason == Reason::NotFound => {}
            Err(error) => staged.errors.push(SourceError {
                file: key.to_string(),
                line: 0,
                message: format!("git no longer has it, and it cannot be deleted: {error}"),
            }),
        }
    }
}

/// What the cluster would refuse of hooks. Leaves them in the transaction, which is not to be committed.
pub fn refused_hooks(transaction: &mut Transaction, application: &str, hooks: &[(Hook, Document)]) -> Vec<SourceError> {
    let mut errors = Vec::new();
    for (_, document) in hooks {
        let unknown = unknown_fields(transaction.kinds(), document);
        if !unknown.is_empty() {
            errors.extend(unknown);
            continue;
        }
        let mut object = desired(application, document, None);
        let metadata = &mut object["metadata"];
        if let Some(base) = metadata["generateName"].as_str() {
            metadata["name"] = json!(format!("{base}0123456-presync-0000000000"));
        }
        let name = metadata["name"].as_str().unwrap_or_default();
        let key = ObjectKey::new(document.key.kind, document.key.namespace.as_str(), name);
        // The one of an earlier sync goes first.
        if !transaction.exists(&key)
            && let Err(error) = transaction.create(key.kind, &key.namespace, object, WriteOptions::default())
        {
            errors.extend(refusals(document, &error));
        }
    }
    errors
}

/// Fields that the kind does not have. Server-side apply would name only one of them, in words of its own; people
/// know `unknown field "spec.x"`. What is wrong otherwise is left for the registry to say.
pub fn unknown_fields(kinds: &Kinds, document: &Document) -> Vec<SourceError> {
    let unknown = drop_unknown(kinds, document.key.kind, &mut document.object());
    unknown.iter().map(|message| document.error(format!("{}: {message}", document.key))).collect()
}

/// Takes the fields away that the kind does not have, and names them.
fn drop_unknown(kinds: &Kinds, kind: &'static Kind, object: &mut Value) -> Vec<String> {
    match kinds.describe(kind).version() {
        Some(version) => version.decode(object).unwrap_or_default(),
        None if kind.is_built_in() => schema::check(kind, object).unwrap_or_default(),
        None => Vec::new(),
    }
}

/// One error a cause, so that each gets the line of its field.
fn refusals(document: &Document, error: &ApiError) -> Vec<SourceError> {
    let about = |message: &str| document.error(format!("{}: {message}", document.key));
    let with_field: Vec<_> = error.causes.iter().filter(|cause| !cause.field.is_empty()).collect();
    if !with_field.is_empty() {
        return with_field.iter().map(|cause| about(&format!("{}: {}", cause.field, cause.message))).collect();
    }
    vec![about(&error.message)]
}
