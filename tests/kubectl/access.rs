//! Who may do what, as kubectl shows it: impersonation, tokens, refusals in Kubernetes's words.

use std::path::{Path, PathBuf};

use super::world::{World, programs};

/// The same cluster, for a caller without a certificate.
fn without_certificate(world: &World) -> PathBuf {
    let text = std::fs::read_to_string(world.kubeconfig()).unwrap();
    let kept =
        text.lines().filter(|line| !line.contains("client-certificate-data") && !line.contains("client-key-data"));
    let path = world.kubeconfig().with_extension("bare");
    std::fs::write(&path, kept.collect::<Vec<_>>().join("\n").replace("user:\n", "user: {}\n")).unwrap();
    path
}

struct Shell<'a> {
    world: &'a World,
    program: &'a Path,
}

impl Shell<'_> {
    async fn run(&self, line: &str) -> (i32, String) {
        let words: Vec<&str> = line.split(' ').collect();
        let said = self.world.kubectl(self.program, &words, b"").await;
        (said.code, format!("{}{}", said.text(), said.err))
    }

    async fn ok(&self, line: &str) -> String {
        let (code, said) = self.run(line).await;
        assert_eq!(code, 0, "{line}: {said}");
        said
    }

    #[track_caller]
    fn refused(&self, line: &'static str, said: (i32, String), words: &str) {
        assert_eq!(said.0, 1, "{line}: {}", said.1);
        assert!(said.1.contains(words), "{line}: {words:?} is not in {}", said.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_decide_and_refusals_say_what_is_missing() {
    let Some(program) = programs().pop() else { return };
    let world = World::start().await;
    let shell = Shell { world: &world, program: &program };
    for line in [
        "create role reader --verb=get,list --resource=pods",
        "create rolebinding readers --role=reader --user=ann --serviceaccount=default:robot",
        "create serviceaccount robot",
        "create clusterrole role-maker --verb=create,get --resource=roles.rbac.authorization.k8s.io",
        "create rolebinding makers --clusterrole=role-maker --user=ann",
        "get pods --as=ann",
        "auth can-i list pods --as=ann",
    ] {
        shell.ok(line).await;
    }
    let listed = shell.ok("auth can-i --list --as=ann").await;
    assert!(listed.contains("pods") && listed.contains("[get list]"), "{listed}");
    let cases = [
        (
            "delete pod x --as=ann",
            "pods \"x\" is forbidden: User \"ann\" cannot delete resource \"pods\" in API group \"\" in the namespace \"default\"",
        ),
        (
            "get nodes --as=ann",
            "nodes is forbidden: User \"ann\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
        ),
        (
            "get deploy --as=ann",
            "deployments.apps is forbidden: User \"ann\" cannot list resource \"deployments\" in API group \"apps\" in the namespace \"default\"",
        ),
        ("get pods --as=bob --as-group=some", "pods is forbidden: User \"bob\" cannot list resource \"pods\""),
        (
            "create role more --verb=delete --resource=pods --as=ann",
            "attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}",
        ),
    ];
    for (line, words) in cases {
        shell.refused(line, shell.run(line).await, words);
    }
    // What one holds may be granted.
    shell.ok("create role same --verb=get --resource=pods --as=ann").await;
    // A node sees what its own pods refer to.
    let node = "get secrets --as=system:node:n1 --as-group=system:nodes";
    shell.refused(
        "get secrets as a node",
        shell.run(node).await,
        "User \"system:node:n1\" cannot list resource \"secrets\"",
    );
    // Roles that are put together follow the labels of their parts.
    shell.ok("create clusterrole whole --aggregation-rule=part=yes").await;
    shell.ok("create clusterrole part --verb=watch --resource=secrets").await;
    shell.ok("label clusterrole part part=yes").await;
    shell.ok("wait --for=jsonpath={.rules[0].verbs[0]}=watch clusterrole/whole --timeout=50s").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_speaks_for_its_account() {
    let Some(program) = programs().pop() else { return };
    let world = World::start().await;
    let shell = Shell { world: &world, program: &program };
    for line in [
        "create serviceaccount robot",
        "create role reader --verb=list --resource=pods",
        "create rolebinding readers --role=reader --serviceaccount=default:robot",
    ] {
        shell.ok(line).await;
    }
    let token = shell.ok("create token robot --duration=10m").await.trim().to_owned();
    let bare = without_certificate(&world);
    let bare = bare.display();
    shell.ok(&format!("--kubeconfig {bare} --token {token} get pods")).await;
    let who = shell.ok(&format!("--kubeconfig {bare} --token {token} auth whoami")).await;
    assert!(
        who.contains("system:serviceaccount:default:robot") && who.contains("system:serviceaccounts:default"),
        "{who}"
    );
    let said = shell.run(&format!("--kubeconfig {bare} --token {token} get secrets")).await;
    let words = "secrets is forbidden: User \"system:serviceaccount:default:robot\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\"";
    shell.refused("secrets by token", said, words);
    let said = shell.run(&format!("--kubeconfig {bare} --token {token}x get pods")).await;
    shell.refused("a wrong token", said, "You must be logged in to the server");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_token_is_good_until_it_is_deleted_and_a_stranger_is_nobody() {
    let Some(program) = programs().pop() else { return };
    let world = World::start().await;
    let shell = Shell { world: &world, program: &program };
    shell
        .ok("create secret generic bootstrap-token-abcdef -n kube-system --type=bootstrap.kubernetes.io/token \
             --from-literal=token-id=abcdef --from-literal=token-secret=0123456789abcdef \
             --from-literal=usage-bootstrap-authentication=true \
             --from-literal=auth-extra-groups=system:bootstrappers:joining")
        .await;
    let bare = without_certificate(&world);
    let by = |token: &str| format!("--kubeconfig {} --token {token}", bare.display());
    let who = shell.ok(&format!("{} auth whoami", by("abcdef.0123456789abcdef"))).await;
    for word in ["system:bootstrap:abcdef", "system:bootstrappers", "system:bootstrappers:joining"] {
        assert!(who.contains(word), "{word}: {who}");
    }
    let said = shell.run(&format!("{} get pods", by("abcdef.0123456789abcdef"))).await;
    shell.refused("pods by a bootstrap token", said, "User \"system:bootstrap:abcdef\" cannot list resource \"pods\"");
    let said = shell.run(&format!("{} get pods", by("abcdef.0123456789abcdee"))).await;
    shell.refused("a wrong secret", said, "You must be logged in to the server");
    shell.ok("delete secret bootstrap-token-abcdef -n kube-system").await;
    let said = shell.run(&format!("{} auth whoami", by("abcdef.0123456789abcdef"))).await;
    shell.refused("a token that was deleted", said, "You must be logged in to the server");
    let line = format!("--kubeconfig {} --username=x --password=y get --raw /api/v1/pods", bare.display());
    let said = shell.run(&line).await;
    assert_eq!(said.0, 1, "{}", said.1);
    world.stop().await;
}
