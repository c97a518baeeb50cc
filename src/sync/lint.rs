//! Checks manifests without a cluster: they are rendered, then staged against an empty one in memory, so a file
//! that lints is one that the API takes. Namespaces that are not among the files are taken to exist.

use std::collections::BTreeSet;

use serde_json::json;

use super::render::Rendered;
use super::stage::{self, Scope};
use crate::cluster::registry::{Registry, WriteOptions};
use crate::cluster::store::Store;
use crate::diff::plan::SourceError;
use crate::object::{ApiError, Clock, kinds};
use crate::tasks::Tasks;

/// Everything that is wrong with what was rendered; errors of fields stand at their object's first line until
/// [`super::render::place`] moves them.
///
/// # Errors
/// When the empty cluster cannot be made.
pub async fn lint(rendered: &Rendered) -> Result<Vec<SourceError>, ApiError> {
    let tasks = Tasks::default();
    let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
    let author = stage::author(None);
    let declared: BTreeSet<&str> = rendered
        .documents
        .iter()
        .filter(|document| document.key.kind == kinds::NAMESPACE)
        .map(|document| document.key.name.as_str())
        .collect();
    let needed: BTreeSet<&str> = rendered.documents.iter().map(|document| document.key.namespace.as_str()).collect();
    for name in needed.iter().filter(|name| !name.is_empty() && !declared.contains(**name)) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        // A name that is no name is reported with the object that uses it.
        let _ = registry.create(&author, kinds::NAMESPACE, "", object, WriteOptions::default()).await;
    }
    let mut transaction = registry.begin(&author);
    let scope = Scope {
        application: "lint",
        commit: None,
        documents: &rendered.documents,
        inventory: &[],
        verified: None,
        settings: None,
        prune: false,
        is_healing: false,
    };
    let staged = stage::stage(&mut transaction, &registry.snapshot(), scope);
    let mut errors = rendered.errors.clone();
    errors.extend(staged.errors);
    errors.sort();
    tasks.stop().await;
    Ok(errors)
}
