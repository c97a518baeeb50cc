//! The `kube` crate's typed and untyped interfaces.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Discovery, Error};
use serde_json::{Value, json};

use super::world::World;

fn config_map(name: &str, value: &str) -> ConfigMap {
    let object = json!({"metadata": {"name": name, "labels": {"of": "rust"}}, "data": {"a": value}});
    serde_json::from_value(object).unwrap()
}

fn refusal(error: Error) -> (u16, String) {
    match error {
        Error::Api(status) => (status.code, status.reason),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_created_patched_listed_and_deleted() {
    let world = World::start().await;
    let api = Api::<ConfigMap>::default_namespaced(world.client.clone());
    let (post, patch) = (PostParams::default(), PatchParams::apply("rust"));
    for name in ["a", "b", "c"] {
        api.create(&post, &config_map(name, "1")).await.unwrap();
    }
    let again = api.create(&post, &config_map("a", "1")).await.unwrap_err();
    assert_eq!(refusal(again), (409, "AlreadyExists".to_owned()));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&dry, &config_map("never", "1")).await.unwrap();
    assert!(api.get_opt("never").await.unwrap().is_none());

    let page = api.list(&ListParams::default().labels("of=rust").limit(2)).await.unwrap();
    let token = page.metadata.continue_.unwrap();
    let rest = api.list(&ListParams::default().labels("of=rust").limit(2).continue_token(&token)).await.unwrap();
    assert_eq!((page.items.len(), rest.items.len(), rest.metadata.continue_), (2, 1, None));

    let stale = api.get("a").await.unwrap();
    let merged = api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"b": "2"}}))).await.unwrap();
    assert_eq!(merged.data.unwrap()["b"], "2");
    assert_eq!(refusal(api.replace("a", &post, &stale).await.unwrap_err()), (409, "Conflict".to_owned()));
    let owned = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "mine"}});
    let conflict = api.patch("a", &patch, &Patch::Apply(&owned)).await.unwrap_err();
    assert_eq!(refusal(conflict), (409, "Conflict".to_owned()));
    let forced = api.patch("a", &patch.force(), &Patch::Apply(&owned)).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "mine");

    let metadata = api.list_metadata(&ListParams::default().labels("of=rust")).await.unwrap();
    assert_eq!(metadata.items.len(), 3);
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("of=rust")).await.unwrap();
    assert!(api.list(&ListParams::default().labels("of=rust")).await.unwrap().items.is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_found_by_discovery_and_scaled() {
    let world = World::start().await;
    let discovery = Discovery::new(world.client.clone()).run_aggregated().await.unwrap();
    let by_hand = Discovery::new(world.client.clone()).run().await.unwrap();
    for found in [discovery, by_hand] {
        let (resource, _) =
            found.groups().find(|group| group.name() == "apps").unwrap().recommended_kind("Deployment").unwrap();
        assert_eq!(resource.plural, "deployments");
        let api = Api::<DynamicObject>::default_namespaced_with(world.client.clone(), &resource);
        let labels = json!({"app": "d"});
        let object: DynamicObject = serde_json::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d"}, "spec": {"replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "app:1"}]}}}}))
        .unwrap();
        api.patch("d", &PatchParams::apply("rust"), &Patch::Apply(&object)).await.unwrap();
    }
    let typed = Api::<Deployment>::default_namespaced(world.client.clone());
    let scale = json!({"spec": {"replicas": 2}});
    let scaled = typed.patch_scale("d", &PatchParams::default(), &Patch::Merge(&scale)).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(2));
    let status = json!({"status": {"replicas": 7}});
    let written = typed.patch_status("d", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(written.status.unwrap().replicas, Some(7));
    world.stop().await;
}

/// Takes the lease if it is free, or if it was renewed last before `too_old`; whoever loses the race is told by a conflict.
async fn campaign(client: &Client, who: &str, now: &str, too_old: &str) -> bool {
    let leases = Api::<Lease>::default_namespaced(client.clone());
    let spec = json!({"holderIdentity": who, "leaseDurationSeconds": 15, "renewTime": now});
    let written = match leases.get_opt("leader").await.unwrap() {
        None => {
            let lease = json!({"metadata": {"name": "leader"}, "spec": spec});
            leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await
        }
        Some(lease) => {
            let mut next: Value = json!(lease);
            let held = next["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
            let ran_out = next["spec"]["renewTime"].as_str().is_none_or(|time| time < too_old);
            if held != who && !ran_out {
                return false;
            }
            next["spec"] = spec;
            leases.replace("leader", &PostParams::default(), &serde_json::from_value(next).unwrap()).await
        }
    };
    match written {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(refusal(error).0, 409);
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_is_elected_by_a_lease() {
    let world = World::start().await;
    for (now, too_old) in
        [("2026-01-01T00:00:01.000000Z", "2025-12-31T23:59:46"), ("2026-01-01T00:00:30.000000Z", "2026-01-01T00:00:15")]
    {
        let names = ["a", "b", "c", "d", "e"];
        let won = futures::future::join_all(names.map(|who| campaign(&world.client, who, now, too_old))).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{now}: {won:?}");
    }
    world.stop().await;
}
