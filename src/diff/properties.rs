//! Laws that merging, owning and comparing keep for any objects, and that nothing a client sends makes them panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::apply::{Applier, apply};
use super::fields::FieldSet;
use super::plan::{Action, Plan, PlanStep};
use super::{changes, health, jsonpatch, managed, render, schema, strategic, structure, unchanged};
use crate::object::Kind;
use crate::object::kinds;

const NOW: &str = "2026-11-21T08:00:00Z";

fn by(manager: &str) -> Applier<'_> {
    Applier { manager, force: false, subresource: None, now: NOW }
}

/// Names that mean something to some kind or to a patch, so that random documents get past the first step.
fn known_name() -> impl Strategy<Value = String> {
    let names: &'static [&'static str] = &[
        "metadata",
        "spec",
        "status",
        "template",
        "containers",
        "name",
        "image",
        "env",
        "ports",
        "containerPort",
        "protocol",
        "volumes",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "uid",
        "managedFields",
        "data",
        "selector",
        "resources",
        "limits",
        "cpu",
        "manager",
        "operation",
        "apiVersion",
        "fieldsType",
        "fieldsV1",
        "f:data",
        "f:spec",
        ".",
        "k:{\"name\":\"c\"}",
        "v:1",
        "i:1",
        "k:",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$setElementOrder/finalizers",
        "$deleteFromPrimitiveList/finalizers",
        "op",
        "path",
        "from",
        "value",
        "time",
    ];
    prop_oneof![8 => prop::sample::select(names).prop_map(str::to_owned), 1 => "[a-z$./\"]{0,6}"]
}

fn scalar() -> impl Strategy<Value = Value> {
    let words: &'static [&'static str] = &[
        "Apply", "Update", "v1", "apps/v1", "FieldsV1", "delete", "replace", "merge", "c", "/spec", "add", "remove",
        "copy", "test", "move", "TCP", "1000m", "",
    ];
    prop_oneof![
        4 => prop::sample::select(words).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => ".{0,8}".prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(7, 96, 6, |inner| {
        prop_oneof![
            3 => prop::collection::vec((known_name(), inner.clone()), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

/// An object with random content below its usual top.
fn object() -> impl Strategy<Value = Value> {
    (document(), document(), document(), document()).prop_map(|(metadata, spec, data, managed)| {
        let mut metadata = if metadata.is_object() { metadata } else { json!({}) };
        metadata["managedFields"] = managed;
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "data": data,
            "spec": {"template": {"spec": spec}}})
    })
}

fn names() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-e]", "[x-z]", 0..4)
}

/// A configuration as a person writes it: containers with env, labels, finalizers.
fn deployment() -> impl Strategy<Value = Value> {
    let container = (names(), prop::option::of("[x-z]"));
    let containers = prop::collection::btree_map("[a-d]", container, 0..4).prop_shuffle_entries();
    (names(), prop::option::of(0..9), containers, prop::collection::btree_set("[a-d]", 0..3)).prop_map(
        |(labels, replicas, containers, finalizers)| {
            let containers: Vec<Value> = containers
                .into_iter()
                .map(|(name, (env, image))| {
                    let env: Vec<Value> = env.iter().map(|(k, v)| json!({"name": k, "value": v})).collect();
                    let mut container = json!({"name": name});
                    if !env.is_empty() {
                        container["env"] = env.into();
                    }
                    if let Some(image) = image {
                        container["image"] = image.into();
                    }
                    container
                })
                .collect();
            let mut spec = Map::new();
            spec.extend(replicas.map(|replicas| ("replicas".to_owned(), json!(replicas))));
            if !containers.is_empty() {
                spec.insert("template".into(), json!({"spec": {"containers": containers}}));
            }
            let mut metadata = json!({"name": "web", "namespace": "d"});
            if !labels.is_empty() {
                metadata["labels"] = json!(labels);
            }
            if !finalizers.is_empty() {
                metadata["finalizers"] = json!(finalizers);
            }
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
        },
    )
}

/// Gives the entries of a map in any order.
trait Shuffled<K, V> {
    fn prop_shuffle_entries(self) -> BoxedStrategy<Vec<(K, V)>>;
}

impl<K, V, S> Shuffled<K, V> for S
where
    K: Clone + std::fmt::Debug + 'static,
    V: Clone + std::fmt::Debug + 'static,
    S: Strategy<Value = BTreeMap<K, V>> + 'static,
{
    fn prop_shuffle_entries(self) -> BoxedStrategy<Vec<(K, V)>> {
        self.prop_flat_map(|map| Just(map.into_iter().collect::<Vec<_>>()).prop_shuffle()).boxed()
    }
}

fn fields(kind: &'static Kind, object: &Value) -> FieldSet {
    structure::fields_of(schema::of(kind.into()), object)
}

/// What `config` sets and `live` does not have.
fn missing(kind: &'static Kind, config: &Value, live: &Value) -> FieldSet {
    fields(kind, config).difference(&fields(kind, live).with_leading_fields())
}

/// Nothing but objects: the frame of an object, which is always there.
fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.values().all(is_hollow))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_twice_is_applying_once(config in deployment()) {
        let kind = kinds::DEPLOYMENT;
        let once = apply(kind, None, &config, &by("a")).unwrap();
        let twice = apply(kind, Some(&once), &config, &Applier { now: "later", ..by("a") }).unwrap();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn what_is_applied_is_there_and_owned(first in deployment(), second in deployment()) {
        let kind = kinds::DEPLOYMENT;
        let before = apply(kind, None, &first, &by("a")).unwrap();
        let after = apply(kind, Some(&before), &second, &by("a")).unwrap();
        let missing = missing(kind, &second, &after);
        prop_assert!(missing.is_empty(), "{:?}", missing.paths());
        // The only manager owns all that is left: what it no longer declares is gone.
        let mut left = changes::between(kind, Some(&second), Some(&after));
        left.retain(|change| !change.from.iter().chain(&change.to).all(is_hollow));
        prop_assert_eq!(left, vec![]);
    }

    #[test]
    fn nobody_loses_what_only_they_declare(ours in deployment(), theirs in deployment(), next in deployment()) {
        let kind = kinds::DEPLOYMENT;
        let live = apply(kind, None, &theirs, &by("b")).unwrap();
        let Ok(live) = apply(kind, Some(&live), &ours, &by("a")) else { return Ok(()) };
        let Ok(live) = apply(kind, Some(&live), &next, &by("a")) else { return Ok(()) };
        let lost = missing(kind, &theirs, &live);
        prop_assert!(lost.is_empty(), "{:?}", lost.paths());
        let untouched = apply(kind, Some(&live), &theirs, &by("b")).unwrap();
        // The order of shared entries is that of whoever applied last.
        let mut changed = changes::between(kind, Some(&live), Some(&untouched));
        changed.retain(|change| !change.path.ends_with(" (order)"));
        prop_assert_eq!(changed, vec![]);
    }

    #[test]
    fn force_always_wins(ours in deployment(), theirs in deployment()) {
        let kind = kinds::DEPLOYMENT;
        let live = apply(kind, None, &theirs, &by("b")).unwrap();
        let live = apply(kind, Some(&live), &ours, &Applier { force: true, ..by("a") }).unwrap();
        prop_assert!(apply(kind, Some(&live), &ours, &by("a")).is_ok());
        let missing = missing(kind, &ours, &live);
        prop_assert!(missing.is_empty(), "{:?}", missing.paths());
    }

    #[test]
    fn a_strategic_patch_of_plain_values_is_idempotent(current in deployment(), patch in deployment()) {
        let kind = kinds::DEPLOYMENT;
        let once = strategic::merge(kind, &current, &patch).unwrap();
        prop_assert_eq!(&strategic::merge(kind, &once, &patch).unwrap(), &once);
        prop_assert_eq!(&strategic::merge(kind, &current, &json!({})).unwrap(), &current);
        let missing = missing(kind, &patch, &once);
        prop_assert!(missing.is_empty(), "{:?}", missing.paths());
    }

    #[test]
    fn an_update_owns_what_it_changed_and_nothing_else(before in deployment(), after in deployment()) {
        let kind = kinds::DEPLOYMENT;
        let before = apply(kind, None, &before, &by("a")).unwrap();
        let mut written = after.clone();
        managed::record_update(kind, Some(&before), &mut written, "u", None, NOW);
        let owners = managed::Managed::of(kind.into(), &written);
        let theirs = owners.iter().filter(|(m, _)| m.name == "u").fold(FieldSet::default(), |all, (_, o)| all.union(&o.fields));
        let ours = owners.iter().filter(|(m, _)| m.name == "a").fold(FieldSet::default(), |all, (_, o)| all.union(&o.fields));
        let absent = theirs.union(&ours).difference(&fields(kind, &after).with_leading_fields());
        prop_assert!(absent.is_empty(), "{:?}", absent.paths());
        let change = structure::compare(schema::of(kind.into()), &before, &after);
        let wrong = theirs.difference(&change.added.union(&change.modified));
        prop_assert!(wrong.is_empty(), "{:?}", wrong.paths());
    }

    #[test]
    fn what_is_plainly_applied_stays_as_it_is_when_it_is_applied(
        a in deployment(), b in deployment(), c in deployment(), drift in deployment(), order in 0..4
    ) {
        let kind = kinds::DEPLOYMENT;
        let mut live = apply(kind, None, &a, &by("a")).unwrap();
        // A part that is there without anything in it is left to `apply`.
        let is_full = a["metadata"]["labels"].is_object() && a["spec"]["template"].is_object();
        prop_assert!(unchanged::is_applied(kind, &live, &a, "a") || !is_full);
        let others: &[(&str, &Value)] = match order {
            0 => &[],
            1 => &[("b", &b)],
            2 => &[("b", &b), ("a", &c)],
            _ => &[("b", &b), ("a", &a)],
        };
        for (manager, config) in others {
            live = apply(kind, Some(&live), config, &Applier { force: true, ..by(manager) }).unwrap();
        }
        if order == 3 {
            let mut written = jsonpatch::merge(&live, &json!({"spec": drift["spec"]})).unwrap();
            managed::record_update(kind, Some(&live), &mut written, "u", None, NOW);
            live = written;
        }
        for config in [&a, &b, &c, &drift] {
            for manager in ["a", "b"] {
                if unchanged::is_applied(kind, &live, config, manager) {
                    let again = apply(kind, Some(&live), config, &by(manager)).unwrap();
                    prop_assert_eq!(unchanged::without_times(&again), unchanged::without_times(&live));
                }
            }
        }
    }

    #[test]
    fn sets_keep_the_laws_of_sets(a in deployment(), b in deployment()) {
        let (a, b) = (fields(kinds::DEPLOYMENT, &a), fields(kinds::DEPLOYMENT, &b));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert!(a.intersection(&b).difference(&b).is_empty());
        prop_assert_eq!(FieldSet::from_json(&a.to_json()).unwrap(), a);
    }

    #[test]
    fn an_object_does_not_differ_from_itself(a in deployment(), b in deployment()) {
        let kind = kinds::DEPLOYMENT;
        prop_assert_eq!(changes::between(kind, Some(&a), Some(&a)), vec![]);
        let (there, back) = (changes::between(kind, Some(&a), Some(&b)), changes::between(kind, Some(&b), Some(&a)));
        prop_assert_eq!(there.len(), back.len());
    }

    #[test]
    fn nothing_that_a_client_sends_makes_a_panic(live in object(), sent in object(), patch in document()) {
        for kind in [kinds::DEPLOYMENT, kinds::CONFIG_MAP, kinds::SECRET, kinds::POD, kinds::APPLICATION] {
            let _ = strategic::merge(kind, &live, &patch);
            let _ = strategic::merge(kind, &live, &sent);
            let _ = apply(kind, Some(&live), &sent, &by("kubectl"));
            let _ = apply(kind, Some(&live), &patch, &Applier { subresource: Some("status"), ..by("") });
            let mut after = sent.clone();
            managed::record_update(kind, Some(&live), &mut after, "u", None, NOW);
            managed::record_update(kind, None, &mut patch.clone(), "u", Some("status"), NOW);
            let _ = health::health(kind, &live);
            let changes = changes::between(kind, Some(&live), Some(&patch));
            let step = PlanStep { action: Action::Update, api_version: String::new(), kind: String::new(),
                namespace: String::new(), name: String::new(), source: String::new(), changes };
            let plan = Plan { steps: vec![step], ..Plan::default() }.sealed();
            let _ = (render::text(&plan, render::Style::default()), render::markdown(&plan));
        }
        let _ = jsonpatch::apply(&live, &patch);
        let _ = jsonpatch::apply(&live, &json!([patch.clone(), sent.clone()]));
        let _ = jsonpatch::merge(&live, &patch);
    }
}
