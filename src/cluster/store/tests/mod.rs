//! The store as a whole: against a model, on a disk that fails or loses power, and killed.

mod crash;
mod disk;
mod durable;
mod model;
mod volatile;

use serde_json::{Value, json};

use super::{Batch, CommitError, Committed, Op, Precondition, Store};
use crate::object::{Draft, Kind, ObjectKey, kinds};

fn key(kind: &'static Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, "default", name)
}

fn put_as(kind: &'static Kind, name: &str, mut object: Value, expect: Precondition) -> Op {
    object["metadata"]["name"] = json!(name);
    object["metadata"]["namespace"] = json!("default");
    Op::Put { draft: Box::new(Draft::new(kind, &object)), expect }
}

fn put(kind: &'static Kind, name: &str, object: Value) -> Op {
    put_as(kind, name, object, Precondition::Any)
}

fn config(name: &str, value: impl Into<Value>) -> Op {
    put(kinds::CONFIG_MAP, name, json!({"data": value.into()}))
}

fn delete(kind: &'static Kind, name: &str) -> Op {
    Op::Delete { key: key(kind, name), expect: Precondition::Any }
}

async fn commit(store: &Store, ops: impl IntoIterator<Item = Op>) -> Result<Committed, CommitError> {
    store.commit(Batch { ops: ops.into_iter().collect() }).await
}

fn data(store: &Store, name: &str) -> Option<Value> {
    store.snapshot().get(&key(kinds::CONFIG_MAP, name)).map(|o| o.value()["data"].clone())
}
