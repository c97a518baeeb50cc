//! How often the failed pods of a node are replaced: a kubelet that refuses a pod would refuse its successor, too.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The failures of nodes. What is not remembered over a restart costs one replacement at once.
#[derive(Debug, Default)]
pub struct Backoff {
    /// By DaemonSet, its generation, and node.
    pauses: HashMap<(String, i64, String), Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    since: Instant,
}

impl Backoff {
    /// Asks to replace a failed pod: `Ok` when that may be done now, or else how long to wait.
    pub fn ask(&mut self, set: &str, generation: i64, node: &str, now: Instant) -> Result<(), Duration> {
        // What was quiet for long is forgiven, and forgotten, so that the memory stays bounded by the pods that fail.
        self.pauses.retain(|_, pause| now.duration_since(pause.since) <= LONGEST * 2);
        let key = (set.to_owned(), generation, node.to_owned());
        let next = match self.pauses.get(&key) {
            Some(pause) if now < pause.since + pause.length => return Err(pause.since + pause.length - now),
            Some(pause) => (pause.length * 2).min(LONGEST),
            None => FIRST,
        };
        self.pauses.insert(key, Pause { length: next, since: now });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_on_a_node_doubles_the_pause_before_the_next_replacement() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        let mut ask = |node: &str, millis: u64| backoff.ask("u", 1, node, start + Duration::from_millis(millis));
        assert_eq!(ask("a", 0), Ok(()));
        assert_eq!(ask("a", 400), Err(Duration::from_millis(600)));
        assert_eq!(ask("b", 400), Ok(()), "another node");
        assert_eq!(ask("a", 1000), Ok(()));
        assert_eq!(ask("a", 2000), Err(Duration::from_secs(1)));
        assert_eq!(ask("a", 3000), Ok(()));
        assert_eq!(ask("a", 6000), Err(Duration::from_secs(1)));
        assert_eq!(ask("a", 3_000_000), Ok(()));
        assert_eq!(ask("a", 3_000_500), Err(Duration::from_millis(500)), "it is forgiven");
    }
}
