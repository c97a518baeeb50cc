//! A connection: streams that the client opens, each with a queue for what comes in. One writer, so that frames are
//! whole. Bounded in streams, in bytes that wait, and in how long one stream may hold up the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::frame::{Decoder, Encoder, Frame, Headers};

/// Open streams of a connection: two for each connection that a port-forward carries.
const STREAMS: usize = 1024;
/// Opened streams that nobody has accepted yet.
const BACKLOG: usize = 64;
/// Bytes of a stream that wait to be read by whoever has it, and the frames that they may come in.
const WAITING: u32 = 128 * 1024;
const QUEUE: usize = 64;
/// Frames that wait to be written.
const UNWRITTEN: usize = 16;
/// How long a stream that is not read may hold up the connection.
const STALL: Duration = Duration::from_secs(60);
const PING: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(600);
const PIECE: usize = 32 * 1024;

/// Why a stream is reset. (SPDY protocol, section 2.6.3.)
const REFUSED: u32 = 3;
const CANCELLED: u32 = 5;

/// The streams that the client opens.
pub struct Connection {
    opened: mpsc::Receiver<Stream>,
}

impl Connection {
    /// The next stream; `None` when the connection has ended.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.opened.recv().await
    }
}

pub struct Stream {
    headers: Headers,
    pub reader: Reader,
    pub writer: Writer,
}

impl Stream {
    /// The value of a header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

type Piece = (Bytes, OwnedSemaphorePermit);

pub struct Reader {
    queue: mpsc::Receiver<Piece>,
    reset: CancellationToken,
}

impl Reader {
    /// What the client sends; `None` at the end of its half.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.queue.recv().await.map(|(data, _)| data)
    }

    /// Waits until the client gives the stream up.
    pub fn reset(&self) -> CancellationToken {
        self.reset.clone()
    }
}

/// Clones write to the same stream.
#[derive(Clone)]
pub struct Writer {
    id: u32,
    frames: mpsc::Sender<Frame>,
}

impl Writer {
    /// Waits until the connection has room. `false`: it has ended.
    pub async fn send(&self, mut data: Bytes) -> bool {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE));
            if self.frames.send(Frame::Data { id: self.id, fin: false, data: piece }).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Ends our half of the stream.
    pub async fn finish(&self) {
        // A connection that has ended needs no end of a stream.
        let _ = self.frames.send(Frame::Data { id: self.id, fin: true, data: Bytes::new() }).await;
    }

    /// Gives the stream up.
    pub async fn reset(&self) {
        let _ = self.frames.send(Frame::Reset { id: self.id, status: CANCELLED }).await;
    }
}

/// The server's side of a connection; the future carries it and ends with it.
pub fn serve<R, W>(reader: R, writer: W) -> (Connection, impl Future<Output = ()> + Send)
where
    R: AsyncRead + Send,
    W: AsyncWrite + Send,
{
    let (opened, accepted) = mpsc::channel(BACKLOG);
    let (frames, unwritten) = mpsc::channel(UNWRITTEN);
    let demux = Demux { streams: HashMap::new(), newest: 0, opened, frames: frames.clone() };
    let driver = async move {
        tokio::select! {
            () = demux.read(reader) => {}
            () = write(writer, unwritten) => {}
            () = ping(frames) => {}
        }
    };
    (Connection { opened: accepted }, driver)
}

async fn write(writer: impl AsyncWrite, mut frames: mpsc::Receiver<Frame>) {
    let mut writer = std::pin::pin!(writer);
    let mut encoder = Encoder::default();
    while let Some(frame) = frames.recv().await {
        let bytes = encoder.encode(&frame);
        if writer.write_all(&bytes).await.is_err() || (frames.is_empty() && writer.flush().await.is_err()) {
            return;
        }
    }
}

/// Asks from time to time whether the client is there; ids of the server are even.
async fn ping(frames: mpsc::Sender<Frame>) {
    for id in (2..).step_by(2) {
        sleep(PING).await;
        if frames.send(Frame::Ping(id)).await.is_err() {
            return;
        }
    }
}

/// A stream as the reading side knows it; dropped, the stream's readers see its end.
struct Inlet {
    queue: mpsc::Sender<Piece>,
    room: Arc<Semaphore>,
    reset: CancellationToken,
}

struct Demux {
    streams: HashMap<u32, Inlet>,
    newest: u32,
    opened: mpsc::Sender<Stream>,
    frames: mpsc::Sender<Frame>,
}

impl Drop for Demux {
    fn drop(&mut self) {
        self.streams.values().for_each(|inlet| inlet.reset.cancel());
    }
}

impl Demux {
    async fn read(mut self, reader: impl AsyncRead) {
        let mut reader = std::pin::pin!(reader);
        let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::with_capacity(PIECE));
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => {
                    if !self.take(frame).await {
                        return;
                    }
                }
                Ok(None) => match timeout(SILENCE, reader.read_buf(&mut buffer)).await {
                    Ok(Ok(1..)) => {}
                    _ => return,
                },
                Err(error) => {
                    tracing::debug!(%error, "a client does not speak SPDY/3.1");
                    return;
                }
            }
        }
    }

    /// `false`: the connection is over.
    async fn take(&mut self, frame: Frame) -> bool {
        match frame {
            Frame::Open { id, fin, headers } => self.open(id, fin, headers).await,
            Frame::Data { id, fin, data } => self.data(id, fin, data).await,
            Frame::Reset { id, .. } => {
                if let Some(inlet) = self.streams.remove(&id) {
                    inlet.reset.cancel();
                }
                true
            }
            // Odd ids are the client's questions, even ones its answers to ours.
            Frame::Ping(id) if id % 2 == 1 => self.frames.send(Frame::Ping(id)).await.is_ok(),
            Frame::Ping(_) | Frame::Reply { .. } | Frame::Other(_) => true,
            // Nothing new comes; what is open goes on until the connection ends.
            Frame::GoAway => true,
        }
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) -> bool {
        // Streams whose readers have gone are no longer open.
        self.streams.retain(|_, inlet| !inlet.queue.is_closed());
        if id.is_multiple_of(2) || id <= self.newest || self.streams.len() >= STREAMS {
            return self.frames.send(Frame::Reset { id, status: REFUSED }).await.is_ok();
        }
        self.newest = id;
        if self.frames.send(Frame::Reply { id }).await.is_err() {
            return false;
        }
        let (queue, pieces) = mpsc::channel(QUEUE);
        let reset = CancellationToken::new();
        let reader = Reader { queue: pieces, reset: reset.clone() };
        if !fin {
            let room = Arc::new(Semaphore::new(WAITING as usize));
            self.streams.insert(id, Inlet { queue, room, reset });
        }
        let stream = Stream { headers, reader, writer: Writer { id, frames: self.frames.clone() } };
        match timeout(STALL, self.opened.send(stream)).await {
            Ok(taken) => taken.is_ok(),
            Err(_) => false,
        }
    }

    async fn data(&mut self, id: u32, fin: bool, data: Bytes) -> bool {
        let Some(inlet) = self.streams.get(&id) else { return true };
        if !data.is_empty() {
            // A piece larger than the room waits for all of it.
            let size = u32::try_from(data.len()).unwrap_or(u32::MAX).min(WAITING);
            let room = inlet.room.clone();
            let passing = async {
                let permit = room.acquire_many_owned(size).await.ok()?;
                inlet.queue.send((data, permit)).await.ok()
            };
            match timeout(STALL, passing).await {
                Ok(Some(())) => {}
                // Its reader has gone.
                Ok(None) => drop(self.streams.remove(&id)),
                Err(_) => {
                    if let Some(stalled) = self.streams.remove(&id) {
                        stalled.reset.cancel();
                    }
                    return self.frames.send(Frame::Reset { id, status: CANCELLED }).await.is_ok();
                }
            }
        }
        if fin {
            self.streams.remove(&id);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(id: u32) -> Frame {
        Frame::Open { id, fin: false, headers: vec![("streamtype".into(), "data".into())] }
    }

    fn bytes(frames: &[Frame]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        frames.iter().flat_map(|frame| encoder.encode(frame)).collect()
    }

    /// What the server answers to these bytes, a ping among them, up to the ping's answer; while `take` does something
    /// with the streams.
    async fn talk<T>(said: &[u8], take: impl AsyncFnOnce(&mut Connection) -> T) -> (T, Vec<Frame>) {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(server);
        let (mut connection, driver) = serve(reader, writer);
        client.write_all(said).await.unwrap();
        let hearing = async {
            let (mut decoder, mut bytes, mut frames) = (Decoder::default(), BytesMut::new(), Vec::new());
            while !frames.iter().any(|frame| matches!(frame, Frame::Ping(_))) {
                client.read_buf(&mut bytes).await.unwrap();
                while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
                    frames.push(frame);
                }
            }
            frames
        };
        tokio::select! {
            both = async { futures::join!(take(&mut connection), hearing) } => both,
            () = driver => panic!("the connection ended"),
        }
    }

    #[tokio::test]
    async fn streams_are_told_apart_and_pings_answered() {
        let data = |id, text: &'static str, fin| Frame::Data { id, fin, data: Bytes::from_static(text.as_bytes()) };
        let said =
            bytes(&[open(1), open(3), Frame::Ping(1), data(3, "b", false), data(1, "a", true), data(3, "c", true)]);
        let (texts, answer) = talk(&said, async |connection| {
            let mut texts = Vec::new();
            for _ in 0..2 {
                let mut stream = connection.accept().await.unwrap();
                let mut text = Vec::new();
                while let Some(data) = stream.reader.next().await {
                    text.extend_from_slice(&data);
                }
                stream.writer.send("ok".into()).await;
                texts.push(String::from_utf8(text).unwrap());
            }
            texts
        })
        .await;
        assert_eq!(texts, ["a", "bc"]);
        assert_eq!(answer[..3], [Frame::Reply { id: 1 }, Frame::Reply { id: 3 }, Frame::Ping(1)]);
    }

    #[tokio::test]
    async fn ids_that_go_back_are_refused() {
        let said = bytes(&[open(5), open(3), open(4), Frame::Ping(9)]);
        let (_, answer) = talk(&said, async |connection| connection.accept().await.unwrap()).await;
        assert!(answer.contains(&Frame::Reset { id: 3, status: REFUSED }), "{answer:?}");
        assert!(answer.contains(&Frame::Reset { id: 4, status: REFUSED }), "{answer:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_nobody_reads_is_reset_and_the_others_go_on() {
        let lump = Frame::Data { id: 1, fin: false, data: vec![0; 64 * 1024].into() };
        let mut frames = vec![open(1), open(3)];
        frames.extend(std::iter::repeat_n(lump, QUEUE + 1));
        frames.push(Frame::Data { id: 3, fin: true, data: Bytes::from_static(b"alive") });
        let said = bytes(&frames);
        let (mut client, server) = tokio::io::duplex(said.len());
        let (reader, writer) = tokio::io::split(server);
        let (mut connection, driver) = serve(reader, writer);
        client.write_all(&said).await.unwrap();
        let reading = async {
            let stuck = connection.accept().await.unwrap();
            let mut alive = connection.accept().await.unwrap();
            assert_eq!(alive.reader.next().await.as_deref(), Some(b"alive".as_slice()));
            assert!(stuck.reader.reset().is_cancelled());
        };
        tokio::select! {
            () = reading => {}
            () = driver => panic!("the connection ended"),
        }
    }
}
