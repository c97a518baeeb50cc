//! The revisions of StatefulSets and DaemonSets: a ControllerRevision for each pod template that a workload has had.
//! Which of them stands for the present template, how it is numbered and named, and which are no longer kept.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::claims::{Claim, Claimant};
use super::engine::Failure;
use super::names;
use crate::cluster::registry::{DeleteOptions, Patch, Preconditions, Target, Transaction, WriteOptions};
use crate::cluster::store::Snapshot;
use crate::object::meta::string_map;
use crate::object::{Object, ObjectKey, kinds};

/// Names of revisions have at most the length of a DNS subdomain, with the hash at their end.
const LONGEST_OWNER: usize = 223;

/// One ControllerRevision of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    pub name: String,
    pub number: i64,
    /// The value of the label that holds its hash.
    pub hash: String,
    /// The patch that takes a workload back to it.
    pub data: Value,
    created: Option<jiff::Timestamp>,
    uid: String,
}

impl Revision {
    fn of(object: &Object, label: &str) -> Self {
        let value = object.value();
        Self {
            name: object.key.name.clone(),
            number: value["revision"].as_i64().unwrap_or(0),
            hash: object.meta.labels.get(label).cloned().unwrap_or_default(),
            data: value["data"].clone(),
            created: object.meta.created,
            uid: object.meta.uid.clone(),
        }
    }

    /// The pod template that it stands for.
    pub fn template(&self) -> Value {
        let mut template = self.data["spec"]["template"].clone();
        if let Some(members) = template.as_object_mut() {
            members.remove("$patch");
        }
        template
    }
}

/// The revisions that a workload controls, oldest first; those that match and nobody controls become its own.
/// `label` holds the hash of each.
pub fn claim(
    transaction: &mut Transaction,
    snapshot: &Snapshot,
    claimant: &Claimant<'_>,
    label: &str,
) -> Result<Vec<Revision>, Failure> {
    let mut revisions = Vec::new();
    for object in claimant.candidates(snapshot, kinds::CONTROLLER_REVISION) {
        match claimant.claim(object) {
            Claim::Ignore => continue,
            Claim::Release => {
                claimant.release(transaction, object)?;
                continue;
            }
            Claim::Adopt => claimant.adopt(transaction, object)?,
            Claim::Keep => {}
        }
        revisions.push(Revision::of(object, label));
    }
    revisions.sort_by(by_number);
    Ok(revisions)
}

fn by_number(a: &Revision, b: &Revision) -> Ordering {
    (a.number, a.created, &a.name).cmp(&(b.number, b.created, &b.name))
}

/// Makes the present template's revision the newest one, and gives its index. A template that was there before
/// (a rollback) is renumbered; one that is new gets a revision, under another hash each time that somebody else's
/// revision has the name: `collisions` counts them.
pub fn advance(
    transaction: &mut Transaction,
    claimant: &Claimant<'_>,
    label: &str,
    revisions: &mut Vec<Revision>,
    collisions: &mut Option<i32>,
) -> Result<usize, Failure> {
    let owner = claimant.owner.value();
    let data = data(&owner);
    let (known, number) = find(revisions, &data);
    if let Some(index) = known {
        if revisions[index].number < number {
            let target = target(claimant.owner, &revisions[index].name);
            let patch = Patch::Merge(json!({"revision": number, "metadata": {"uid": revisions[index].uid}}));
            transaction.patch(&target, patch, WriteOptions::default())?;
            revisions[index].number = number;
        }
        return Ok(index);
    }
    let mut hash = hash(&data, *collisions);
    let mut name = name(&claimant.owner.key.name, &hash);
    while transaction.current(&target(claimant.owner, &name).key).is_some() {
        *collisions = Some(collisions.unwrap_or(0).saturating_add(1));
        hash = self::hash(&data, *collisions);
        name = self::name(&claimant.owner.key.name, &hash);
    }
    let mut labels = string_map(&owner["spec"]["template"]["metadata"]["labels"]);
    labels.insert(label.to_owned(), hash.clone());
    let mut metadata = json!({"name": name, "labels": labels, "ownerReferences": [claimant.reference()]});
    if !owner["metadata"]["annotations"].is_null() {
        metadata["annotations"] = owner["metadata"]["annotations"].clone();
    }
    let object = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "data": data,
        "revision": number});
    let namespace = claimant.owner.key.namespace.as_str();
    transaction.create(kinds::CONTROLLER_REVISION, namespace, object, WriteOptions::default())?;
    let stored = transaction.current(&target(claimant.owner, &name).key).unwrap_or_default();
    let uid = stored["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    revisions.push(Revision { name, number, hash, data, created: None, uid });
    Ok(revisions.len() - 1)
}

/// The newest revision of this data, and the number that it must have to be the newest of all.
fn find(revisions: &[Revision], data: &Value) -> (Option<usize>, i64) {
    let known = revisions.iter().rposition(|r| r.data == *data);
    let others = revisions.iter().enumerate().filter(|(index, _)| Some(*index) != known);
    (known, others.map(|(_, r)| r.number).max().unwrap_or(0) + 1)
}

/// Which old revisions stay although they are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Those in use do not count: a StatefulSet's.
    Unused,
    /// All old ones count, and those in use stay all the same: a DaemonSet's.
    Old,
}

/// The revisions that go so that at most `limit` stay, oldest first; `current` and those in use are none of them.
pub fn superseded<'a>(
    revisions: &'a [Revision],
    current: &BTreeSet<&str>,
    used: &BTreeSet<&str>,
    limit: usize,
    counting: Counting,
) -> Vec<&'a Revision> {
    let in_use = |r: &Revision| used.contains(r.name.as_str()) || used.contains(r.hash.as_str());
    let old = revisions.iter().filter(|r| !current.contains(r.name.as_str()));
    let old: Vec<&Revision> = old.filter(|r| counting == Counting::Old || !in_use(r)).collect();
    let surplus = old.len().saturating_sub(limit);
    let mut going: Vec<&Revision> = old.into_iter().filter(|r| !in_use(r)).collect();
    going.sort_by(|a, b| by_number(a, b));
    going.truncate(surplus);
    going
}

pub fn remove(transaction: &mut Transaction, owner: &Object, revisions: &[&Revision]) -> Result<(), Failure> {
    for revision in revisions {
        let preconditions = Preconditions { uid: Some(revision.uid.clone()), revision: None };
        let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
        transaction.delete(&target(owner, &revision.name).key, &options)?;
    }
    Ok(())
}

fn target(owner: &Object, name: &str) -> Target {
    Target::from(ObjectKey::new(kinds::CONTROLLER_REVISION, &*owner.key.namespace, name))
}

/// What a revision keeps of a workload: a strategic merge patch that replaces the whole pod template.
fn data(owner: &Value) -> Value {
    let mut template = owner["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    json!({"spec": {"template": template}})
}

fn name(owner: &str, hash: &str) -> String {
    let owner = owner.char_indices().nth(LONGEST_OWNER).map_or(owner, |(end, _)| &owner[..end]);
    format!("{owner}-{hash}")
}

/// FNV-1 of 32 bits over the data as Kubernetes writes it, and over the decimal digits of the collisions so far.
fn hash(data: &Value, collisions: Option<i32>) -> String {
    let mut text = String::new();
    write_json(data, &mut text);
    if let Some(collisions) = collisions {
        text.push_str(&collisions.to_string());
    }
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte));
    names::encode(hash)
}

/// JSON as Go writes a map: members ordered by name, and `<`, `>`, `&` and the line separators of JavaScript escaped.
fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => write_members(members, out),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                write_json(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::String(text) => write_text(text, out),
        plain => out.push_str(&plain.to_string()),
    }
}

fn write_members(members: &Map<String, Value>, out: &mut String) {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| name.as_str());
    for (index, (name, member)) in members.iter().enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        write_text(name, out);
        out.push(':');
        write_json(member, out);
    }
    out.push_str(if members.is_empty() { "{}" } else { "}" });
}

fn write_text(text: &str, out: &mut String) {
    for letter in Value::from(text).to_string().chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(name: &str, number: i64, image: &str) -> Revision {
        let data = data(&json!({"spec": {"template": {"spec": {"containers": [{"image": image}]}}}}));
        let text = || name.to_owned();
        Revision { name: text(), number, hash: text(), data, created: None, uid: text() }
    }

    #[test]
    fn a_template_that_was_there_before_becomes_the_newest_again() {
        let all = [revision("a", 1, "1"), revision("b", 2, "2"), revision("c", 3, "3")];
        for (image, want) in [("3", (Some(2), 3)), ("1", (Some(0), 4)), ("4", (None, 4))] {
            assert_eq!(find(&all, &revision("x", 0, image).data), want, "image {image}");
        }
        assert_eq!(find(&[], &all[0].data), (None, 1));
    }

    #[test]
    fn the_oldest_go_first_and_those_in_use_stay() {
        let all = [revision("a", 1, "1"), revision("b", 2, "2"), revision("c", 3, "3"), revision("d", 4, "4")];
        let names = |used: &[&str], limit, counting| {
            let (current, used) = (BTreeSet::from(["d"]), used.iter().copied().collect());
            let going = superseded(&all, &current, &used, limit, counting);
            going.iter().map(|r| r.name.clone()).collect::<Vec<_>>()
        };
        for (used, limit, counting, want) in [
            (&[][..], 3, Counting::Unused, &[][..]),
            (&[], 1, Counting::Unused, &["a", "b"]),
            (&["a"], 1, Counting::Unused, &["b"]),
            (&["a"], 2, Counting::Unused, &[]),
            (&["a"], 2, Counting::Old, &["b"]),
            (&["a", "b", "c"], 0, Counting::Old, &[]),
        ] {
            assert_eq!(names(used, limit, counting), want, "{used:?} {limit} {counting:?}");
        }
    }

    #[test]
    fn data_is_written_as_go_writes_it() {
        let mut text = String::new();
        write_json(&json!({"b": [1, "<a>&\"\u{2028}", {}], "a": {"y": null, "x": [true, []]}}), &mut text);
        let want = "{\"a\":{\"x\":[true,[]],\"y\":null},\"b\":[1,\"\\u003ca\\u003e\\u0026\\\"\\u2028\",{}]}";
        assert_eq!(text, want);
    }

    #[test]
    fn the_hash_is_fnv_1_with_the_collisions_at_its_end() {
        // FNV-1 of "a" is 0x050c5d7e = 84696446; FNV-1a of it would be 0xe40c292c.
        let text = |text: &str| text.bytes().fold(0x811c_9dc5_u32, |h, b| h.wrapping_mul(0x0100_0193) ^ u32::from(b));
        assert_eq!(text("a"), 84_696_446);
        assert_eq!(hash(&json!({}), None), names::encode(text("{}")));
        assert_eq!(hash(&json!({}), Some(0)), names::encode(text("{}0")));
        assert_ne!(hash(&json!({}), Some(1)), hash(&json!({}), Some(0)));
    }

    #[test]
    fn a_long_name_is_cut_before_the_hash() {
        assert_eq!(name("web", "7f"), "web-7f");
        assert_eq!(name(&"x".repeat(250), "7f").len(), LONGEST_OWNER + 3);
    }
}
