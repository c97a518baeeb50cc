//! What a syncer remembers of objects that it found to be as git says.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::cluster::store::Snapshot;
use crate::object::{Object, ObjectKey, Revision};
use crate::sync::render::Document;

/// Objects that were found to be as git says, at a revision: as long as neither the manifest nor the object has
/// moved since, there is nothing to compute.
#[derive(Debug, Default)]
pub struct Verified {
    known: HashMap<ObjectKey, Known>,
}

#[derive(Debug)]
struct Known {
    document: Document,
    at: Revision,
    /// Of the object at that revision, without what controllers report.
    declared: Option<u64>,
}

impl Verified {
    pub fn insert(&mut self, document: &Document, at: Revision) {
        self.known.insert(document.key.clone(), Known { document: document.clone(), at, declared: None });
    }

    /// As [`Verified::insert`], and from now on a change of the status alone is none: see [`Verified::forgives`].
    pub fn insert_seen(&mut self, document: &Document, object: &Object) {
        let known = Known { document: document.clone(), at: object.meta.revision, declared: Some(declared(object)) };
        self.known.insert(document.key.clone(), known);
    }

    /// Whether the object differs from the one that was seen in nothing but its status: then it is as git says, too.
    pub fn forgives(&mut self, document: &Document, object: &Object) -> bool {
        let Some(known) = self.known.get_mut(&document.key) else { return false };
        let same = known.document.same_source(document)
            && known.declared.is_some_and(|seen| known.at == object.meta.revision || seen == declared(object));
        if same {
            known.at = object.meta.revision;
        }
        same
    }

    pub fn retain(&mut self, keep: impl Fn(&ObjectKey) -> bool) {
        self.known.retain(|key, _| keep(key));
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn holds(&self, document: &Document, live: &Snapshot) -> bool {
        let Some(known) = self.known.get(&document.key) else { return false };
        known.document.same_source(document)
            && live.get(&document.key).is_some_and(|object| object.meta.revision == known.at)
    }
}

/// A hash of everything in the object but its status and the bookkeeping that goes with each write.
fn declared(object: &Object) -> u64 {
    let value = object.value_without(&[&["status"], &["metadata", "resourceVersion"], &["metadata", "managedFields"]]);
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}
