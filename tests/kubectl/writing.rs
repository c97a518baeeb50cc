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
