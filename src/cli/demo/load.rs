//! A client that asks a Service in a loop, each request on a connection of its own, and counts what it gets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Clients that ask side by side.
const CLIENTS: usize = 4;
/// Pause between two requests of one client.
const PAUSE: Duration = Duration::from_millis(10);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer longer than this is not the demo's.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// What the clients saw.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by what they began with: the application's name and version.
    pub answers: BTreeMap<String, u64>,
    /// Failures by their message.
    pub failures: BTreeMap<String, u64>,
}

impl Tally {
    pub fn requests(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failed()
    }

    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    fn add(&mut self, other: Self) {
        for (mine, theirs) in [(&mut self.answers, other.answers), (&mut self.failures, other.failures)] {
            for (key, count) in theirs {
                *mine.entry(key).or_default() += count;
            }
        }
    }

    fn count(&mut self, outcome: Result<String, String>) {
        let (counts, key) = match outcome {
            Ok(answer) => (&mut self.answers, answer),
            Err(failure) => (&mut self.failures, failure),
        };
        *counts.entry(key).or_default() += 1;
    }
}

/// Clients that are asking.
pub struct Load {
    stop: CancellationToken,
    clients: Vec<JoinHandle<Tally>>,
}

impl Load {
    pub fn start(address: SocketAddr) -> Self {
        let stop = CancellationToken::new();
        let client = |_| {
            let stop = stop.clone();
            #[expect(clippy::disallowed_methods, reason = "its end is awaited in `finish`")]
            tokio::spawn(ask_until(stop, address))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), stop }
    }

    /// Stops the clients, each after its request under way, and gives what they saw.
    pub async fn finish(self) -> Tally {
        self.stop.cancel();
        let mut total = Tally::default();
        for client in self.clients {
            match client.await {
                Ok(tally) => total.add(tally),
                Err(error) => total.count(Err(format!("the client died: {error}"))),
            }
        }
        total
    }
}

async fn ask_until(stop: CancellationToken, address: SocketAddr) -> Tally {
    let mut tally = Tally::default();
    let mut pace = interval(PAUSE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(pace.tick()).await.is_some() {
        tally.count(ask(address, "/").await.map(|body| version_of(&body)));
    }
    tally
}

/// `windlass-demo v1.0` of `windlass-demo v1.0 !! ClientIP: ...`
fn version_of(body: &str) -> String {
    body.split(" !!").next().unwrap_or(body).trim().to_owned()
}

/// One GET; the body of a 200, or what went wrong.
pub async fn ask(address: SocketAddr, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.map_err(|e| format!("connect: {}", e.kind()))?;
        stream.write_all(request.as_bytes()).await.map_err(|e| format!("send: {}", e.kind()))?;
        let mut answer = Vec::new();
        let read = stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await;
        read.map_err(|e| format!("receive: {}", e.kind()))?;
        Ok::<_, String>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = timeout(PATIENCE, exchange).await.map_err(|_| "timed out".to_owned())??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer cut short")?;
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some(code) => Err(format!("status {code}")),
        None => Err("not an HTTP answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn answers_and_failures_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            for answer in ["HTTP/1.1 200 OK\r\n\r\ndemo v1 !! ClientIP: x", "HTTP/1.1 503 No\r\n\r\n", ""] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let client = async {
            let mut tally = Tally::default();
            for _ in 0..3 {
                tally.count(ask(address, "/").await.map(|body| version_of(&body)));
            }
            tally
        };
        let ((), tally) = tokio::join!(server, client);
        assert_eq!(tally.answers, [("demo v1".to_owned(), 1)].into());
        assert_eq!(tally.failed(), 2);
        assert_eq!(tally.requests(), 3);
    }
}
