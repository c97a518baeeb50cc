//! A client that sends more than a command reads: it has to wait, and nothing of what it sent is lost or kept in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use windlass::cluster::server::{Identity, NodeStreams};
use windlass::streams::{ExecRequest, Message, OpenError, Opened, Request as Asked, StreamPair, pair};

use super::client::Client;

/// One message of the client's: the channel of standard input, and data.
const DATA: usize = 32 << 10;
/// More than all buffers on the way hold, those of the sockets included.
const FLOOD: usize = 64 << 20;

/// A node whose commands read nothing until they are told to.
#[derive(Default)]
struct Deaf(Mutex<Option<oneshot::Sender<StreamPair>>>);

impl NodeStreams for Deaf {
    fn open(&self, _: &str, asked: Asked) -> BoxFuture<'_, Result<Opened, OpenError>> {
        let Asked::Exec(ExecRequest { .. }) = asked else { panic!("{asked:?}") };
        let (near, far) = pair();
        let _ = self.0.lock().unwrap().take().unwrap().send(far);
        Box::pin(async move { Ok(near.into()) })
    }
}

/// A binary frame (RFC 6455) whose mask changes nothing.
fn frame(channel: u8) -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | 127];
    frame.extend((DATA as u64 + 1).to_be_bytes());
    frame.extend([0; 4]);
    frame.push(channel);
    frame.resize(frame.len() + DATA, b'x');
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_reads_nothing_holds_up_its_client_and_loses_nothing() {
    let (told, command) = oneshot::channel();
    let client = Client::with(Arc::new(Deaf(Mutex::new(Some(told)))), Some(Identity::admin("golden"))).await;
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    client.create("/api/v1/namespaces/default/pods", &pod).await;
    let running = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "c", "image": "i", "imageID": "i",
        "ready": true, "restartCount": 0, "state": {"running": {}}}]}});
    client.write("PATCH", "/api/v1/namespaces/default/pods/p/status", &running).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(axum::serve(listener, client.router.clone()).into_future());

    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /api/v1/namespaces/default/pods/p/exec?command=true&stdin=true&stdout=true HTTP/1.1\r\nHost: {address}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101", "{}", String::from_utf8_lossy(&answer));
    let mut command = command.await.unwrap();

    let bytes = frame(0);
    let mut sent = 0;
    // What a write has begun is finished before the next: it may have been cut off anywhere.
    let mut begun = 0;
    while sent < FLOOD {
        match tokio::time::timeout(Duration::from_secs(2), socket.write(&bytes[begun..])).await {
            Ok(written) => begun += written.unwrap(),
            Err(_) => break,
        }
        if begun == bytes.len() {
            (begun, sent) = (0, sent + DATA);
        }
    }
    assert!(sent < FLOOD, "{sent} bytes were taken, and nobody reads them");

    let finish = async {
        socket.write_all(&bytes[begun..]).await.unwrap();
        sent + DATA
    };
    let read = async {
        let mut read = 0;
        while read < sent + DATA {
            match command.receiver.next().await.unwrap().unwrap() {
                Message::Input(data) => read += data.len(),
                other => panic!("{other:?}"),
            }
        }
        read
    };
    let (sent, read) =
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(finish, read) }).await.unwrap();
    assert_eq!(sent, read);
}
