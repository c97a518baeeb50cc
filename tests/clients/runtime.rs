//! The `kube` crate's watchers, caches and controllers.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, WatchStreamExt, reflector, watcher};
use serde_json::json;

use super::world::{PATIENCE, World};

fn named(name: &str) -> ConfigMap {
    let metadata = ObjectMeta {
        name: Some(name.into()),
        labels: Some([("of".into(), "test".into())].into()),
        ..ObjectMeta::default()
    };
    ConfigMap { metadata, ..ConfigMap::default() }
}

/// What the watcher says until it has said `count` things.
async fn heard(
    api: &Api<ConfigMap>,
    config: watcher::Config,
    count: usize,
    then: impl Future<Output = ()>,
) -> Vec<String> {
    let name = |object: &ConfigMap| object.metadata.name.clone().unwrap_or_default();
    let events = watcher(api.clone(), config.labels("of=test")).map_ok(|event| match event {
        watcher::Event::Init => "init".to_owned(),
        watcher::Event::InitApply(object) => format!("has {}", name(&object)),
        watcher::Event::InitDone => "done".to_owned(),
        watcher::Event::Apply(object) => format!("applied {}", name(&object)),
        watcher::Event::Delete(object) => format!("deleted {}", name(&object)),
    });
    let listening = async { events.take(count).try_collect::<Vec<_>>().await.unwrap() };
    tokio::time::timeout(PATIENCE, futures::future::join(listening, then)).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_hears_the_same_by_lists_and_by_streaming_lists() {
    let world = World::start().await;
    let api = Api::<ConfigMap>::default_namespaced(world.client.clone());
    for (config, name) in [(watcher::Config::default(), "a"), (watcher::Config::default().streaming_lists(), "b")] {
        api.create(&PostParams::default(), &named(name)).await.unwrap();
        let change = async {
            // The listing may or may not be over: either way the end is the same.
            let patch = Patch::Merge(json!({"data": {"x": "y"}}));
            api.patch(name, &PatchParams::default(), &patch).await.unwrap();
        };
        change.await;
        let delete = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            api.delete(name, &DeleteParams::default()).await.unwrap();
        };
        let want = ["init".to_owned(), format!("has {name}"), "done".to_owned(), format!("deleted {name}")];
        assert_eq!(heard(&api, config, 4, delete).await, want);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_keeps_a_copy_that_follows() {
    let world = World::start().await;
    let api = Api::<ConfigMap>::default_namespaced(world.client.clone());
    let (reader, writer) = reflector::store();
    let following = reflector(writer, watcher(api.clone(), watcher::Config::default().labels("of=test")));
    let mut following = Box::pin(following.default_backoff().touched_objects());
    api.create(&PostParams::default(), &named("copied")).await.unwrap();
    let seen = tokio::time::timeout(PATIENCE, following.try_next()).await.unwrap().unwrap();
    assert_eq!(seen.unwrap().metadata.name.as_deref(), Some("copied"));
    // The copy is whole once the first listing is, and an object made after that comes by itself.
    api.create(&PostParams::default(), &named("second")).await.unwrap();
    tokio::time::timeout(PATIENCE, following.try_next()).await.unwrap().unwrap();
    let state: Vec<Arc<ConfigMap>> = reader.state();
    assert_eq!(state.len(), 2);
    world.stop().await;
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failed(#[from] kube::Error);

/// A Secret of the same name for each ConfigMap, owned by it.
async fn reconcile(object: Arc<ConfigMap>, client: Arc<kube::Client>) -> Result<Action, Failed> {
    let secrets = Api::<Secret>::default_namespaced((*client).clone());
    let name = object.metadata.name.clone().unwrap_or_default();
    let owner = object.controller_owner_ref(&());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "ownerReferences": owner.map(|o| [o])}});
    secrets.patch(&name, &PatchParams::apply("controller").force(), &Patch::Apply(secret)).await?;
    Ok(Action::await_change())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_keeps_what_it_owns_until_its_owner_goes() {
    let world = World::start().await;
    let api = Api::<ConfigMap>::default_namespaced(world.client.clone());
    let secrets = Api::<Secret>::default_namespaced(world.client.clone());
    let config = watcher::Config::default().labels("of=test");
    let controller = Controller::new(api.clone(), config).owns(secrets.clone(), watcher::Config::default());
    let later = |_: Arc<ConfigMap>, _: &Failed, _: Arc<kube::Client>| Action::requeue(Duration::from_millis(100));
    let running = controller.run(reconcile, later, Arc::new(world.client.clone())).for_each(|_| std::future::ready(()));
    let using = async {
        let made = api.create(&PostParams::default(), &named("owner")).await.unwrap();
        until(&secrets, true).await;
        let first = secrets.get("owner").await.unwrap().metadata.uid.unwrap();
        secrets.delete("owner", &DeleteParams::default()).await.unwrap();
        until(&secrets, true).await;
        assert_ne!(
            secrets.get("owner").await.unwrap().metadata.uid.as_deref(),
            Some(first.as_str()),
            "it is made anew"
        );
        api.delete("owner", &DeleteParams::default()).await.unwrap();
        await_condition(api.clone(), "owner", conditions::is_deleted(&made.metadata.uid.unwrap())).await.unwrap();
        until(&secrets, false).await;
    };
    tokio::select! {
        () = running => panic!("the controller has ended"),
        done = tokio::time::timeout(PATIENCE, using) => done.expect("it takes too long"),
    }
    world.stop().await;
}

/// Waits until the Secret is there, or is not.
async fn until(secrets: &Api<Secret>, there: bool) {
    while secrets.get_opt("owner").await.unwrap().is_some() != there {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
