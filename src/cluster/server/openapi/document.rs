//! The OpenAPI document of a group-version: a path for each kind, and the schemas of their types.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::super::health;
use super::infer::Schemas;
use crate::object::Kind;
use crate::object::types::{self, Visit};

pub fn of(served: &[&'static Kind]) -> Value {
    let mut paths = Map::new();
    let schemas = Schemas::default();
    let mut marks = Vec::new();
    for kind in served {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let namespace = if kind.namespaced { "{namespace}" } else { "" };
        paths.insert(format!("{}/{{name}}", kind.collection_path(namespace)), operations(&gvk));
        marks.push((infer(kind, &schemas), gvk));
    }
    let mut schemas = schemas.take();
    for (name, gvk) in marks {
        schemas.entry(name).or_insert_with(open)["x-kubernetes-group-version-kind"] = json!([gvk]);
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": health::GIT_VERSION},
        "paths": paths, "components": {"schemas": schemas}})
}

/// The operations that kubectl looks for: `fieldValidation` tells it that the server validates. The strategic merge
/// patch is left out on purpose: kubectl then computes it with its own types, which know the merge keys.
pub(super) fn operations(gvk: &Value) -> Value {
    let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"];
    let parameters = parameters.map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
    json!({"patch": {"parameters": parameters, "x-kubernetes-group-version-kind": gvk,
        "x-kubernetes-action": "patch", "responses": {"200": {"description": "OK"}}}})
}

/// A kind of which nothing but its name is known.
fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Adds the schemas of a kind's type, and gives the name of its own.
fn infer(kind: &'static Kind, schemas: &Schemas) -> String {
    types::visit(kind, Inferring(schemas));
    kind.kind.to_owned()
}

struct Inferring<'a>(&'a Schemas);

impl Visit for Inferring<'_> {
    type Out = ();

    fn visit<T: DeserializeOwned>(self) {
        self.0.add::<T>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[test]
    fn the_document_shows_the_fields_of_the_types() {
        let document = of(&[kinds::DEPLOYMENT, kinds::REPLICA_SET]);
        let schemas = &document["components"]["schemas"];
        let types = |schema: &str, field: &str| schemas[schema]["properties"][field].clone();
        assert_eq!(schemas["Deployment"]["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
        assert_eq!(types("Deployment", "spec"), json!({"$ref": "#/components/schemas/DeploymentSpec"}));
        assert_eq!(types("DeploymentSpec", "replicas"), json!({"type": "integer", "format": "int32"}));
        let containers = json!({"type": "array", "items": {"$ref": "#/components/schemas/Container"}});
        assert_eq!(types("PodSpec", "containers"), containers);
        let labels = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(types("ObjectMeta", "labels"), labels);
        assert_eq!(types("ObjectMeta", "creationTimestamp"), json!({"type": "string", "format": "date-time"}));
        let limits = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(types("ResourceRequirements", "limits"), limits);
        assert_eq!(types("RollingUpdateDeployment", "maxSurge")["x-kubernetes-int-or-string"], true);
        assert!(document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"].is_object());
    }

    #[test]
    fn every_kind_has_a_schema_with_fields() {
        for kind in kinds::all() {
            let document = of(&[kind]);
            let schema = &document["components"]["schemas"][kind.kind];
            assert!(schema["properties"]["metadata"].is_object(), "{}: {schema}", kind.kind);
        }
    }
}
