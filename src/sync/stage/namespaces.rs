//! Namespaces that a sync needs beside those that git declares.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Scope;
use crate::cluster::registry::{Patch, Target, Transaction, WriteOptions};
use crate::diff::plan::SourceError;
use crate::object::{ApiError, ObjectKey, kinds};

/// Makes the destination's namespace where the Application asks for it, with the labels and annotations that it is to have,
/// and those of Applications, which Argo CD's users have always had.
pub(super) fn make(transaction: &mut Transaction, scope: &Scope) -> Vec<SourceError> {
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    let settings = scope.settings.filter(|settings| settings.options.create_namespace);
    needed.extend(settings.map(|settings| settings.namespace.as_str()));
    let applications = scope.documents.iter().filter(|document| document.key.kind == kinds::APPLICATION);
    needed.extend(applications.map(|document| document.key.namespace.as_str()));
    let mut errors = Vec::new();
    for name in needed {
        let key = ObjectKey::new(kinds::NAMESPACE, "", name);
        if scope.documents.iter().any(|document| document.key == key) {
            continue;
        }
        let metadata =
            settings.filter(|settings| settings.namespace == name).map(|settings| &settings.namespace_metadata);
        if let Err(error) = make_one(transaction, &key, metadata) {
            let message = format!("the namespace {name} cannot be made: {error}");
            errors.push(SourceError { file: key.to_string(), line: 0, message });
        }
    }
    errors
}

/// `metadata` holds the `labels` and `annotations` that the Application manages. They are merged in, so that what others
/// have put there stays.
fn make_one(
    transaction: &mut Transaction,
    key: &ObjectKey,
    metadata: Option<&Map<String, Value>>,
) -> Result<(), ApiError> {
    let options = WriteOptions::default();
    let live = match transaction.current(key) {
        Some(live) => live,
        None => {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": key.name}});
            transaction.create(kinds::NAMESPACE, "", object, options)?;
            transaction.current(key).unwrap_or_default()
        }
    };
    let Some(metadata) = metadata.filter(|metadata| !is_within(metadata, &live["metadata"])) else { return Ok(()) };
    transaction.patch(&Target::from(key.clone()), Patch::Merge(json!({"metadata": metadata})), options)
}

fn is_within(wanted: &Map<String, Value>, live: &Value) -> bool {
    let entries = wanted.iter().flat_map(|(field, of)| of.as_object().into_iter().flatten().map(move |e| (field, e)));
    entries.into_iter().all(|(field, (name, value))| live[field].get(name) == Some(value))
}
