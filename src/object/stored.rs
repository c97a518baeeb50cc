//! An object as it is kept and served: its JSON bytes, written once, and what was decoded from them.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::key::{ObjectKey, Revision};
use super::kinds::Kind;
use super::meta::Meta;
use super::partial;

const TYPE_META: [&str; 2] = ["apiVersion", "kind"];

/// One state of an object. Immutable; shared by everybody who reads it.
pub struct Object {
    pub key: ObjectKey,
    pub meta: Meta,
    json: Bytes,
    typed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Object {
    /// Reads an object back from the bytes that a store kept.
    ///
    /// # Errors
    /// When the bytes are not JSON.
    pub fn from_json(kind: &'static Kind, json: Bytes) -> Result<Self, serde_json::Error> {
        let value: Value = serde_json::from_slice(&json)?;
        Ok(Self { key: key_of(kind, &value), meta: Meta::of(&value), json, typed: OnceLock::new() })
    }

    /// The object as it goes over the wire, with `apiVersion`, `kind` and `resourceVersion`.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The wire form from after what the object is, `{"apiVersion":…,"kind":…,`, on: in a list, the list says it. `None`
    /// when the bytes do not begin so.
    pub fn json_of_item(&self) -> Option<&[u8]> {
        let of = self.key.kind;
        let slash = if of.group.is_empty() { "" } else { "/" };
        let head = ["{\"apiVersion\":\"", of.group, slash, of.version, "\",\"kind\":\"", of.kind, "\","];
        head.into_iter().try_fold(&*self.json, |rest, part| rest.strip_prefix(part.as_bytes()))
    }

    /// The object as a JSON value; decoded at each call, so keep it.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }

    /// As [`Object::value`], without what the paths name (each the names of members, from the outermost in): it is skipped.
    pub fn value_without(&self, paths: &[&[&str]]) -> Value {
        partial::read(&self.json, paths).unwrap_or_default()
    }

    /// The object as its typed kind, decoded at the first call and shared by all later ones.
    ///
    /// # Errors
    /// When the JSON does not decode as `T`, which the registry rules out for the kind's own type.
    pub fn typed<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, serde_json::Error> {
        if let Some(known) = self.typed.get().and_then(|any| any.clone().downcast::<T>().ok()) {
            return Ok(known);
        }
        let decoded = Arc::new(serde_json::from_slice::<T>(&self.json)?);
        let _ = self.typed.set(decoded.clone());
        Ok(decoded)
    }

    /// The object, or a part of it, as `T`; decoded at each call and kept by nobody but the caller: for what is large and
    /// rarely asked for.
    ///
    /// # Errors
    /// When the JSON does not decode as `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.json)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.key, self.meta.revision)
    }
}

/// An object that is ready to be stored but for its resource version, which only the commit knows.
///
/// It is serialised here, with a gap where the resource version goes.
#[derive(Clone, Debug)]
pub struct Draft {
    pub key: ObjectKey,
    pub meta: Meta,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Draft {
    /// Serialises `object`; any `metadata.resourceVersion` in it is ignored.
    pub fn new(kind: &'static Kind, object: &Value) -> Self {
        let mut before = Vec::with_capacity(1024);
        let mut after = Vec::new();
        let members = object.as_object().into_iter().flatten();
        before.push(b'{');
        // What the object is comes first, so that it is easily left out.
        for name in TYPE_META {
            if let Some(value) = object.get(name) {
                write_member(&mut before, name, value);
            }
        }
        for (name, value) in members.filter(|(name, _)| *name != "metadata" && !TYPE_META.contains(&name.as_str())) {
            write_member(&mut before, name, value);
        }
        write_name(&mut before, "metadata");
        before.push(b'{');
        let metadata = object["metadata"].as_object().into_iter().flatten();
        for (name, value) in metadata.filter(|(name, _)| *name != "resourceVersion") {
            write_member(&mut before, name, value);
        }
        write_name(&mut before, "resourceVersion");
        before.push(b'"');
        after.extend_from_slice(b"\"}}");
        let mut meta = Meta::of(object);
        meta.revision = Revision::default();
        Self { key: key_of(kind, object), meta, before, after }
    }

    /// The object at its revision.
    pub fn seal(self, revision: Revision) -> Object {
        let mut json = self.before;
        json.extend_from_slice(revision.to_string().as_bytes());
        json.extend_from_slice(&self.after);
        json.shrink_to_fit();
        let meta = Meta { revision, ..self.meta };
        Object { key: self.key, meta, json: Bytes::from(json), typed: OnceLock::new() }
    }
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    write_json(out, name);
    out.push(b':');
}

fn write_member(out: &mut Vec<u8>, name: &str, value: &Value) {
    write_name(out, name);
    write_json(out, value);
}

fn write_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing a string or a `Value` into memory has no way to fail: no I/O and only string keys.
    let _ = serde_json::to_writer(out, value);
}

fn key_of(kind: &'static Kind, object: &Value) -> ObjectKey {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    ObjectKey::new(kind, text("namespace"), text("name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    #[test]
    fn a_sealed_draft_carries_the_revision_and_nothing_else_changes() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "\"}"},
            "metadata": {"name": "a", "namespace": "d", "resourceVersion": "7", "uid": "u"}});
        let sealed = Draft::new(kinds::CONFIG_MAP, &object).seal(Revision(42));
        let mut want = object.clone();
        want["metadata"]["resourceVersion"] = json!("42");
        assert_eq!(sealed.value(), want);
        let item = br#""data":{"k":"\"}"},"metadata":{"name":"a","namespace":"d","uid":"u","resourceVersion":"42"}}"#;
        assert_eq!(sealed.json_of_item(), Some(&item[..]));
        assert_eq!(sealed.meta.revision, Revision(42));
        assert_eq!(sealed.key, ObjectKey::new(kinds::CONFIG_MAP, "d", "a"));
    }

    #[test]
    fn an_object_without_metadata_still_becomes_json() {
        let sealed = Draft::new(kinds::NODE, &json!({})).seal(Revision(1));
        assert_eq!(sealed.value(), json!({"metadata": {"resourceVersion": "1"}}));
    }
}
