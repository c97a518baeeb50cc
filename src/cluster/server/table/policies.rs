//! Rows of Ingresses, network and admission policies, role bindings and quotas.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{NONE, first_three, list, text, text_or_none};

fn of<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

pub fn ingress(ingress: &Value, age: Value) -> Vec<Value> {
    let spec = &ingress["spec"];
    let hosts: Vec<String> =
        list(&spec["rules"]).iter().map(|rule| of(rule, "host")).filter(|h| !h.is_empty()).map(str::to_owned).collect();
    let address = |ingress: &'_ Value| match of(ingress, "ip") {
        "" => of(ingress, "hostname").to_owned(),
        ip => ip.to_owned(),
    };
    let addresses: BTreeSet<String> =
        list(&ingress["status"]["loadBalancer"]["ingress"]).iter().map(address).filter(|a| !a.is_empty()).collect();
    vec![
        ingress["metadata"]["name"].clone(),
        json!(spec["ingressClassName"].as_str().unwrap_or(NONE)),
        json!(if hosts.is_empty() { "*".to_owned() } else { first_three(&hosts) }),
        json!(addresses.into_iter().collect::<Vec<_>>().join(",")),
        json!(if list(&spec["tls"]).is_empty() { "80" } else { "80, 443" }),
        age,
    ]
}

pub fn ingress_class(class: &Value, age: Value) -> Vec<Value> {
    let parameters = &class["spec"]["parameters"];
    let shown = match parameters.is_object() {
        false => NONE.to_owned(),
        true => {
            let group = of(parameters, "apiGroup");
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            format!("{}{group}/{}", of(parameters, "kind"), of(parameters, "name"))
        }
    };
    vec![class["metadata"]["name"].clone(), text(&class["spec"]["controller"]), json!(shown), age]
}

pub fn role_binding(binding: &Value, age: Value) -> Vec<Value> {
    let role = &binding["roleRef"];
    let subjects = |kind: &str| {
        let name = |subject: &'_ Value| match kind {
            "ServiceAccount" => format!("{}/{}", of(subject, "namespace"), of(subject, "name")),
            _ => of(subject, "name").to_owned(),
        };
        let of_kind = list(&binding["subjects"]).iter().filter(|subject| subject["kind"] == kind);
        json!(of_kind.map(name).collect::<Vec<_>>().join(", "))
    };
    vec![
        binding["metadata"]["name"].clone(),
        json!(format!("{}/{}", of(role, "kind"), of(role, "name"))),
        age,
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

/// Used and allowed of each resource, requests (and counts) and limits apart.
pub fn quota(quota: &Value, age: Value) -> Vec<Value> {
    let status = &quota["status"];
    let amounts = |limits: bool| {
        let hard = status["hard"].as_object().into_iter().flatten();
        let one = |(name, hard): (&String, &Value)| {
            let used = status["used"][name.as_str()].as_str().unwrap_or("0");
            format!("{name}: {used}/{}", hard.as_str().unwrap_or_default())
        };
        let shown: BTreeSet<String> = hard.filter(|(name, _)| name.starts_with("limits") == limits).map(one).collect();
        json!(shown.into_iter().collect::<Vec<_>>().join(", "))
    };
    vec![quota["metadata"]["name"].clone(), amounts(false), amounts(true), age]
}

pub fn admission_policy(policy: &Value, age: Value) -> Vec<Value> {
    let spec = &policy["spec"];
    let kind = &spec["paramKind"];
    let kind = match kind.is_object() {
        true => format!("{}/{}", of(kind, "apiVersion"), of(kind, "kind")),
        false => "<unset>".to_owned(),
    };
    vec![policy["metadata"]["name"].clone(), json!(list(&spec["validations"]).len()), json!(kind), age]
}

pub fn admission_binding(binding: &Value, age: Value) -> Vec<Value> {
    let spec = &binding["spec"];
    let reference = &spec["paramRef"];
    let named = match (of(reference, "namespace"), of(reference, "name")) {
        _ if reference.is_null() => json!("<unset>"),
        ("", name) => json!(name),
        (namespace, name) => json!(format!("{namespace}/{name}")),
    };
    vec![binding["metadata"]["name"].clone(), text_or_none(&spec["policyName"]), named, age]
}
