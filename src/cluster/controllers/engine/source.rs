//! What a controller listens to: the changes of one kind, each turned into the keys that it concerns.

use std::time::Duration;

use crate::cluster::store::{Event, Snapshot};
use crate::object::{Kind, ObjectKey};

type Keys = dyn Fn(&Snapshot, &Event) -> Vec<(ObjectKey, Duration)> + Send + Sync;

/// One kind, and which keys a change of one of its objects concerns.
///
/// When a source is listed, each object comes as added, with no previous state.
pub struct Source {
    pub kind: &'static Kind,
    keys: Box<Keys>,
}

impl Source {
    /// The snapshot that `keys` is given holds the event, and may be newer.
    pub fn new(
        kind: &'static Kind,
        keys: impl Fn(&Snapshot, &Event) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> Self {
        let now = move |snapshot: &Snapshot, event: &Event| -> Vec<(ObjectKey, Duration)> {
            keys(snapshot, event).into_iter().map(|key| (key, Duration::ZERO)).collect()
        };
        Self { kind, keys: Box::new(now) }
    }

    /// The same with a time for each key that its run may wait for more changes, so that one run sees them all.
    pub fn batched(
        kind: &'static Kind,
        keys: impl Fn(&Snapshot, &Event) -> Vec<(ObjectKey, Duration)> + Send + Sync + 'static,
    ) -> Self {
        Self { kind, keys: Box::new(keys) }
    }

    /// Objects that are themselves what is reconciled.
    pub fn own(kind: &'static Kind) -> Self {
        Self::new(kind, |_, event| vec![event.object.key.clone()])
    }

    pub(super) fn keys(&self, snapshot: &Snapshot, event: &Event) -> Vec<(ObjectKey, Duration)> {
        (self.keys)(snapshot, event)
    }
}

/// The objects of `owner` that control the changed object now or controlled it before the change.
pub fn controllers_of(owner: &'static Kind, event: &Event) -> Vec<ObjectKey> {
    let states = std::iter::once(&event.object).chain(&event.previous);
    let named = states.filter_map(|object| {
        let controller = object.meta.controller()?;
        (controller.kind == owner.kind && controller.api_version == owner.api_version())
            .then(|| ObjectKey::new(owner, &*object.key.namespace, &*controller.name))
    });
    let mut keys: Vec<ObjectKey> = named.collect();
    keys.dedup();
    keys
}
