//! Repositories over SSH: with a program in the place of `ssh` that tells what it was asked, and with a real `sshd`.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};

use super::*;
use crate::cluster::registry::{Patch, Target};

/// A program in the place of `ssh`: keeps what it was asked, and runs the command here.
const SSH: &str = r#"#!/bin/sh
folder=$(dirname "$0")
printf '%s\n' "$*" >> "$folder/asked"
for argument; do
    case $before in -i) cp "$argument" "$folder/key" ;; esac
    case $argument in UserKnownHostsFile=*) cp "${argument#*=}" "$folder/hosts" ;; esac
    before=$argument
done
exec sh -c "$before"
"#;

/// Makes what Argo CD's users make: the repository's Secret, and the hosts that are known.
async fn know(world: &World, url: &str, key: &str, hosts: &str) {
    let author = Author::controller("test");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}});
    world.registry.create(&author, kinds::NAMESPACE, "", namespace, WriteOptions::default()).await.unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "shop", "labels": {"argocd.argoproj.io/secret-type": "repository"}},
        "stringData": {"url": url, "sshPrivateKey": key}});
    world.registry.create(&author, kinds::SECRET, "argocd", secret, WriteOptions::default()).await.unwrap();
    let hosts = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-ssh-known-hosts-cm"},
        "data": {"ssh_known_hosts": hosts}});
    world.registry.create(&author, kinds::CONFIG_MAP, "argocd", hosts, WriteOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_repository_over_ssh_is_reached_with_the_key_of_its_secret_and_nothing_else() {
    let world = World::new().await;
    let tools = world.folder.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("ssh"), SSH).unwrap();
    std::fs::set_permissions(tools.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::join_paths(
        std::iter::once(tools.clone()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let url = format!("ssh://git@git.example.com:2222{}", world.path().display());
    know(&world, &url, "canary-key", "git.example.com ssh-ed25519 AAAA").await;
    world.commit("One", &[("conf.yaml", Some(&config_map("conf", "1")))]);
    let repo = url.parse().unwrap();
    let config = SyncConfig { repo, branch: None, tools_path: path.unwrap(), ..world.config() };
    let syncer = crate::sync::start(world.registry.clone(), config, &world.tasks).await.unwrap();
    let value = |w: &World| w.find(kinds::CONFIG_MAP, "conf").map(|found| found["data"]["key"].clone());
    world.until("it is deployed", |w| value(w) == Some(json!("1"))).await;
    let asked = std::fs::read_to_string(tools.join("asked")).unwrap();
    for option in ["-F /dev/null", "BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "-p 2222"] {
        assert!(asked.contains(option), "{option}: {asked}");
    }
    assert!(!asked.contains("canary-key"), "{asked}");
    assert_eq!(std::fs::read_to_string(tools.join("key")).unwrap(), "canary-key\n");
    assert_eq!(std::fs::read_to_string(tools.join("hosts")).unwrap(), "git.example.com ssh-ed25519 AAAA\n");
    let mode = std::fs::metadata(tools.join("key")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    world.commit("Two", &[("conf.yaml", Some(&config_map("conf", "2")))]);
    syncer.trigger(Trigger::Poll);
    world.until("a push is deployed", |w| value(w) == Some(json!("2"))).await;
    std::fs::write(tools.join("ssh"), "#!/bin/sh\necho 'Permission denied (publickey)' >&2; exit 255\n").unwrap();
    syncer.trigger(Trigger::Poll);
    let told = |w: &World| w.conditions().iter().any(|condition| condition.contains("Permission denied (publickey)"));
    world.until("the refusal is told", told).await;
    assert_eq!(value(&world), Some(json!("2")), "what is deployed stays");
}

/// An `sshd` of this test's own, on a free port of the loopback.
struct Sshd {
    process: Child,
    port: u16,
    host: PrivateKey,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn keypair(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn public(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

impl Sshd {
    /// `None` where there is no `sshd`.
    fn start(folder: &Path, user: &PrivateKey) -> Option<Self> {
        let program = ["/usr/sbin/sshd", "/usr/bin/sshd"].map(PathBuf::from).into_iter().find(|path| path.exists())?;
        // It wants this folder where it runs as root.
        let _ = std::fs::create_dir_all("/run/sshd");
        let host = keypair(1);
        let [host_key, authorized, config] = ["host", "authorized", "config"].map(|name| folder.join(name));
        std::fs::write(&host_key, host.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
        std::fs::set_permissions(&host_key, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&authorized, public(user)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let lines = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\n",
            host_key.display(),
            authorized.display()
        );
        std::fs::write(&config, lines).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process = Command::new(program).args(["-D", "-e", "-f"]).arg(&config).stderr(log).spawn().unwrap();
        let sshd = Self { process, port, host };
        for _ in 0..1000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(sshd);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("sshd does not listen: {}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
    }

    fn known_as(&self, key: &PrivateKey) -> String {
        format!("[127.0.0.1]:{} {}", self.port, public(key))
    }
}

#[tokio::test]
async fn a_real_sshd_lets_in_who_has_the_key_and_only_a_known_one_is_spoken_to() {
    let world = World::new().await;
    let sshd_folder = TempDir::new().unwrap();
    let user = keypair(2);
    let Some(sshd) = Sshd::start(sshd_folder.path(), &user) else {
        return eprintln!("\n*** SKIPPED: no sshd on this machine; this test has tested nothing ***\n");
    };
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap();
    let url = format!("ssh://{}@127.0.0.1:{}{}", name.trim(), sshd.port, world.path().display());
    let key = user.to_openssh(LineEnding::LF).unwrap();
    know(&world, &url, &key, &sshd.known_as(&sshd.host)).await;
    world.commit("One", &[("conf.yaml", Some(&config_map("conf", "1")))]);
    let config = SyncConfig { repo: url.parse().unwrap(), branch: None, ..world.config() };
    let syncer = crate::sync::start(world.registry.clone(), config, &world.tasks).await.unwrap();
    let change = |kind, name: &'static str, patch: Value| {
        let (registry, target) = (world.registry.clone(), Target::new(kind, "argocd", name));
        let author = Author { manager: "kubectl".into(), ..Author::controller("test") };
        async move { registry.patch(&author, &target, Patch::Merge(patch), WriteOptions::default()).await.unwrap() }
    };
    let value = |w: &World| w.find(kinds::CONFIG_MAP, "conf").map(|found| found["data"]["key"].clone());
    world.until("it is deployed", |w| value(w) == Some(json!("1"))).await;
    world.commit("Two", &[("conf.yaml", Some(&config_map("conf", "2")))]);
    syncer.trigger(Trigger::Poll);
    world.until("a push is deployed", |w| value(w) == Some(json!("2"))).await;

    let tells = |what: &'static str| {
        syncer.trigger(Trigger::Poll);
        move |w: &World| w.conditions().iter().any(|condition| condition.contains(what))
    };
    let hosts = |key: &PrivateKey| json!({"data": {"ssh_known_hosts": sshd.known_as(key)}});
    change(kinds::CONFIG_MAP, "argocd-ssh-known-hosts-cm", hosts(&keypair(3))).await;
    world.until("another host is not spoken to", tells("Host key verification failed")).await;
    assert!(!world.conditions().iter().any(|told| told.contains('@')), "{:?}", world.conditions());
    change(kinds::CONFIG_MAP, "argocd-ssh-known-hosts-cm", hosts(&sshd.host)).await;
    let other = keypair(4).to_openssh(LineEnding::LF).unwrap();
    change(kinds::SECRET, "shop", json!({"stringData": {"sshPrivateKey": &*other}})).await;
    world.until("another key is refused", tells("Permission denied (publickey")).await;
    assert_eq!(value(&world), Some(json!("2")), "what is deployed stays");
}
