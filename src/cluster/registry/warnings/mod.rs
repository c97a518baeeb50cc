//! What is odd about an object but no reason to refuse it, in Kubernetes's words, for the Warning header. Pure
//! functions on JSON values that are complete and judged valid.

mod pod;
mod service;

use serde_json::Value;

use super::validation::format;
use crate::object::{Kind, kinds};

const SURPRISING: &str = "which can result in surprising behavior; a DNS label is recommended";

/// What to say of an object that is created.
pub fn create(kind: &'static Kind, object: &Value) -> Vec<String> {
    let mut said = Vec::new();
    name(kind, object, &mut said);
    content(kind, object, None, &mut said);
    said
}

/// What to say of an object that replaces `old`. Of a template that did not change, all was said before.
pub fn update(kind: &'static Kind, object: &Value, old: &Value) -> Vec<String> {
    let mut said = Vec::new();
    if !makes_pods(kind) || object["metadata"]["generation"] != old["metadata"]["generation"] {
        content(kind, object, Some(old), &mut said);
    }
    said
}

fn makes_pods(kind: &'static Kind) -> bool {
    template_path(kind).is_some()
}

/// Where the template of the pods that the kind makes stands.
fn template_path(kind: &'static Kind) -> Option<&'static [&'static str]> {
    Some(match kind {
        k if k == kinds::POD_TEMPLATE => &["template"],
        k if k == kinds::CRON_JOB => &["spec", "jobTemplate", "spec", "template"],
        k if [
            kinds::DEPLOYMENT,
            kinds::REPLICA_SET,
            kinds::REPLICATION_CONTROLLER,
            kinds::STATEFUL_SET,
            kinds::DAEMON_SET,
            kinds::JOB,
        ]
        .contains(&k) =>
        {
            &["spec", "template"]
        }
        _ => return None,
    })
}

/// The names of these become part of host names, which are labels of the DNS.
fn name(kind: &'static Kind, object: &Value, said: &mut Vec<String>) {
    let used = match kind {
        k if k == kinds::POD => "the Pod's hostname",
        k if [kinds::DEPLOYMENT, kinds::REPLICA_SET, kinds::REPLICATION_CONTROLLER, kinds::JOB, kinds::CRON_JOB]
            .contains(&k) =>
        {
            "Pod names and hostnames"
        }
        _ => return,
    };
    let complaints = format::label(object["metadata"]["name"].as_str().unwrap_or_default());
    if !complaints.is_empty() {
        said.push(format!("metadata.name: this is used in {used}, {SURPRISING}: [{}]", complaints.join(" ")));
    }
}

fn content(kind: &'static Kind, object: &Value, old: Option<&Value>, said: &mut Vec<String>) {
    let spec = &object["spec"];
    match kind {
        k if k == kinds::POD => pod::pod(object, said),
        k if k == kinds::SERVICE => service::service(spec, old.map(|old| &old["spec"]), said),
        k if k == kinds::ENDPOINT_SLICE && object["addressType"] == "FQDN" => {
            said.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        k if k == kinds::SECRET && object["type"] == "kubernetes.io/tls" => said.extend(service::certificate(object)),
        k if k == kinds::JOB => indexes(spec, "spec", said),
        k if k == kinds::CRON_JOB => {
            if spec["schedule"].as_str().is_some_and(|schedule| schedule.contains("TZ")) {
                let page = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/";
                let why = format!("is not officially supported, see {page} for more details");
                said.push(format!("CRON_TZ or TZ used in spec.schedule {why}"));
            }
            indexes(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", said);
        }
        _ => {}
    }
    if let Some(path) = template_path(kind) {
        let template = path.iter().fold(object, |value, name| &value[*name]);
        pod::template(template, &path.join("."), said);
    }
    if kind == kinds::STATEFUL_SET && spec["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
        let why = "a negative value retains all historical revisions; a value >= 0 is recommended";
        said.push(format!("spec.revisionHistoryLimit: {why}"));
    }
}

const MANY_COMPLETIONS: i64 = 100_000;
const MANY_AT_ONCE: i64 = 10_000;

fn indexes(spec: &Value, at: &str, said: &mut Vec<String>) {
    let number = |field: &str| spec[field].as_i64().unwrap_or(0);
    if spec["completionMode"] == "Indexed"
        && number("completions") > MANY_COMPLETIONS
        && number("parallelism") > MANY_AT_ONCE
    {
        let why = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
        said.push(format!("{at}: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_spoken_of_when_it_is_new() {
        let object = |generation: i64| {
            json!({"metadata": {"name": "a.b", "generation": generation}, "spec": {"template": {"spec": {
                "containers": [{"name": "c", "env": [{"name": "X", "value": "1"}, {"name": "X", "value": "2"}]}],
                "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}]}}}})
        };
        let template = [
            "spec.template.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            "spec.template.spec.containers[0].env[1]: hides previous definition of \"X\", which may be dropped when using apply",
        ];
        let said = create(kinds::DEPLOYMENT, &object(1));
        assert!(said[0].starts_with("metadata.name: this is used in Pod names and hostnames"), "{}", said[0]);
        assert_eq!(said[1..], template);
        assert_eq!(update(kinds::DEPLOYMENT, &object(2), &object(1)), template);
        assert_eq!(update(kinds::DEPLOYMENT, &object(1), &object(1)), Vec::<String>::new());
    }
}
