//! Plans over HTTP: what they say, and that they write nothing.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use super::local::work_tree;
use super::*;
use crate::cluster::registry::{Patch, Target};
use crate::diff::plan::{Action, Plan};
use crate::sync::render::AgeKeys;
use crate::sync::{Local, PlanRequest, Tools};

async fn post(syncer: &Syncer, path: &str, body: Value) -> (u16, Value) {
    let request = Request::post(path).body(Body::from(body.to_string())).unwrap();
    let answer = syncer.routes().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1 << 24).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn plan(syncer: &Syncer, request: &PlanRequest) -> Plan {
    plan_of(syncer, "windlass-system", "shop", request).await
}

pub async fn plan_of(syncer: &Syncer, namespace: &str, name: &str, request: &PlanRequest) -> Plan {
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications/{name}/plan");
    let (status, body) = post(syncer, &path, serde_json::to_value(request).unwrap()).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_value(body).unwrap()
}

pub fn steps(plan: &Plan) -> Vec<(Action, String, String)> {
    plan.steps.iter().map(|step| (step.action, step.object(), step.source.clone())).collect()
}

fn revision(text: &str) -> PlanRequest {
    PlanRequest { revision: text.to_owned(), ..PlanRequest::default() }
}

/// `web` and `conf` are deployed.
async fn deployed() -> (World, Syncer, Oid) {
    let world = World::new().await;
    let (web, conf) = (deployment("web", "web:v1"), config_map("conf", "one"));
    let first = world.commit("Ship", &[("web.yaml", Some(&web)), ("conf.yaml", Some(&conf))]);
    let syncer = world.start().await;
    settled(&syncer, first).await;
    (world, syncer, first)
}

#[tokio::test(start_paused = true)]
async fn what_is_deployed_differs_in_nothing() {
    let (world, syncer, first) = deployed().await;
    let revision_before = world.registry.store().revision();
    let tip = plan(&syncer, &PlanRequest::default()).await;
    assert_eq!((steps(&tip), tip.unchanged, tip.errors.len()), (vec![], 2, 0), "{tip:?}");
    assert_eq!(tip.revision, first.to_string());
    // A work tree of the same files, which no commit names, is the same too.
    let same = plan(&syncer, &work_tree(&world, &world.application(), "")).await;
    assert_eq!((steps(&same), same.unchanged), (vec![], 2), "{same:?}");
    assert_eq!(world.registry.store().revision(), revision_before, "a plan writes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_work_tree_is_planned_with_its_uncommitted_files() {
    let (world, syncer, _) = deployed().await;
    let write = |name: &str, text: &str| std::fs::write(world.path().join(name), text).unwrap();
    write("web.yaml", &deployment("web", "web:v2"));
    write("new.yaml", &config_map("new", "x"));
    write("ignored.yaml", "not: a manifest\n");
    write(".gitignore", "ignored.yaml\n");
    std::fs::remove_file(world.path().join("conf.yaml")).unwrap();
    let request = work_tree(&world, &world.application(), "");
    assert_eq!(request.errors, []);
    let revision_before = world.registry.store().revision();
    let plan = plan(&syncer, &request).await;
    let want = [
        (Action::Create, "ConfigMap default/new", "new.yaml:1"),
        (Action::Update, "Deployment default/web", "web.yaml:1"),
        (Action::Prune, "ConfigMap default/conf", ""),
    ];
    assert_eq!(steps(&plan), want.map(|(action, object, source)| (action, object.to_owned(), source.to_owned())));
    let changes: Vec<_> = plan.steps[1].changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(changes, ["spec.template.spec.containers[name=main].image"]);
    assert_eq!(world.registry.store().revision(), revision_before);
}

#[tokio::test(start_paused = true)]
async fn one_commit_is_planned_after_another() {
    let (world, syncer, first) = deployed().await;
    let text = config_map("a", "1");
    let second = world.commit("A", &[("a.yaml", Some(&text))]);
    let third = world.commit("B", &[("a.yaml", None), ("b.yaml", Some(&config_map("b", "1")))]);
    settled(&syncer, third).await;
    let between = plan(&syncer, &revision(&format!("{second}..{third}"))).await;
    let found: Vec<_> = steps(&between).into_iter().map(|(action, object, _)| (action, object)).collect();
    let want = [(Action::Create, "ConfigMap default/b"), (Action::Prune, "ConfigMap default/a")];
    assert_eq!(found, want.map(|(action, object)| (action, object.to_owned())));
    let back = plan(&syncer, &revision(&first.to_string())).await;
    let found: Vec<_> = steps(&back).into_iter().map(|(action, object, _)| (action, object)).collect();
    assert_eq!(found, [(Action::Prune, "ConfigMap default/b".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn errors_come_with_the_plan_at_their_lines_and_nothing_is_pruned() {
    let (world, syncer, _) = deployed().await;
    let web = deployment("web", "web:v1").replace("  replicas: 2\n", "  replica: 2\n");
    let bad = world.commit("Bad", &[("web.yaml", Some(&web)), ("conf.yaml", Some("a: [\n"))]);
    settled(&syncer, bad).await;
    let plan = plan(&syncer, &PlanRequest::default()).await;
    let errors: Vec<_> = plan.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("conf.yaml:"), "{errors:?}");
    assert!(errors[1].starts_with("web.yaml:6: ") && errors[1].contains("spec.replica"), "{errors:?}");
    assert_eq!(plan.count(Action::Prune), 0);
}

#[tokio::test(start_paused = true)]
async fn unknown_applications_and_revisions_are_refused() {
    let (_world, syncer, _) = deployed().await;
    let path = |name: &str| format!("/apis/argoproj.io/v1alpha1/namespaces/windlass-system/applications/{name}/plan");
    assert_eq!(post(&syncer, &path("other"), json!({})).await.0, 404);
    let (status, body) = post(&syncer, &path("shop"), json!({"revision": "nowhere"})).await;
    assert_eq!((status, body["kind"].as_str()), (400, Some("Status")));
    assert_eq!(post(&syncer, &path("shop"), json!({"documents": 5})).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_makes_the_syncer_look() {
    let (world, syncer, _) = deployed().await;
    let conf = config_map("conf", "two");
    let second = world.commit("Next", &[("conf.yaml", Some(&conf))]);
    let (status, _) = post(&syncer, "/api/webhook", json!({})).await;
    assert_eq!(status, 202);
    world.until("it is deployed", |w| w.application().status.sync.revision == second.to_string()).await;
}

async fn patch_application(world: &World, patch: Value) {
    let target = Target::new(kinds::APPLICATION, SYSTEM_NAMESPACE, "shop");
    let (author, patch) = (Author::controller("ada"), Patch::Merge(patch));
    world.registry.patch(&author, &target, patch, WriteOptions::default()).await.unwrap();
}

async fn ask_for(world: &World, plan: &str) {
    let info = json!([{"name": "plan", "value": plan}]);
    patch_application(world, json!({"operation": {"sync": {"prune": true}, "info": info}})).await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_carried_out_as_it_was_shown_or_not_at_all() {
    let (world, syncer, _) = deployed().await;
    patch_application(&world, json!({"spec": {"syncPolicy": {"automated": null}}})).await;
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {password: tops3cret}\n";
    let two = config_map("conf", "two");
    world.commit("Two", &[("conf.yaml", Some(&two)), ("key.yaml", Some(secret)), ("web.yaml", None)]);
    world.until("it is compared", |w| w.application().status.sync.status == "OutOfSync").await;
    let shown = plan(&syncer, &PlanRequest::default()).await;
    assert_eq!(shown.steps.len(), 3, "{shown:?}");
    let text = serde_json::to_string(&shown).unwrap();
    assert!(text.contains("(hidden, ") && !text.contains("tops3cret") && !text.contains("dG9wczNjcmV0"), "{text}");

    // The value of a Secret belongs to the plan, too.
    let other = secret.replace("tops3cret", "changed");
    let tip = world.commit("Another secret", &[("key.yaml", Some(&other))]).to_string();
    world.until("it is compared", |w| w.application().status.sync.revision == tip).await;
    ask_for(&world, &shown.id).await;
    let refused = format!("plan {} is not what a sync of", shown.id);
    world
        .until("it is refused", |w| {
            w.application().status.operation_state.is_some_and(|state| state.message.contains(&refused))
        })
        .await;
    world.until("the request is answered", |w| w.application().operation.is_none()).await;
    assert_eq!(world.find(kinds::CONFIG_MAP, "conf").unwrap()["data"]["key"], "one", "nothing is done");
    assert!(world.find(kinds::SECRET, "key").is_none() && world.find(kinds::DEPLOYMENT, "web").is_some());

    let now = plan(&syncer, &PlanRequest::default()).await;
    assert_ne!(now.id, shown.id);
    ask_for(&world, &now.id).await;
    world.until("it is carried out", |w| w.find(kinds::SECRET, "key").is_some()).await;
    assert_eq!(world.find(kinds::CONFIG_MAP, "conf").unwrap()["data"]["key"], "two");
    assert!(world.find(kinds::DEPLOYMENT, "web").is_none());
    assert_eq!(steps(&plan(&syncer, &PlanRequest::default()).await), vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_what_restarts_what_scales_where_pods_go_and_what_finds_no_room() {
    let (world, syncer, _) = deployed().await;
    // Plans are of the cluster as it is, whatever is committed meanwhile.
    world.tasks.stop().await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
        "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}}});
    world.registry.create(&Author::controller("test"), kinds::NODE, "", node, WriteOptions::default()).await.unwrap();
    let asks = "        image: web:v1\n        resources: {requests: {cpu: 400m}}";
    let hungry =
        deployment("hungry", "web:v1").replace("        image: web:v1", asks).replace("replicas: 2", "replicas: 3");
    let audit = include_str!("../../../policies/no-latest-tag/policy.yaml").replace("[Deny]", "[Audit]");
    world.commit(
        "More",
        &[
            ("web.yaml", Some(&deployment("web", "web:latest"))),
            ("hungry.yaml", Some(&hungry)),
            ("policy.yaml", Some(&audit)),
        ],
    );
    let found = plan(&syncer, &revision("HEAD")).await;
    let texts: Vec<_> = found.rollouts.iter().map(|rollout| rollout.text()).collect();
    let hungry = "Deployment default/hungry starts: 2 pods on n1, no node for 1 pod \
                  (0/1 nodes are available: 1 Insufficient cpu.)";
    assert_eq!(texts, [hungry, "Deployment default/web restarts: 2 pods on n1"], "{found:?}");
    assert!(found.warnings.iter().any(|w| w.contains("which only audits")), "{:?}", found.warnings);
    assert_eq!(found.errors, []);

    world.commit(
        "Only more",
        &[
            ("web.yaml", Some(&deployment("web", "web:v1").replace("replicas: 2", "replicas: 4"))),
            ("hungry.yaml", None),
            ("policy.yaml", None),
        ],
    );
    let found = plan(&syncer, &revision("HEAD")).await;
    assert_eq!(found.rollouts[0].text(), "Deployment default/web scales from 2 to 4: 2 pods on n1");
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_what_goes_to_another_application() {
    let world = World::new().await;
    let child = |name: &str| super::applications::application(&world, name, name, "HEAD", "{}");
    let moving = config_map("moving", "1").replace("name: moving", "name: moving\n  namespace: default");
    world.commit("Ship", &[("root/conf.yaml", Some(&moving)), ("root/b.yaml", Some(&child("b")))]);
    let syncer = super::applications::start(&world).await;
    world.until("it is there", |w| w.find(kinds::CONFIG_MAP, "moving").is_some()).await;
    world.tasks.stop().await;
    world.commit("Move", &[("root/conf.yaml", None), ("b/conf.yaml", Some(&moving))]);
    let texts = |plan: &Plan| plan.moves.iter().map(|moved| moved.text()).collect::<Vec<_>>();
    let root = plan(&syncer, &revision("HEAD")).await;
    let goes = "ConfigMap default/moving goes from Application shop to argocd_b";
    assert_eq!((texts(&root), root.count(Action::Prune)), (vec![goes.to_owned()], 0), "{root:?}");
    // So does a client that has rendered a commit itself, of a branch that nobody follows yet.
    let next = world.repository.head().unwrap().target().unwrap();
    world.repository.branch("next", &world.repository.find_commit(next).unwrap(), false).unwrap();
    let before = world.repository.find_commit(next).unwrap().parent_id(0).unwrap();
    world.repository.reference("refs/heads/main", before, true, "back").unwrap();
    let none = (AgeKeys::new(String::new), Tools::new("".into()));
    let mut local = Local::open(&world.path(), &world.application(), None, none.0, none.1).unwrap();
    let rendered = local.render(local.commit("next").unwrap()).unwrap();
    let posted = plan(&syncer, &PlanRequest::of(&next.to_string(), local.sources(), &rendered, None)).await;
    assert_eq!((texts(&posted), posted.count(Action::Prune)), (vec![goes.to_owned()], 0), "{posted:?}");
    world.repository.reference("refs/heads/main", next, true, "forth").unwrap();

    let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/b/plan";
    let (_, body) = post(&syncer, path, serde_json::to_value(revision("HEAD")).unwrap()).await;
    let b: Plan = serde_json::from_value(body).unwrap();
    assert_eq!(texts(&b), [goes]);
    assert_eq!((b.count(Action::Update), b.count(Action::Create)), (1, 0), "{b:?}");
}
