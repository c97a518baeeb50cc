//! The table of `docs/kubectl.md`, in the order in which it is driven: later rows use what earlier ones made.

/// A verb or a feature of the API.
pub struct Row {
    pub verb: &'static str,
    pub verdict: Verdict,
}

pub enum Verdict {
    /// Each command line succeeds, or ends with 1 where it begins with `! `. FILE stands for a manifest of a Deployment,
    /// CHANGED for another image in it, FOLDER for a kustomization of it, `~` for a blank.
    Works(&'static [&'static str]),
    /// This test, named by its file and name, drives it.
    WorksIn(&'static str, &'static str),
    /// As above, but for this.
    Differs(&'static [&'static str], &'static str),
    Absent(&'static str),
}

use Verdict::{Absent, Differs, Works, WorksIn};

const fn row(verb: &'static str, verdict: Verdict) -> Row {
    Row { verb, verdict }
}

pub const ROWS: &[Row] = &[
    row("version", Works(&["version", "version -o json"])),
    row("cluster-info", Works(&["cluster-info", "cluster-info dump -A --output-directory DUMP"])),
    row("api-resources", Works(&["api-resources", "api-resources -o wide --namespaced=true --verbs=list,get"])),
    row("api-versions", Works(&["api-versions"])),
    row("config view", Works(&["config view", "config current-context"])),
    row("completion, options, plugin", Works(&["completion bash", "options", "! plugin list"])),
    row(
        "explain",
        Works(&[
            "explain deployment.spec.strategy",
            "explain pods.spec.containers --recursive",
            "explain hpa --api-version=autoscaling/v1",
        ]),
    ),
    row(
        "create",
        Works(&[
            "create -f FILE",
            "! create -f FILE",
            "delete -f FILE",
            "create namespace team",
            "create configmap settings --from-literal=a=b",
            "create configmap file --from-file=FILE",
            "create secret generic password --from-literal=p=x",
            "create secret docker-registry registry --docker-username=u --docker-password=p --docker-server=s",
            "create serviceaccount robot",
            "create token robot --duration=1h",
            "create deployment made --image=app:1 --replicas=1 --port=80",
            "create service clusterip front --tcp=80:8080",
            "create service nodeport out --tcp=80",
            "create service loadbalancer balanced --tcp=80",
            "create service externalname else --external-name=example.com",
            "create job once --image=app:1 -- true",
            "create cronjob nightly --image=app:1 --schedule=@daily",
            "create job now --from=cronjob/nightly",
            "create role reader --verb=get --resource=pods",
            "create rolebinding readers --role=reader --user=a",
            "create clusterrole all-reader --verb=get --resource=pods",
            "create clusterrole paths --verb=get --non-resource-url=/healthz",
            "create clusterrole whole --aggregation-rule=a=b",
            "create clusterrolebinding all-readers --clusterrole=all-reader --user=a",
            "create quota most --hard=pods=100",
            "create poddisruptionbudget keep --selector=app=none --min-available=1",
            "create priorityclass urgent --value=1000",
            "create ingress way --rule=example.com/*=front:80",
        ]),
    ),
    row(
        "run",
        Works(&[
            "run lone --image=app:1 --restart=Never --port=8080 --expose --overrides={\"spec\":{\"nodeName\":\"n1\"}}",
        ]),
    ),
    row("wait", Works(&["wait --for=condition=Ready pod/lone --timeout=50s"])),
    row(
        "apply",
        Works(&[
            "! diff -f FILE",
            "apply -f FILE --dry-run=server",
            "apply -f FILE",
            "apply -f FILE",
            "apply view-last-applied deploy web",
            "apply set-last-applied -f FILE",
            "apply edit-last-applied deploy web",
            "apply -f FILE --prune -l app=web",
        ]),
    ),
    row("apply --server-side", Works(&["apply --server-side --force-conflicts -f FILE", "diff --server-side -f FILE"])),
    row("apply -k", Works(&["apply -k FOLDER", "kustomize FOLDER"])),
    row("diff", Works(&["diff -f FILE", "! diff -f CHANGED"])),
    row(
        "rollout",
        Works(&[
            "rollout status deploy/web --timeout=50s",
            "apply --server-side --force-conflicts -f CHANGED",
            "rollout status deploy/web --timeout=50s",
            "rollout history deploy/web",
            "rollout history deploy/web --revision=2",
            "rollout undo deploy/web",
            "rollout undo deploy/web --to-revision=2",
            "rollout pause deploy/web",
            "! rollout undo deploy/web",
            "rollout resume deploy/web",
            "rollout restart deploy/web",
            "rollout status deploy/web --timeout=50s",
        ]),
    ),
    row(
        "get",
        Works(&[
            "get all -A -o wide",
            "get deploy,svc -o yaml",
            "get deploy web -o json",
            "get deploy -o name",
            "get pods -o jsonpath={.items[*].metadata.name}",
            "get pods -o custom-columns=NAME:.metadata.name",
            "get pods -o go-template={{range~.items}}{{.metadata.name}}{{end}}",
            "get pods --sort-by=.metadata.creationTimestamp --show-labels -L app",
            "get pods -A --field-selector=status.phase=Running,spec.nodeName=n1",
            "get pods -l app~in~(web,api),!none -o yaml --show-managed-fields",
            "get deploy web --subresource=status",
            "get deploy web --subresource=scale",
            "get --raw /apis/apps/v1",
            "get cm --chunk-size=1",
        ]),
    ),
    row("get --watch", WorksIn("tests/kubectl/reading.rs", "a_watch_shows_changes_as_they_happen")),
    row(
        "describe",
        Works(&[
            "describe all",
            "describe cm,secrets,sa,endpoints,events,limits,quota,pvc,pv",
            "describe nodes,namespaces",
            "describe ds,sts,rc,cronjobs,jobs,hpa,pdb,ingress,ingressclasses,netpol",
            "describe roles,rolebindings",
            "describe clusterroles,clusterrolebindings",
            "describe priorityclasses,storageclasses,crd,leases,endpointslices",
        ]),
    ),
    row(
        "expose",
        Works(&[
            "expose deploy web --name=exposed --port=80 --target-port=8080 --type=NodePort",
            "expose pod lone --name=exposed-pod --port=80",
        ]),
    ),
    row(
        "label",
        Works(&[
            "label pods --all tier=front",
            "! label pod lone tier=back",
            "label pod lone tier=back --overwrite",
            "label pod lone --list",
            "label pod lone tier-",
        ]),
    ),
    row("annotate", Works(&["annotate deploy web note=x", "annotate pods -l app=web note=y"])),
    row(
        "patch",
        Works(&[
            "patch deploy web -p {\"spec\":{\"replicas\":3}}",
            "patch deploy web --type=merge -p {\"spec\":{\"replicas\":2}}",
            "patch deploy web --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":1}]",
            "patch deploy web --subresource=scale --type=merge -p {\"spec\":{\"replicas\":1}}",
            "patch deploy web --subresource=status --type=merge -p {\"status\":{\"collisionCount\":0}}",
        ]),
    ),
    row("edit", Works(&["edit deploy web", "wait --for=jsonpath={.spec.replicas}=2 deploy/web --timeout=50s"])),
    row(
        "scale",
        Works(&[
            "scale deploy web --replicas=1 --current-replicas=2",
            "! scale deploy web --replicas=3 --current-replicas=9",
        ]),
    ),
    row(
        "autoscale",
        Works(&[
            "autoscale deploy made --max=3 --cpu-percent=50",
            "get hpa.v1.autoscaling made",
            "get hpa.v2.autoscaling made",
        ]),
    ),
    row(
        "get hpa.v1.autoscaling",
        Differs(
            &["get hpa.v1.autoscaling made -o yaml --show-managed-fields"],
            "managed fields have the names of `autoscaling/v2`, in which autoscalers are stored; so with Events of `events.k8s.io`",
        ),
    ),
    row(
        "set",
        Works(&[
            "set image deploy/web c=app:3",
            "set env deploy/web A=b",
            "set env deploy/web --list",
            "set env deploy/web --from=configmap/settings",
            "set resources deploy/web --requests=cpu=10m",
            "set selector svc/front app=web",
            "set serviceaccount deploy/web robot",
            "set subject rolebinding/readers --user=b",
            "rollout status deploy/web --timeout=50s",
        ]),
    ),
    row("replace", Works(&["replace -f FILE", "replace --force -f FILE"])),
    row(
        "wait",
        Works(&[
            "wait --for=condition=Available deploy/web --timeout=50s",
            "wait --for=jsonpath={.spec.replicas}=2 deploy/web --timeout=50s",
        ]),
    ),
    row(
        "logs",
        Works(&[
            "logs lone",
            "logs deploy/web",
            "logs -l app=web --prefix --tail=1",
            "logs lone --since=1m --timestamps --all-containers",
        ]),
    ),
    row("exec", Works(&["exec lone -- echo hi", "exec deploy/web -c c -- echo hi", "! exec lone -- exit 1"])),
    row("events", Works(&["events", "events --for pod/lone", "events -A --types=Normal", "get events.events.k8s.io"])),
    row(
        "auth",
        Works(&[
            "auth can-i create pods",
            "auth can-i --list",
            "! auth can-i create pods --as=somebody",
            "auth whoami",
            "auth reconcile -f ROLE",
        ]),
    ),
    row("taint", Works(&["taint node n2 a=b:NoSchedule", "taint node n2 a-"])),
    row("cordon", Works(&["cordon n2"])),
    row("drain", Works(&["drain n2 --force --ignore-daemonsets --timeout=50s"])),
    row("uncordon", Works(&["uncordon n2"])),
    row(
        "delete",
        Works(&[
            "delete pod lone --wait",
            "wait --for=delete pod/lone --timeout=50s",
            "delete deploy made --cascade=foreground",
            "delete job once --cascade=orphan",
            "delete pods -l job-name=once --force --grace-period=0",
            "delete -f FILE --dry-run=server",
            "delete -f FILE --now",
            "delete -f FILE --ignore-not-found",
            "delete cm --all",
            "delete ns team",
        ]),
    ),
    row(
        "logs, exec, cp, port-forward of real containers",
        WorksIn("tests/streams/docker.rs", "commands_files_terminals_and_ports_of_real_containers"),
    ),
    row("attach", WorksIn("tests/streams/remote.rs", "attaching_gives_the_containers_own_streams")),
    row("top", WorksIn("tests/streams/usage.rs", "top_shows_what_the_agents_measure")),
    row("proxy", WorksIn("tests/streams/proxies.rs", "pods_services_and_nodes_are_reached_through_the_api")),
    row("debug", WorksIn("tests/streams/proxies.rs", "a_container_is_added_to_a_pod_that_runs")),
    row("certificate", Absent("there is no signer of certificate requests")),
    row("get componentstatuses", Absent("deprecated since Kubernetes 1.19")),
];
