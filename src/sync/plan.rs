//! What a sync of given documents would change, in a transaction that is never committed: strictly read-only, and
//! computed by the same code that syncs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fingerprint::Key;
use super::guard::Pruning;
use super::mirror::Commit;
use super::render::{Document, Rendered};
use super::rollouts;
use super::settings::Settings;
use super::stage::{self, CHANGE_CAUSE, Scope};
use super::tracking::{self, TRACKING_ANNOTATION};
use super::waves::{Hook, Phase};
use crate::cluster::registry::{Registry, StepKind, Transaction};
use crate::diff::changes;
use crate::diff::plan::{Action, FieldChange, Move, Plan, PlanStep, PlannedHook, SourceError};
use crate::object::ObjectKey;

/// What is to be planned.
pub struct Request<'a> {
    pub application: &'a str,
    /// Commit in full, or `work tree`.
    pub revision: String,
    pub commit: Option<&'a Commit>,
    pub documents: &'a [Document],
    pub hooks: &'a [(Hook, Document)],
    /// Plan as if these were deployed, in place of what is.
    pub base: Option<&'a [Document]>,
    pub inventory: &'a [ObjectKey],
    /// What was its own and is another Application's from now on, by that one's name.
    pub successors: &'a BTreeMap<ObjectKey, String>,
    pub settings: Option<&'a Settings>,
    /// Whether a sync would delete what git no longer has.
    pub pruning: Pruning,
    /// As a sync would have them.
    pub fingerprints: Option<&'a Key>,
    /// What is wrong with the documents already; with any, nothing is planned to be pruned, since a document that
    /// could not be read is not one that is gone.
    pub errors: Vec<SourceError>,
    pub warnings: Vec<String>,
}

/// Computes the plan.
pub fn plan(registry: &Registry, request: Request) -> Plan {
    let live = registry.snapshot();
    let mut transaction = registry.begin(&stage::author(request.commit));
    let mut inventory = request.inventory.to_vec();
    let mut before = BTreeMap::new();
    if let Some(base) = request.base {
        let scope = Scope {
            application: request.application,
            commit: None,
            documents: base,
            inventory: &inventory,
            verified: None,
            settings: request.settings,
            pruning: Pruning::Approved,
            fingerprints: request.fingerprints,
            holds_last: false,
            is_healing: false,
        };
        stage::stage(&mut transaction, &live, scope);
        before = transaction.steps().map(|step| (step.key.clone(), step.after.clone())).collect();
        inventory.extend(base.iter().map(|document| document.key.clone()));
    }
    if !request.errors.is_empty() {
        inventory.clear();
    }
    let scope = Scope {
        application: request.application,
        commit: request.commit,
        documents: request.documents,
        inventory: &inventory,
        verified: None,
        settings: request.settings,
        pruning: request.pruning,
        fingerprints: request.fingerprints,
        holds_last: false,
        is_healing: false,
    };
    let mut staged = stage::stage(&mut transaction, &live, scope);
    let pruned: BTreeSet<ObjectKey> = staged.pruned.iter().cloned().collect();
    let steps = steps(&transaction, &before, &pruned, request.documents, request.fingerprints);
    let touched = steps.iter().filter(|step| step.action != Action::Prune).count();
    let moves = moves(&transaction, request.application, request.successors);
    let hooks = if steps.is_empty() { Vec::new() } else { planned_hooks(request.hooks) };
    staged.errors.extend(stage::refused_hooks(&mut transaction, request.application, request.hooks));
    let mut errors = request.errors;
    let failed: BTreeSet<(String, u32)> = staged.errors.iter().map(|e| (e.file.clone(), e.line)).collect();
    errors.append(&mut staged.errors);
    errors.sort();
    let mut warnings = request.warnings;
    warnings.append(&mut staged.warnings);
    warnings.extend(transaction.audited());
    let plan = Plan {
        id: String::new(),
        application: request.application.to_owned(),
        revision: request.revision,
        base: transaction.base().0,
        steps,
        hooks,
        rollouts: rollouts::rollouts(&live, transaction.steps(), |key| pruned.contains(key)),
        moves,
        unchanged: request.documents.len().saturating_sub(touched + failed.len()),
        errors,
        warnings,
    };
    plan.sealed()
}

/// What goes to other Applications, and what comes from them.
fn moves(transaction: &Transaction, own: &str, successors: &BTreeMap<ObjectKey, String>) -> Vec<Move> {
    let named = |key: &ObjectKey, from: &str, to: &str| Move {
        kind: key.kind.kind.to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let leaving = successors.iter().map(|(key, successor)| named(key, own, successor));
    let coming = transaction.steps().filter_map(|step| {
        let before = step.before.as_ref().filter(|_| step.kind == StepKind::Update)?.value();
        let from = tracking::owner(&step.key, &before).filter(|from| from != own)?;
        Some(named(&step.key, &from, own))
    });
    leaving.chain(coming).collect()
}

/// The hooks of a sync, in the order of their phases. Those of the Application's end are not run by one.
fn planned_hooks(hooks: &[(Hook, Document)]) -> Vec<PlannedHook> {
    let runs = |phase: &&Phase| !matches!(phase, Phase::PreDelete | Phase::PostDelete);
    let planned = hooks.iter().filter_map(|(hook, document)| {
        let phases: Vec<&Phase> = hook.phases.iter().filter(runs).collect();
        let first = **phases.first()?;
        let object = document.object();
        let metadata = &object["metadata"];
        let generated = || format!("{}*", metadata["generateName"].as_str().unwrap_or_default());
        let hook = PlannedHook {
            phase: phases.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            kind: document.key.kind.kind.to_owned(),
            namespace: document.key.namespace.clone(),
            name: metadata["name"].as_str().map_or_else(generated, str::to_owned),
            source: document.to_string(),
        };
        Some((first, hook))
    });
    let mut planned: Vec<_> = planned.collect();
    planned.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.source.cmp(&y.source)));
    planned.into_iter().map(|(_, hook)| hook).collect()
}

/// The id of the plan that a staged transaction carries out.
pub fn id(
    application: &str,
    transaction: &Transaction,
    pruned: &[ObjectKey],
    rendered: &Rendered,
    fingerprints: &Key,
) -> String {
    let pruned = pruned.iter().cloned().collect();
    let steps = steps(transaction, &BTreeMap::new(), &pruned, &rendered.documents, Some(fingerprints));
    let hooks = if steps.is_empty() { Vec::new() } else { planned_hooks(&rendered.hooks) };
    Plan { application: application.to_owned(), steps, hooks, ..Plan::default() }.sealed().id
}

fn steps(
    transaction: &Transaction,
    before: &BTreeMap<ObjectKey, Option<Value>>,
    pruned: &BTreeSet<ObjectKey>,
    documents: &[Document],
    fingerprints: Option<&Key>,
) -> Vec<PlanStep> {
    let places: BTreeMap<&ObjectKey, &Document> = documents.iter().map(|d| (&d.key, d)).collect();
    let mut found: Vec<(ObjectKey, PlanStep)> = Vec::new();
    for step in transaction.steps() {
        let before = match before.get(&step.key) {
            Some(before) => before.clone(),
            None => step.before.as_ref().map(|object| object.value()),
        };
        let after = step.after.as_ref().filter(|_| !pruned.contains(&step.key));
        let Some((action, changes)) = difference(&step.key, before.as_ref(), after, fingerprints) else { continue };
        let source = places.get(&step.key).map(ToString::to_string).unwrap_or_default();
        found.push((
            step.key.clone(),
            PlanStep {
                action,
                api_version: step.key.kind.api_version(),
                kind: step.key.kind.kind.to_owned(),
                namespace: step.key.namespace.clone(),
                name: step.key.name.clone(),
                source,
                changes,
            },
        ));
    }
    found.sort_by(|(a, x), (b, y)| {
        let prunes = (x.action == Action::Prune).cmp(&(y.action == Action::Prune));
        prunes.then_with(|| super::order::compare(a, b))
    });
    found.into_iter().map(|(_, step)| step).collect()
}

/// `None` when nothing differs that anybody means.
fn difference(
    key: &ObjectKey,
    before: Option<&Value>,
    after: Option<&Value>,
    fingerprints: Option<&Key>,
) -> Option<(Action, Vec<FieldChange>)> {
    let seal = fingerprints.map(|key| |value: &[u8]| key.fingerprint(value));
    let seal: Option<changes::Seal<'_>> = seal.as_ref().map(|seal| seal as changes::Seal<'_>);
    let mut changes = changes::between_sealed(key.kind, before, after, seal);
    // Bookkeeping that goes along with every change is no change.
    changes.retain(|change| !change.path.contains(CHANGE_CAUSE));
    match (before, after) {
        (None, None) => None,
        (Some(_), None) => Some((Action::Prune, Vec::new())),
        (None, Some(_)) => {
            changes.retain(|change| !change.path.contains(TRACKING_ANNOTATION));
            Some((Action::Create, changes))
        }
        (Some(before), Some(after)) if before["metadata"]["uid"] != after["metadata"]["uid"] => {
            Some((Action::Replace, changes))
        }
        _ if changes.is_empty() => None,
        _ => Some((Action::Update, changes)),
    }
}
