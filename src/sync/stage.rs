//! Puts what git declares into one registry transaction: applies every object, replaces those whose immutable
//! fields differ, prunes what the Application owned and git no longer has. Whether the transaction is then
//! committed (a sync) or only looked at (a plan) is the caller's business; the steps are the same.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::fingerprint::Key;
use super::guard::Pruning;
use super::mirror::Commit;
use super::render::Document;
use super::settings::Settings;
use super::waves::Hook;
use super::{order, outcome, tracking};
use crate::cluster::registry::{
    Author, DeleteOptions, FieldValidation, Patch, Propagation, Step, StepKind, Target, Transaction, WriteOptions,
    asks_for_replacement,
};
use crate::cluster::store::Snapshot;
use crate::diff::plan::SourceError;
use crate::diff::unchanged;
use crate::object::application::APPROVE_ANNOTATION;
use crate::object::custom::Kinds;
use crate::object::{ApiError, Object, ObjectKey, Reason, Revision, kinds, schema};

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

/// Objects that were found to be as git says, at a revision: as long as neither the manifest nor the object has
/// moved since, there is nothing to compute.
#[derive(Debug, Default)]
pub struct Verified {
    known: HashMap<ObjectKey, Known>,
}

#[derive(Debug)]
struct Known {
    document: Document,
    at: Revision,
    /// Of the object at that revision, without what controllers report.
    declared: Option<u64>,
}

impl Verified {
    pub fn insert(&mut self, document: &Document, at: Revision) {
        self.known.insert(document.key.clone(), Known { document: document.clone(), at, declared: None });
    }

    /// As [`Verified::insert`], and from now on a change of the status alone is none: see [`Verified::forgives`].
    pub fn insert_seen(&mut self, document: &Document, object: &Object) {
        let known = Known { document: document.clone(), at: object.meta.revision, declared: Some(declared(object)) };
        self.known.insert(document.key.clone(), known);
    }

    /// Whether the object differs from the one that was seen in nothing but its status: then it is as git says, too.
    pub fn forgives(&mut self, document: &Document, object: &Object) -> bool {
        let Some(known) = self.known.get_mut(&document.key) else { return false };
        let same = known.document.same_source(document)
            && known.declared.is_some_and(|seen| known.at == object.meta.revision || seen == declared(object));
        if same {
            known.at = object.meta.revision;
        }
        same
    }

    pub fn retain(&mut self, keep: impl Fn(&ObjectKey) -> bool) {
        self.known.retain(|key, _| keep(key));
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    fn holds(&self, document: &Document, live: &Snapshot) -> bool {
        let Some(known) = self.known.get(&document.key) else { return false };
        known.document.same_source(document)
            && live.get(&document.key).is_some_and(|object| object.meta.revision == known.at)
    }
}

/// A hash of everything in the object but its status and the bookkeeping that goes with each write.
fn declared(object: &Object) -> u64 {
    let mut value = object.value();
    if let Some(members) = value.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        ["resourceVersion", "managedFields"].iter().for_each(|field| drop(metadata.remove(*field)));
    }
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Adds everything to the transaction and reports all that is wrong, not only the first.
pub fn stage(transaction: &mut Transaction, live: &Snapshot, scope: Scope) -> Staged {
    let mut staged = Staged::default();
    namespaces(transaction, &scope, &mut staged);
    let mut documents: Vec<&Document> = scope.documents.iter().collect();
    documents.sort_by(|a, b| order::compare(&a.key, &b.key));
    for document in &documents {
        if scope.verified.is_some_and(|verified| verified.holds(document, live)) {
            continue;
        }
        if is_in_place(transaction, &scope, document) {
            transaction.keep(&document.key);
            continue;
        }
        let unknown = unknown_fields(transaction.kinds(), document);
        if !unknown.is_empty() {
            staged.errors.extend(unknown);
            continue;
        }
        match apply(transaction, &scope, document) {
            Ok(()) => {}
            Err(error) => staged.errors.extend(refusals(document, &error)),
        }
    }
    prune(transaction, &scope, &documents, &mut staged);
    staged.warnings.extend(transaction.warnings().iter().cloned());
    staged.errors.sort();
    staged
}

/// The namespaces that the sync needs beside those that git declares: the destination's where the Application asks for
/// it, and those of Applications, which Argo CD's users have always had.
fn namespaces(transaction: &mut Transaction, scope: &Scope, staged: &mut Staged) {
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    let settings = scope.settings.filter(|settings| settings.options.create_namespace);
    needed.extend(settings.map(|settings| settings.namespace.as_str()));
    let applications = scope.documents.iter().filter(|document| document.key.kind == kinds::APPLICATION);
    needed.extend(applications.map(|document| document.key.namespace.as_str()));
    for name in needed {
        let key = ObjectKey::new(kinds::NAMESPACE, "", name);
        let is_declared = scope.documents.iter().any(|document| document.key == key);
        if is_declared || transaction.current(&key).is_some() {
            continue;
        }
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        if let Err(error) = transaction.create(kinds::NAMESPACE, "", object, WriteOptions::default()) {
            let message = format!("the namespace {name} cannot be made: {error}");
            staged.errors.push(SourceError { file: key.to_string(), line: 0, message });
        }
    }
}

/// Whether the object is plainly as the document says. After a start, nearly all are.
fn is_in_place(transaction: &Transaction, scope: &Scope, document: &Document) -> bool {
    let key = &document.key;
    let is_ignored = scope.settings.is_some_and(|settings| settings.ignored.concerns(key));
    if is_ignored || transaction.step(key).is_some() {
        return false;
    }
    let Some(live) = transaction.current(key) else { return false };
    let cause = live["metadata"]["annotations"][CHANGE_CAUSE].as_str().filter(|_| has_cause(document));
    let mut object = desired(scope.application, document, cause);
    if let Some(config) = config_of(transaction, scope, document, Some(&live)) {
        object["spec"]["template"]["metadata"]["annotations"][CONFIG_ANNOTATION] = json!(config);
    }
    unchanged::is_applied(transaction.kinds().describe(key.kind), &live, &object, MANAGER)
}

/// Whether the object says which commit changed it, and the document does not say otherwise.
fn has_cause(document: &Document) -> bool {
    let own = document.object()["metadata"]["annotations"].get(CHANGE_CAUSE);
    document.key.kind == kinds::DEPLOYMENT && own.is_none()
}

fn apply(transaction: &mut Transaction, scope: &Scope, document: &Document) -> Result<(), ApiError> {
    let key = &document.key;
    let live = transaction.current(key);
    if let Some(settings) = scope.settings
        && let Some(live) = live.as_ref().filter(|_| settings.ignored.concerns(key))
    {
        return apply_yielding(transaction, scope, document, settings, live);
    }
    apply_declared(transaction, scope, document, live.as_ref(), |_| ())
}

/// Applies an object of which some fields may differ: as the cluster has them. Where something else differs too, a sync
/// brings them along, unless it is told to respect them always.
fn apply_yielding(
    transaction: &mut Transaction,
    scope: &Scope,
    document: &Document,
    settings: &Settings,
    live: &Value,
) -> Result<(), ApiError> {
    let key = &document.key;
    apply_declared(transaction, scope, document, Some(live), |object| settings.ignored.yield_to(key, live, object))?;
    let differs = transaction.step(key).is_some_and(outcome::differs);
    if !differs || settings.options.respect_ignore_differences || scope.is_healing {
        return Ok(());
    }
    apply_declared(transaction, scope, document, Some(live), |_| ())
}

/// Applies what the document says after `adjust` has seen to it.
fn apply_declared(
    transaction: &mut Transaction,
    scope: &Scope,
    document: &Document,
    live: Option<&Value>,
    adjust: impl Fn(&mut Value),
) -> Result<(), ApiError> {
    let key = &document.key;
    let config = config_of(transaction, scope, document, live);
    let desired = |cause: Option<&str>| {
        let mut object = desired(scope.application, document, cause);
        if let Some(config) = &config {
            object["spec"]["template"]["metadata"]["annotations"][CONFIG_ANNOTATION] = json!(config);
        }
        adjust(&mut object);
        object
    };
    if !has_cause(document) {
        return apply_object(transaction, key, desired(None));
    }
    // The cause names the commit that changed the Deployment, not the newest one: it is only renewed when
    // something else changes too.
    if let Some(live) = live {
        let previous = live["metadata"]["annotations"][CHANGE_CAUSE].as_str();
        apply_object(transaction, key, desired(previous))?;
        let step = transaction.step(key).map(|step| step.kind);
        if matches!(step, None | Some(StepKind::Keep)) {
            return Ok(());
        }
    }
    match scope.commit {
        None if live.is_some() => Ok(()),
        commit => {
            let cause = commit.map(change_cause);
            apply_object(transaction, key, desired(cause.as_deref()))
        }
    }
}

/// The fingerprint of the configuration that the pods of a workload read. A workload that was deployed without one, before
/// there were any, gets it with the first change of that configuration: until then it need not be rolled.
fn config_of(transaction: &Transaction, scope: &Scope, document: &Document, live: Option<&Value>) -> Option<String> {
    let config = document.config()?;
    let fingerprint = scope.fingerprints?.fingerprint(&config.digest);
    let template = &document.object()["spec"]["template"]["metadata"]["annotations"];
    if !(template.is_null() || template.is_object()) {
        return None;
    }
    let has_none =
        live.is_some_and(|live| live["spec"]["template"]["metadata"]["annotations"][CONFIG_ANNOTATION].is_null());
    let changes = || config.read.iter().any(|key| transaction.step(key).is_some_and(changes_content));
    (!has_none || changes()).then_some(fingerprint)
}

/// Whether a step changes what pods see of a ConfigMap or Secret.
fn changes_content(step: &Step) -> bool {
    match (&step.before, &step.after) {
        (Some(before), Some(after)) => {
            let before = before.value();
            ["data", "binaryData"].iter().any(|field| before[field] != after[field])
        }
        _ => true,
    }
}

fn change_cause(commit: &Commit) -> String {
    format!("{} {}", commit.short(), commit.subject)
}

fn apply_object(transaction: &mut Transaction, key: &ObjectKey, object: Value) -> Result<(), ApiError> {
    let options = WriteOptions { validation: FieldValidation::Strict, force: true, dry_run: false };
    let target = Target::from(key.clone());
    match transaction.patch(&target, Patch::Apply(object.clone()), options) {
        Err(refused) if asks_for_replacement(&refused) => {
            let delete = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
            transaction.delete(key, &delete)?;
            if transaction.current(key).is_some() {
                let why = "an immutable field changes, and the object that is to be replaced waits for its finalizers";
                return Err(ApiError::conflict(key.kind, &key.name, why));
            }
            transaction.patch(&target, Patch::Apply(object), options)
        }
        other => other,
    }
}

/// The object to apply: what the manifest says, plus where it belongs.
/// What is applied of a document: without what servers fill in, and marked as the Application's.
pub fn desired(application: &str, document: &Document, cause: Option<&str>) -> Value {
    let mut object = document.object().clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        SERVER_FIELDS.iter().for_each(|field| drop(metadata.remove(*field)));
        match document.key.namespace.as_str() {
            "" => drop(metadata.remove("namespace")),
            namespace => drop(metadata.insert("namespace".to_owned(), json!(namespace))),
        }
    }
    let annotations = &mut object["metadata"]["annotations"];
    // Anything but a mapping is the registry's to refuse.
    if annotations.is_null() || annotations.is_object() {
        annotations[tracking::TRACKING_ANNOTATION] = json!(tracking::id(application, &document.key));
        if let Some(cause) = cause {
            annotations[CHANGE_CAUSE] = json!(cause);
        }
    }
    object
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
    let is_last =
        |live: &Value| scope.settings.is_some_and(|settings| settings.options.prune_last) || tracking::prune_last(live);
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
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        match transaction.delete(key, &options) {
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
    let (kind, mut object) = (document.key.kind, document.object().clone());
    let unknown = match kinds.describe(kind).version() {
        Some(version) => version.decode(&mut object).unwrap_or_default(),
        None if kind.is_built_in() => schema::check(kind, &mut object).unwrap_or_default(),
        None => Vec::new(),
    };
    unknown.iter().map(|message| document.error(format!("{}: {message}", document.key))).collect()
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
