//! Folders that ask for a tool: Kustomize (through kubectl where it is installed) and Helm (a stand-in, since what is
//! tested is how it is called and what becomes of what it prints).

use std::os::unix::fs::PermissionsExt;

use super::*;

const POLICY: &str = "{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}";

fn application(world: &World, more: &str, path: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: web, namespace: argocd}}\nspec:\n  project: default\n  source:\n    \
         repoURL: {}\n    path: {path}\n{more}  destination: {{namespace: web}}\n  syncPolicy: {POLICY}\n",
        world.path().display()
    )
}

async fn start(world: &World, tools: &str) -> Syncer {
    let config = SyncConfig { path: "root".to_owned(), tools_path: tools.into(), ..world.config() };
    crate::sync::start(world.registry.clone(), config, &world.tasks).await.unwrap()
}

fn conditions(world: &World) -> String {
    let key = ObjectKey::new(kinds::APPLICATION, "argocd", "web");
    let Ok(found) = world.registry.get(&key) else { return String::new() };
    let conditions = found.typed::<Application>().unwrap().status.conditions.clone();
    conditions.into_iter().map(|c| format!("{}: {}\n", c.type_, c.message)).collect()
}

fn config(world: &World, name: &str) -> Option<Value> {
    world.registry.snapshot().find(kinds::CONFIG_MAP, "web", name).map(|object| object.value())
}

fn path() -> String {
    std::env::var("PATH").unwrap()
}

fn has_kubectl() -> bool {
    let found = std::env::split_paths(&path()).any(|folder| folder.join("kubectl").is_file());
    if !found {
        eprintln!("SKIPPED: kubectl is not installed");
    }
    found
}

#[tokio::test]
async fn a_kustomization_is_built_with_its_bases_and_the_applications_options() {
    if !has_kubectl() {
        return;
    }
    let world = World::new().await;
    let options =
        "    kustomize: {namePrefix: my-, commonAnnotations: {team: a}, images: ['web=registry:5000/web:v9']}\n";
    world.commit(
        "Overlay",
        &[
            ("root/web.yaml", Some(&application(&world, options, "apps/prod"))),
            ("apps/base/kustomization.yaml", Some("resources: [conf.yaml, web.yaml]\n")),
            ("apps/base/conf.yaml", Some(&config_map("conf", "base"))),
            ("apps/base/web.yaml", Some(&deployment("web", "web:v1"))),
            ("apps/prod/kustomization.yaml", Some("resources: [../base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: conf}\n    data: {key: prod}\n")),
        ],
    );
    let _syncer = start(&world, &path()).await;
    world.until("it is deployed", |w| config(w, "my-conf").is_some_and(|c| c["data"]["key"] == "prod")).await;
    let web = world.registry.snapshot().find(kinds::DEPLOYMENT, "web", "my-web").unwrap().value();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "registry:5000/web:v9");
    assert_eq!(web["metadata"]["annotations"]["team"], "a");

    world.commit(
        "The base moves",
        &[
            ("apps/base/more.yaml", Some(&config_map("more", "1"))),
            ("apps/base/kustomization.yaml", Some("resources: [conf.yaml, web.yaml, more.yaml]\n")),
        ],
    );
    world.until("a change of the base is followed", |w| config(w, "my-more").is_some()).await;

    world.commit("Broken", &[("apps/prod/kustomization.yaml", Some("resources: [../base, gone.yaml]\n"))]);
    world.until("what kustomize says is told", |w| conditions(w).contains("gone.yaml")).await;
    assert!(!conditions(&world).contains("/tmp"), "{}", conditions(&world));
    world.commit("Remote", &[("apps/prod/kustomization.yaml", Some("resources: ['https://github.com/a/b?ref=v1']\n"))]);
    world
        .until("a remote base is refused", |w| {
            conditions(w).contains("apps/prod/kustomization.yaml: \"https://github.com/a/b?ref=v1\" is a remote base")
        })
        .await;
    assert!(config(&world, "my-conf").is_some(), "nothing is pruned");
}

#[tokio::test]
async fn a_missing_tool_is_named() {
    let world = World::new().await;
    world.commit(
        "Chart",
        &[("root/web.yaml", Some(&application(&world, "", "chart"))), ("chart/Chart.yaml", Some("name: web\n"))],
    );
    let _syncer = start(&world, "/nowhere").await;
    world
        .until("it is named", |w| conditions(w).contains("chart/Chart.yaml: helm is needed to render this folder"))
        .await;
}

#[tokio::test]
async fn a_chart_is_rendered_with_the_values_of_the_application() {
    let world = World::new().await;
    let bin = world.folder.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = "#!/bin/sh\nprintf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: args}\\ndata:\\n'\n\
                  i=0; for a in \"$@\"; do printf '  a%s: \"%s\"\\n' $i \"$a\"; i=$((i+1)); done\n\
                  printf '  values: \"%s\"\\n' \"$(cat env/prod.yaml)\"\n";
    std::fs::write(bin.join("helm"), script).unwrap();
    std::fs::set_permissions(bin.join("helm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = "    helm:\n      releaseName: shop\n      valueFiles: [/env/prod.yaml]\n      parameters: [{name: a.b, value: 'xy'}]\n      skipCrds: true\n";
    world.commit(
        "Chart",
        &[
            ("root/web.yaml", Some(&application(&world, options, "charts/web"))),
            ("charts/web/Chart.yaml", Some("name: web\n")),
            ("env/prod.yaml", Some("replicas: 3")),
        ],
    );
    let _syncer = start(&world, &format!("{}:{}", bin.display(), path())).await;
    world.until("it is deployed", |w| config(w, "args").is_some()).await;
    let data = config(&world, "args").unwrap()["data"].clone();
    let args: Vec<_> = (0..9).map(|i| data[format!("a{i}")].as_str().unwrap_or_default().to_owned()).collect();
    let want = ["template", "shop", "charts/web", "--namespace", "web", "--values", "env/prod.yaml", "--set", "a.b=xy"];
    assert_eq!(args, want, "{data}");
    assert_eq!(data["values"], "replicas: 3");
}
