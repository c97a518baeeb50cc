//! Volatile kinds: they never reach the disk, never wait for it, and Events go after an hour.

use std::time::Duration;

use serde_json::json;

use super::disk::{Disk, Trouble};
use super::{commit, config, key, put};
use crate::cluster::store::{Change, Store};
use crate::object::{Revision, kinds};
use crate::tasks::Tasks;

#[tokio::test]
async fn after_a_crash_the_store_goes_on_above_every_revision_that_it_ever_gave() {
    let mut disk = Disk::default();
    let mut highest = Revision::default();
    for round in 0..3 {
        let tasks = Tasks::default();
        let store = Store::open(disk.store(), &tasks).unwrap();
        assert!(store.revision() >= highest);
        for turn in 0..50 {
            highest = commit(&store, [put(kinds::LEASE, "l", json!({"spec": {"n": turn}}))]).await.unwrap().revision;
        }
        assert_eq!(store.revision(), highest);
        disk = disk.after_power_loss(&mut fastrand::Rng::with_seed(round));
    }
    let tasks = Tasks::default();
    let store = Store::open(disk.store(), &tasks).unwrap();
    let durable = commit(&store, [config("a", 1)]).await.unwrap().revision;
    let lease = commit(&store, [put(kinds::LEASE, "l", json!({}))]).await.unwrap().revision;
    let crashed = Store::open(disk.after_power_loss(&mut fastrand::Rng::with_seed(9)).store(), &tasks).unwrap();
    assert!(crashed.revision() > lease && lease > durable);
    assert!(crashed.snapshot().get(&key(kinds::LEASE, "l")).is_none(), "a lease went to disk");
    assert!(crashed.snapshot().get(&key(kinds::CONFIG_MAP, "a")).is_some());
}

#[tokio::test]
async fn heartbeats_go_on_while_the_disk_fails() {
    let (tasks, disk) = (Tasks::default(), Disk::default());
    let store = Store::open(disk.store(), &tasks).unwrap();
    commit(&store, [config("a", 1)]).await.unwrap();
    disk.set(Trouble::Writes);
    let heartbeat = commit(&store, [put(kinds::LEASE, "l", json!({}))]);
    let (durable, heartbeat) = futures::join!(commit(&store, [config("a", 2)]), heartbeat);
    assert!(durable.is_err());
    assert!(heartbeat.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_an_hour_after_it_was_last_written() {
    let tasks = Tasks::default();
    let store = Store::in_memory(&tasks);
    let event = |name: &str| put(kinds::EVENT, name, json!({"reason": "Test"}));
    commit(&store, [event("old"), event("again"), put(kinds::LEASE, "l", json!({}))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3000)).await;
    commit(&store, [event("again")]).await.unwrap();
    let mut watch = store.watch(kinds::EVENT, store.revision()).unwrap();

    let mut gone = Vec::new();
    let started = tokio::time::Instant::now();
    for _ in 0..2 {
        let event = watch.next().await.unwrap();
        assert_eq!(event.change, Change::Deleted);
        gone.push((event.object.key.name.clone(), started.elapsed().as_secs()));
    }
    assert_eq!(gone, [("old".into(), 600), ("again".into(), 3600)]);
    assert!(store.snapshot().get(&key(kinds::LEASE, "l")).is_some());
}

#[tokio::test(start_paused = true)]
async fn there_are_never_many_more_events_than_the_bound() {
    let tasks = Tasks::default();
    let store = Store::in_memory(&tasks);
    for batch in 0..100 {
        let events = (0..100).map(|n| put(kinds::EVENT, &format!("e{batch:03}-{n:03}"), json!({})));
        commit(&store, events).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(store.snapshot().len() <= 8192);
    }
    assert_eq!(store.snapshot().len(), 8192);
    assert!(store.snapshot().get(&key(kinds::EVENT, "e099-099")).is_some());
    assert!(store.snapshot().get(&key(kinds::EVENT, "e000-000")).is_none());
}
