//! Every policy of `policies/` lets its passing example through and refuses its failing one.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use windlass::object::kinds;
use windlass::policy::{Effect, Operation, Policies, Request, Verdict};

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn policies(folder: &Path) -> Policies {
    let manifests = documents(&folder.join("policy.yaml"));
    let mut policies = Policies::default();
    for manifest in manifests.iter().filter(|m| Policies::understands(m["kind"].as_str().unwrap())) {
        let named = |kind: &str, name: &str| {
            manifests.iter().find(|m| m["kind"] == kind && m["metadata"]["name"] == name).cloned()
        };
        policies.add(manifest, named).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }
    policies
}

fn review(policies: &Policies, example: &Path) -> Vec<Verdict> {
    let objects = documents(example);
    let judge = |object: &Value| {
        let kind = kinds::by_manifest(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        policies.review(&Request {
            kind: kind.unwrap(),
            operation: Operation::Create,
            object: Some(object),
            old: None,
            namespace: None,
            user: "test",
            groups: &[],
        })
    };
    objects.iter().flat_map(judge).collect()
}

#[test]
fn every_policy_tells_its_examples_apart() {
    let folders = folders();
    assert!(folders.len() >= 10, "only {} policies", folders.len());
    for folder in folders {
        let policies = policies(&folder);
        assert!(!policies.is_empty(), "{} binds no policy", folder.display());
        assert_eq!(
            review(&policies, &folder.join("pass.yaml")),
            [],
            "{} refuses its passing example",
            folder.display()
        );
        let refused = review(&policies, &folder.join("fail.yaml"));
        let name = folder.file_name().unwrap().to_str().unwrap();
        let expected = |verdict: &Verdict| {
            // The policy itself must speak, not an expression that cannot be evaluated.
            verdict.policy == name && verdict.effect == Effect::Deny && !verdict.message.contains("cannot be evaluated")
        };
        assert!(!refused.is_empty() && refused.iter().all(expected), "{name}: {refused:?}");
    }
}

#[test]
fn the_readme_lists_every_policy() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/README.md")).unwrap();
    for folder in folders() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(readme.contains(&format!("`{name}`")), "policies/README.md does not mention {name}");
    }
}
