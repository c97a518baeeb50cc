"""What programs do with the Python client: driven by python.rs against a cluster of its own."""

import os
import threading
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

NAMESPACE = "python"

config.load_kube_config(os.environ["KUBECONFIG"])
core, apps = client.CoreV1Api(), client.AppsV1Api()


def same(got, want):
    assert got == want, f"{got!r} is not {want!r}"


def refused(code, call, *args, **more):
    try:
        call(*args, **more)
    except ApiException as error:
        same(error.status, code)
        return error.body
    raise AssertionError(f"{call.__name__} must be refused with {code}")


def running(name):
    for _ in range(600):
        if core.read_namespaced_pod(name, NAMESPACE).status.phase == "Running":
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} does not run")


# Discovery, with a slash at the end of every path.
same(client.VersionApi().get_code().minor, "33")
groups = [group.name for group in client.ApisApi().get_api_versions().groups]
assert "apps" in groups, groups
assert any(found.name == "pods/log" for found in client.CoreV1Api().get_api_resources().resources)
same(client.AppsApi().get_api_group().preferred_version.version, "v1")

# Lists in pages, errors, the patch types that it guesses from the body.
core.create_namespace({"metadata": {"name": NAMESPACE}})
for number in range(5):
    body = {"metadata": {"name": f"c{number}", "labels": {"x": "y"}}, "data": {"a": "b"}}
    core.create_namespaced_config_map(NAMESPACE, body)
page = core.list_namespaced_config_map(NAMESPACE, limit=2, label_selector="x=y")
rest = core.list_namespaced_config_map(NAMESPACE, limit=9, label_selector="x=y", _continue=page.metadata._continue)
same([item.metadata.name for item in page.items + rest.items], [f"c{number}" for number in range(5)])
assert 'configmaps \\"none\\" not found' in refused(404, core.read_namespaced_config_map, "none", NAMESPACE)
refused(409, core.create_namespaced_config_map, NAMESPACE, {"metadata": {"name": "c0"}})
same(core.patch_namespaced_config_map("c0", NAMESPACE, [{"op": "replace", "path": "/data/a", "value": "z"}]).data, {"a": "z"})
same(core.patch_namespaced_config_map("c0", NAMESPACE, {"data": {"b": "z"}}).data, {"a": "z", "b": "z"})
stale = core.read_namespaced_config_map("c0", NAMESPACE)
core.patch_namespaced_config_map("c0", NAMESPACE, {"data": {"c": "z"}})
assert "the object has been modified" in refused(409, core.replace_namespaced_config_map, "c0", NAMESPACE, stale)

# A watch from a list's version ends by itself.
known = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version


def change():
    core.patch_namespaced_config_map("c1", NAMESPACE, {"data": {"n": "1"}})
    core.delete_namespaced_config_map("c2", NAMESPACE)


changing = threading.Thread(target=change)
changing.start()
seen = []
for event in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version=known, timeout_seconds=30):
    seen.append((event["type"], event["object"].metadata.name))
    if len(seen) == 2:
        break
same(seen, [("MODIFIED", "c1"), ("DELETED", "c2")])
changing.join()
expired = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="0", timeout_seconds=1)
assert [event["type"] for event in expired][0] == "ADDED"

# Pods: commands, logs, ports.
container = {"name": "c", "image": "app:1"}
core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [container]}})
running("p")
open_exec = core.connect_get_namespaced_pod_exec
same(stream(open_exec, "p", NAMESPACE, command=["echo", "hi"], stderr=True, stdin=False, stdout=True, tty=False), "hi\n")
talk = stream(open_exec, "p", NAMESPACE, command=["cat"], stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False)
talk.write_stdin("hello\n")
same(talk.readline_stdout(timeout=30), "hello")
talk.close()
ended = stream(open_exec, "p", NAMESPACE, command=["exit", "3"], stderr=True, stdin=False, stdout=True, tty=False, _preload_content=False)
ended.run_forever(timeout=30)
same(ended.returncode, 3)
assert isinstance(core.read_namespaced_pod_log("p", NAMESPACE, tail_lines=1), str)
refused(404, core.read_namespaced_pod_log, "nobody", NAMESPACE)
forward = portforward(core.connect_get_namespaced_pod_portforward, "p", NAMESPACE, ports="9")
forward.socket(9).recv(1)
assert "connection refused" in forward.error(9), forward.error(9)

# Workloads, scale, server-side apply by the dynamic client.
labels = {"app": "d"}
deployment = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": NAMESPACE},
    "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
}
utils.create_from_dict(client.ApiClient(), deployment)
same(apps.patch_namespaced_deployment_scale("d", NAMESPACE, {"spec": {"replicas": 2}}).spec.replicas, 2)
while True:
    scale = apps.read_namespaced_deployment_scale("d", NAMESPACE)
    scale.spec.replicas = 3
    try:
        same(apps.replace_namespaced_deployment_scale("d", NAMESPACE, scale).spec.replicas, 3)
        break
    except ApiException as error:
        # The controller has written meanwhile.
        same(error.status, 409)
resource = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="apps/v1", kind="Deployment")
applied = resource.server_side_apply(body=deployment, namespace=NAMESPACE, field_manager="python", force_conflicts=True)
same(applied.spec.replicas, 1)
for event in resource.watch(namespace=NAMESPACE, timeout=30):
    same((event["type"], event["object"].metadata.name), ("ADDED", "d"))
    break
same(client.CustomObjectsApi().list_namespaced_custom_object("apps", "v1", NAMESPACE, "deployments")["kind"], "DeploymentList")

# Who may do what.
review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
assert client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed
core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "robot"}})
token = core.create_namespaced_service_account_token("robot", NAMESPACE, {"spec": {"audiences": None, "expirationSeconds": 600}}).status.token
own = client.Configuration.get_default_copy()
own.cert_file = own.key_file = None
own.api_key = {"authorization": f"Bearer {token}"}
robot = client.CoreV1Api(client.ApiClient(own))
said = refused(403, robot.list_namespaced_pod, NAMESPACE)
assert f'User \\"system:serviceaccount:{NAMESPACE}:robot\\" cannot list resource \\"pods\\"' in said, said
rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
rbac = client.RbacAuthorizationV1Api()
rbac.create_namespaced_role(NAMESPACE, {"metadata": {"name": "lister"}, "rules": [rule]})
subject = {"kind": "ServiceAccount", "name": "robot", "namespace": NAMESPACE}
binding = {"metadata": {"name": "lister"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lister"}, "subjects": [subject]}
rbac.create_namespaced_role_binding(NAMESPACE, binding)
assert robot.list_namespaced_pod(NAMESPACE).items

# Goodbye.
core.create_namespaced_pod_eviction("p", NAMESPACE, {"metadata": {"name": "p", "namespace": NAMESPACE}})
core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="x=y")
same(core.list_namespaced_config_map(NAMESPACE, label_selector="x=y").items, [])
core.delete_namespace(NAMESPACE, propagation_policy="Foreground")
print("done")
