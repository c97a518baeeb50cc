//! Gives expressions their names: JSON as CEL values.

use std::collections::HashMap;
use std::sync::Arc;

use kube_cel::cel::{Context, Value as Cel};
use serde_json::{Value, json};

use super::review::Request;

/// Names what every policy of a request can see.
pub fn add_request(scope: &mut Context, request: &Request, namespace: Option<&Value>) {
    let meta = &request.object.or(request.old).unwrap_or(&Value::Null)["metadata"];
    let name = if request.name.is_empty() { meta["name"].as_str().unwrap_or_default() } else { request.name };
    let kind = request.kind;
    let resource = json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
    let kind = kind_of(request);
    let asked = json!({"kind": kind, "resource": resource, "subResource": request.subresource,
        "requestKind": kind, "requestResource": resource, "requestSubResource": request.subresource,
        "name": name, "namespace": request.namespace, "operation": request.operation.as_str(),
        "userInfo": {"username": request.user, "groups": request.groups, "uid": "", "extra": {}},
        "dryRun": request.dry_run, "options": {}});
    add(scope, "object", request.object);
    add(scope, "oldObject", request.old);
    add(scope, "namespaceObject", namespace);
    add(scope, "request", Some(&asked));
}

/// The kind of the request's body: of a subresource it may be another than the object's.
fn kind_of(request: &Request) -> Value {
    let kind = request.kind;
    let body = request.object.filter(|_| !request.subresource.is_empty());
    let named = body.and_then(|body| Some((body["apiVersion"].as_str()?, body["kind"].as_str()?)));
    match named {
        Some((version, name)) => {
            let (group, version) = crate::object::kinds::split_api_version(version);
            json!({"group": group, "version": version, "kind": name})
        }
        None => json!({"group": kind.group, "version": kind.version, "kind": kind.kind}),
    }
}

pub fn add(scope: &mut Context, name: &str, value: Option<&Value>) {
    scope.add_variable_from_value(name, value.map_or(Cel::Null, to_cel));
}

/// Integers become CEL's `int`, whatever their sign: the interpreter's own conversion makes positive ones
/// unsigned, and `replicas - 5` would then fail.
pub fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Cel::Int(integer),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(members) => {
            let members: HashMap<String, Cel> = members.iter().map(|(k, v)| (k.clone(), to_cel(v))).collect();
            Cel::Map(members.into())
        }
    }
}
