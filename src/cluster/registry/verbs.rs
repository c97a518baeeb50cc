//! The verbs on one object. Each is a transaction of one step, tried again when it loses a race that its
//! caller did not ask to hear of.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::author::Author;
use super::options::{DeleteOptions, Patch, Target, WriteOptions};
use super::policies::PolicyCache;
use super::scale;
use super::services::ServiceRange;
use super::transaction::Transaction;
use super::writers::Writers;
use crate::cluster::store::{Snapshot, Store};
use crate::object::{ApiError, Clock, Kind, Object, ObjectKey, Reason};

/// How often a write that names no resourceVersion is computed anew when others write the object meanwhile.
const TRIES: usize = 5;

#[derive(Clone)]
pub struct Registry {
    store: Store,
    clock: Clock,
    context: Context,
}

/// What all transactions of a registry share.
#[derive(Clone, Default)]
pub(super) struct Context {
    pub services: Arc<ServiceRange>,
    /// Pods that are created are given their service account.
    pub accounts: bool,
    pub policies: Arc<PolicyCache>,
    pub writers: Arc<Writers>,
}

/// The outcome of a create, update or patch.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is stored now, or would be (dry run: its resourceVersion is that of the state before).
    pub object: Arc<Object>,
    pub created: bool,
    /// For the Warning header.
    pub warnings: Vec<String>,
    /// What to answer in place of the object: a Scale, or the Status of a binding or an eviction.
    pub answer: Option<Bytes>,
}

impl Written {
    /// The body of the answer.
    pub fn body(&self) -> &Bytes {
        self.answer.as_ref().unwrap_or_else(|| self.object.json())
    }
}

/// The outcome of a delete.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// Its state now, or the last one that it had.
    pub object: Arc<Object>,
    /// Otherwise it waits for its grace period, its finalizers or its dependents.
    pub gone: bool,
    /// For the Warning header.
    pub warnings: Vec<String>,
}

impl Registry {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, context: Context::default() }
    }

    /// The same registry with another range of cluster IPs and node ports; for the start of the program.
    pub fn with_services(self, range: ServiceRange) -> Self {
        Self { context: Context { services: Arc::new(range), ..self.context }, ..self }
    }

    /// The same registry, which gives each pod that is created its service account and a token of it; for the start
    /// of a program whose agents can get tokens.
    pub fn with_accounts(self) -> Self {
        Self { context: Context { accounts: true, ..self.context }, ..self }
    }

    pub fn services(&self) -> &ServiceRange {
        &self.context.services
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.store.snapshot()
    }

    /// # Errors
    /// `NotFound`.
    pub fn get(&self, key: &ObjectKey) -> Result<Arc<Object>, ApiError> {
        let snapshot = self.snapshot();
        let stored = snapshot.kinds().stored_key(key);
        let object = snapshot.get(&stored).ok_or_else(|| ApiError::not_found(key.kind, &key.name))?;
        Ok(snapshot.kinds().seen_as(key.kind, object))
    }

    /// The `autoscaling/v1` Scale of a workload.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn scale(&self, key: &ObjectKey) -> Result<Value, ApiError> {
        let snapshot = self.snapshot();
        scale::of(snapshot.kinds().describe(key.kind), &self.get(key)?.value())
    }

    /// Starts a transaction on the latest state.
    pub fn begin(&self, author: &Author) -> Transaction {
        Transaction::new(self.store.clone(), self.snapshot(), self.clock.now(), author.clone(), self.context.clone())
    }

    /// The user who wrote or deleted the object last, if that was lately, in this process, and nobody of the control plane.
    pub fn last_writer(&self, key: &ObjectKey) -> Option<String> {
        self.context.writers.last(key)
    }

    /// # Errors
    /// The refusal for the client.
    pub async fn create(
        &self,
        author: &Author,
        kind: &'static Kind,
        namespace: &str,
        object: Value,
        options: WriteOptions,
    ) -> Result<Written, ApiError> {
        self.retry(author, options.dry_run, |t| t.create(kind, namespace, object.clone(), options)).await
    }

    /// # Errors
    /// The refusal for the client; `Conflict` when the object names a resourceVersion that is not the latest.
    pub async fn update(
        &self,
        author: &Author,
        target: &Target,
        object: Value,
        options: WriteOptions,
    ) -> Result<Written, ApiError> {
        self.retry(author, options.dry_run, |t| t.update(target, object.clone(), options)).await
    }

    /// # Errors
    /// The refusal for the client.
    pub async fn patch(
        &self,
        author: &Author,
        target: &Target,
        patch: Patch,
        options: WriteOptions,
    ) -> Result<Written, ApiError> {
        self.retry(author, options.dry_run, |t| t.patch(target, patch.clone(), options)).await
    }

    /// # Errors
    /// The refusal for the client.
    pub async fn delete(&self, author: &Author, key: &ObjectKey, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        for _ in 1..TRIES {
            let mut transaction = self.begin(author);
            transaction.dry_run = options.dry_run;
            transaction.delete(key, options)?;
            match transaction.finish_delete(options.dry_run).await {
                Err(error) if error.reason == Reason::Conflict => {}
                done => return done,
            }
        }
        Err(ApiError::modified(key.kind, &key.name))
    }

    /// Deletes the objects of a collection that `selects` chooses, all at one revision. Gives their last states.
    ///
    /// # Errors
    /// The refusal for the client; nothing was deleted then.
    pub async fn delete_collection(
        &self,
        author: &Author,
        kind: &'static Kind,
        namespace: &str,
        selects: impl Fn(&Arc<Object>) -> bool,
        options: &DeleteOptions,
    ) -> Result<Vec<Arc<Object>>, ApiError> {
        let mut lost = None;
        for _ in 0..TRIES {
            let mut transaction = self.begin(author);
            transaction.dry_run = options.dry_run;
            let chosen: Vec<Arc<Object>> =
                transaction.base.list(kind, namespace).filter(|object| selects(object)).cloned().collect();
            for object in &chosen {
                transaction.delete(&object.key, options)?;
            }
            if options.dry_run {
                return Ok(chosen);
            }
            match transaction.commit().await {
                Err(error) if error.reason == Reason::Conflict => lost = Some(error),
                done => return done.map(|_| chosen),
            }
        }
        Err(lost.unwrap_or_else(|| ApiError::internal("no try was made")))
    }

    /// `pods/binding`.
    ///
    /// # Errors
    /// The refusal for the client.
    pub async fn bind(
        &self,
        author: &Author,
        pod: &ObjectKey,
        binding: &Value,
        options: WriteOptions,
    ) -> Result<Written, ApiError> {
        self.retry(author, options.dry_run, |t| t.bind_by(pod, binding)).await
    }

    /// `pods/eviction`.
    ///
    /// # Errors
    /// The refusal for the client.
    pub async fn evict(
        &self,
        author: &Author,
        pod: &ObjectKey,
        eviction: &Value,
        options: &DeleteOptions,
    ) -> Result<Written, ApiError> {
        self.retry(author, options.dry_run, |t| t.evict(pod, eviction, options)).await
    }

    async fn retry(
        &self,
        author: &Author,
        dry_run: bool,
        step: impl Fn(&mut Transaction) -> Result<(), ApiError>,
    ) -> Result<Written, ApiError> {
        let mut lost = None;
        for _ in 0..TRIES {
            let mut transaction = self.begin(author);
            transaction.dry_run = dry_run;
            // A conflict here is about the version that the caller named; only a lost race is worth another try.
            step(&mut transaction)?;
            match transaction.finish_one(dry_run).await {
                Err(error) if error.reason == Reason::Conflict => lost = Some(error),
                done => return done,
            }
        }
        Err(lost.unwrap_or_else(|| ApiError::internal("no try was made")))
    }
}
