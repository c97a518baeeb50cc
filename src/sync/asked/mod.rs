//! A sync that somebody asks for by `operation`, in what it differs from one of the Application's own accord: other
//! commits or sources, some of the objects only, options of its own, a trial. What it asks for and cannot have is named,
//! and then nothing is done. This file reads the request; `carry` does it. Pure.

mod carry;

pub(super) use carry::Whole;

use std::sync::Arc;

use super::settings::{Settings, SyncOptions, settings};
use crate::object::ObjectKey;
use crate::object::application::{
    Application, ApplicationSpec, Operation, PLAN_INFO, Source, SyncOperation, SyncPolicy, SyncTarget,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub operation: Operation,
    /// Its sync, which every operation has.
    pub sync: SyncOperation,
    /// The Application's, with what the request says otherwise.
    pub spec: ApplicationSpec,
    /// How this sync is done: as the Application's are, but for what the request says otherwise.
    pub settings: Arc<Settings>,
    /// Revisions in place of those that the sources follow, by position; empty for those.
    pub revisions: Vec<String>,
    /// The sources are not those that the Application follows.
    pub has_own_sources: bool,
    /// Whether a failure that may pass is tried again, as the request says.
    pub retries: bool,
}

impl Asked {
    /// What `operation` asks of the Application.
    ///
    /// # Errors
    /// Everything that is wrong with the request or not supported, each with its field; also what is wrong with the spec.
    pub fn of(application: &Application, operation: &Operation) -> Result<Self, Vec<String>> {
        let Some(sync) = &operation.sync else {
            return Err(vec!["operation.sync is missing: an operation is a sync".to_owned()]);
        };
        let mut wrong = Vec::new();
        if !sync.manifests.is_empty() {
            wrong.push(
                "operation.sync.manifests is not supported; commit the objects (`windlass diff` shows what they would change)"
                    .to_owned(),
            );
        }
        if !sync.resources.is_empty() && plan_of(operation).is_some() {
            wrong.push(
                "operation.info: a plan is of the whole Application, and operation.sync.resources asks for a part"
                    .to_owned(),
            );
        }
        wrong.extend(strategy_fault(sync));
        wrong.extend(sync.resources.iter().enumerate().flat_map(|(index, target)| target_faults(index, target)));
        let mut spec = application.spec.clone();
        let names_sources = sync.source.is_some() || !sync.sources.is_empty();
        let given_source = sync.source.clone().unwrap_or_default();
        let has_own_sources = names_sources && (given_source, &sync.sources) != (spec.source.clone(), &spec.sources);
        if has_own_sources {
            spec.source = sync.source.clone().unwrap_or_default();
            spec.sources.clone_from(&sync.sources);
        }
        let revisions = match (&*sync.revision, &*sync.revisions) {
            ("", many) => many.to_vec(),
            (one, []) => vec![one.to_owned()],
            _ => {
                wrong.push("operation.sync: has both revision and revisions".to_owned());
                Vec::new()
            }
        };
        let sources = spec.all_sources();
        if revisions.len() > sources.len() {
            let (many, all) = (revisions.len(), sources.len());
            wrong.push(format!("operation.sync.revisions: has {many} entries for {all} sources"));
        }
        let follows = |(revision, source): (&String, &Source)| {
            let followed = if source.target_revision.is_empty() { "HEAD" } else { &source.target_revision };
            revision.is_empty() || revision == followed
        };
        let is_elsewhere = has_own_sources || !revisions.iter().zip(sources).all(follows);
        if is_elsewhere && !sync.dry_run && application.spec.sync_policy.automation().is_some() {
            let field = if has_own_sources { "source" } else { "revision" };
            wrong.push(format!(
                "operation.sync.{field} is not what the Application follows, and it syncs by itself: its next sync would undo this one; \
                 commit a revert, or take spec.syncPolicy.automated away first"
            ));
        }
        let (given, policy) = (&sync.sync_options, &spec.sync_policy);
        let options = SyncOptions::of(given).1.into_iter();
        wrong.extend(options.map(|fault| fault.replacen("spec.syncPolicy.", "operation.sync.", 1)));
        let retry = operation.retry.clone().or_else(|| policy.retry.clone());
        let sync_options = if given.is_empty() { policy.sync_options.clone() } else { given.clone() };
        spec.sync_policy = SyncPolicy { sync_options, retry, ..spec.sync_policy };
        match settings(&spec) {
            Ok(found) if wrong.is_empty() => Ok(Self {
                operation: operation.clone(),
                sync: sync.clone(),
                spec,
                settings: Arc::new(found),
                revisions,
                has_own_sources,
                retries: operation.retry.is_some(),
            }),
            Ok(_) => Err(wrong),
            Err(faults) => {
                let at = |fault: String| match has_own_sources && fault.starts_with("spec.source") {
                    true => fault.replacen("spec.", "operation.sync.", 1),
                    false => fault,
                };
                wrong.extend(faults.into_iter().map(at));
                Err(wrong)
            }
        }
    }

    /// The id of the plan that is to be carried out, and no other.
    pub fn plan(&self) -> Option<&str> {
        plan_of(&self.operation)
    }

    /// Nothing is stored but what would be done.
    pub fn is_trial(&self) -> bool {
        self.sync.dry_run
    }

    /// Only some of the objects are meant.
    pub fn is_selective(&self) -> bool {
        !self.sync.resources.is_empty()
    }

    /// Hooks are made, unless objects are only to be applied, or only some of them.
    pub fn runs_hooks(&self) -> bool {
        let only_applies = self.sync.sync_strategy.as_ref().is_some_and(|strategy| strategy.0["apply"].is_object());
        !only_applies && !self.is_selective()
    }

    pub fn is_elsewhere(&self) -> bool {
        self.has_own_sources || self.revisions.iter().any(|revision| !revision.is_empty())
    }

    /// Whether its outcome says nothing of the commit that the Application follows.
    pub fn is_apart(&self) -> bool {
        self.is_trial() || self.is_selective() || self.is_elsewhere()
    }

    /// Whether the object is among those that are meant.
    pub fn selects(&self, key: &ObjectKey) -> bool {
        !self.is_selective() || self.sync.resources.iter().any(|target| is_target(target, key))
    }

    /// The targets that are none of the objects.
    pub fn missing<'a>(&self, keys: impl Iterator<Item = &'a ObjectKey> + Clone) -> Vec<String> {
        let is_absent = |target: &&SyncTarget| !keys.clone().any(|key| is_target(target, key));
        let absent = self.sync.resources.iter().filter(is_absent);
        absent
            .map(|SyncTarget { group, kind, namespace, name }| {
                let place =
                    [group, kind, namespace, name].map(String::as_str).into_iter().filter(|part| !part.is_empty());
                let place = place.collect::<Vec<_>>().join("/");
                format!("operation.sync.resources: {place} is no object of the Application")
            })
            .collect()
    }
}

fn plan_of(operation: &Operation) -> Option<&str> {
    operation.info.iter().find(|info| info.name == PLAN_INFO).map(|info| info.value.as_str())
}

/// As Argo CD tells them apart: without a namespace, one of any.
fn is_target(target: &SyncTarget, key: &ObjectKey) -> bool {
    target.group == key.kind.group
        && target.kind == key.kind.kind
        && target.name == key.name
        && (target.namespace.is_empty() || target.namespace == key.namespace)
}

fn target_faults(index: usize, target: &SyncTarget) -> Vec<String> {
    let fields = [("kind", &target.kind), ("name", &target.name)];
    let missing = fields.into_iter().filter(|(_, value)| value.is_empty());
    missing.map(|(field, _)| format!("operation.sync.resources[{index}].{field} is missing")).collect()
}

/// `apply` and `hook` are Argo CD's; their `force` asks for what is done anyway.
fn strategy_fault(sync: &SyncOperation) -> Option<String> {
    let strategy = &sync.sync_strategy.as_ref()?.0;
    let is_known = |members: &serde_json::Map<String, serde_json::Value>| {
        members
            .iter()
            .all(|(name, value)| matches!(name.as_str(), "apply" | "hook") && (value.is_object() || value.is_null()))
    };
    let is_known = strategy.is_null() || strategy.as_object().is_some_and(is_known);
    (!is_known).then(|| "operation.sync.syncStrategy: must be {apply: {}} or {hook: {}}".to_owned())
}
