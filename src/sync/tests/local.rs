//! What `windlass diff` renders on the client's side, held against what the server deploys of the same files.

use std::os::unix::fs::PermissionsExt;

use super::applications::{application, child};
use super::plans::{plan_of, steps};
use super::*;
use crate::diff::plan::Action;
use crate::sync::render::AgeKeys;
use crate::sync::{Local, LocalError, PlanRequest, Tools};

const POLICY: &str = "{automated: {prune: true}, syncOptions: [CreateNamespace=true]}";

fn open(world: &World, application: &Application, tools: &str) -> Result<Local, LocalError> {
    Local::open(&world.path(), application, None, AgeKeys::new(String::new), Tools::new(tools.into()))
}

/// The request of `windlass diff` without arguments.
pub fn work_tree(world: &World, application: &Application, tools: &str) -> PlanRequest {
    let mut local = open(world, application, tools).unwrap();
    let commit = local.work_tree().unwrap();
    let rendered = local.render(commit).unwrap();
    PlanRequest::of("work tree", local.sources(), &rendered, None)
}

fn write(world: &World, name: &str, text: &str) {
    let path = world.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_work_tree_is_read_as_its_commit_would_be_and_nothing_is_written() {
    let world = World::new().await;
    let text = config_map("kept", "1");
    world.commit("Ship", &[("kept.yaml", Some(&text)), ("gone.yaml", Some(&config_map("gone", "1")))]);
    let _syncer = world.start().await;
    world.until("it is deployed", |w| w.find(kinds::CONFIG_MAP, "gone").is_some()).await;
    let listed = |folder: &str| {
        let mut all: Vec<_> = walk(&world.path().join(".git").join(folder));
        all.sort();
        all
    };
    let (objects, index) = (listed("objects"), std::fs::read(world.path().join(".git/index")).ok());
    write(&world, "new.yaml", &config_map("new", "1"));
    write(&world, "deep/er/conf.yaml", &config_map("deep", "1"));
    write(&world, "ignored/conf.yaml", "a: [\n");
    write(&world, ".gitignore", "ignored/\n");
    write(&world, "large.bin", &"x".repeat((16 << 20) + 1));
    std::fs::remove_file(world.path().join("gone.yaml")).unwrap();
    let request = work_tree(&world, &world.application(), "");
    let mut files: Vec<_> = request.documents.unwrap().into_iter().map(|document| document.file).collect();
    files.sort();
    assert_eq!(
        (files, request.errors),
        (["deep/er/conf.yaml", "kept.yaml", "new.yaml"].map(str::to_owned).to_vec(), vec![])
    );
    assert_eq!((listed("objects"), std::fs::read(world.path().join(".git/index")).ok()), (objects, index));
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let below = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    below.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_folder_that_asks_for_a_tool_is_rendered_by_it() {
    let world = World::new().await;
    let bin = world.folder.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = "#!/bin/sh\nprintf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: %s}\\ndata: {key: \"%s\"}\\n' \"$2\" \"$(cat charts/web/values.yaml)\"\n";
    std::fs::write(bin.join("helm"), script).unwrap();
    std::fs::set_permissions(bin.join("helm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let tools = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let web = application(&world, "web", "charts/web", "HEAD", POLICY);
    world.commit(
        "Chart",
        &[
            ("root/web.yaml", Some(&web)),
            ("charts/web/Chart.yaml", Some("name: web\n")),
            ("charts/web/values.yaml", Some("one")),
        ],
    );
    let config = SyncConfig { path: "root".to_owned(), tools_path: tools.clone().into(), ..world.config() };
    let syncer = crate::sync::start(world.registry.clone(), config, &world.tasks).await.unwrap();
    world.until("it is deployed", |w| w.registry.snapshot().find(kinds::CONFIG_MAP, "web", "web").is_some()).await;
    let web = child(&world, "web");
    let same = plan_of(&syncer, "argocd", "web", &work_tree(&world, &web, &tools)).await;
    assert_eq!((steps(&same), same.unchanged), (vec![], 1), "{same:?}");
    write(&world, "charts/web/values.yaml", "two");
    let other = plan_of(&syncer, "argocd", "web", &work_tree(&world, &web, &tools)).await;
    let want = (Action::Update, "ConfigMap web/web".to_owned(), "charts/web/Chart.yaml".to_owned());
    assert_eq!(steps(&other), [want], "{other:?}");
    let absent = work_tree(&world, &web, "");
    assert!(absent.errors[0].to_string().contains("helm is needed"), "{:?}", absent.errors);
}

#[tokio::test(start_paused = true)]
async fn of_several_sources_those_of_this_repository_are_rendered_and_the_server_reads_the_others() {
    let (world, other) = (World::new().await, World::new().await);
    other.commit("Theirs", &[("b/conf.yaml", Some(&config_map("theirs", "1")))]);
    let sources = format!(
        "  sources:\n  - {{repoURL: {}, path: b}}\n  - {{repoURL: {}, path: a}}\n",
        other.path().display(),
        world.path().display()
    );
    let both = application(&world, "both", "a", "HEAD", POLICY);
    let (head, tail) = both.split_once("  source:\n").unwrap();
    let both = format!("{head}{sources}  destination:{}", tail.split_once("  destination:").unwrap().1);
    world.commit("Ours", &[("root/both.yaml", Some(&both)), ("a/conf.yaml", Some(&config_map("ours", "1")))]);
    let syncer = super::applications::start(&world).await;
    world.until("both are deployed", |w| child(w, "both").status.sync.status == "Synced").await;
    write(&world, "a/conf.yaml", &config_map("ours", "2"));
    let both = child(&world, "both");
    let request = work_tree(&world, &both, "");
    assert_eq!(request.sources, Some(vec![1]));
    let plan = plan_of(&syncer, "argocd", "both", &request).await;
    let want = (Action::Update, "ConfigMap both/ours".to_owned(), "a/conf.yaml:1".to_owned());
    assert_eq!((steps(&plan), plan.unchanged), (vec![want], 1), "{plan:?}");
    let third = World::new().await;
    let refused = open(&third, &both, "").err().unwrap().to_string();
    assert!(refused.contains("none of the Application's sources") && refused.contains("--repo"), "{refused}");
}
