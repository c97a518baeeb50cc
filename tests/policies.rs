//! Every policy of `policies/` lets its passing example through and refuses its failing one: for `windlass lint`, and for
//! whoever writes to a cluster that has it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use windlass::cluster::registry::{self, Author, FieldValidation, Registry, Transaction, WriteOptions};
use windlass::cluster::store::Store;
use windlass::object::{ApiError, Clock, kinds};
use windlass::sync;
use windlass::tasks::Tasks;

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

fn create(transaction: &mut Transaction, object: &Value) -> Result<(), ApiError> {
    let text = |name: &str| object[name].as_str().unwrap();
    let kind = kinds::by_manifest(text("apiVersion"), text("kind")).unwrap();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let options = WriteOptions { validation: FieldValidation::Strict, ..WriteOptions::default() };
    transaction.create(kind, namespace, object.clone(), options)
}

/// What creating the examples in a cluster with the policy is answered.
async fn written(policy: &[Value], example: &[Value]) -> Result<(), ApiError> {
    let tasks = Tasks::default();
    let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
    registry::bootstrap(&registry).await.unwrap();
    let mut transaction = registry.begin(&Author { user: "windlass-sync".into(), ..Author::default() });
    for object in policy {
        create(&mut transaction, object).unwrap_or_else(|refused| panic!("{refused}"));
    }
    let outcome = example.iter().try_for_each(|object| create(&mut transaction, object));
    tasks.stop().await;
    outcome
}

async fn linted(policy: &[Value], example: &Path) -> Vec<String> {
    let rendered = sync::render::directory(example, "default").unwrap();
    let linted = sync::lint(&rendered, policy).await.unwrap();
    linted.errors.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_policy_tells_its_examples_apart() {
    let folders = folders();
    assert!(folders.len() >= 11, "only {} policies", folders.len());
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let (pass, fail) = (folder.join("pass.yaml"), folder.join("fail.yaml"));
        let policy = documents(&folder.join("policy.yaml"));
        assert_eq!(written(&policy, &documents(&pass)).await, Ok(()), "{name} refuses its passing example");
        assert_eq!(linted(&policy, &pass).await, [""; 0], "{name} does not lint its passing example");

        // The policy itself must speak, not an expression that cannot be evaluated.
        let speaks = |said: &str| {
            let said_by = format!("ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: ");
            said.contains(&said_by) && !said.contains("resulted in error") && !said.contains("failed to configure")
        };
        let refused = written(&policy, &documents(&fail)).await.expect_err(name);
        assert!(speaks(&refused.message), "{name}: {refused}");
        let errors = linted(&policy, &fail).await;
        assert!(!errors.is_empty() && errors.iter().all(|error| speaks(error)), "{name}: {errors:?}");
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
