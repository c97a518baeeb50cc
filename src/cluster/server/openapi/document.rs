//! The OpenAPI document of a group-version: a path for each kind, and the schemas of their types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::super::health;
use super::merging;
use crate::diff::schema;
use crate::object::Kind;
use crate::object::types::{self, Visit};

/// Where a reference to a schema leads.
pub(super) const SCHEMAS: &str = "#/components/schemas/";

pub fn of(served: &[&'static Kind]) -> Value {
    let mut paths = Map::new();
    let mut types = Types::default();
    let mut marks = Vec::new();
    for kind in served {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let namespace = if kind.namespaced { "{namespace}" } else { "" };
        paths.insert(format!("{}/{{name}}", kind.collection_path(namespace)), operations(&gvk));
        marks.push((types::visit(kind, Adding(&mut types)).unwrap_or_else(|| kind.kind.to_owned()), kind, gvk));
    }
    let mut schemas = types.schemas();
    for (name, kind, gvk) in marks {
        merging::mark(&mut schemas, &name, schema::of((*kind).into()));
        schemas.entry(name).or_insert_with(open)["x-kubernetes-group-version-kind"] = json!([gvk]);
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": health::GIT_VERSION},
        "paths": paths, "components": {"schemas": schemas}})
}

/// Collects the schemas of types, each with those of the types in it.
pub(super) struct Types(SchemaGenerator);

impl Default for Types {
    fn default() -> Self {
        Self(SchemaSettings::openapi3().into_generator())
    }
}

impl Types {
    /// Adds a type, and gives the name of its schema.
    pub fn add<T: JsonSchema>(&mut self) -> String {
        let reference = self.0.subschema_for::<T>();
        let path = reference.get("$ref").and_then(Value::as_str).unwrap_or_default();
        path.strip_prefix(SCHEMAS).unwrap_or_default().to_owned()
    }

    pub fn schemas(mut self) -> Map<String, Value> {
        let mut schemas = self.0.take_definitions(true);
        schemas.values_mut().for_each(as_kubernetes);
        schemas
    }
}

/// Kubernetes has no `nullable`: what may be left out may also be null. So an optional object is a reference, which clients
/// can follow.
fn as_kubernetes(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("nullable");
            let is_null = |choice: &Value| choice["enum"] == json!([null]);
            if let Some(Value::Array(mut choices)) = members.remove("anyOf") {
                let is_optional = choices.iter().any(is_null);
                choices.retain(|choice| !is_null(choice));
                members.insert(if is_optional { "allOf" } else { "anyOf" }.to_owned(), Value::Array(choices));
            }
            members.values_mut().for_each(as_kubernetes);
        }
        Value::Array(items) => items.iter_mut().for_each(as_kubernetes),
        _ => {}
    }
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

struct Adding<'a>(&'a mut Types);

impl Visit for Adding<'_> {
    type Out = String;

    fn visit<T: DeserializeOwned + JsonSchema>(self) -> String {
        self.0.add::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";

    #[test]
    fn the_document_shows_the_fields_of_the_types_and_what_they_are_for() {
        let document = of(&[kinds::DEPLOYMENT, kinds::REPLICA_SET]);
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas[DEPLOYMENT]["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
        let spec = &schemas[DEPLOYMENT]["properties"]["spec"];
        assert!(spec.to_string().contains("#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"), "{spec}");
        let replicas = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"];
        assert_eq!((&replicas["type"], &replicas["format"]), (&json!("integer"), &json!("int32")));
        assert!(replicas["description"].as_str().unwrap().starts_with("Number of desired pods"), "{replicas}");
        assert_eq!(schemas["io.k8s.api.apps.v1.DeploymentSpec"]["required"], json!(["selector", "template"]));
        assert!(document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"].is_object());
    }

    #[test]
    fn the_document_tells_how_lists_merge() {
        let document = of(&[kinds::DEPLOYMENT]);
        let schemas = &document["components"]["schemas"];
        let property = |schema: &str, name: &str| schemas[schema]["properties"][name].clone();
        let ports = property("io.k8s.api.core.v1.Container", "ports");
        assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["containerPort", "protocol"]));
        assert_eq!(
            (&ports["x-kubernetes-list-type"], &ports["x-kubernetes-patch-merge-key"]),
            (&json!("map"), &json!("containerPort"))
        );
        assert_eq!(property("io.k8s.api.core.v1.Container", "args")["x-kubernetes-list-type"], "atomic");
        let finalizers = property("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers");
        assert_eq!(
            (&finalizers["x-kubernetes-list-type"], &finalizers["x-kubernetes-patch-strategy"]),
            (&json!("set"), &json!("merge"))
        );
        assert_eq!(property("io.k8s.api.apps.v1.DeploymentSpec", "selector")["x-kubernetes-map-type"], "atomic");

        // Whatever kinds share a type.
        let document = of(&kinds::all().iter().collect::<Vec<_>>());
        for (schema, list) in [("PodSpec", "containers"), ("Container", "env"), ("PodSpec", "volumes")] {
            let property =
                &document["components"]["schemas"][format!("io.k8s.api.core.v1.{schema}")]["properties"][list];
            assert_eq!(property["x-kubernetes-list-type"], "map", "{schema}.{list}");
        }
    }

    #[test]
    fn every_kind_has_a_schema_with_fields() {
        for kind in kinds::all() {
            let document = of(&[kind]);
            let schemas = document["components"]["schemas"].as_object().unwrap();
            let of_kind = |schema: &&Value| schema["x-kubernetes-group-version-kind"][0]["kind"] == kind.kind;
            let schema = schemas.values().find(of_kind).unwrap();
            assert!(schema["properties"]["metadata"].is_object(), "{}: {schema}", kind.kind);
        }
    }

    #[test]
    fn an_optional_part_of_an_application_is_a_reference() {
        let document = of(&[kinds::APPLICATION]);
        let policy = &document["components"]["schemas"]["SyncPolicy"]["properties"]["automated"];
        assert_eq!(policy["allOf"], json!([{"$ref": "#/components/schemas/Automated"}]), "{policy}");
        assert!(policy["description"].is_string() && policy["nullable"].is_null(), "{policy}");
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_an_object() {
        fn walk(at: &str, schema: &Value, found: &Map<String, Value>) {
            match schema {
                Value::Object(members) => {
                    if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                        let name = target.strip_prefix("#/components/schemas/").unwrap();
                        assert!(found.contains_key(name), "{at}: {target}");
                    }
                    for (name, value) in members {
                        let is_schema = ["items", "additionalProperties", "properties"].contains(&name.as_str());
                        assert!(!is_schema || value.is_object(), "{at}.{name}: {value}");
                        walk(&format!("{at}.{name}"), value, found);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| walk(at, item, found)),
                _ => {}
            }
        }
        let document = of(&kinds::all().iter().collect::<Vec<_>>());
        let schemas = document["components"]["schemas"].as_object().unwrap();
        schemas.iter().for_each(|(name, schema)| walk(name, schema, schemas));
    }
}
