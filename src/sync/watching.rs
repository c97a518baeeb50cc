//! Hears of every change of an object that an Application owns, and tells its owner. One watch a kind for all
//! Applications together, so a change costs the same however many there are.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::inbox::Inbox;
use super::trigger::Trigger;
use crate::cluster::store::{Store, Watch, WatchEnd};
use crate::object::{Kind, ObjectKey};
use crate::tasks::Tasks;

pub struct Hub {
    store: Store,
    tasks: Tasks,
    kinds: Mutex<HashSet<&'static Kind>>,
    owners: Arc<Owners>,
}

/// Two Applications that declare one object are both its owners, until one of them no longer does.
type Owners = RwLock<HashMap<ObjectKey, Vec<Owner>>>;

struct Owner {
    name: Arc<str>,
    inbox: Arc<Inbox>,
}

impl Hub {
    pub fn new(store: Store, tasks: Tasks) -> Self {
        Self { store, tasks, kinds: Mutex::default(), owners: Arc::default() }
    }

    /// Changes what an Application is told of, from `before` to `now`.
    pub fn own(&self, name: &Arc<str>, inbox: &Arc<Inbox>, before: &HashSet<ObjectKey>, now: &HashSet<ObjectKey>) {
        let mut kinds: HashSet<&'static Kind> = HashSet::new();
        {
            let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
            for key in before.difference(now) {
                if let Some(all) = owners.get_mut(key) {
                    all.retain(|owner| !Arc::ptr_eq(&owner.inbox, inbox));
                    // They said that they share it.
                    all.iter().for_each(|owner| owner.inbox.look(Trigger::Retry));
                    if all.is_empty() {
                        owners.remove(key);
                    }
                }
            }
            for key in now.difference(before) {
                kinds.insert(key.kind);
                owners.entry(key.clone()).or_default().push(Owner { name: name.clone(), inbox: inbox.clone() });
            }
        }
        let mut known = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in kinds {
            if known.insert(kind) {
                self.tasks.spawn("sync-watch", follow(self.store.clone(), kind, self.owners.clone()));
            }
        }
    }

    /// The Applications that declare the object, other than the one of this name.
    pub fn others(&self, key: &ObjectKey, name: &str) -> Vec<Arc<str>> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        let others = owners.get(key).into_iter().flatten().filter(|owner| *owner.name != *name);
        others.map(|owner| owner.name.clone()).collect()
    }
}

async fn follow(store: Store, kind: &'static Kind, owners: Arc<Owners>) {
    loop {
        let Ok(watch) = store.watch(kind, store.revision()) else {
            tokio::task::yield_now().await;
            continue;
        };
        // Whatever changed before the watch began, or was lost between two watches, is looked at once.
        tell_all(kind, &owners);
        if relay(watch, &owners).await == WatchEnd::Closed {
            // The store ends with the program.
            std::future::pending::<()>().await;
        }
    }
}

fn tell_all(kind: &'static Kind, owners: &Owners) {
    for (key, owners) in owners.read().unwrap_or_else(PoisonError::into_inner).iter().filter(|(k, _)| k.kind == kind) {
        owners.iter().for_each(|owner| owner.inbox.changed([key.clone()]));
    }
}

async fn relay(mut watch: Watch, owners: &Owners) -> WatchEnd {
    loop {
        match watch.next().await {
            Ok(event) => {
                let owners = owners.read().unwrap_or_else(PoisonError::into_inner);
                for owner in owners.get(&event.object.key).into_iter().flatten() {
                    owner.inbox.changed([event.object.key.clone()]);
                }
            }
            Err(end) => return end,
        }
    }
}
