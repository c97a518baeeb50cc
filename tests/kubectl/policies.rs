//! Policies as people adopt them: `kubectl apply -f`, then writes that they let pass, refuse or only warn of.

use std::path::Path;

use super::cluster::{Cluster, extremes};

/// Only what comes from git is judged by it, and kubectl does not.
const ABOUT_GIT: &str = "no-plain-secret";

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_is_applied_and_speaks_as_in_kubernetes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        for folder in &folders {
            let name = folder.file_name().unwrap().to_str().unwrap();
            let file = |file: &str| folder.join(file).display().to_string();
            let applied = cluster.ok(&["apply", "-f", &file("policy.yaml")]).await;
            assert_eq!(applied.matches(" created").count(), applied.lines().count(), "{applied}");
            cluster.ok(&["apply", "-f", &file("pass.yaml")]).await;
            if name != ABOUT_GIT {
                let said = cluster.fails(&["create", "-f", &file("fail.yaml")]).await;
                let said_by = format!("ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: ");
                assert!(said.contains(&said_by), "{name}: {said}");
            }
            cluster.ok(&["delete", "--ignore-not-found", "-f", &file("fail.yaml"), "-f", &file("pass.yaml")]).await;
            cluster.ok(&["delete", "-f", &file("policy.yaml")]).await;
        }
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_is_judged_and_a_warning_reaches_the_terminal() {
    for program in extremes() {
        let cluster = Cluster::start(&program).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/max-replicas");
        let policy = std::fs::read_to_string(folder.join("policy.yaml")).unwrap();
        cluster.ok(&["apply", "-f", &folder.join("policy.yaml").display().to_string()]).await;
        cluster.ok(&["apply", "-f", &folder.join("pass.yaml").display().to_string()]).await;
        let said = cluster.fails(&["scale", "deploy", "web", "--replicas=21"]).await;
        assert!(said.contains("at most 20 replicas are allowed, not 21"), "{said}");
        let warning = cluster.write("warn.yaml", &policy.replace("[Deny]", "[Warn]"));
        cluster.ok(&["apply", "-f", &warning]).await;
        let scaled = cluster.run(&["scale", "deploy", "web", "--replicas=21"]).await;
        let warned = "Warning: Validation failed for ValidatingAdmissionPolicy 'max-replicas' with binding 'max-replicas': at most 20";
        assert!(scaled.ok && scaled.err.contains(warned), "{}", scaled.err);
        cluster.stop().await;
    }
}
