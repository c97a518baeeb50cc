//! Objects that go from one Application to another in a commit. Each Application comes to a commit in its own time, so one
//! that no longer declares an object first asks whether another does by now: it is then that one's, and nobody deletes it.
//! Blocking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::desired::{self, At, Desired};
use super::mirror::RepoLocation;
use super::render::Document;
use super::settings::settings;
use super::syncer::Shared;
use super::tracking;
use super::upstream::Upstream;
use crate::object::application::{Application, ApplicationSpec};
use crate::object::{ObjectKey, kinds};

/// Who may take objects over, and as of when.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    pub shared: &'a Shared,
    /// The Application that no longer declares them.
    pub from: &'a ObjectKey,
    pub spec: &'a ApplicationSpec,
    /// What it declares itself: Applications among it may not exist yet.
    pub documents: &'a [Document],
    /// For a plan, what is planned in place of the newest commit; empty for a work tree, of which only one Application is
    /// known.
    pub revision: Option<&'a str>,
}

impl Search<'_> {
    /// Those of its objects, as the inventory lists them, that it no longer declares and another Application does, with what
    /// that one's objects are tracked by.
    pub fn successors(&self, inventory: &[ObjectKey]) -> BTreeMap<ObjectKey, String> {
        let mut found = BTreeMap::new();
        let live = self.shared.registry.snapshot();
        let name = tracking::name_of(self.from);
        let wanted: BTreeSet<&ObjectKey> = self.documents.iter().map(|document| &document.key).collect();
        let is_owned =
            |key: &&ObjectKey| live.get(key).is_some_and(|object| tracking::is_tracked(&name, key, &object.value()));
        let keys: Vec<&ObjectKey> = inventory.iter().filter(|key| !wanted.contains(key)).filter(is_owned).collect();
        if keys.is_empty() {
            return found;
        }
        let mut asked = BTreeSet::from([self.from.clone()]);
        let mut due: Vec<(ObjectKey, ApplicationSpec)> = new_applications(self.documents);
        match self.revision {
            Some(_) => {
                let all = live.list(kinds::APPLICATION, "");
                due.extend(all.filter_map(|object| spec_of(object).map(|spec| (object.key.clone(), spec))));
            }
            None => {
                let behind: BTreeSet<ObjectKey> =
                    self.upstreams().iter().flat_map(|upstream| upstream.behind()).collect();
                let up_to_date = |owner: &str| !behind.iter().any(|key| tracking::name_of(key) == owner);
                for key in &keys {
                    let others = self.shared.hub.others(key, &name);
                    if let Some(owner) = others.iter().find(|owner| up_to_date(owner)) {
                        found.insert((*key).clone(), owner.to_string());
                    }
                }
                due.extend(behind.into_iter().filter_map(|key| Some((key.clone(), spec_of(live.get(&key)?)?))));
            }
        }
        while let Some((application, spec)) = due.pop() {
            if !asked.insert(application.clone()) {
                continue;
            }
            let Some(desired) = self.read(&application, &spec) else { continue };
            let declared: BTreeSet<&ObjectKey> = desired.rendered.documents.iter().map(|d| &d.key).collect();
            for key in keys.iter().filter(|key| declared.contains(**key)) {
                found.entry((*key).clone()).or_insert_with(|| tracking::name_of(&application));
            }
            due.extend(new_applications(&desired.rendered.documents));
        }
        found
    }

    fn upstreams(&self) -> Vec<Arc<Upstream>> {
        let locations =
            self.spec.all_sources().iter().filter_map(|source| source.repo_url.parse::<RepoLocation>().ok());
        locations.map(|location| self.shared.upstream(&location)).collect()
    }

    /// Whether another Application is at the same commit of the same repository, whatever it calls that.
    fn follows_same(&self, other: &ApplicationSpec) -> bool {
        let place = |spec: &ApplicationSpec| {
            let source = spec.all_sources().first()?;
            let location = source.repo_url.parse::<RepoLocation>().ok()?;
            let upstream = self.shared.upstream(&location);
            let tip = upstream.opened().ok()?.scout().tip(source.target_revision.trim()).ok()?;
            Some((location.identity(), tip))
        };
        place(self.spec).is_some_and(|own| place(other) == Some(own))
    }

    /// What an Application declares; `None` when that cannot be found out.
    fn read(&self, application: &ObjectKey, spec: &ApplicationSpec) -> Option<Desired> {
        let settings = settings(spec).ok()?;
        let at = match self.revision.filter(|revision| !revision.is_empty() && self.follows_same(spec)) {
            Some(revision) => At::Named(vec![revision.to_owned()]),
            None => At::Tips { unless: None },
        };
        let sources = desired::apart(self.shared, application, &settings);
        let mut desired = desired::read(&sources, &settings, &self.shared.tools, &at).ok()?;
        desired.resolve(self.shared.registry.snapshot().kinds());
        Some(desired)
    }
}

fn spec_of(object: &Arc<crate::object::Object>) -> Option<ApplicationSpec> {
    Some(object.decode::<Application>().ok()?.spec)
}

fn new_applications(documents: &[Document]) -> Vec<(ObjectKey, ApplicationSpec)> {
    let applications = documents.iter().filter(|document| document.key.kind == kinds::APPLICATION);
    let read = |document: &Document| {
        let spec = serde_json::from_value(document.object()["spec"].clone()).ok()?;
        Some((document.key.clone(), spec))
    };
    applications.filter_map(read).collect()
}
