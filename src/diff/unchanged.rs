//! Sees that an apply would change nothing without carrying it out: after a start, or for a plan, that is what nearly
//! every object of a repository comes to. Says so only where it is plain; what needs thought is left to `apply`.

use serde_json::{Map, Value};

use super::schema::{self, Field, Type};
use super::structure::{self, Parts, entry_field, identify, parts};
use crate::object::custom::Described;

/// Whether `live` has every value of `config`, and `manager` owns by earlier applies the very fields that it sets: then
/// applying it as that manager, forced or not, leaves the object as it is.
pub fn is_applied<'a>(kind: impl Into<Described<'a>>, live: &Value, config: &Value, manager: &str) -> bool {
    let kind = kind.into();
    let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut own = entries.filter(|entry| {
        entry["manager"] == manager && entry["operation"] == "Apply" && entry.get("subresource").is_none()
    });
    let (Some(entry), None) = (own.next(), own.next()) else { return false };
    let is_same_version = entry["apiVersion"] == kind.api_version().as_str()
        && config["apiVersion"] == entry["apiVersion"]
        && config["kind"] == kind.kind;
    let Some(owned) = entry["fieldsV1"].as_object().filter(|_| is_same_version) else { return false };
    let metadata = &config["metadata"];
    // What says which object it is, nobody owns.
    let is_of_it = ["name", "namespace"].iter().all(|name| metadata[name] == live["metadata"][name]);
    let root = structure::root(schema::of(kind));
    is_of_it && Depth::Object.is_same(&root, live, config, owned)
}

/// Where in the object a field is, as far as it matters to who owns it.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Object,
    Metadata,
    Below,
}

impl Depth {
    fn of(self, name: &str) -> Self {
        if self == Self::Object && name == "metadata" { Self::Metadata } else { Self::Below }
    }

    /// Whether nobody owns the field.
    fn is_unowned(self, name: &str) -> bool {
        match self {
            Self::Object => matches!(name, "apiVersion" | "kind"),
            Self::Metadata => matches!(name, "name" | "namespace"),
            Self::Below => false,
        }
    }

    fn is_same(self, field: &Field<'_>, live: &Value, config: &Value, owned: &Map<String, Value>) -> bool {
        match parts(field, Some(config)) {
            Parts::Fields(config) if !config.is_empty() => self.has_fields(field, live, config, owned),
            Parts::Entries(config) if !config.is_empty() => has_entries(field, live, config, owned),
            _ => owned.is_empty() && !config.is_null() && live == config,
        }
    }

    fn has_fields(
        self,
        field: &Field<'_>,
        live: &Value,
        config: &Map<String, Value>,
        owned: &Map<String, Value>,
    ) -> bool {
        let mut count = 0;
        for (name, value) in config.iter().filter(|(name, _)| !self.is_unowned(name)) {
            let below = field.inner.field(name);
            let node = owned.get(&format!("f:{name}")).and_then(Value::as_object);
            let (Some(node), Some(live)) = (node, live.get(name)) else { return false };
            // Of objects that no schema knows, both the whole and its parts are owned.
            let is_deduced = matches!(below.inner, Type::Deduced) && value.is_object();
            if is_deduced || node.contains_key(".") || !self.of(name).is_same(&below, live, value, node) {
                return false;
            }
            count += 1;
        }
        count == owned.keys().filter(|name| *name != ".").count()
    }
}

fn has_entries(field: &Field<'_>, live: &Value, config: &[Value], owned: &Map<String, Value>) -> bool {
    let Some(live) = live.as_array() else { return false };
    let below = entry_field(field);
    // Entries are only ever appended: those of the configuration stand in its order, maybe with others between them.
    let mut rest = live.iter();
    for entry in config {
        let element = identify(field, entry);
        let Some(node) = owned.get(&element.to_wire()).and_then(Value::as_object) else { return false };
        if live.iter().filter(|other| identify(field, other) == element).count() != 1 {
            return false;
        }
        let Some(found) = rest.find(|other| identify(field, other) == element) else { return false };
        let is_member = node.is_empty() || node.contains_key(".");
        let is_same = match parts(&below, Some(entry)) {
            Parts::Fields(config) => Depth::Below.has_fields(&below, found, config, node),
            Parts::Entries(_) => false,
            Parts::None => node.keys().all(|name| name == ".") && found == entry,
        };
        if !is_member || !is_same {
            return false;
        }
    }
    config.len() == owned.keys().filter(|name| *name != ".").count()
}

/// `object` without the times at which its managers wrote.
#[cfg(test)]
pub fn without_times(object: &Value) -> Value {
    let mut object = object.clone();
    for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
        entry.as_object_mut().map(|entry| entry.remove("time"));
    }
    object
}
