//! An exec or attach of a client that speaks the channel protocol over WebSocket, or streams over SPDY.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use super::channels::{ERROR, Protocol, STDERR, STDOUT};
use super::session::{self, Outlet};
use super::spdy::{self, Reader, Stream, Writer};
use super::websocket::{Mouth, halves};
use crate::streams::{Message, Opened, Size, Wanted};

/// How long a client may take to open its streams.
const STREAMS: Duration = Duration::from_secs(30);
/// client-go up to 0.30 may begin to read before it has made its streams, and drops what comes for them by then. In
/// Kubernetes a command takes longer than that to begin; here it may have ended already.
const SETTLING: Duration = Duration::from_millis(20);
/// How long the last words may take to be fetched.
const FAREWELL: Duration = Duration::from_secs(10);
/// The longest description of a size.
const SIZE: usize = 1024;

struct OverWebSocket {
    mouth: Mouth,
    protocol: Protocol,
}

impl Outlet for OverWebSocket {
    async fn say(&mut self, message: Message) -> bool {
        match self.protocol.write(&message) {
            Some(frame) => self.mouth.say(frame).await,
            None => true,
        }
    }
}

pub async fn over_websocket(socket: WebSocket, protocol: Protocol, wanted: Wanted, opened: Opened) {
    let (mouth, frames) = halves(socket);
    // An empty message tells the client that its streams are there.
    let first = if wanted.stdout {
        STDOUT
    } else if wanted.stderr {
        STDERR
    } else {
        ERROR
    };
    if !mouth.say(protocol.frame(first, &[])).await {
        return;
    }
    sleep(SETTLING).await;
    let said_by_client = frames.filter_map(move |frame| std::future::ready(protocol.read(frame)));
    let mut outlet = OverWebSocket { mouth: mouth.clone(), protocol };
    let ended = tokio::select! {
        ended = session::carry(opened, said_by_client, &mut outlet) => ended,
        () = mouth.ping() => None,
    };
    if let Some(frame) = ended.and_then(|ended| protocol.ending(&ended)) {
        mouth.say(frame).await;
    }
    mouth.close().await;
}

#[derive(Default)]
struct OverSpdy {
    stdout: Option<Writer>,
    stderr: Option<Writer>,
}

impl Outlet for OverSpdy {
    async fn say(&mut self, message: Message) -> bool {
        match (message, &self.stdout, &self.stderr) {
            (Message::Output(data), Some(writer), _) | (Message::Errors(data), _, Some(writer)) => {
                writer.send(data).await
            }
            _ => true,
        }
    }
}

/// `statuses`: the client reads how it ended from a Status, as since version 4 of the protocol.
pub async fn over_spdy<I>(io: I, statuses: bool, wanted: Wanted, opened: Opened)
where
    I: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(io);
    let (mut connection, driver) = spdy::serve(reader, writer);
    let mut driver = pin!(driver);
    let mut expected = vec!["error"];
    let optional = [("stdin", wanted.stdin), ("stdout", wanted.stdout), ("stderr", wanted.stderr && !wanted.tty)];
    expected.extend(optional.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| name));
    if wanted.tty && statuses {
        expected.push("resize");
    }
    let gathering = timeout(STREAMS, gather(&mut connection, &expected));
    let gathered = tokio::select! {
        gathered = gathering => gathered.ok().flatten(),
        () = driver.as_mut() => None,
    };
    let Some(mut streams) = gathered else { return };
    let mut take = |name: &str| streams.remove(name);
    let Some(error) = take("error") else { return };
    let said_by_client = said(take("stdin").map(|s| s.reader), take("resize").map(|s| s.reader));
    let writer = |stream: Option<Stream>| stream.map(|stream| stream.writer);
    let mut outlet = OverSpdy { stdout: writer(take("stdout")), stderr: writer(take("stderr")) };
    let ended = tokio::select! {
        ended = session::carry(opened, said_by_client, &mut outlet) => ended,
        () = driver.as_mut() => return,
    };
    let farewell = async {
        for writer in [outlet.stdout, outlet.stderr].into_iter().flatten() {
            writer.finish().await;
        }
        if let Some(ended) = ended {
            let text = if statuses { session::status(&ended).to_string() } else { session::words(&ended) };
            if !text.is_empty() {
                error.writer.send(text.into()).await;
            }
        }
        error.writer.finish().await;
        drop((error, connection));
        // The client closes the connection when it has read all of it.
        std::future::pending::<()>().await;
    };
    let _ = timeout(FAREWELL, async {
        tokio::select! {
            () = farewell => {}
            () = driver => {}
        }
    })
    .await;
}

/// Waits for the streams that the request announced.
async fn gather(connection: &mut spdy::Connection, expected: &[&str]) -> Option<HashMap<String, Stream>> {
    let mut found = HashMap::new();
    while expected.iter().any(|name| !found.contains_key(*name)) {
        let stream = connection.accept().await?;
        let kind = stream.header("streamtype").to_owned();
        if expected.contains(&kind.as_str()) {
            found.insert(kind, stream);
        }
    }
    Some(found)
}

/// What a client says on its streams, as messages; without end, since the connection's end is the client's.
fn said(stdin: Option<Reader>, resize: Option<Reader>) -> BoxStream<'static, Message> {
    let input = match stdin {
        None => stream::pending().boxed(),
        Some(reader) => {
            let data = pieces(reader).filter(|data| std::future::ready(!data.is_empty())).map(Message::Input);
            data.chain(stream::once(std::future::ready(Message::EndOfInput))).chain(stream::pending()).boxed()
        }
    };
    let sizes = match resize {
        None => stream::pending().boxed(),
        Some(reader) => pieces(reader)
            .scan(Vec::new(), |rest, data| std::future::ready(Some(sizes(rest, &data))))
            .flat_map(|sizes| stream::iter(sizes).map(Message::Resize))
            .chain(stream::pending())
            .boxed(),
    };
    stream::select(input, sizes).boxed()
}

fn pieces(reader: Reader) -> impl futures::Stream<Item = Bytes> + Send {
    stream::unfold(reader, |mut reader| async move { reader.next().await.map(|data| (data, reader)) })
}

/// The sizes in what has come so far: each a JSON object on a line of its own.
fn sizes(rest: &mut Vec<u8>, data: &[u8]) -> Vec<Size> {
    rest.extend_from_slice(data);
    let mut found = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        found.extend(serde_json::from_slice::<Size>(&rest[..end]));
        rest.drain(..=end);
    }
    if rest.len() > SIZE {
        rest.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::spdy::{Decoder, Encoder, Frame};
    use super::*;
    use crate::streams::{Ended, pair};

    const ALL: Wanted = Wanted { stdin: true, stdout: true, stderr: true, tty: false };

    fn open(id: u32, kind: &str) -> Frame {
        Frame::Open { id, fin: false, headers: vec![("streamtype".into(), kind.into())] }
    }

    fn data(id: u32, text: &'static str, fin: bool) -> Frame {
        Frame::Data { id, fin, data: Bytes::from_static(text.as_bytes()) }
    }

    async fn say(client: &mut DuplexStream, frames: &[Frame]) {
        let mut encoder = Encoder::default();
        for frame in frames {
            client.write_all(&encoder.encode(frame)).await.unwrap();
        }
    }

    /// As kubectl 1.27 was recorded, `exec -i`.
    fn recorded() -> Vec<Frame> {
        let opened = [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")].map(|(id, kind)| open(id, kind));
        [&opened[..], &[data(3, "stdin-data\n", false), data(3, "", true)]].concat()
    }

    #[tokio::test]
    async fn an_exec_of_an_older_kubectl_is_carried_to_its_end() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let (near, mut node) = pair();
        let talking = async {
            say(&mut client, &recorded()).await;
            assert_eq!(node.receiver.next().await.unwrap(), Some(Message::Input(Bytes::from_static(b"stdin-data\n"))));
            assert_eq!(node.receiver.next().await.unwrap(), Some(Message::EndOfInput));
            node.sender.send(Message::Output("out".into())).await;
            node.sender.send(Message::Errors("err".into())).await;
            node.sender.send(Message::Ended(Ended::Exited { code: 3 })).await;
            let (mut decoder, mut bytes) = (Decoder::default(), BytesMut::new());
            let mut heard: HashMap<u32, (String, bool)> = HashMap::new();
            while heard.values().filter(|(_, fin)| *fin).count() < 3 {
                assert!(client.read_buf(&mut bytes).await.unwrap() > 0, "{heard:?}");
                while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
                    if let Frame::Data { id, fin, data } = frame {
                        let of = heard.entry(id).or_default();
                        of.0 += std::str::from_utf8(&data).unwrap();
                        of.1 |= fin;
                    }
                }
            }
            assert_eq!((heard[&5].0.as_str(), heard[&7].0.as_str()), ("out", "err"));
            assert!(heard[&1].0.contains("command terminated with exit code 3"), "{heard:?}");
            drop(client);
        };
        futures::join!(over_spdy(server, true, ALL, near.into()), talking);
    }

    #[tokio::test]
    async fn a_client_that_leaves_takes_its_stream_along() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let (near, node) = pair();
        let leaving = async {
            say(&mut client, &recorded()).await;
            drop(client);
            node.sender.closed().await;
        };
        futures::join!(over_spdy(server, true, ALL, near.into()), leaving);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_opens_its_streams_is_given_up() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let (near, node) = pair();
        say(&mut client, &[open(1, "error"), open(3, "nonsense")]).await;
        over_spdy(server, true, ALL, near.into()).await;
        node.sender.closed().await;
    }

    #[test]
    fn sizes_are_read_across_pieces() {
        let mut rest = Vec::new();
        assert!(sizes(&mut rest, b"{\"Width\":80,").is_empty());
        let size = |width, height| Size { width, height };
        let more = b"\"Height\":24}\n{\"Width\":1,\"Height\":2}\nnonsense\n";
        assert_eq!(sizes(&mut rest, more), [size(80, 24), size(1, 2)]);
        assert!(sizes(&mut rest, &[b'x'; 5000]).is_empty());
        assert!(rest.is_empty(), "what is no size is not kept");
    }
}
