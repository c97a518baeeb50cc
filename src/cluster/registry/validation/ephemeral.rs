//! Ephemeral containers: they are added to a pod that runs, and neither changed nor taken away.

use serde_json::Value;

use super::container::{self, Surroundings};
use super::field::{Findings, Path, list, text};
use super::volume;

pub fn update(new: &Value, old: &Value, found: &mut Findings) {
    let at = Path::Root.child("spec");
    let spec = &new["spec"];
    // The volumes were judged when the pod was made.
    let volumes = volume::check(spec, at.child("volumes"), &mut Findings::default());
    let grace_seconds = spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    let around = Surroundings { volumes, grace_seconds, host_users: spec["hostUsers"] != false };
    let at = at.child("ephemeralContainers");
    container::ephemeral(spec, &around, at, found);
    let kept = list(spec, "ephemeralContainers");
    for before in list(&old["spec"], "ephemeralContainers") {
        let name = text(before, "name");
        match kept.iter().find(|after| text(after, "name") == name) {
            None => found.forbidden(at, format_args!("existing ephemeral containers {name:?} may not be removed\n")),
            Some(after) if after != before => {
                found.forbidden(at, format_args!("existing ephemeral containers {name:?} may not be changed\n"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaints(added: Value, before: Value) -> Vec<String> {
        let pod = |ephemeral: Value| json!({"spec": {"containers": [{"name": "web", "image": "i"}], "ephemeralContainers": ephemeral}});
        let mut found = Findings::default();
        update(&pod(added), &pod(before), &mut found);
        found.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn ephemeral_containers_come_and_stay_as_they_are() {
        let debug =
            json!({"name": "debug", "image": "i", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"});
        let with = |field: &str, value: Value| {
            let mut container = debug.clone();
            container[field] = value;
            json!([container])
        };
        let cases = [
            (json!([debug]), json!([]), None),
            (json!([debug]), json!([debug]), None),
            (json!([]), json!([debug]), Some("existing ephemeral containers \"debug\" may not be removed")),
            (
                with("image", json!("j")),
                json!([debug]),
                Some("existing ephemeral containers \"debug\" may not be changed"),
            ),
            (with("name", json!("web")), json!([]), Some("[0].name: Duplicate value: \"web\"")),
            (with("image", json!("")), json!([]), Some("[0].image: Required value")),
            (with("targetContainerName", json!("db")), json!([]), Some("targetContainerName: Not found: \"db\"")),
            (with("targetContainerName", json!("web")), json!([]), None),
            (with("lifecycle", json!({"preStop": {}})), json!([]), Some("lifecycle: Forbidden: cannot be set")),
        ];
        for (added, before, want) in cases {
            let got = complaints(added.clone(), before);
            match want {
                None => assert!(got.is_empty(), "{added}: {got:?}"),
                Some(want) => assert!(got.iter().any(|complaint| complaint.contains(want)), "{added}: {got:?}"),
            }
        }
    }
}
