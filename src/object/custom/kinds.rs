//! The kinds that a state of the cluster serves: the rows of the table and those that its definitions add.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::definition::{Definition, Version};
use super::rows::TooManyKinds;
use crate::object::kinds::{self, Kind};
use crate::object::{Draft, Object, ObjectKey, views};

/// A copy costs a reference count.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// By group and plural.
    custom: Arc<BTreeMap<(String, String), Arc<Definition>>>,
}

/// A kind, with what is known of its fields where it is a custom one.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    pub row: &'static Kind,
    pub definition: Option<(&'a Definition, &'a Version)>,
}

impl From<&'static Kind> for Described<'_> {
    fn from(kind: &'static Kind) -> Self {
        Self { row: kind, definition: None }
    }
}

/// It is its kind, wherever no more than the row is asked for.
impl Deref for Described<'_> {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        self.row
    }
}

impl<'a> Described<'a> {
    pub fn version(&self) -> Option<&'a Version> {
        self.definition.map(|(_, version)| version)
    }

    /// Whether objects of this kind are served under this `apiVersion`.
    pub fn serves(&self, api_version: &str) -> bool {
        let custom = || self.definition.into_iter().flat_map(|(definition, _)| definition.served());
        api_version == self.api_version()
            || kinds::by_manifest(api_version, self.kind).is_some()
            || custom().any(|version| version.kind.api_version() == api_version)
    }
}

impl Kinds {
    /// Takes in a state of a definition: its kinds are served from when its names are established.
    ///
    /// # Errors
    /// When the process has no room for more kinds.
    pub fn put(&mut self, crd: &Value) -> Result<(), TooManyKinds> {
        match is_established(crd) {
            true => self.declare(crd),
            false => {
                self.remove(crd["metadata"]["name"].as_str().unwrap_or_default());
                Ok(())
            }
        }
    }

    /// Takes in a definition as if its names were established: one that a manifest declares.
    ///
    /// # Errors
    /// When the process has no room for more kinds.
    pub fn declare(&mut self, crd: &Value) -> Result<(), TooManyKinds> {
        let Some(definition) = Definition::read(crd)? else { return Ok(()) };
        let row = definition.storage().kind;
        Arc::make_mut(&mut self.custom).insert((row.group.into(), row.plural.into()), Arc::new(definition));
        Ok(())
    }

    /// Forgets the definition of this name.
    pub fn remove(&mut self, name: &str) {
        if self.custom.values().any(|definition| definition.name == name) {
            Arc::make_mut(&mut self.custom).retain(|_, definition| definition.name != name);
        }
    }

    /// All kinds, custom ones once for each version that is served, in the order of discovery.
    pub fn all(&self) -> impl Iterator<Item = &'static Kind> + '_ {
        let custom = self.custom.values().flat_map(|definition| definition.served().map(|version| version.kind));
        kinds::all().iter().chain(views::all().map(|view| &view.kind)).chain(custom)
    }

    /// All kinds, custom ones once: those whose objects a store can hold.
    pub fn stored(&self) -> impl Iterator<Item = &'static Kind> + '_ {
        kinds::all().iter().chain(self.definitions().map(|definition| definition.storage().kind))
    }

    pub fn definitions(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.custom.values()
    }

    /// The kind served at `/apis/GROUP/VERSION/PLURAL`.
    pub fn by_plural(&self, group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
        let custom = || self.of_resource(group, plural)?.served().find(|v| v.kind.version == version);
        let view = || {
            views::all()
                .map(|view| &view.kind)
                .find(|row| (row.group, row.version, row.plural) == (group, version, plural))
        };
        kinds::by_plural(group, version, plural).or_else(view).or_else(|| Some(custom()?.kind))
    }

    /// The kind of a group and plural, in the version that is stored.
    pub fn by_resource(&self, group: &str, plural: &str) -> Option<&'static Kind> {
        kinds::by_resource(group, plural).or_else(|| Some(self.of_resource(group, plural)?.storage().kind))
    }

    /// The kind of a manifest's `apiVersion` and `kind`.
    pub fn by_manifest(&self, api_version: &str, kind: &str) -> Option<&'static Kind> {
        let (group, version) = kinds::split_api_version(api_version);
        let named = |v: &&Version| v.kind.version == version && v.kind.kind == kind;
        let custom = || self.in_group(group).flat_map(|definition| definition.served()).find(named);
        kinds::by_manifest(api_version, kind).or_else(|| Some(custom()?.kind))
    }

    /// The definition of a custom kind; `None` of the table's kinds.
    pub fn definition(&self, kind: &'static Kind) -> Option<&Arc<Definition>> {
        if kind.is_built_in() {
            return None;
        }
        self.of_resource(kind.group, kind.plural)
    }

    /// The kind with what is known of its fields.
    pub fn describe(&self, kind: &'static Kind) -> Described<'_> {
        let version = |definition: &'_ Arc<Definition>| -> Option<usize> {
            definition.versions.iter().position(|version| version.kind.version == kind.version)
        };
        let definition = self.definition(kind);
        let definition = definition.and_then(|d| Some((d.as_ref(), &d.versions[version(d)?])));
        Described { row: kind, definition }
    }

    fn of_resource(&self, group: &str, plural: &str) -> Option<&Arc<Definition>> {
        if self.custom.is_empty() {
            return None;
        }
        self.custom.get(&(group.to_owned(), plural.to_owned()))
    }

    fn in_group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Arc<Definition>> {
        let from = (group.to_owned(), String::new());
        self.custom.range(from..).take_while(move |((g, _), _)| g == group).map(|(_, definition)| definition)
    }

    /// An object as clients of `kind`, a version of its kind, see it. Objects are kept in one version and as the schema
    /// was when they were written; only those whose version or schema is another now have to be made anew.
    pub fn seen_as(&self, kind: &'static Kind, object: &Arc<Object>) -> Arc<Object> {
        if let Some(view) = views::of(kind).filter(|_| views::of(object.key.kind).is_none()) {
            let mut value = object.value();
            view.show(&mut value);
            return Arc::new(Draft::new(kind, &value).seal(object.meta.revision));
        }
        let Some(definition) = self.definition(kind) else { return object.clone() };
        let current = object.key.kind.version == kind.version
            && definition.versions.len() == 1
            && definition.revision <= object.meta.revision;
        if current {
            return object.clone();
        }
        let mut value = object.value();
        self.convert(kind, &mut value);
        match Object::from_json(kind, Bytes::from(value.to_string())) {
            Ok(seen) => Arc::new(seen),
            Err(_) => object.clone(),
        }
    }

    /// Makes a stored object one of `kind`: its `apiVersion`, and what the version's schema drops and defaults.
    pub fn convert(&self, kind: &'static Kind, object: &mut Value) {
        let Some(version) = self.describe(kind).version() else { return };
        object["apiVersion"] = kind.api_version().into();
        version.prune(object);
        version.default(object);
    }

    /// The same key by the row in which objects are kept.
    pub fn stored_key(&self, key: &ObjectKey) -> ObjectKey {
        let kind = self.definition(key.kind).map_or(views::stored(key.kind), |definition| definition.storage().kind);
        ObjectKey { kind, ..key.clone() }
    }
}

/// The definition's names were accepted, and its objects are served.
pub fn is_established(crd: &Value) -> bool {
    let conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}
