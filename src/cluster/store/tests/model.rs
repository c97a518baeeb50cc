//! The store against a model of a few lines: outcomes, contents, indexes and watches agree after any history.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Batch, CommitError, Op, Precondition, Store, key, put_as};
use crate::cluster::store::{Change, Watch};
use crate::object::{Kind, ObjectKey, Revision, kinds};
use crate::tasks::Tasks;

const KINDS: [&Kind; 4] = [kinds::POD, kinds::CONFIG_MAP, kinds::EVENT, kinds::NODE];

#[derive(Clone, Debug)]
struct Write {
    kind: usize,
    name: usize,
    what: What,
    expect: Expect,
}

#[derive(Clone, Debug)]
enum What {
    Put { node: usize, owners: Vec<usize> },
    Delete,
    Check,
}

#[derive(Clone, Copy, Debug)]
enum Expect {
    Any,
    Absent,
    /// At the revision that it has, or 1 when it does not exist.
    Latest,
    /// At the revision before that.
    Stale,
}

fn writes() -> impl Strategy<Value = Vec<Vec<Write>>> {
    let what = prop_oneof![
        4 => (0..3usize, prop::collection::vec(0..3usize, 0..3)).prop_map(|(node, owners)| What::Put { node, owners }),
        2 => Just(What::Delete),
        1 => Just(What::Check),
    ];
    let expect = prop_oneof![
        5 => Just(Expect::Any), 2 => Just(Expect::Latest), 1 => Just(Expect::Absent), 1 => Just(Expect::Stale)
    ];
    let write = (0..KINDS.len(), 0..4usize, what, expect).prop_map(|(kind, name, what, expect)| Write {
        kind,
        name,
        what,
        expect,
    });
    prop::collection::vec(prop::collection::vec(write, 0..5), 1..25)
}

#[derive(Default)]
struct Model {
    revision: u64,
    objects: BTreeMap<ObjectKey, (u64, Value)>,
    history: Vec<(u64, Change, ObjectKey)>,
}

impl Model {
    fn key(write: &Write) -> ObjectKey {
        key(KINDS[write.kind], &format!("n{}", write.name))
    }

    fn value(write: &Write) -> Value {
        let What::Put { node, owners } = &write.what else { return Value::Null };
        let owners: Vec<Value> = owners.iter().map(|o| json!({"uid": format!("uid{o}"), "name": "o"})).collect();
        json!({"metadata": {"ownerReferences": owners}, "spec": {"nodeName": if *node == 0 { String::new() } else { format!("node{node}") }}})
    }

    fn expect(&self, write: &Write) -> Precondition {
        let latest = self.objects.get(&Self::key(write)).map_or(1, |(revision, _)| *revision);
        match write.expect {
            Expect::Any => Precondition::Any,
            Expect::Absent => Precondition::Absent,
            Expect::Latest => Precondition::At(Revision(latest)),
            Expect::Stale => Precondition::At(Revision(latest - 1)),
        }
    }

    fn op(&self, write: &Write) -> Op {
        let (key, expect) = (Self::key(write), self.expect(write));
        match write.what {
            What::Put { .. } => put_as(key.kind, &key.name, Self::value(write), expect),
            What::Delete => Op::Delete { key, expect },
            What::Check => Op::Check { key, expect },
        }
    }

    fn apply(&mut self, batch: &[Write]) -> Result<u64, &'static str> {
        let mut seen = BTreeSet::new();
        for write in batch {
            let key = Self::key(write);
            let present = self.objects.get(&key).map(|(revision, _)| *revision);
            let holds = match self.expect(write) {
                Precondition::Any => true,
                Precondition::Absent => present.is_none(),
                Precondition::At(revision) => present == Some(revision.0),
            };
            if !seen.insert(key) {
                return Err("repeated");
            }
            if !holds {
                return Err("precondition");
            }
        }
        let (revision, before) = (self.revision + 1, self.history.len());
        for write in batch {
            let key = Self::key(write);
            let change = match (&write.what, self.objects.contains_key(&key)) {
                (What::Put { .. }, false) => Change::Added,
                (What::Put { .. }, true) => Change::Modified,
                (What::Delete, true) => Change::Deleted,
                _ => continue,
            };
            match change {
                Change::Deleted => drop(self.objects.remove(&key)),
                _ => drop(self.objects.insert(key.clone(), (revision, Self::value(write)))),
            }
            self.history.push((revision, change, key));
        }
        self.revision += (self.history.len() - before).min(2) as u64;
        Ok(self.revision)
    }
}

fn drain(watch: &mut Watch) -> Vec<(u64, Change, ObjectKey)> {
    let next = || watch.try_next().unwrap();
    std::iter::from_fn(next).map(|e| (e.revision.0, e.change, e.object.key.clone())).collect()
}

fn keys<'a>(objects: impl Iterator<Item = &'a std::sync::Arc<crate::object::Object>>) -> Vec<ObjectKey> {
    objects.map(|o| o.key.clone()).collect()
}

fn agree(store: &Store, model: &Model) {
    let snapshot = store.snapshot();
    assert_eq!(snapshot.revision().0, model.revision);
    let found: Vec<_> = snapshot.iter().map(|o| (o.key.clone(), o.meta.revision.0)).collect();
    let want: Vec<_> = model.objects.iter().map(|(k, (revision, _))| (k.clone(), *revision)).collect();
    assert_eq!(found, want);
    for (key, object) in snapshot.iter().map(|o| (&o.key, o.value())) {
        assert_eq!(object["spec"], model.objects[key].1["spec"]);
        assert_eq!(object["metadata"]["resourceVersion"], model.objects[key].0.to_string());
    }
    for number in 0..3 {
        let (uid, node) = (format!("uid{number}"), format!("node{number}"));
        let owned =
            |v: &Value| v["metadata"]["ownerReferences"].as_array().is_some_and(|a| a.iter().any(|o| o["uid"] == *uid));
        let want: Vec<_> = model.objects.iter().filter(|(_, (_, v))| owned(v)).map(|(k, _)| k.clone()).collect();
        assert_eq!(keys(snapshot.owned_by(&uid)), want);
        let bound = |k: &ObjectKey, v: &Value| k.kind == kinds::POD && v["spec"]["nodeName"] == *node;
        let want: Vec<_> = model.objects.iter().filter(|(k, (_, v))| bound(k, v)).map(|(k, _)| k.clone()).collect();
        assert_eq!(keys(snapshot.pods_on(&node)), want);
    }
    for kind in KINDS {
        let want: Vec<_> = model.objects.keys().filter(|k| k.kind == kind).cloned().collect();
        assert_eq!(keys(snapshot.list(kind, "")), want);
    }
}

async fn run(batches: Vec<Vec<Write>>) {
    let tasks = Tasks::default();
    let store = Store::in_memory(&tasks);
    let mut model = Model { revision: 1, ..Model::default() };
    let mut watches = Vec::new();
    for batch in batches {
        for kind in KINDS {
            watches.push((kind, model.revision, store.watch(kind, Revision(model.revision)).unwrap()));
        }
        let ops = batch.iter().map(|write| model.op(write)).collect();
        let outcome = store.commit(Batch { ops }).await;
        match (model.apply(&batch), &outcome) {
            (Ok(revision), Ok(committed)) => assert_eq!(committed.revision.0, revision),
            (Err("repeated"), Err(CommitError::Repeated { .. })) => {}
            (Err("precondition"), Err(CommitError::Precondition { .. })) => {}
            (want, _) => panic!("{batch:?}: {want:?}, but {outcome:?}"),
        }
        agree(&store, &model);
    }
    for from in 1..=model.revision {
        for kind in KINDS {
            watches.push((kind, from, store.watch(kind, Revision(from)).unwrap()));
        }
    }
    for (kind, from, mut watch) in watches {
        let want: Vec<_> = model.history.iter().filter(|(r, _, k)| *r > from && k.kind == kind).cloned().collect();
        let waiting = watch.progress();
        assert!(waiting.is_none() || want.is_empty(), "a bookmark ahead of its events");
        assert_eq!(drain(&mut watch), want, "{} from {from}", kind.kind);
        assert_eq!(watch.progress(), Some(Revision(model.revision)));
    }
    assert!(store.watch(kinds::POD, Revision(model.revision + 1)).is_err());
    tasks.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_agrees_with_the_model(batches in writes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(batches));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hears_of_a_change_finds_it_in_the_snapshot_and_no_watch_of_a_fresh_snapshot_fails() {
    let tasks = Tasks::default();
    let store = Store::in_memory(&tasks);
    let mut all = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        all.spawn(async move {
            for turn in 0..200 {
                super::commit(&store, [super::config(&format!("w{writer}"), turn)]).await.unwrap();
            }
        });
    }
    for _ in 0..4 {
        all.spawn(listen(store.clone(), 801));
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
}

/// Takes a snapshot, follows a few changes of it, and does it again, until revision `end`.
async fn listen(store: Store, end: u64) {
    let mut last = 0;
    while last < end {
        last = store.revision().0;
        let mut watch = store.watch(kinds::CONFIG_MAP, Revision(last)).expect("a fresh snapshot's revision");
        for _ in 0..end.saturating_sub(last).min(7) {
            let event = watch.next().await.unwrap();
            assert_eq!(event.revision.0, last + 1, "lost or repeated");
            assert!(store.revision() >= event.revision, "heard of before it was there");
            assert!(watch.progress().is_none_or(|progress| progress >= event.revision));
            last += 1;
        }
    }
}
