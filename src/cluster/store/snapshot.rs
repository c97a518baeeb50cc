//! The state of the store at one revision. Snapshots are cheap to take and never change.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::object::{Claim, Kind, Kinds, Object, ObjectKey, Revision, kinds};

/// All objects at one revision, with the indexes that the control plane asks by.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    revision: Revision,
    objects: OrdMap<ObjectKey, Arc<Object>>,
    by_owner: OrdSet<(String, ObjectKey)>,
    by_node: OrdSet<(String, ObjectKey)>,
    by_claim: OrdMap<Claim, ObjectKey>,
    kinds: Kinds,
}

impl Snapshot {
    /// The revision of the last batch that this snapshot holds.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The kinds that this state serves: those of the table, and those that its definitions add.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    pub fn find(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.get(&ObjectKey::new(kind, namespace, name))
    }

    /// The objects of a kind in a namespace (in all of them when `namespace` is empty), ordered by namespace and name.
    pub fn list<'a>(&'a self, kind: &'static Kind, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
        let first = ObjectKey { kind, namespace: namespace.to_owned(), name: String::new() };
        let within = move |key: &ObjectKey| key.kind == kind && (namespace.is_empty() || key.namespace == namespace);
        self.objects.range(first..).take_while(move |(key, _)| within(key)).map(|(_, object)| object)
    }

    /// All objects, of every kind.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects that name `uid` among their owner references.
    pub fn owned_by<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
        self.indexed(&self.by_owner, uid)
    }

    /// The pods bound to a node.
    pub fn pods_on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
        self.indexed(&self.by_node, node)
    }

    /// The object that has what only one may have.
    pub fn claimed_by(&self, claim: Claim) -> Option<&ObjectKey> {
        self.by_claim.get(&claim)
    }

    fn indexed<'a>(
        &'a self,
        index: &'a OrdSet<(String, ObjectKey)>,
        value: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let first = ObjectKey { kind: kinds::lowest(), namespace: String::new(), name: String::new() };
        let first = (value.to_owned(), first);
        index.range(first..).take_while(move |(v, _)| v == value).filter_map(|(_, key)| self.objects.get(key))
    }

    pub(super) fn at(revision: Revision) -> Self {
        Self { revision, ..Self::default() }
    }

    pub(super) fn advance(&mut self, revision: Revision) {
        self.revision = revision;
    }

    pub(super) fn put(&mut self, object: Arc<Object>) {
        if object.key.kind == kinds::CUSTOM_RESOURCE_DEFINITION {
            // The registry lets no definition pass that there is no room for.
            if let Err(error) = self.kinds.put(&object.value()) {
                tracing::error!(definition = object.key.name, %error, "its kind is not served");
            }
        }
        let old = self.objects.insert(object.key.clone(), object.clone());
        // Most writes are of status and move nothing in the indexes.
        let same = |old: &Arc<Object>| {
            let (old, new) = (&old.meta, &object.meta);
            old.owners == new.owners && old.node == new.node && old.claims == new.claims
        };
        if old.as_ref().is_some_and(same) {
            return;
        }
        if let Some(old) = old {
            self.unindex(&old);
        }
        for owner in &object.meta.owners {
            self.by_owner.insert((owner.uid.clone(), object.key.clone()));
        }
        if let Some(node) = bound_to(&object) {
            self.by_node.insert((node.clone(), object.key.clone()));
        }
        for claim in &object.meta.claims {
            self.by_claim.insert(*claim, object.key.clone());
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        if let Some(old) = self.objects.remove(key) {
            if key.kind == kinds::CUSTOM_RESOURCE_DEFINITION {
                self.kinds.remove(&key.name);
            }
            self.unindex(&old);
        }
    }

    fn unindex(&mut self, old: &Object) {
        for owner in &old.meta.owners {
            self.by_owner.remove(&(owner.uid.clone(), old.key.clone()));
        }
        if let Some(node) = bound_to(old) {
            self.by_node.remove(&(node.clone(), old.key.clone()));
        }
        for claim in &old.meta.claims {
            // Another object of the same batch may have it by now.
            if self.by_claim.get(claim) == Some(&old.key) {
                self.by_claim.remove(claim);
            }
        }
    }
}

/// The node of a pod; other kinds that have a `spec.nodeName` are not pods on a node.
fn bound_to(object: &Object) -> Option<&String> {
    object.meta.node.as_ref().filter(|_| object.key.kind == kinds::POD)
}
