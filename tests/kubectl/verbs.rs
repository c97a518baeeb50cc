//! Every verb of kubectl: a row says what it does against windlass, and a row that says "works" is driven here, by the
//! newest kubectl of the machine. `docs/kubectl.md` is this table; `UPDATE_DOCS=1 cargo test --test kubectl` writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::cluster::{Cluster, programs};

/// A verb or a feature of the API.
struct Row {
    verb: &'static str,
    verdict: Verdict,
}

enum Verdict {
    /// Each command line succeeds. `FILE` stands for a manifest of a Deployment, `FOLDER` for a kustomization of it.
    Works(&'static [&'static str]),
    /// Needs pods that run: this test, named by its file and name, drives it.
    WorksIn(&'static str, &'static str),
    /// As above, but for this.
    Differs(&'static [&'static str], &'static str),
    Absent(&'static str),
}

use Verdict::{Absent, Differs, Works, WorksIn};

const fn row(verb: &'static str, verdict: Verdict) -> Row {
    Row { verb, verdict }
}

/// In the order in which they are driven: later rows use what earlier ones made.
const ROWS: &[Row] = &[
    row("version", Works(&["version"])),
    row("cluster-info", Works(&["cluster-info"])),
    row("api-resources", Works(&["api-resources"])),
    row("api-versions", Works(&["api-versions"])),
    row("config view", Works(&["config view"])),
    row("explain", Works(&["explain deployment.spec.strategy", "explain hpa --api-version=autoscaling/v1"])),
    row(
        "create",
        Works(&[
            "create namespace team",
            "create configmap settings --from-literal=a=b",
            "create secret generic password --from-literal=p=x",
            "create serviceaccount robot",
            "create service clusterip front --tcp=80:8080",
            "create job once --image=busybox",
            "create cronjob nightly --image=busybox --schedule=@daily",
            "create role reader --verb=get --resource=pods",
            "create rolebinding readers --role=reader --user=a",
            "create clusterrole all-reader --verb=get --resource=pods",
            "create clusterrolebinding all-readers --clusterrole=all-reader --user=a",
            "create quota most --hard=pods=10",
            "create poddisruptionbudget keep --selector=app=web --min-available=1",
            "create priorityclass urgent --value=1000",
            "create ingress way --rule=example.com/*=front:80",
        ]),
    ),
    row("run", Works(&["run lone --image=busybox --restart=Never"])),
    row("apply", Works(&["apply -f FILE", "apply -f FILE"])),
    row("apply --server-side", Works(&["apply --server-side --force-conflicts -f FILE"])),
    row("apply -k", Works(&["apply -k FOLDER"])),
    row("diff", Works(&["diff -f FILE"])),
    row(
        "get",
        Works(&[
            "get all -A -o wide",
            "get deploy web -o yaml",
            "get pods -l app=web --field-selector=status.phase=Pending",
        ]),
    ),
    row("get --watch", WorksIn("tests/kubectl/reading.rs", "a_watch_shows_changes_as_they_happen")),
    row("describe", Works(&["describe deploy web", "describe ns default"])),
    row("expose", Works(&["expose deploy web --name=exposed --port=80"])),
    row("label", Works(&["label deploy web tier=front"])),
    row("annotate", Works(&["annotate deploy web note=x"])),
    row(
        "patch",
        Works(&[
            "patch deploy web -p {\"spec\":{\"replicas\":3}}",
            "patch deploy web --type=merge -p {\"spec\":{\"replicas\":2}}",
            "patch deploy web --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":1}]",
        ]),
    ),
    row("scale", Works(&["scale deploy web --replicas=2"])),
    row(
        "autoscale",
        Works(&[
            "autoscale deploy web --max=3 --cpu-percent=50",
            "get hpa.v1.autoscaling web",
            "get hpa.v2.autoscaling web",
        ]),
    ),
    row(
        "get hpa.v1.autoscaling",
        Differs(
            &["get hpa.v1.autoscaling web -o yaml --show-managed-fields"],
            "managed fields have the names of `autoscaling/v2`, in which autoscalers are stored; so with Events of `events.k8s.io`",
        ),
    ),
    row(
        "set",
        Works(&[
            "set image deploy/web c=nginx:2",
            "set env deploy/web A=b",
            "set resources deploy/web --requests=cpu=10m",
            "set selector svc/front app=web",
            "set serviceaccount deploy/web robot",
            "set subject rolebinding/readers --user=b",
        ]),
    ),
    row(
        "rollout",
        Works(&[
            "rollout pause deploy/web",
            "rollout resume deploy/web",
            "rollout restart deploy/web",
            "rollout history deploy/web",
        ]),
    ),
    row("replace", Works(&["replace --force -f FILE"])),
    row("wait", Works(&["wait --for=jsonpath={.spec.replicas}=2 deploy/web"])),
    row("events", Works(&["events", "get events.events.k8s.io"])),
    row("auth", Works(&["auth can-i create pods", "auth whoami"])),
    row("cordon", Works(&["cordon n1"])),
    row("uncordon", Works(&["uncordon n1"])),
    row("drain", Works(&["drain n1"])),
    row("taint", Works(&["taint node n1 a=b:NoSchedule"])),
    row("delete", Works(&["delete deploy web", "delete -f FILE --ignore-not-found", "delete cm --all"])),
    row("logs", WorksIn("tests/streams/docker.rs", "commands_files_terminals_and_ports_of_real_containers")),
    row("exec", WorksIn("tests/streams/docker.rs", "commands_files_terminals_and_ports_of_real_containers")),
    row("cp", WorksIn("tests/streams/docker.rs", "commands_files_terminals_and_ports_of_real_containers")),
    row("port-forward", WorksIn("tests/streams/docker.rs", "commands_files_terminals_and_ports_of_real_containers")),
    row("attach", WorksIn("tests/streams/remote.rs", "attaching_gives_the_containers_own_streams")),
    row("top", WorksIn("tests/streams/usage.rs", "top_shows_what_the_agents_measure")),
    row("proxy", WorksIn("tests/streams/proxies.rs", "pods_services_and_nodes_are_reached_through_the_api")),
    row("debug", WorksIn("tests/streams/proxies.rs", "a_container_is_added_to_a_pod_that_runs")),
    row("certificate", Absent("there is no signer of certificate requests")),
];

const HEAD: &str = "\
# kubectl

What kubectl does against windlass. A test drives the rows and writes this page.

| verb | | |
|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for Row { verb, verdict } in ROWS {
        let (word, detail) = match verdict {
            Works(commands) => ("works", format!("driven: {} commands", commands.len())),
            WorksIn(file, _) => ("works", format!("driven in `{file}`")),
            Differs(_, how) => ("differs", (*how).to_owned()),
            Absent(why) => ("absent", (*why).to_owned()),
        };
        let _ = writeln!(page, "| `{verb}` | {word} | {detail} |");
    }
    page
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: 'nginx:1'}]
";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_verbs_says_what_kubectl_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for Row { verb, verdict } in ROWS {
        if let WorksIn(file, name) = verdict {
            let text = fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(text.contains(&format!("fn {name}(")), "{verb}: {file} has no {name}");
        }
    }
    if let Some(program) = programs().pop() {
        drive(&Cluster::start(&program).await).await;
    }
    let path = root.join("docs/kubectl.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page(), "write it anew: UPDATE_DOCS=1 cargo test --test kubectl");
}

async fn drive(cluster: &Cluster) {
    let file = cluster.write("web.yaml", DEPLOYMENT);
    cluster.write("kustomization.yaml", "resources: [web.yaml]\n");
    let folder = cluster.path("").display().to_string();
    let node = cluster.write("node.yaml", "{apiVersion: v1, kind: Node, metadata: {name: n1}}");
    cluster.ok(&["create", "-f", &node]).await;
    for row in ROWS {
        let (Works(commands) | Differs(commands, _)) = row.verdict else { continue };
        for command in commands {
            let words: Vec<&str> = command.split(' ').collect();
            let words = words.into_iter().map(|word| match word {
                "FILE" => file.as_str(),
                "FOLDER" => folder.as_str(),
                word => word,
            });
            cluster.ok(&words.collect::<Vec<_>>()).await;
        }
    }
}
