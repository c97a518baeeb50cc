//! Commands that change something.

use super::cluster::{Cluster, extremes};

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
async fn objects_are_created_changed_and_deleted() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        let file = cluster.write("web.yaml", DEPLOYMENT);
        assert!(cluster.ok(&["create", "-f", &file]).await.contains("deployment.apps/web created"));
        assert!(cluster.fails(&["create", "-f", &file]).await.contains("already exists"));
        cluster.ok(&["label", "deploy", "web", "tier=front"]).await;
        cluster.ok(&["annotate", "deploy", "web", "note=x"]).await;
        assert!(cluster.ok(&["get", "deploy", "-l", "tier=front", "-A", "-o", "wide"]).await.contains("web"));
        cluster.ok(&["scale", "deploy", "web", "--replicas=5"]).await;
        let replicas = ["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"];
        assert_eq!(cluster.ok(&replicas).await, "5");
        cluster.ok(&["patch", "deploy", "web", "--type=merge", "-p", "{\"spec\":{\"replicas\":3}}"]).await;
        assert_eq!(cluster.ok(&replicas).await, "3");
        assert!(cluster.ok(&["delete", "deploy", "web"]).await.contains("deleted"));
        assert!(cluster.fails(&["get", "deploy", "web"]).await.contains("deployments.apps \"web\" not found"));
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_makes_each_kind_from_its_flags() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        let cases: [&[&str]; 8] = [
            &["create", "priorityclass", "urgent", "--value=1000"],
            &["create", "namespace", "team"],
            &["create", "configmap", "settings", "--from-literal=a=b"],
            &["create", "secret", "generic", "password", "--from-literal=p=\u{fc}ber"],
            &["create", "serviceaccount", "robot"],
            &["create", "deployment", "web", "--image=nginx:1", "--replicas=0", "--port=80"],
            &["create", "service", "clusterip", "web", "--tcp=80:8080"],
            &["run", "once", "--image=busybox", "--restart=Never"],
        ];
        for arguments in cases {
            assert!(cluster.ok(arguments).await.contains(" created"), "{arguments:?}");
        }
        let value = |kind: &'static str, name: &'static str, path: &'static str| {
            let (cluster, path) = (&cluster, format!("jsonpath={{{path}}}"));
            async move { cluster.ok(&["get", kind, name, "-o", &path]).await }
        };
        assert_eq!(value("cm", "settings", ".data.a").await, "b");
        assert_eq!(value("secret", "password", ".data.p").await, "w7xiZXI=");
        assert_eq!(value("deploy", "web", ".spec.replicas").await, "0", "a zero that was asked for is kept");
        assert_eq!(value("deploy", "web", ".spec.template.spec.containers[0].ports[0].containerPort").await, "80");
        assert_eq!(value("svc", "web", ".spec.ports[0].targetPort").await, "8080");
        assert!(cluster.ok(&["expose", "deploy", "web", "--name=exposed"]).await.contains("exposed"));
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_creates_changes_and_leaves_alone() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        let file = cluster.write("web.yaml", DEPLOYMENT);
        assert!(cluster.fails(&["diff", "-f", &file]).await.is_empty(), "differences are exit code 1, not an error");
        assert!(cluster.ok(&["apply", "-f", &file, "--dry-run=server"]).await.contains("created (server dry run)"));
        assert!(cluster.fails(&["get", "deploy", "web"]).await.contains("not found"));
        assert!(cluster.ok(&["apply", "-f", &file]).await.contains("created"));
        assert!(cluster.ok(&["apply", "-f", &file]).await.contains("unchanged"));
        assert_eq!(cluster.ok(&["diff", "-f", &file]).await, "");
        let changed = cluster.write("web.yaml", &DEPLOYMENT.replace("nginx:1", "nginx:2"));
        assert!(cluster.run(&["diff", "-f", &changed]).await.out.contains("nginx:2"));
        assert!(cluster.ok(&["apply", "-f", &changed]).await.contains("configured"));
        cluster.ok(&["set", "image", "deploy/web", "c=nginx:3"]).await;
        let image = ["get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[*].image}"];
        assert_eq!(cluster.ok(&image).await, "nginx:3");
        cluster.ok(&["rollout", "restart", "deploy/web"]).await;
        cluster.ok(&["rollout", "pause", "deploy/web"]).await;
        cluster.ok(&["rollout", "resume", "deploy/web"]).await;
        cluster.ok(&["rollout", "history", "deploy/web"]).await;
        cluster.ok(&["replace", "-f", &file]).await;
        cluster.ok(&["delete", "-f", &file]).await;
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_creates_and_changes() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        let file = cluster.write("web.yaml", DEPLOYMENT);
        assert!(cluster.ok(&["apply", "--server-side", "-f", &file]).await.contains("serverside-applied"));
        let changed = cluster.write("web.yaml", &DEPLOYMENT.replace("replicas: 2", "replicas: 4"));
        cluster.ok(&["apply", "--server-side", "-f", &changed]).await;
        assert_eq!(cluster.ok(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"]).await, "4");
        cluster.stop().await;
    }
}
