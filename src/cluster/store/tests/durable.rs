//! What a store on disk promises: nothing acknowledged is lost, nothing refused appears, damage is noticed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::disk::{Disk, Trouble};
use super::{commit, config, data, delete, key};
use crate::cluster::store::{Backend, BackendError, CommitError, Redb, Store};
use crate::object::{Revision, kinds};
use crate::tasks::Tasks;

fn contents(store: &Store) -> BTreeMap<String, Value> {
    store.snapshot().iter().map(|o| (o.key.to_string(), o.value())).collect()
}

#[tokio::test]
async fn a_store_that_was_closed_is_found_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (tasks, file) = (Tasks::default(), folder.path().join("new/store.redb"));
    let store = Store::open(Redb::open(&file).unwrap(), &tasks).unwrap();
    commit(&store, [config("a", 1), config("b", 1)]).await.unwrap();
    commit(&store, [config("a", 2), delete(kinds::CONFIG_MAP, "b")]).await.unwrap();
    let locked = Redb::open(&file).err().unwrap();
    assert!(matches!(locked, BackendError::Locked { .. }), "{locked}");
    store.close().await;
    assert!(matches!(commit(&store, [config("c", 1)]).await, Err(CommitError::Closed)));

    let again = Store::open(Redb::open(&file).unwrap(), &tasks).unwrap();
    assert_eq!(contents(&again), contents(&store));
    assert_eq!(again.revision(), store.revision());
    tasks.stop().await;
    assert!(Redb::open(&file).is_ok(), "stopping the tasks released the file");
}

#[tokio::test]
async fn dropping_the_last_clone_releases_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (tasks, file) = (Tasks::default(), folder.path().join("store.redb"));
    let store = Store::open(Redb::open(&file).unwrap(), &tasks).unwrap();
    commit(&store, [config("a", 1)]).await.unwrap();
    let ended = store.ended.clone();
    drop(store);
    ended.cancelled().await;
    assert!(Redb::open(&file).is_ok());
}

#[cfg(unix)]
#[test]
fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/store.redb");
    Redb::open(&file).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(file.as_path()), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_failing_disk_refuses_writes_and_only_writes() {
    for trouble in [Trouble::Writes, Trouble::Syncs] {
        let (tasks, disk) = (Tasks::default(), Disk::default());
        let store = Store::open(disk.store(), &tasks).unwrap();
        let before = commit(&store, [config("a", 1), config("gone", 1)]).await.unwrap().revision;
        let mut watch = store.watch(kinds::CONFIG_MAP, before).unwrap();

        disk.set(trouble);
        for _ in 0..3 {
            let batches = [vec![config("a", 2)], vec![config("new", 1)], vec![delete(kinds::CONFIG_MAP, "gone")]];
            let refused = futures::future::join_all(batches.map(|ops| commit(&store, ops))).await;
            for refused in refused {
                assert!(matches!(refused, Err(CommitError::Backend(_))), "{trouble:?}: {refused:?}");
            }
        }
        assert_eq!((data(&store, "a"), data(&store, "new")), (Some(json!(1)), None));
        assert_eq!(store.revision(), before);

        disk.set(Trouble::None);
        let after = commit(&store, [config("b", 3)]).await.unwrap().revision;
        let seen = watch.next().await.unwrap();
        assert_eq!((seen.revision, &*seen.object.key.name), (after, "b"), "{trouble:?}: refused writes have no events");
        let left = contents(&store);
        store.close().await;
        let again = Store::open(disk.store(), &tasks).unwrap();
        assert_eq!(contents(&again), left, "{trouble:?}: a refused write came back");
        assert!(left.len() == 3 && again.revision() >= after);
    }
}

#[tokio::test]
async fn a_refused_group_does_not_wait_in_the_file_for_a_crash() {
    let (tasks, disk) = (Tasks::default(), Disk::default());
    let store = Store::open(disk.store(), &tasks).unwrap();
    commit(&store, [config("a", 1)]).await.unwrap();
    // The writes arrive, their sync reports an error, and by the next operation the disk is well again.
    disk.set(Trouble::NextSync);
    assert!(commit(&store, [config("a", 2)]).await.is_err());
    let crashed = disk.after_power_loss(&mut fastrand::Rng::with_seed(1));
    let again = Store::open(crashed.store(), &tasks).unwrap();
    assert_eq!((data(&store, "a"), data(&again, "a")), (Some(json!(1)), Some(json!(1))));
}

/// Eight writers, each of which counts its own object up, until the power goes.
async fn count_until_dark(disk: &Disk, acknowledged: &mut BTreeMap<String, i64>) -> Revision {
    let tasks = Tasks::default();
    let Ok(backend) = disk.try_store() else { return Revision::default() };
    let Ok(store) = Store::open(backend, &tasks) else { return Revision::default() };
    let writers = (0..8).map(|writer| {
        let (store, name) = (store.clone(), format!("w{writer}"));
        let mut count = acknowledged.get(&name).copied().unwrap_or_default();
        async move {
            let mut last = Revision::default();
            loop {
                let ops = [config(&name, count + 1), config(&format!("{name}-twin"), count + 1)];
                match commit(&store, ops).await {
                    Ok(committed) => (last, count) = (committed.revision, count + 1),
                    Err(_) => return (name, count, last),
                }
            }
        }
    });
    let ended = futures::future::join_all(writers).await;
    let last = ended.iter().map(|(_, _, last)| *last).max().unwrap();
    acknowledged.extend(ended.into_iter().map(|(name, count, _)| (name, count)));
    last
}

#[tokio::test]
async fn a_loss_of_power_at_any_moment_loses_no_acknowledged_write() {
    let mut lived = 0;
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut disk, mut acknowledged, mut revision) = (Disk::default(), BTreeMap::new(), Revision::default());
        disk.store().load().unwrap();
        for _ in 0..4 {
            disk.lose_power_after(random.u64(0..120));
            revision = revision.max(count_until_dark(&disk, &mut acknowledged).await);
            assert!(disk.is_off());
            disk = disk.after_power_loss(&mut random);

            let tasks = Tasks::default();
            let look = Disk::holding(disk.image());
            let store = Store::open(look.store(), &tasks).unwrap();
            assert!(store.revision() >= revision, "seed {seed}: revision went from {revision} to {}", store.revision());
            for (name, count) in &mut acknowledged {
                let found = data(&store, name).and_then(|v| v.as_i64()).unwrap_or_default();
                assert!(
                    found == *count || found == *count + 1,
                    "seed {seed}: {name} is {found}, {count} was acknowledged"
                );
                let twin = data(&store, &format!("{name}-twin")).and_then(|v| v.as_i64()).unwrap_or_default();
                assert_eq!(found, twin, "seed {seed}: half a batch");
                // A write that was under way may have arrived; from now on it counts.
                *count = found;
            }
            lived += acknowledged.values().sum::<i64>();
            tasks.stop().await;
        }
    }
    assert!(lived > 500, "the power went before anything was written: {lived}");
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_or_harmless() {
    let (tasks, disk) = (Tasks::default(), Disk::default());
    let store = Store::open(disk.store(), &tasks).unwrap();
    for turn in 0..20 {
        commit(&store, (0..20).map(|n| config(&format!("c{n}"), format!("{turn}-{n}").repeat(20)))).await.unwrap();
    }
    let want = contents(&store);
    store.close().await;
    let image = disk.image();
    let mut random = fastrand::Rng::with_seed(7);
    let used: Vec<usize> = (0..image.len()).filter(|&i| image[i] != 0).collect();
    let mut noticed = 0;
    for _ in 0..300 {
        let mut damaged = image.clone();
        damaged[used[random.usize(..used.len())]] ^= 1 << random.u8(..8);
        let opened = Disk::holding(damaged).try_store().and_then(|mut redb| redb.load());
        match opened {
            Ok(found) => {
                let found: BTreeMap<_, Value> = found
                    .objects
                    .iter()
                    .map(|(k, json)| (k.to_string(), serde_json::from_slice(json).unwrap()))
                    .collect();
                assert_eq!(found, want, "wrong data was served");
            }
            Err(error) => {
                assert!(error.to_string().contains("rebuilt from git"), "{error}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 20, "{noticed}");
}

#[test]
fn a_file_that_is_not_ours_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str| {
        let opened = Redb::open(folder.path().join(name)).and_then(|mut redb| redb.load());
        opened.map(drop).unwrap_err().to_string()
    };
    std::fs::write(folder.path().join("text"), "not a database, and longer than a header is".repeat(500)).unwrap();
    assert!(refused("text").contains("delete the file"), "{}", refused("text"));
    std::fs::write(folder.path().join("short"), "x").unwrap();
    assert!(refused("short").contains("delete the file"), "{}", refused("short"));

    let table = redb::TableDefinition::<&str, u64>::new("theirs");
    let theirs = redb::Database::create(folder.path().join("foreign")).unwrap();
    let transaction = theirs.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert("k", 1).unwrap();
    transaction.commit().unwrap();
    drop(theirs);
    assert!(refused("foreign").contains("not written by windlass"), "{}", refused("foreign"));

    Redb::open(folder.path().join("later")).unwrap().load().unwrap();
    let later = redb::Database::create(folder.path().join("later")).unwrap();
    let transaction = later.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<&str, u64>::new("windlass")).unwrap().insert("format", 9).unwrap();
    transaction.commit().unwrap();
    drop(later);
    assert!(refused("later").contains("format 9"), "{}", refused("later"));

    Redb::open(folder.path().join("kind")).unwrap().load().unwrap();
    let kind = redb::Database::create(folder.path().join("kind")).unwrap();
    let transaction = kind.begin_write().unwrap();
    let objects = redb::TableDefinition::<&str, &[u8]>::new("objects");
    transaction.open_table(objects).unwrap().insert("example.com/widgets/default/w", &b"{}"[..]).unwrap();
    transaction.commit().unwrap();
    drop(kind);
    assert!(refused("kind").contains("example.com/widgets"), "{}", refused("kind"));
    assert_eq!(key(kinds::POD, "a").to_string(), "Pod default/a");
}
