//! Killed for real: a child process with many writers is ended with SIGKILL, again and again on one file.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{commit, config, data, put};
use crate::cluster::store::{Redb, Store};
use crate::object::{Revision, kinds};
use crate::tasks::Tasks;

const FILE: &str = "WINDLASS_TEST_STORE";
const WRITERS: usize = 64;

/// The child: it tells its standard output what was acknowledged. Without the variable it is an empty test.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Ok(file) = std::env::var(FILE) else { return };
    let tasks = Tasks::default();
    let store = Store::open(Redb::open(file).unwrap(), &tasks).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let (store, name) = (store.clone(), format!("w{writer}"));
        async move {
            let mut count = data(&store, &name).and_then(|v| v.as_i64()).unwrap_or_default();
            loop {
                count += 1;
                let committed = commit(&store, [config(&name, count)]).await.unwrap();
                let lease = commit(&store, [put(kinds::LEASE, &name, json!({"spec": {"n": count}}))]).await.unwrap();
                assert!(lease.revision > committed.revision);
                writeln!(std::io::stdout(), "ack {name} {count} {}", lease.revision).unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
}

#[tokio::test]
async fn kill_9_under_64_writers_loses_nothing_and_the_revision_never_decreases() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let (mut acknowledged, mut revision) = (BTreeMap::<String, i64>::new(), Revision::default());
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "cluster::store::tests::crash::child_that_writes_until_it_is_killed"])
            .env(FILE, &file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed after so many acknowledgements: no clock decides when. What is in the pipe still counts.
        let most = random.usize(1..1500);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let words: Vec<&str> = line.split(' ').collect();
            let ["ack", name, count, at] = words[..] else { continue };
            acknowledged.insert(name.to_owned(), count.parse().unwrap());
            revision = revision.max(at.parse().unwrap());
            seen += 1;
            if seen == most {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= most, "round {round}: the child ended by itself");

        let tasks = Tasks::default();
        let store = Store::open(Redb::open(&file).unwrap(), &tasks).unwrap();
        assert!(store.revision() >= revision, "round {round}: from {revision} to {}", store.revision());
        for (name, count) in &acknowledged {
            let found = data(&store, name).and_then(|v| v.as_i64()).unwrap_or_default();
            assert!(found >= *count, "round {round}: {name} is {found}, {count} was acknowledged");
        }
        store.close().await;
    }
}
