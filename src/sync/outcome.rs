//! What a staged sync means for each object: whether it is as git says, and what was done with it. Pure.

use std::collections::{BTreeSet, HashSet};

use super::desired::Desired;
use super::render::Document;
use super::stage::Staged;
use crate::cluster::registry::{Step, StepKind, Transaction};
use crate::diff::changes;
use crate::object::ObjectKey;
use crate::object::application::ResourceResult;

/// An object of the Application, as its status lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: ObjectKey,
    pub is_synced: bool,
    /// Git no longer has it.
    pub requires_pruning: bool,
    pub sync_wave: i64,
    pub is_hook: bool,
}

impl Entry {
    /// An object that git no longer has.
    pub fn extraneous(key: &ObjectKey, is_synced: bool) -> Self {
        Self { key: key.clone(), is_synced, requires_pruning: true, sync_wave: 0, is_hook: false }
    }
}

/// The objects that the Application has or should have; `differs` tells of those that are not as git says.
pub fn entries(documents: &[Document], staged: &Staged, differs: impl Fn(&ObjectKey) -> bool) -> Vec<Entry> {
    let declared = documents.iter().map(|document| Entry {
        key: document.key.clone(),
        is_synced: !differs(&document.key),
        requires_pruning: false,
        sync_wave: document.facts().wave,
        is_hook: false,
    });
    let left = staged.left.iter().map(|left| Entry::extraneous(&left.key, left.is_ignored));
    declared.chain(left).collect()
}

/// Whether the transaction would change what the object says; that a field gets another owner is not such a change.
pub fn would_change(transaction: &Transaction, key: &ObjectKey) -> bool {
    transaction.step(key).is_some_and(differs)
}

pub fn differs(step: &Step) -> bool {
    match (step.kind, &step.before, &step.after) {
        (StepKind::Keep, ..) => false,
        (StepKind::Update, Some(before), Some(after)) => {
            !changes::between(step.key.kind, Some(&before.value()), Some(after)).is_empty()
        }
        _ => true,
    }
}

pub fn changed(transaction: &Transaction) -> usize {
    transaction.steps().filter(|step| step.kind != StepKind::Keep).count()
}

/// Everything that belongs to the Application after the sync.
pub fn keys(desired: &Desired, staged: &Staged) -> HashSet<ObjectKey> {
    let declared = desired.rendered.documents.iter().map(|document| document.key.clone());
    declared.chain(staged.left.iter().map(|left| left.key.clone())).collect()
}

pub fn warnings(desired: &Desired, staged: &Staged) -> Vec<String> {
    desired.rendered.warnings.iter().chain(&staged.warnings).cloned().collect()
}

/// What was done with an object.
pub fn result(key: &ObjectKey, status: &str, message: &str) -> ResourceResult {
    ResourceResult {
        group: key.kind.group.to_owned(),
        version: key.kind.version.to_owned(),
        kind: key.kind.kind.to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        status: status.to_owned(),
        message: message.to_owned(),
        sync_phase: "Sync".to_owned(),
        ..ResourceResult::default()
    }
}

/// How many of the results are changes of objects.
pub fn changes(results: &[ResourceResult]) -> usize {
    results.iter().filter(|result| result.hook_type.is_empty() && result.status != "PruneSkipped").count()
}

/// What a committed transaction did.
pub fn results(transaction: &Transaction, staged: &Staged) -> Vec<ResourceResult> {
    let pruned: HashSet<&ObjectKey> = staged.pruned.iter().collect();
    let steps = transaction.steps().filter_map(|step| match step.kind {
        StepKind::Keep => None,
        _ if pruned.contains(&step.key) => Some(result(&step.key, "Pruned", "pruned")),
        StepKind::Create => Some(result(&step.key, "Synced", "created")),
        StepKind::Replace => Some(result(&step.key, "Synced", "replaced")),
        StepKind::Update => Some(result(&step.key, "Synced", "configured")),
        StepKind::Delete => None,
    });
    let left = staged.left.iter().map(|left| result(&left.key, "PruneSkipped", left.why));
    steps.chain(left).collect()
}

/// The images that the manifests name, each once.
pub fn images(documents: &[Document]) -> Vec<String> {
    let named = documents.iter().flat_map(|document| document.facts().images.iter());
    let found: BTreeSet<&str> = named.map(|image| &**image).collect();
    found.into_iter().map(str::to_owned).collect()
}
