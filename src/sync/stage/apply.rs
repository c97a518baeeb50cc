//! Applies one object of git: as the server would for kubectl, in a transaction that may never be committed.

use serde_json::{Value, json};

use super::{CHANGE_CAUSE, CONFIG_ANNOTATION, MANAGER, SERVER_FIELDS, Scope, drop_unknown};
use crate::cluster::registry::{
    DeleteOptions, FieldValidation, Patch, Propagation, Step, StepKind, Target, Transaction, WriteOptions,
    asks_for_replacement,
};
use crate::diff::unchanged;
use crate::object::custom::Kinds;
use crate::object::{ApiError, ObjectKey, kinds};
use crate::sync::mirror::Commit;
use crate::sync::render::Document;
use crate::sync::settings::{Settings, SyncOptions};
use crate::sync::{outcome, tracking};

/// How git's objects are written: nothing unknown, and whoever set their fields before.
const WRITE: WriteOptions = WriteOptions { validation: FieldValidation::Strict, force: true, dry_run: false };

/// The object, if it is plainly as the document says. After a start, nearly all are.
pub(super) fn in_place(transaction: &Transaction, scope: &Scope, document: &Document) -> Option<Value> {
    let key = &document.key;
    let is_ignored = scope.settings.is_some_and(|settings| settings.ignored.concerns(key));
    if is_ignored || transaction.step(key).is_some() {
        return None;
    }
    let live = transaction.current(key)?;
    let cause = live["metadata"]["annotations"][CHANGE_CAUSE].as_str().filter(|_| has_cause(document));
    let config = config_of(transaction, scope, document, Some(&live));
    let object = wanted(transaction.kinds(), scope, document, cause, config.as_deref());
    unchanged::is_applied(transaction.kinds().describe(key.kind), &live, &object, MANAGER).then_some(live)
}

/// What is applied of a document in this sync; `config` is the fingerprint of what the pods of a workload read.
fn wanted(kinds: &Kinds, scope: &Scope, document: &Document, cause: Option<&str>, config: Option<&str>) -> Value {
    let mut object = desired(scope.application, document, cause);
    if let Some(config) = config {
        object["spec"]["template"]["metadata"]["annotations"][CONFIG_ANNOTATION] = json!(config);
    }
    if drops_unknown_fields(scope, document) {
        drop_unknown(kinds, document.key.kind, &mut object);
    }
    object
}

/// `Validate=false`, of the object or of its Application.
pub(super) fn drops_unknown_fields(scope: &Scope, document: &Document) -> bool {
    let own = option_of(document, "Validate").map(|validates| !validates);
    own.unwrap_or_else(|| scope.settings.is_some_and(|settings| settings.options.drops_unknown_fields))
}

/// Whether the object says which commit changed it, and the document does not say otherwise.
fn has_cause(document: &Document) -> bool {
    document.key.kind == kinds::DEPLOYMENT && !document.facts().has_cause
}

pub(super) fn apply(transaction: &mut Transaction, scope: &Scope, document: &Document) -> Result<(), ApiError> {
    let key = &document.key;
    let live = transaction.current(key);
    if let Some(settings) = scope.settings
        && let Some(live) = live.as_ref().filter(|_| settings.ignored.concerns(key))
    {
        apply_yielding(transaction, scope, document, settings, live)?;
    } else {
        apply_declared(transaction, scope, document, live.as_ref(), |_| ())?;
    }
    replace(transaction, scope, document)
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
    let kinds = transaction.kinds().clone();
    let desired = |cause: Option<&str>| {
        let mut object = wanted(&kinds, scope, document, cause, config.as_deref());
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
    let object = document.object();
    let template = &object["spec"]["template"]["metadata"]["annotations"];
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
    match transaction.patch(&Target::from(key.clone()), Patch::Apply(object.clone()), WRITE) {
        Err(refused) if asks_for_replacement(&refused) => recreate(transaction, key, object),
        other => other,
    }
}

/// What the object itself says of an option.
fn option_of(document: &Document, option: &str) -> Option<bool> {
    document.facts().has_options.then(|| tracking::option(&document.object(), option)).flatten()
}

/// Deletes the object and makes it anew, with another uid.
fn recreate(transaction: &mut Transaction, key: &ObjectKey, object: Value) -> Result<(), ApiError> {
    let delete = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    transaction.delete(key, &delete)?;
    if transaction.current(key).is_some() {
        let why = "it is to be deleted and made anew, and waits for its finalizers";
        return Err(ApiError::conflict(key.kind, &key.name, why));
    }
    transaction.patch(&Target::from(key.clone()), Patch::Apply(object), WRITE)
}

/// `Replace=true`: an object that differs becomes what git says and nothing else, whoever set the other fields; with
/// `Force=true`, too, it is deleted and made anew.
fn replace(transaction: &mut Transaction, scope: &Scope, document: &Document) -> Result<(), ApiError> {
    let key = &document.key;
    let is_updated = transaction.step(key).is_some_and(|step| step.kind == StepKind::Update && outcome::differs(step));
    let asks = |option: &str, general: fn(&SyncOptions) -> bool| {
        option_of(document, option).unwrap_or_else(|| scope.settings.is_some_and(|settings| general(&settings.options)))
    };
    if !is_updated || !asks("Replace", |options| options.replace) {
        return Ok(());
    }
    let Some(applied) = transaction.current(key) else { return Ok(()) };
    let cause = applied["metadata"]["annotations"][CHANGE_CAUSE].as_str().filter(|_| has_cause(document));
    let config = applied["spec"]["template"]["metadata"]["annotations"][CONFIG_ANNOTATION].as_str();
    let config = config.filter(|_| document.config().is_some());
    let object = wanted(transaction.kinds(), scope, document, cause, config);
    if asks("Force", |options| options.force) {
        return recreate(transaction, key, object);
    }
    transaction.update(&Target::from(key.clone()), object, WRITE)
}

/// What is applied of a document: without what servers fill in, and marked as the Application's.
pub fn desired(application: &str, document: &Document, cause: Option<&str>) -> Value {
    let mut object = document.object();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
        if document.key.kind == kinds::APPLICATION {
            // It is asked for once, not declared.
            members.remove("operation");
        }
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
