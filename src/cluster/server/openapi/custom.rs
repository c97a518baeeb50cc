//! The OpenAPI document of a group-version that definitions add: their schemas as they were written, with the
//! metadata that every object has.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::super::health;
use super::document::{SCHEMAS, Types, operations};
use crate::object::custom::Version;
use crate::object::{Kind, Kinds};

pub fn of(served: &Kinds, kinds: &[&'static Kind]) -> Value {
    let (mut paths, mut types) = (Map::new(), Types::default());
    let metadata = json!({"$ref": format!("{SCHEMAS}{}", types.add::<ObjectMeta>())});
    let mut schemas = types.schemas();
    for kind in kinds {
        let Some(version) = served.describe(kind).version() else { continue };
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let namespace = if kind.namespaced { "{namespace}" } else { "" };
        paths.insert(format!("{}/{{name}}", kind.collection_path(namespace)), operations(&gvk));
        schemas.insert(name_of(kind), schema(version, &gvk, &metadata));
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": health::GIT_VERSION},
        "paths": paths, "components": {"schemas": schemas}})
}

/// `com.example.v1.Widget`, as Kubernetes names the schema of a custom kind.
fn name_of(kind: &Kind) -> String {
    let reversed: Vec<&str> = kind.group.rsplit('.').collect();
    format!("{}.{}.{}", reversed.join("."), kind.version, kind.kind)
}

fn schema(version: &Version, gvk: &Value, metadata: &Value) -> Value {
    let mut schema = match &version.document {
        Value::Object(_) => version.document.clone(),
        _ => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    schema["x-kubernetes-group-version-kind"] = json!([gvk]);
    let declares = schema["properties"].is_object();
    if declares || schema["x-kubernetes-preserve-unknown-fields"] != true {
        for name in ["apiVersion", "kind"] {
            if schema["properties"][name].is_null() {
                schema["properties"][name] = json!({"type": "string"});
            }
        }
        schema["properties"]["metadata"] = metadata.clone();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_published_with_its_descriptions() {
        let crd = json!({"metadata": {"name": "wids.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "wids", "kind": "Wid"}, "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
                "description": "What is wanted.", "properties": {"size": {"type": "integer"}}}}}}}]}});
        let mut kinds = Kinds::default();
        kinds.declare(&crd).expect("there is room");
        let kind = kinds.by_manifest("example.com/v1", "Wid").expect("it is known");
        let document = of(&kinds, &[kind]);
        let schema = &document["components"]["schemas"]["com.example.v1.Wid"];
        assert_eq!(schema["properties"]["spec"]["description"], "What is wanted.");
        assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Wid");
        let metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
        assert_eq!(schema["properties"]["metadata"]["$ref"], format!("#/components/schemas/{metadata}"));
        assert!(document["components"]["schemas"][metadata]["properties"]["labels"].is_object());
        assert!(document["paths"]["/apis/example.com/v1/namespaces/{namespace}/wids/{name}"]["patch"].is_object());
    }
}
