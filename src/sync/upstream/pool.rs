//! One [`Upstream`] a repository URL: made when the first Application follows it, gone with the last one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::repository::Upstream;
use crate::sync::credentials::{Access, Purpose};
use crate::sync::mirror::RepoLocation;
use crate::sync::render::AgeKeys;
use crate::sync::tool::Tools;
use crate::sync::trigger::Trigger;
use crate::tasks::Tasks;

/// Looks credentials up, as the cluster has them now.
pub type FindAccess = Arc<dyn Fn(&RepoLocation, Purpose) -> Access + Send + Sync>;

#[derive(Clone)]
pub struct PoolOptions {
    /// Where copies of remote repositories are kept.
    pub folder: PathBuf,
    /// Time between two looks at a repository when nothing says that it moved.
    pub poll_interval: Duration,
    pub access: FindAccess,
    pub tools: Tools,
    /// Opens files that SOPS encrypted.
    pub keys: AgeKeys,
}

pub struct Pool {
    options: PoolOptions,
    tasks: Tasks,
    known: Mutex<HashMap<String, Weak<Upstream>>>,
}

impl Pool {
    pub fn new(options: PoolOptions, tasks: Tasks) -> Self {
        Self { options, tasks, known: Mutex::default() }
    }

    /// The repository at `location`; whoever asks for the same one gets the same.
    pub fn get(&self, location: &RepoLocation) -> Arc<Upstream> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = location.identity();
        if let Some(upstream) = known.get(&identity).and_then(Weak::upgrade) {
            return upstream;
        }
        known.retain(|_, upstream| upstream.strong_count() > 0);
        let upstream = Arc::new(Upstream::new(location.clone(), self.options.clone()));
        known.insert(identity, Arc::downgrade(&upstream));
        self.tasks.spawn_once("sync-repository", Upstream::run(Arc::downgrade(&upstream), upstream.bell()));
        upstream
    }

    /// Looks at the repositories that `selects` chooses. Gives the number of their followers.
    pub fn trigger(&self, why: &Trigger, selects: impl Fn(&RepoLocation) -> bool) -> usize {
        let known: Vec<_> =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(Weak::upgrade).collect();
        let chosen = known.iter().filter(|upstream| selects(upstream.location()));
        chosen.map(|upstream| upstream.trigger(why.clone())).sum()
    }
}
