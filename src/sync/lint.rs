//! Checks manifests without a cluster: they are rendered, then staged against one in memory that holds nothing but
//! the given policies, so a file that lints is one that the API takes. Namespaces that are not among the files are
//! taken to exist.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::guard::Pruning;
use super::render::Rendered;
use super::stage::{self, Scope};
use crate::cluster::registry::{Author, Registry, WriteOptions};
use crate::cluster::store::Store;
use crate::diff::plan::SourceError;
use crate::object::{ApiError, Clock, kinds};
use crate::tasks::Tasks;

/// What is wrong with manifests.
#[derive(Debug)]
pub struct Linted {
    pub errors: Vec<SourceError>,
    pub warnings: Vec<String>,
}

/// Everything that is wrong with what was rendered; errors of fields stand at their object's first line until
/// [`super::render::place`] moves them.
///
/// `policies` are ValidatingAdmissionPolicies, their bindings, and the objects that these refer to; a policy that no
/// binding names holds everywhere.
///
/// # Errors
/// When the cluster refuses a policy.
pub async fn lint(rendered: &Rendered, policies: &[Value]) -> Result<Linted, ApiError> {
    let tasks = Tasks::default();
    let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
    let author = stage::author(None);
    let declared: BTreeSet<&str> = rendered
        .documents
        .iter()
        .filter(|document| document.key.kind == kinds::NAMESPACE)
        .map(|document| document.key.name.as_str())
        .collect();
    let all = rendered.documents.iter().chain(rendered.hooks.iter().map(|(_, document)| document));
    let needed: BTreeSet<&str> = all.map(|document| document.key.namespace.as_str()).collect();
    for name in needed.iter().filter(|name| !name.is_empty() && !declared.contains(**name)) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        // A name that is no name is reported with the object that uses it.
        let _ = registry.create(&author, kinds::NAMESPACE, "", object, WriteOptions::default()).await;
    }
    enforce(&registry, &author, policies).await?;
    let mut transaction = registry.begin(&author);
    let scope = Scope {
        application: "lint",
        commit: None,
        documents: &rendered.documents,
        inventory: &[],
        verified: None,
        settings: None,
        pruning: Pruning::Off,
        fingerprints: None,
        holds_last: false,
        is_healing: false,
    };
    let mut staged = stage::stage(&mut transaction, &registry.snapshot(), scope);
    staged.errors.extend(stage::refused_hooks(&mut transaction, "lint", &rendered.hooks));
    let mut errors = rendered.errors.clone();
    errors.extend(staged.errors);
    errors.sort();
    tasks.stop().await;
    let mut warnings = rendered.warnings.clone();
    warnings.extend(staged.warnings);
    Ok(Linted { errors, warnings })
}

async fn enforce(registry: &Registry, author: &Author, policies: &[Value]) -> Result<(), ApiError> {
    let bound: BTreeSet<&str> = policies.iter().filter_map(|object| object["spec"]["policyName"].as_str()).collect();
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let unbound = policies.iter().filter(|object| object["kind"] == kinds::ADMISSION_POLICY.kind);
    let unbound = unbound.map(name).filter(|name| !bound.contains(name.as_str()));
    let everywhere = unbound.map(|name| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}})
    });
    let everywhere: Vec<Value> = everywhere.collect();
    let options = WriteOptions::default();
    // Bindings come last: what they refer to need not obey them.
    let (bindings, others): (Vec<_>, Vec<_>) =
        policies.iter().chain(&everywhere).partition(|object| object["kind"] == kinds::ADMISSION_BINDING.kind);
    for object in others.into_iter().chain(bindings) {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let Some(kind) = kinds::by_manifest(text("apiVersion"), text("kind")) else { continue };
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        if kind.namespaced {
            let needed = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            // It may be there already.
            let _ = registry.create(author, kinds::NAMESPACE, "", needed, options).await;
        }
        let created = registry.create(author, kind, namespace, object.clone(), options).await;
        created.map_err(|error| ApiError::new(error.reason, format!("{} {:?}: {error}", kind.kind, name(object))))?;
    }
    Ok(())
}
