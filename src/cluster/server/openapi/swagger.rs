//! The OpenAPI 2.0 form (swagger) of the documents, all in one, for clients that know no other. Pure.

use serde_json::{Map, Value, json};

use super::super::health;
use super::document::SCHEMAS;

/// Parts of a schema that OpenAPI 2.0 does not have.
const NEWER: [&str; 4] = ["anyOf", "not", "nullable", "oneOf"];

/// One document out of those of all group-versions.
pub fn of(documents: impl Iterator<Item = Value>) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for mut document in documents {
        if let Some(found) = document["paths"].as_object_mut() {
            paths.append(found);
        }
        if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
            schemas.values_mut().for_each(|schema| older(schema, Node::Schema));
            definitions.append(schemas);
        }
    }
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": health::GIT_VERSION},
        "paths": paths, "definitions": definitions})
}

/// Names in a schema mean something; names in its `properties` are those of fields.
#[derive(Clone, Copy, PartialEq)]
enum Node {
    Schema,
    Fields,
}

/// Rewrites a schema in the older form.
fn older(schema: &mut Value, node: Node) {
    match schema {
        Value::Object(map) => {
            if node == Node::Schema {
                map.retain(|name, _| !NEWER.contains(&name.as_str()));
                if let Some(Value::String(target)) = map.get_mut("$ref") {
                    *target = target.replace(SCHEMAS, "#/definitions/");
                }
            }
            for (name, value) in map {
                let fields = node == Node::Schema && name == "properties";
                older(value, if fields { Node::Fields } else { Node::Schema });
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| older(item, Node::Schema)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_definitions_and_newer_parts_are_left_out() {
        let document = json!({"paths": {"/a": {}}, "components": {"schemas": {"A": {"properties": {
            "b": {"$ref": "#/components/schemas/B"}, "c": {"oneOf": [{"type": "string"}], "nullable": true},
            "not": {"type": "string"}}}}}});
        let swagger = of(std::iter::once(document));
        assert_eq!(swagger["definitions"]["A"]["properties"]["b"]["$ref"], "#/definitions/B");
        assert_eq!(swagger["definitions"]["A"]["properties"]["c"], json!({}));
        assert_eq!(swagger["definitions"]["A"]["properties"]["not"]["type"], "string");
        assert_eq!(swagger["swagger"], "2.0");
    }
}
