//! The decoder against single values, and against what a Kubernetes API server answered.

use serde_json::json;

use super::*;

fn checked(kind: &'static Kind, mut object: Value) -> (Value, Vec<String>) {
    let unknown = check(kind, &mut object).unwrap();
    (object, unknown)
}

fn refused(kind: &'static Kind, mut object: Value) -> String {
    check(kind, &mut object).unwrap_err().message
}

#[test]
fn unknown_fields_are_named_with_their_path_and_removed() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "x", "nope": 1}, "zzz": {"a": 1},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "baz": 3}]}, {"name": "d", "qux": []}]}});
    let (pod, unknown) = checked(kinds::POD, pod);
    let want = ["metadata.nope", "spec.containers[0].ports[0].baz", "spec.containers[1].qux", "zzz"];
    assert_eq!(unknown, want.map(|path| format!("unknown field \"{path}\"")));
    let clean = json!({"kind": "Pod", "metadata": {"name": "x"},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}, {"name": "d"}]}});
    assert_eq!(pod, clean);
}

#[test]
fn the_name_of_a_field_is_taken_to_the_letter() {
    let (_, unknown) = checked(kinds::POD, json!({"spec": {"RestartPolicy": "Never"}}));
    assert_eq!(unknown, ["unknown field \"spec.RestartPolicy\""]);
}

#[test]
fn nulls_and_empty_fields_go_and_meaningful_zeros_stay() {
    let (deployment, _) = checked(
        kinds::DEPLOYMENT,
        json!({"metadata": {"labels": {}, "annotations": {"a": null}, "creationTimestamp": null},
            "spec": {"replicas": 0, "paused": false, "minReadySeconds": 0, "selector": {}, "strategy": null,
                "template": {"spec": {"hostNetwork": false, "volumes": [{"name": "v", "emptyDir": {}}],
                    "containers": [{"name": "", "command": [], "args": [null], "securityContext": {"privileged": false}}]}}}}),
    );
    let want = json!({"metadata": {"annotations": {"a": ""}},
        "spec": {"replicas": 0, "selector": {}, "template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "", "args": [""], "securityContext": {"privileged": false}}]}}}});
    assert_eq!(deployment, want);
}

#[test]
fn numbers_quantities_and_times_get_their_one_form() {
    let (pod, _) = checked(
        kinds::POD,
        json!({"metadata": {"creationTimestamp": "2026-01-02T03:04:05+01:00"}, "spec": {"priority": 1.0,
            "containers": [{"name": "c", "resources": {"limits": {"cpu": 0.5, "memory": "2048Mi", "x": 1000}},
                "livenessProbe": {"tcpSocket": {"port": 80.0}}}]}}),
    );
    let want = json!({"metadata": {"creationTimestamp": "2026-01-02T02:04:05Z"}, "spec": {"priority": 1,
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "500m", "memory": "2Gi", "x": "1k"}},
            "livenessProbe": {"tcpSocket": {"port": 80}}}]}});
    assert_eq!(pod, want);
}

#[test]
fn a_wrong_type_is_refused_in_the_words_of_go() {
    let cases = [
        (json!({"spec": "x"}), "string into Go struct field Pod.spec of type v1.PodSpec"),
        (
            json!({"spec": {"containers": {}}}),
            "object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            json!({"spec": {"nodeSelector": []}}),
            "array into Go struct field PodSpec.spec.nodeSelector of type map[string]string",
        ),
        (
            json!({"spec": {"containers": [{"resources": {"limits": 1}}]}}),
            "number into Go struct field ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList",
        ),
        (
            json!({"metadata": {"generation": 1.5}}),
            "number 1.5 into Go struct field ObjectMeta.metadata.generation of type int64",
        ),
    ];
    for (object, want) in cases {
        let message = refused(kinds::POD, object);
        assert_eq!(message, format!("Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal {want}"));
    }
}

#[test]
fn managed_fields_and_the_data_of_users_are_left_as_they_are() {
    let object = json!({"metadata": {"managedFields": [{"manager": "m", "fieldsV1": {"f:data": {".": {}, "f:a": {}}}}]},
        "data": {"empty": "", "unknown": "field"}});
    assert_eq!(checked(kinds::CONFIG_MAP, object.clone()), (object, Vec::new()));
}

#[test]
fn a_typo_in_an_application_is_found_and_what_argo_cd_knows_is_not_one() {
    let application = json!({"spec": {"source": {"repoURL": "r", "helm": {"values": "x"}, "pathh": "p"},
        "ignoreDifferences": [{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}],
        "syncPolicy": {"automated": {"prune": true, "enabled": false}, "retry": {"limit": 2}}}});
    let (application, unknown) = checked(kinds::APPLICATION, application);
    assert_eq!(unknown, ["unknown field \"spec.source.pathh\""]);
    assert_eq!(application["spec"]["source"]["helm"]["values"], "x");
    assert_eq!(application["spec"]["syncPolicy"]["automated"], json!({"prune": true, "enabled": false}));
}

#[test]
fn an_object_of_another_kind_is_refused() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod"});
    let want = "Pod in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion";
    assert_eq!(refused(kinds::CONFIG_MAP, pod), want);
    let old = json!({"apiVersion": "extensions/v1beta1", "kind": "Deployment"});
    let want = "the API version in the data (extensions/v1beta1) does not match the expected API version (apps/v1)";
    assert_eq!(refused(kinds::DEPLOYMENT, old), want);
}
