//! Several writes that happen together: each step sees the steps before it, and all of them become real at
//! one revision or none does. A transaction that is not committed is a dry run. A step that is refused leaves
//! the transaction as it was, so that a caller can go on and hear of every refusal at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::author::Author;
use super::ownership;
use super::policies::Finding;
use super::verbs::{Context, Deleted, Written};
use crate::cluster::store::{Batch, CommitError, Op, Precondition, Snapshot, Store};
use crate::object::kinds::{self, Kind};
use crate::object::meta::claims;
use crate::object::views::View;
use crate::object::{ApiError, Claim, Draft, Kinds, Object, ObjectKey, Reason, Revision};
use crate::policy::{Effect, Policies};

pub struct Transaction {
    store: Store,
    pub(super) base: Arc<Snapshot>,
    pub(super) now: Timestamp,
    pub(super) author: Author,
    pub(super) random: fastrand::Rng,
    pub(super) context: Context,
    /// The policies that the steps so far leave; worked out at the first step that asks.
    pub(super) in_force: Option<Arc<Policies>>,
    /// What policies said about the steps.
    pub(super) findings: Vec<Finding>,
    /// The caller means to store nothing; policies can see it.
    pub(super) dry_run: bool,
    /// What the steps so far claim.
    claims: BTreeMap<Claim, ObjectKey>,
    /// The latest step on each object: what later steps see.
    pending: BTreeMap<ObjectKey, Step>,
    pub(super) kinds: Kinds,
    warnings: Vec<String>,
    last: Option<ObjectKey>,
    /// The version of its kind that the last step was asked in.
    asked: Option<&'static Kind>,
    answer: Option<Value>,
}

/// What a transaction does to one object.
#[derive(Clone, Debug)]
pub struct Step {
    pub key: ObjectKey,
    pub kind: StepKind,
    /// The state in the store when the transaction began.
    pub before: Option<Arc<Object>>,
    /// The state that the transaction leaves; `None` when it removes the object.
    pub after: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    Create,
    Update,
    /// Deleted and created anew, with another uid.
    Replace,
    /// The object is as asked already: nothing is written.
    Keep,
    Delete,
}

/// Whether new objects may be put into a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamespaceState {
    Absent,
    Active,
    Terminating,
}

impl Transaction {
    pub(super) fn new(store: Store, base: Arc<Snapshot>, now: Timestamp, author: Author, context: Context) -> Self {
        let kinds = base.kinds().clone();
        Self {
            store,
            base,
            now,
            author,
            random: fastrand::Rng::new(),
            context,
            in_force: None,
            findings: Vec::new(),
            dry_run: false,
            claims: BTreeMap::new(),
            pending: BTreeMap::new(),
            kinds,
            warnings: Vec::new(),
            last: None,
            asked: None,
            answer: None,
        }
    }

    /// The revision of the state that this transaction was computed from.
    pub fn base(&self) -> Revision {
        self.base.revision()
    }

    /// The object in the state that this transaction was computed from, whatever its steps do to it.
    pub fn stored(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.base.get(key)
    }

    /// The step on each object that was written to, ordered by key.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.pending.values()
    }

    pub fn step(&self, key: &ObjectKey) -> Option<&Step> {
        self.pending.get(key)
    }

    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What policies that only audit say of the steps.
    pub fn audited(&self) -> impl Iterator<Item = String> {
        let audited = self.findings.iter().filter(|finding| finding.verdict.effect == Effect::Audit);
        audited.map(|Finding { key, verdict }| {
            format!("{key}: {} (policy {}, which only audits)", verdict.message, verdict.policy)
        })
    }

    /// The object as the steps so far leave it, in the version that the key names.
    pub fn current(&self, key: &ObjectKey) -> Option<Value> {
        let mut current = match self.pending.get(key) {
            Some(step) => step.after.clone(),
            None => self.base.get(key).map(|o| o.value()),
        }?;
        if !key.kind.is_built_in() {
            self.kinds.convert(key.kind, &mut current);
        }
        Some(current)
    }

    /// As [`Transaction::current`], in the version that is stored: of an object that a step has looked at, nothing is copied.
    pub fn peek(&self, key: &ObjectKey) -> Option<Cow<'_, Value>> {
        match self.pending.get(key) {
            Some(step) => step.after.as_ref().map(Cow::Borrowed),
            None => self.base.get(key).map(|object| Cow::Owned(object.value())),
        }
    }

    /// Whether the steps so far leave an object of this key.
    pub fn exists(&self, key: &ObjectKey) -> bool {
        match self.pending.get(key) {
            Some(step) => step.after.is_some(),
            None => self.base.get(key).is_some(),
        }
    }

    /// The object that the steps so far leave, or the refusal that it does not exist.
    pub(super) fn require(&self, key: &ObjectKey) -> Result<Value, ApiError> {
        self.current(key).ok_or_else(|| ApiError::not_found(key.kind, &key.name))
    }

    pub(super) fn namespace_state(&self, name: &str) -> NamespaceState {
        let key = ObjectKey::new(kinds::NAMESPACE, "", name);
        let deleting = match self.pending.get(&key) {
            Some(step) => step.after.as_ref().map(|object| !object["metadata"]["deletionTimestamp"].is_null()),
            None => self.base.get(&key).map(|object| object.meta.is_deleting()),
        };
        match deleting {
            None => NamespaceState::Absent,
            Some(false) => NamespaceState::Active,
            Some(true) => NamespaceState::Terminating,
        }
    }

    /// The objects of a kind that earlier steps left.
    pub(super) fn pending_of(&self, kind: &'static Kind) -> impl Iterator<Item = &Step> {
        self.pending.values().filter(move |step| step.key.kind == kind)
    }

    /// Whether another object than `own` has it, as the steps so far leave it.
    pub(super) fn is_claimed(&self, claim: Claim, own: &ObjectKey) -> bool {
        let there = self.base.claimed_by(claim).filter(|by| !self.pending.contains_key(by));
        self.claims.get(&claim).or(there).is_some_and(|by| by != own)
    }

    /// `current` is the object as the steps so far leave it.
    pub(super) fn put(&mut self, key: ObjectKey, current: Option<&Value>, mut after: Value) {
        self.asked = Some(key.kind);
        let key = self.kinds.stored_key(&key);
        if !key.kind.is_built_in() {
            after["apiVersion"] = key.kind.api_version().into();
        }
        let before = self.base.get(&key).cloned();
        let kind = match &before {
            None => StepKind::Create,
            Some(object) if after["metadata"]["uid"].as_str() != Some(&object.meta.uid) => StepKind::Replace,
            Some(object) => {
                let current = current.filter(|_| key.kind.is_built_in() && !self.pending.contains_key(&key));
                let stored = current.map_or_else(|| Cow::Owned(object.value()), Cow::Borrowed);
                if ownership::same(&stored, &after) {
                    // Managers' times may differ; what is kept is what is stored.
                    after = stored.into_owned();
                    StepKind::Keep
                } else {
                    StepKind::Update
                }
            }
        };
        self.step_taken(Step { key, kind, before, after: Some(after) });
    }

    /// The object is as it is to be, which is `current`: nothing is asked of anybody, and nothing is written.
    pub fn keep(&mut self, key: &ObjectKey, current: Value) {
        if let Some(before) = self.base.get(key).filter(|_| !self.pending.contains_key(key)) {
            let (key, before, after) = (key.clone(), Some(before.clone()), Some(current));
            self.step_taken(Step { key, kind: StepKind::Keep, before, after });
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        self.asked = Some(key.kind);
        let before = self.base.get(key).cloned();
        let key = self.kinds.stored_key(key);
        self.step_taken(Step { key, kind: StepKind::Delete, before, after: None });
    }

    /// The answer to the last step is to be shown through a view.
    pub(super) fn asked_through(&mut self, view: &'static View) {
        self.asked = Some(&view.kind);
    }

    fn step_taken(&mut self, step: Step) {
        if let Some(before) = self.pending.get(&step.key).filter(|_| !self.claims.is_empty()) {
            for claim in before.after.iter().flat_map(claims) {
                self.claims.remove(&claim);
            }
        }
        for claim in step.after.iter().flat_map(claims) {
            self.claims.insert(claim, step.key.clone());
        }
        if step.key.kind == kinds::CUSTOM_RESOURCE_DEFINITION {
            self.definition_stepped(&step);
        }
        self.forget_policies(step.key.kind);
        self.last = Some(step.key.clone());
        self.answer = None;
        self.pending.insert(step.key.clone(), step);
    }

    pub(super) fn warn(&mut self, warnings: Vec<String>) {
        self.warnings.extend(warnings);
    }

    /// What was odd about a request is said before what is odd about the object, and even if it is refused.
    pub(super) fn warn_first(&mut self, warnings: Vec<String>, done: Result<(), ApiError>) -> Result<(), ApiError> {
        done.map_err(|error| error.warned(&warnings))?;
        self.warnings.splice(0..0, warnings);
        Ok(())
    }

    /// What the last step answers in place of the object.
    pub(super) fn answer_with(&mut self, answer: Value) {
        self.answer = Some(answer);
    }

    /// Stores all steps at one revision.
    ///
    /// # Errors
    /// `Conflict` when the state that the steps were computed from has moved; nothing was stored then.
    pub async fn commit(self) -> Result<Vec<Arc<Object>>, ApiError> {
        for Finding { key, verdict } in self.findings.iter().filter(|f| f.verdict.effect == Effect::Audit) {
            tracing::info!(%key, user = self.author.user, policy = verdict.policy, why = verdict.message, "policy violated");
        }
        let mut ops = Vec::new();
        for step in self.pending.into_values() {
            let expect = step.before.as_ref().map_or(Precondition::Absent, |o| Precondition::At(o.meta.revision));
            match (step.kind, step.after) {
                (StepKind::Keep, _) => {}
                (_, Some(after)) => ops.push(Op::Put { draft: Box::new(Draft::new(step.key.kind, &after)), expect }),
                (_, None) if step.before.is_some() => ops.push(Op::Delete { key: step.key, expect }),
                (_, None) => {}
            }
        }
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        let written = self.context.writers.note(&self.author, ops.iter().map(Op::key));
        let committed = self.store.commit(Batch { ops }).await;
        if committed.is_err() {
            self.context.writers.forget(&self.author, &written);
        }
        let committed = committed.map_err(|error| match error {
            CommitError::Precondition { key, expected: Precondition::Absent, .. } => {
                ApiError::already_exists(key.kind, &key.name)
            }
            CommitError::Precondition { key, .. } => ApiError::modified(key.kind, &key.name),
            CommitError::Claimed { key, .. } => {
                let why = "its address or port was given to another meanwhile; please try again";
                let what = format!("{} {:?}", key.kind.qualified(), key.name);
                ApiError::new(Reason::Conflict, format!("Operation cannot be fulfilled on {what}: {why}"))
            }
            other => ApiError::internal(other),
        })?;
        Ok(committed.objects.into_iter().flatten().collect())
    }

    pub(super) async fn finish_one(self, dry_run: bool) -> Result<Written, ApiError> {
        let step = self.last.as_ref().and_then(|key| self.pending.get(key)).cloned();
        let step = step.ok_or_else(|| ApiError::internal("a write without a step"))?;
        let (warnings, answer) = (self.warnings.clone(), self.answer.clone());
        let created = step.kind == StepKind::Create;
        let (kinds, asked) = (self.kinds.clone(), self.asked.unwrap_or(step.key.kind));
        let object = match (dry_run, step.kind, &step.before) {
            (_, StepKind::Keep, Some(same)) => same.clone(),
            (true, ..) => preview(&step)?,
            (false, ..) => {
                let committed = self.commit().await?.into_iter().find(|o| o.key == step.key);
                committed.map_or_else(|| preview(&step), Ok)?
            }
        };
        let object = kinds.seen_as(asked, &object);
        let body = answer.map(|mut answer| {
            if answer["kind"] == "Scale" {
                answer["metadata"]["resourceVersion"] = object.meta.revision.to_string().into();
            }
            Bytes::from(answer.to_string())
        });
        Ok(Written { object, created, warnings, answer: body })
    }

    pub(super) async fn finish_delete(self, dry_run: bool) -> Result<Deleted, ApiError> {
        let gone = self.last.as_ref().and_then(|key| self.pending.get(key)).is_none_or(|step| step.after.is_none());
        let Written { object, warnings, .. } = self.finish_one(dry_run).await?;
        Ok(Deleted { object, gone, warnings })
    }
}

/// What a step would leave: the last state of an object that it removes. Its resourceVersion is that of the state
/// before; an object that does not exist yet has none.
fn preview(step: &Step) -> Result<Arc<Object>, ApiError> {
    let Some(after) = &step.after else {
        return step.before.clone().ok_or_else(|| ApiError::not_found(step.key.kind, &step.key.name));
    };
    let mut after = after.clone();
    if let Some(metadata) = after["metadata"].as_object_mut() {
        match &step.before {
            Some(before) => metadata.insert("resourceVersion".into(), before.meta.revision.to_string().into()),
            None => metadata.remove("resourceVersion"),
        };
    }
    let object = Object::from_json(step.key.kind, Bytes::from(after.to_string()));
    object.map(Arc::new).map_err(ApiError::internal)
}
