//! Commands that look.

use tokio::io::{AsyncBufReadExt, BufReader};

use super::cluster::{Cluster, extremes, programs};

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_finds_its_way_around() {
    for program in programs() {
        let cluster = Cluster::start(&program).await;
        let namespaces = cluster.ok(&["get", "ns"]).await;
        assert!(namespaces.contains("default") && namespaces.contains("kube-system"), "{namespaces}");
        let resources = cluster.ok(&["api-resources"]).await;
        assert!(resources.contains("deployments") && resources.contains("deploy"), "{resources}");
        assert!(cluster.ok(&["version", "-o", "json"]).await.contains("\"gitVersion\": \"v1.33.0\""));
        assert_eq!(
            cluster.ok(&["get", "ns", "-o", "name"]).await,
            "namespace/default\nnamespace/kube-node-lease\nnamespace/kube-public\nnamespace/kube-system\nnamespace/windlass-system\n"
        );
        assert!(cluster.ok(&["get", "ns", "default", "-o", "yaml"]).await.contains("kind: Namespace"));
        assert!(cluster.fails(&["get", "pod", "none"]).await.contains("pods \"none\" not found"));
        assert!(cluster.fails(&["get", "nonsense"]).await.contains("the server doesn't have a resource type"));
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_changes_as_they_happen() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        let mut child = tokio::process::Command::from(cluster.command(&["get", "cm", "-w", "-o", "name"]))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for name in ["a", "b"] {
            cluster.ok(&["create", "-f", &cluster.write("cm.json", &config_map(name)), "--validate=false"]).await;
            let line = tokio::time::timeout(std::time::Duration::from_secs(20), lines.next_line()).await.unwrap();
            assert_eq!(line.unwrap().as_deref(), Some(format!("configmap/{name}").as_str()));
        }
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_describe_and_auth_answer() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        let fields = cluster.ok(&["explain", "deployment.spec"]).await;
        assert!(fields.contains("replicas\t<integer>") && fields.contains("Number of desired pods."), "{fields}");
        assert!(fields.contains("template") && fields.contains("-required-"), "{fields}");
        let policy = cluster.ok(&["explain", "application.spec.syncPolicy.automated"]).await;
        assert!(policy.contains("selfHeal\t<boolean>") && policy.contains("put back"), "{policy}");
        assert!(cluster.ok(&["explain", "pod", "--recursive"]).await.contains("containerPort"));
        cluster.ok(&["create", "-f", &cluster.write("cm.json", &config_map("seen"))]).await;
        assert!(cluster.ok(&["describe", "cm", "seen"]).await.contains("seen"));
        assert!(cluster.ok(&["describe", "ns", "default"]).await.contains("default"));
        assert_eq!(cluster.ok(&["auth", "can-i", "create", "pods"]).await.trim(), "yes");
        assert!(cluster.ok(&["auth", "can-i", "--list"]).await.contains('*'));
        assert!(cluster.ok(&["get", "--raw", "/metrics"]).await.contains("apiserver_request_total"));
        assert!(cluster.ok(&["get", "--raw", "/readyz"]).await.contains("ok"));
        assert!(cluster.ok(&["get", "all", "-A"]).await.contains("service/kubernetes"));
        cluster.ok(&["cluster-info"]).await;
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_come_in_pages() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        for name in ["a", "b", "c", "d", "e"] {
            cluster.ok(&["create", "-f", &cluster.write("cm.json", &config_map(name))]).await;
        }
        let names = cluster.ok(&["get", "cm", "--chunk-size=2", "-o", "name"]).await;
        let want: Vec<String> = ["a", "b", "c", "d", "e"].map(|n| format!("configmap/{n}")).into();
        assert_eq!(names.lines().collect::<Vec<_>>(), want);
        cluster.stop().await;
    }
}

fn config_map(name: &str) -> String {
    format!("{{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {{\"name\": \"{name}\"}}}}")
}
