//! The defaults against what a Kubernetes API server stored.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::*;
use crate::object::schema;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-api/defaults.json");
/// Fields that other parts of the registry give.
const NOT_OURS: &[&str] = &["uid", "resourceVersion", "creationTimestamp", "namespace", "generation", "name"];
/// Of the recorded cases, so many agree; the rest needs fields that Kubernetes 1.33 does not have.
const FLOOR: usize = 115;

fn defaulted(kind: &'static Kind, mut object: Value) -> Result<Value, ApiError> {
    schema::check(kind, &mut object)?;
    apply(kind, &mut object);
    create(kind, &mut object, Timestamp::UNIX_EPOCH)?;
    Ok(object)
}

fn comparable(mut object: Value, made_here: bool) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| !NOT_OURS.contains(&name.as_str()));
        for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
            owner["uid"] = json!("<uid>");
        }
    }
    for condition in object.get_mut("status").into_iter().flat_map(|status| items(status, "conditions")) {
        condition["lastTransitionTime"] = json!("<time>");
    }
    // Addresses and node ports are allocated elsewhere.
    if object["kind"] == "Service" && !made_here {
        let is_given = |value: &Value| value.as_str().is_none_or(|text| !text.starts_with('<'));
        let spec: Map<String, Value> = object["spec"].as_object().cloned().unwrap_or_default();
        object["spec"] = spec
            .into_iter()
            .filter(|(_, v)| is_given(v) && v.get(0).is_none_or(is_given))
            .collect::<Map<_, _>>()
            .into();
        for port in items(&mut object["spec"], "ports").filter_map(Value::as_object_mut) {
            port.retain(|_, value| is_given(value));
        }
    }
    if object["status"].is_null() {
        object.as_object_mut().map(|o| o.remove("status"));
    }
    object
}

#[test]
fn defaults_are_those_that_were_recorded() {
    let recorded: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    let (mut agree, mut differ) = (0, BTreeMap::new());
    for case in recorded.iter().filter(|case| case["stored"].is_object()) {
        let text = |name: &str| case["input"][name].as_str().unwrap_or_default();
        let Some(kind) = kinds::by_manifest(text("apiVersion"), text("kind")) else { continue };
        let got = defaulted(kind, case["input"].clone()).map(|object| comparable(object, true));
        let want = comparable(case["stored"].clone(), false);
        if got.as_ref().ok().is_some_and(|got| *got == want) {
            agree += 1;
        } else {
            differ.insert(case["name"].as_str().unwrap_or_default(), format!("want {want}\n got {got:?}"));
        }
        if let Ok(once) = defaulted(kind, case["input"].clone()) {
            let mut twice = once.clone();
            schema::check(kind, &mut twice).unwrap();
            apply(kind, &mut twice);
            assert_eq!(twice, once, "{}: not idempotent", case["name"]);
        }
    }
    println!("defaults.json agree {agree} of {}", agree + differ.len());
    if std::env::var_os("GOLDEN_SHOW").is_some() {
        differ.iter().for_each(|(name, why)| println!("{name}\n{why}"));
    }
    assert!(agree >= FLOOR, "only {agree} agree; not: {:?}", differ.keys());
}

#[test]
fn an_image_that_may_move_is_pulled_always() {
    let digest = "nginx@sha256:0000000000000000000000000000000000000000000000000000000000000000";
    for (image, want) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry:5000/team/nginx", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx:v1", "IfNotPresent"),
        (digest, "IfNotPresent"),
        ("", "IfNotPresent"),
    ] {
        assert_eq!(pod_spec::pull_policy(image), want, "{image}");
    }
}

#[test]
fn a_pod_of_an_unknown_class_is_forbidden() {
    let pod = |class: Value| json!({"metadata": {"name": "x"}, "spec": {"priorityClassName": class, "containers": []}});
    let refused = defaulted(kinds::POD, pod(json!("nope"))).unwrap_err();
    assert_eq!(refused.message, "pods \"x\" is forbidden: no PriorityClass with name nope was found");
    assert_eq!(defaulted(kinds::POD, pod(json!("system-node-critical"))).unwrap()["spec"]["priority"], 2_000_001_000);
}
