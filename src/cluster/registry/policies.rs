//! Where writes meet policies: which policies hold, what they are told of a write, and what becomes of it.
//! (`policy` judges; the order of things around it is Kubernetes's: validating admission comes after defaults and
//! validation, and before the store.)

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::transaction::Transaction;
use crate::cluster::store::Snapshot;
use crate::object::selector::Selector;
use crate::object::{ApiError, Cause, Kind, ObjectKey, Revision, kinds, meta};
use crate::policy::{Cluster, Effect, Operation, Policies, Request, Verdict, is_policy};

const KINDS: [&Kind; 2] = [kinds::ADMISSION_POLICY, kinds::ADMISSION_BINDING];

/// The policies in force, compiled once for each state of them.
#[derive(Default)]
pub(super) struct PolicyCache {
    latest: Mutex<(Vec<Revision>, Arc<Policies>)>,
}

impl PolicyCache {
    fn of(&self, snapshot: &Snapshot) -> Arc<Policies> {
        let stored = || KINDS.iter().flat_map(|kind| snapshot.list(kind, ""));
        let revisions: Vec<Revision> = stored().map(|object| object.meta.revision).collect();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.0 != revisions {
            let mut policies = Policies::default();
            stored().for_each(|object| policies.add(&object.value()));
            *latest = (revisions, Arc::new(policies));
        }
        latest.1.clone()
    }
}

/// A write, as policies see it.
pub(super) struct Judged<'a> {
    pub key: &'a ObjectKey,
    pub subresource: &'a str,
    pub operation: Operation,
    pub object: Option<&'a Value>,
    pub old: Option<&'a Value>,
}

/// What policies found about a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub key: ObjectKey,
    pub verdict: Verdict,
}

impl Transaction {
    /// Asks the policies that hold after the steps so far; keeps what they say.
    ///
    /// # Errors
    /// The refusal of the first policy that denies the write.
    pub(super) fn judge(&mut self, write: &Judged) -> Result<(), ApiError> {
        let policies = self.policies();
        if policies.is_empty() {
            return Ok(());
        }
        let request = Request {
            kind: write.key.kind,
            subresource: write.subresource,
            operation: write.operation,
            namespace: &write.key.namespace,
            name: &write.key.name,
            object: write.object,
            old: write.old,
            user: &self.author.user,
            groups: &self.author.groups,
            dry_run: self.dry_run,
        };
        let verdicts = policies.review(&request, self);
        let denied = verdicts.iter().find(|verdict| verdict.effect == Effect::Deny).map(|v| refusal(write.key, v));
        let warned = verdicts.iter().filter(|verdict| verdict.effect == Effect::Warn).map(Verdict::warning).collect();
        self.warn(warned);
        let found = verdicts.into_iter().map(|verdict| Finding { key: write.key.clone(), verdict });
        self.findings.extend(found);
        denied.map_or(Ok(()), Err)
    }

    /// What policies said about the steps, in their order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The policies that earlier steps leave.
    pub(super) fn policies(&mut self) -> Arc<Policies> {
        if self.in_force.is_none() {
            let touched = self.steps().any(|step| is_policy(step.key.kind));
            let policies = if touched {
                let mut policies = Policies::default();
                for kind in KINDS {
                    self.objects(kind, "", &Selector::everything()).iter().for_each(|object| policies.add(object));
                }
                Arc::new(policies)
            } else {
                self.context.policies.of(&self.base)
            };
            self.in_force = Some(policies);
        }
        self.in_force.clone().unwrap_or_default()
    }

    /// A change of the policies themselves.
    pub(super) fn forget_policies(&mut self, kind: &Kind) {
        if is_policy(kind) {
            self.in_force = None;
        }
    }
}

impl Cluster for Transaction {
    fn kind(&self, api_version: &str, kind: &str) -> Option<&'static Kind> {
        self.kinds().by_manifest(api_version, kind)
    }

    fn object(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Value> {
        self.current(&ObjectKey::new(kind, namespace, name))
    }

    fn objects(&self, kind: &'static Kind, namespace: &str, selected: &Selector) -> Vec<Value> {
        let unchanged = self.base.list(kind, namespace).filter(|object| self.step(&object.key).is_none());
        let unchanged = unchanged.filter(|object| selected.matches(&object.meta.labels)).map(|object| object.value());
        let inside = |key: &ObjectKey| namespace.is_empty() || key.namespace == namespace;
        let changed = self.pending_of(kind).filter(|step| inside(&step.key)).filter_map(|step| step.after.clone());
        let changed = changed.filter(|object| selected.matches(&meta::string_map(&object["metadata"]["labels"])));
        unchanged.chain(changed).collect()
    }
}

/// `deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'P' with binding 'B' denied request: WHY`, under the
/// code of the policy's own reason.
fn refusal(key: &ObjectKey, verdict: &Verdict) -> ApiError {
    let message = verdict.refusal();
    let cause = Cause { message: message.clone(), reason: String::new(), field: String::new() };
    ApiError { reason: verdict.reason, causes: vec![cause], ..ApiError::forbidden(key.kind, &key.name, message) }
}
