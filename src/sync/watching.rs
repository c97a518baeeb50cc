//! Hears of every change of an object that the Application owns. One watch a kind; what changed waits as a set of
//! keys, so a storm of changes of one object is one entry, and nothing grows past the inventory.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::cluster::store::{Store, Watch, WatchEnd};
use crate::object::{Kind, ObjectKey};
use crate::tasks::Tasks;

pub struct Watching {
    store: Store,
    tasks: Tasks,
    kinds: HashSet<&'static Kind>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    owned: ArcSwap<HashSet<ObjectKey>>,
    changed: Mutex<BTreeSet<ObjectKey>>,
    wake: Notify,
}

impl Watching {
    pub fn new(store: Store, tasks: Tasks) -> Self {
        Self { store, tasks, kinds: HashSet::new(), shared: Arc::default() }
    }

    /// From now on these, and only these, are told of.
    pub fn own(&mut self, keys: HashSet<ObjectKey>) {
        let kinds: HashSet<_> = keys.iter().map(|key| key.kind).collect();
        self.shared.owned.store(Arc::new(keys));
        for kind in kinds {
            if self.kinds.insert(kind) {
                self.tasks.spawn("sync-watch", follow(self.store.clone(), kind, self.shared.clone()));
            }
        }
    }

    /// The objects that changed since the last call; waits until there is one. Dropping the future loses nothing.
    pub async fn changed(&self) -> BTreeSet<ObjectKey> {
        loop {
            let changed = std::mem::take(&mut *self.shared.lock());
            if !changed.is_empty() {
                return changed;
            }
            self.shared.wake.notified().await;
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<ObjectKey>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, keys: impl IntoIterator<Item = ObjectKey>) {
        self.lock().extend(keys);
        self.wake.notify_one();
    }
}

async fn follow(store: Store, kind: &'static Kind, shared: Arc<Shared>) {
    loop {
        let Ok(watch) = store.watch(kind, store.revision()) else {
            tokio::task::yield_now().await;
            continue;
        };
        // Whatever changed before the watch began, or was lost between two watches, is looked at once.
        let owned = shared.owned.load_full();
        shared.tell(owned.iter().filter(|key| key.kind == kind).cloned());
        if relay(watch, &shared).await == WatchEnd::Closed {
            // The store ends with the program.
            std::future::pending::<()>().await;
        }
    }
}

async fn relay(mut watch: Watch, shared: &Shared) -> WatchEnd {
    loop {
        match watch.next().await {
            Ok(event) if shared.owned.load().contains(&event.object.key) => shared.tell([event.object.key.clone()]),
            Ok(_) => {}
            Err(end) => return end,
        }
    }
}
