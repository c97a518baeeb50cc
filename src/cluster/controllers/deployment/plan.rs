//! Decides what one run does to a Deployment: which ReplicaSets are made, sized, annotated or removed, and what
//! its status says afterwards. Pure; all of a plan is stored at one revision.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};

use super::fenceposts::{Bounds, Strategy, strategy};
use super::progress::{self, Before, PROGRESSING};
use super::sets::{DESIRED_REPLICAS, MAX_REPLICAS, REVISION, Set, by_age};
use super::template::{self, HASH_LABEL};
use super::{revision, rolling, scaling};
use crate::cluster::controllers::engine::Next;
use crate::cluster::controllers::events::Note;

/// Longest name of a ReplicaSet (a DNS subdomain).
const LONGEST_NAME: usize = 253;

/// What a plan is computed from.
pub struct View<'a> {
    pub deployment: Arc<Deployment>,
    pub generation: i64,
    /// The ReplicaSets that the Deployment controls.
    pub sets: Vec<Set>,
    /// Uids of the ReplicaSets that have a pod which has not ended, be it on its way out. Known for `Recreate` only.
    pub with_pods: HashSet<String>,
    /// Whether a ReplicaSet of this name exists, whoever's it is.
    pub taken: Box<dyn Fn(&str) -> bool + Send + 'a>,
    /// In whole seconds.
    pub now: Timestamp,
}

pub struct Plan {
    /// As they are to be; each knows what it is stored as.
    pub sets: Vec<Set>,
    /// Names of the ReplicaSets to remove.
    pub remove: Vec<String>,
    /// The Deployment's own revision annotation, when it is to change.
    pub revision: Option<String>,
    pub status: DeploymentStatus,
    pub notes: Vec<Note>,
    pub next: Next,
}

pub fn plan(view: View<'_>) -> Plan {
    let deployment = view.deployment.clone();
    let spec = deployment.spec.clone().unwrap_or_default();
    let before = deployment.status.clone().unwrap_or_default();
    let bounds = Bounds::of(&deployment);
    let mut work = Work { view, bounds, before, new: None, revision: None, notes: Vec::new(), remove: Vec::new() };
    work.view.sets.sort_by(by_age);
    work.new = revision::find(&work.view.sets, &spec.template);
    if deployment.metadata.deletion_timestamp.is_some() {
        return work.finish(Report::Counts);
    }
    let mut noted = work.before.clone();
    if work.past().note_pause(&mut noted) {
        work.before = noted;
    }
    if spec.paused.unwrap_or(false) || work.was_scaled() {
        work.adopt_new();
        work.scale();
        if spec.paused.unwrap_or(false) {
            work.clean_up();
        }
        return work.finish(Report::Counts);
    }
    match strategy(&spec) {
        Strategy::RollingUpdate => work.roll(),
        Strategy::Recreate => work.recreate(),
    }
    work.finish(Report::Progress)
}

/// What a run has to report: while a Deployment is paused, scaled or deleted, nothing is said of its progress.
enum Report {
    Counts,
    Progress,
}

struct Work<'a> {
    view: View<'a>,
    bounds: Bounds,
    /// The stored status, with conditions that this plan has set.
    before: DeploymentStatus,
    new: Option<usize>,
    revision: Option<String>,
    notes: Vec<Note>,
    remove: Vec<String>,
}

impl Work<'_> {
    fn past(&self) -> Before<'_> {
        let View { deployment, generation, now, .. } = &self.view;
        Before { deployment, status: &self.before, generation: *generation, now: *now }
    }

    fn finish(self, report: Report) -> Plan {
        let past = self.past();
        let status = match report {
            Report::Counts => past.count(&self.view.sets, self.new),
            Report::Progress => past.roll(&self.view.sets, self.new),
        };
        let next = past.next_look(&status).map_or(Next::Done, Next::After);
        let Self { view, revision, notes, remove, .. } = self;
        Plan { sets: view.sets, remove, revision, status, notes, next }
    }

    fn old(&self) -> impl Iterator<Item = usize> + use<> {
        let new = self.new;
        (0..self.view.sets.len()).filter(move |i| Some(*i) != new)
    }

    /// Those that have pods or are to have some.
    fn active_old(&self) -> Vec<usize> {
        self.old().filter(|i| self.view.sets[*i].replicas > 0).collect()
    }

    fn total(&self) -> i32 {
        self.view.sets.iter().map(|s| s.replicas).sum()
    }

    /// The Deployment's size is another than the one that its ReplicaSets were sized for.
    fn was_scaled(&self) -> bool {
        let active = self.view.sets.iter().filter(|s| s.replicas > 0);
        active.filter_map(|s| s.number::<i32>(DESIRED_REPLICAS)).any(|desired| desired != self.bounds.wanted)
    }

    fn roll(&mut self) {
        self.adopt_new();
        self.make_new();
        let Some(new) = self.new else { return };
        let size = self.view.sets[new].size();
        let grown = rolling::grow(size.replicas, self.total(), self.bounds);
        if self.resize(new, grown) {
            return;
        }
        let old = self.active_old();
        let sizes: Vec<_> = old.iter().map(|i| self.view.sets[*i].size()).collect();
        let resizes = rolling::shrink(&sizes, size, self.bounds);
        for resize in &resizes {
            self.resize(old[resize.index], resize.to);
        }
        if resizes.is_empty() {
            self.clean_up_when_complete();
        }
    }

    fn recreate(&mut self) {
        self.adopt_new();
        let old = self.active_old();
        for index in &old {
            self.resize(*index, 0);
        }
        if !old.is_empty() || self.old_pods_remain() {
            return;
        }
        self.make_new();
        if let Some(new) = self.new {
            self.resize(new, self.bounds.wanted);
        }
        self.clean_up_when_complete();
    }

    fn old_pods_remain(&self) -> bool {
        let new = self.new.map(|i| &self.view.sets[i].uid);
        self.old().any(|i| self.view.sets[i].status.replicas > 0)
            || self.view.with_pods.iter().any(|uid| Some(uid) != new)
    }

    /// Numbers and annotates the ReplicaSet of the present template, where there is one.
    fn adopt_new(&mut self) {
        let Some(new) = self.new else { return };
        let number = revision::next(self.old().map(|i| &self.view.sets[i]));
        let deployment = self.view.deployment.clone();
        let annotations = deployment.metadata.annotations.clone().unwrap_or_default();
        let set = &mut self.view.sets[new];
        revision::number(set, &annotations, number);
        set.min_ready_seconds = deployment.spec.as_ref().and_then(|s| s.min_ready_seconds).unwrap_or(0);
        let (name, number) = (set.name.clone(), set.annotations.get(REVISION).cloned().unwrap_or_default());
        self.set_revision(number);
        if progress::condition(&self.before, PROGRESSING).is_none() {
            self.note_progress("FoundNewReplicaSet", format!("Found new replica set \"{name}\""));
        }
    }

    /// Makes the ReplicaSet of the present template, unless there is one.
    fn make_new(&mut self) {
        if self.new.is_some() {
            return;
        }
        let deployment = self.view.deployment.clone();
        let Some(spec) = &deployment.spec else { return };
        let base = deployment.metadata.name.as_deref().unwrap_or_default();
        let (name, hash) = loop {
            let hash = template::hash(&spec.template, self.before.collision_count);
            let room = LONGEST_NAME - 1 - hash.len();
            let name = format!("{}-{hash}", base.chars().take(room).collect::<String>());
            if !(self.view.taken)(&name) {
                break (name, hash);
            }
            self.before.collision_count = Some(self.before.collision_count.unwrap_or(0) + 1);
        };
        let mut labelled = spec.template.clone();
        labelled.metadata.get_or_insert_default().labels.get_or_insert_default().insert(HASH_LABEL.into(), hash);
        let replicas = match strategy(spec) {
            Strategy::RollingUpdate => rolling::grow(0, self.total(), self.bounds),
            Strategy::Recreate => self.bounds.wanted,
        };
        let number = revision::next(self.view.sets.iter());
        let mut set = Set {
            name: name.clone(),
            created: Some(self.view.now),
            replicas,
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
            annotations: BTreeMap::new(),
            template: labelled,
            ..Set::default()
        };
        revision::number(&mut set, deployment.metadata.annotations.as_ref().unwrap_or(&BTreeMap::new()), number);
        set.annotate_sizes(self.bounds.wanted, self.bounds.most());
        self.new = Some(self.view.sets.len());
        self.view.sets.push(set);
        if replicas > 0 {
            self.note_scaled(&name, 0, replicas);
        }
        self.set_revision(number.to_string());
        self.note_progress("NewReplicaSetCreated", format!("Created new replica set \"{name}\""));
    }

    fn set_revision(&mut self, number: String) {
        let current = self.view.deployment.metadata.annotations.as_ref().and_then(|a| a.get(REVISION));
        if current != Some(&number) {
            self.revision = Some(number);
        }
    }

    fn note_progress(&mut self, reason: &str, message: String) {
        if progress::deadline(&self.view.deployment).is_some() {
            let mut status = self.before.clone();
            self.past().set(&mut status, PROGRESSING, "True", reason, message);
            self.before = status;
        }
    }

    /// Follows a change of the Deployment's size, without moving its rollout.
    fn scale(&mut self) {
        let wanted = self.bounds.wanted;
        if let Some(only) = self.active_or_latest() {
            if !self.resize(only, wanted) {
                self.view.sets[only].annotate_sizes(wanted, self.bounds.most());
            }
            return;
        }
        if self.new.is_some_and(|i| self.is_saturated(&self.view.sets[i])) {
            for index in self.active_old() {
                self.resize(index, 0);
            }
            return;
        }
        if self.view.deployment.spec.as_ref().is_some_and(|s| strategy(s) == Strategy::RollingUpdate) {
            self.scale_in_proportion();
        }
    }

    fn scale_in_proportion(&mut self) {
        let mut active: Vec<usize> = (0..self.view.sets.len()).filter(|i| self.view.sets[*i].replicas > 0).collect();
        let growing = self.bounds.wanted > 0 && self.bounds.most() > self.total();
        active.sort_by(|a, b| {
            let (a, b) = (&self.view.sets[*a], &self.view.sets[*b]);
            let age = if growing { by_age(b, a) } else { by_age(a, b) };
            b.replicas.cmp(&a.replicas).then(age)
        });
        let share = |i: &usize| {
            let set = &self.view.sets[*i];
            scaling::Share { replicas: set.replicas, most_before: set.number(MAX_REPLICAS) }
        };
        let shares: Vec<_> = active.iter().map(share).collect();
        let sizes = scaling::proportional(&shares, self.bounds, self.before.replicas.unwrap_or(0));
        for (index, size) in active.into_iter().zip(sizes) {
            self.resize(index, size);
            self.view.sets[index].annotate_sizes(self.bounds.wanted, self.bounds.most());
        }
    }

    /// The one ReplicaSet that a change of size concerns; `None` while a rollout has several with pods.
    fn active_or_latest(&self) -> Option<usize> {
        let sets = &self.view.sets;
        let mut active = (0..sets.len()).filter(|i| sets[*i].replicas > 0);
        match (active.next(), active.next()) {
            (Some(only), None) => Some(only),
            (Some(_), Some(_)) => None,
            (None, _) => self.new.or_else(|| sets.len().checked_sub(1)),
        }
    }

    fn is_saturated(&self, new: &Set) -> bool {
        let wanted = self.bounds.wanted;
        new.replicas == wanted && new.number(DESIRED_REPLICAS) == Some(wanted) && new.available() == wanted
    }

    fn clean_up_when_complete(&mut self) {
        let status = self.view.deployment.status.clone().unwrap_or_default();
        if progress::is_complete(&self.view.deployment, &status, self.view.generation) {
            self.clean_up();
        }
    }

    fn clean_up(&mut self) {
        let limit = self.view.deployment.spec.as_ref().and_then(|s| s.revision_history_limit).unwrap_or(10);
        if limit != i32::MAX {
            let old: Vec<&Set> = self.old().map(|i| &self.view.sets[i]).collect();
            self.remove = revision::superseded(&old, limit);
        }
    }

    /// True when that is another size.
    fn resize(&mut self, index: usize, to: i32) -> bool {
        let (wanted, most) = (self.bounds.wanted, self.bounds.most());
        let set = &mut self.view.sets[index];
        if set.replicas == to {
            return false;
        }
        let from = std::mem::replace(&mut set.replicas, to);
        set.annotate_sizes(wanted, most);
        let name = set.name.clone();
        self.note_scaled(&name, from, to);
        true
    }

    fn note_scaled(&mut self, name: &str, from: i32, to: i32) {
        let direction = if from < to { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
        self.notes.push(Note::normal("ScalingReplicaSet", message));
    }
}
