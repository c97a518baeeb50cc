//! Frames and their bytes. (SPDY protocol, draft 3.1, section 2.2.) What is read is bounded before it is kept.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::dictionary::dictionary;

/// The largest frame that is read; clients send 32 KiB at most.
const LARGEST: usize = 1024 * 1024;
/// The largest header block, unpacked.
const HEADERS: usize = 64 * 1024;
const HEAD: usize = 8;
const FIN: u8 = 1;
const VERSION: u16 = 0x8003;
/// The top bit of a stream's id is reserved.
const ID: u32 = 0x7fff_ffff;

pub type Headers = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Open {
        id: u32,
        fin: bool,
        headers: Headers,
    },
    Reply {
        id: u32,
    },
    Reset {
        id: u32,
        status: u32,
    },
    Ping(u32),
    GoAway,
    Data {
        id: u32,
        fin: bool,
        data: Bytes,
    },
    /// Settings, windows, more headers: nothing here depends on them.
    Other(u16),
}

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is longer than {LARGEST}")]
    TooLong(usize),
    #[error("version {0:#06x} is not SPDY/3.1")]
    Version(u16),
    #[error("a control frame of type {0} is too short")]
    TooShort(u16),
    #[error("a header block cannot be unpacked")]
    Compression(#[from] flate2::DecompressError),
    #[error("a header block is not well-formed or too large")]
    Headers,
}

/// Reads one direction of a connection; its header blocks are one compressed stream.
pub struct Decoder {
    inflate: Decompress,
    dictionary: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { inflate: Decompress::new(true), dictionary: dictionary() }
    }
}

impl Decoder {
    /// Takes the first complete frame off `buffer`.
    ///
    /// # Errors
    /// When the bytes are no frame; the connection is of no use then.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(mut head) = buffer.get(..HEAD) else { return Ok(None) };
        let (first, second) = (head.get_u32(), head.get_u32());
        let [flags, ..] = second.to_be_bytes();
        let length = (second & 0x00ff_ffff) as usize;
        let [version @ .., high, low] = first.to_be_bytes();
        let kind = u16::from_be_bytes([high, low]);
        let is_control = first > ID;
        if is_control && u16::from_be_bytes(version) != VERSION {
            return Err(FrameError::Version(u16::from_be_bytes(version)));
        }
        if length > LARGEST {
            return Err(FrameError::TooLong(length));
        }
        if buffer.len() < HEAD + length {
            return Ok(None);
        }
        buffer.advance(HEAD);
        let body = buffer.split_to(length).freeze();
        let fin = flags & FIN != 0;
        match is_control {
            true => self.control(kind, fin, body).map(Some),
            false => Ok(Some(Frame::Data { id: first, fin, data: body })),
        }
    }

    fn control(&mut self, kind: u16, fin: bool, mut body: Bytes) -> Result<Frame, FrameError> {
        let least = match kind {
            1 => 10,
            3 => 8,
            2 | 6 | 8 => 4,
            _ => 0,
        };
        if body.len() < least {
            return Err(FrameError::TooShort(kind));
        }
        Ok(match kind {
            1 => {
                let id = body.get_u32() & ID;
                body.advance(6);
                Frame::Open { id, fin, headers: self.headers(&body)? }
            }
            2 | 8 => {
                // Read for the compressor's sake: the blocks that follow refer to this one.
                let id = body.get_u32() & ID;
                self.headers(&body)?;
                if kind == 2 { Frame::Reply { id } } else { Frame::Other(kind) }
            }
            3 => Frame::Reset { id: body.get_u32() & ID, status: body.get_u32() },
            6 => Frame::Ping(body.get_u32()),
            7 => Frame::GoAway,
            other => Frame::Other(other),
        })
    }

    fn headers(&mut self, block: &[u8]) -> Result<Headers, FrameError> {
        let mut text = Vec::with_capacity(1024);
        let mut rest = block;
        loop {
            let before = self.inflate.total_in();
            let outcome = self.inflate.decompress_vec(rest, &mut text, FlushDecompress::Sync);
            rest = &rest[usize::try_from(self.inflate.total_in() - before).unwrap_or(rest.len()).min(rest.len())..];
            match outcome {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.inflate.set_dictionary(&self.dictionary)?;
                }
                Err(error) => return Err(error.into()),
                // Room that is left means that there is no more to come.
                Ok(Status::Ok | Status::BufError) if rest.is_empty() && text.len() < text.capacity() => break,
                Ok(Status::StreamEnd) => break,
                Ok(_) if text.len() >= HEADERS => return Err(FrameError::Headers),
                Ok(_) if text.len() < text.capacity() => break,
                Ok(_) => text.reserve(text.capacity()),
            }
        }
        parse(&text).ok_or(FrameError::Headers)
    }
}

fn parse(text: &[u8]) -> Option<Headers> {
    fn number(rest: &mut &[u8]) -> Option<usize> {
        usize::try_from(rest.try_get_u32().ok()?).ok()
    }
    fn string(rest: &mut &[u8]) -> Option<String> {
        let length = number(rest)?;
        let (text, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(String::from_utf8_lossy(text).into_owned())
    }
    let mut rest = text;
    let count = number(&mut rest)?;
    // Each takes eight bytes at the least, so a count beyond that is a lie.
    if count > rest.len() / 8 {
        return None;
    }
    (0..count).map(|_| Some((string(&mut rest)?.to_lowercase(), string(&mut rest)?))).collect()
}

/// Writes one direction of a connection.
pub struct Encoder {
    deflate: Compress,
}

impl Default for Encoder {
    fn default() -> Self {
        let mut deflate = Compress::new(Compression::default(), true);
        // It refuses only when it has begun already.
        let _ = deflate.set_dictionary(&dictionary());
        Self { deflate }
    }
}

impl Encoder {
    pub fn encode(&mut self, frame: &Frame) -> Bytes {
        let mut bytes = BytesMut::new();
        match frame {
            Frame::Data { id, fin, data } => {
                bytes.put_u32(id & ID);
                bytes.put_u8(u8::from(*fin));
                put_length(&mut bytes, data.len());
                bytes.extend_from_slice(data);
            }
            Frame::Open { id, fin, headers } => {
                let block = self.block(headers);
                control(&mut bytes, 1, u8::from(*fin), 10 + block.len());
                bytes.put_u32(*id);
                bytes.put_bytes(0, 6);
                bytes.extend_from_slice(&block);
            }
            Frame::Reply { id } => {
                let block = self.block(&Vec::new());
                control(&mut bytes, 2, 0, 4 + block.len());
                bytes.put_u32(*id);
                bytes.extend_from_slice(&block);
            }
            Frame::Reset { id, status } => {
                control(&mut bytes, 3, 0, 8);
                bytes.put_u32(*id);
                bytes.put_u32(*status);
            }
            Frame::Ping(id) => {
                control(&mut bytes, 6, 0, 4);
                bytes.put_u32(*id);
            }
            Frame::GoAway => {
                control(&mut bytes, 7, 0, 8);
                bytes.put_u64(0);
            }
            Frame::Other(kind) => control(&mut bytes, *kind, 0, 0),
        }
        bytes.freeze()
    }

    fn block(&mut self, headers: &Headers) -> Vec<u8> {
        let mut text = Vec::new();
        text.put_u32(u32::try_from(headers.len()).unwrap_or_default());
        for part in headers.iter().flat_map(|(name, value)| [name, value]) {
            text.put_u32(u32::try_from(part.len()).unwrap_or_default());
            text.extend_from_slice(part.as_bytes());
        }
        let mut block = Vec::with_capacity(text.len() + 64);
        let mut rest = text.as_slice();
        loop {
            let before = self.deflate.total_in();
            // Compression into memory cannot fail; were it to, the block would be short and the client would say so.
            let _ = self.deflate.compress_vec(rest, &mut block, FlushCompress::Sync);
            rest = &rest[usize::try_from(self.deflate.total_in() - before).unwrap_or(rest.len()).min(rest.len())..];
            if rest.is_empty() && block.len() < block.capacity() {
                return block;
            }
            block.reserve(256);
        }
    }
}

fn control(bytes: &mut BytesMut, kind: u16, flags: u8, length: usize) {
    bytes.put_u16(VERSION);
    bytes.put_u16(kind);
    bytes.put_u8(flags);
    put_length(bytes, length);
}

fn put_length(bytes: &mut BytesMut, length: usize) {
    bytes.put_uint(u64::try_from(length).unwrap_or_default() & 0x00ff_ffff, 3);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn frames_are_read_as_they_were_written_in_any_pieces() {
        let frames = [
            Frame::Open { id: 1, fin: true, headers: headers(&[("streamtype", "error"), ("port", "80")]) },
            Frame::Open { id: 3, fin: false, headers: headers(&[("streamtype", "data"), ("port", "80")]) },
            Frame::Reply { id: 1 },
            Frame::Data { id: 3, fin: false, data: Bytes::from_static(b"hello") },
            Frame::Ping(7),
            Frame::Open { id: 5, fin: false, headers: headers(&[("long", &"x".repeat(5000))]) },
            Frame::Data { id: 3, fin: true, data: Bytes::new() },
            Frame::Reset { id: 3, status: 5 },
            Frame::GoAway,
        ];
        let mut encoder = Encoder::default();
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| encoder.encode(frame)).collect();
        for size in [1, 3, 7, bytes.len()] {
            let (mut decoder, mut buffer, mut seen) = (Decoder::default(), BytesMut::new(), Vec::new());
            for piece in bytes.chunks(size) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames, "pieces of {size}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_kept() {
        let refused = |bytes: &[u8]| Decoder::default().decode(&mut BytesMut::from(bytes)).unwrap_err().to_string();
        assert!(refused(b"\x00\x00\x00\x01\x00\xff\xff\xff").contains("longer than"));
        assert!(refused(b"\x80\x02\x00\x01\x00\x00\x00\x00").contains("not SPDY/3.1"));
        assert!(refused(b"\x80\x03\x00\x01\x00\x00\x00\x00").contains("too short"));
        // A header block that unpacks to far more than it is.
        let bomb = Frame::Open { id: 1, fin: false, headers: headers(&[("a", &"b".repeat(4 << 20))]) };
        let bytes = Encoder::default().encode(&bomb);
        assert!(bytes.len() < 64 * 1024, "{} bytes", bytes.len());
        assert!(refused(&bytes).contains("too large"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::from(bytes.as_slice()));
            while let Ok(Some(_)) = decoder.decode(&mut buffer) {}
        }

        #[test]
        fn any_header_block_is_read_or_an_error(block in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&block);
            let mut bytes = BytesMut::new();
            control(&mut bytes, 1, 0, 10 + block.len());
            bytes.put_bytes(0, 10);
            bytes.extend_from_slice(&block);
            let _ = Decoder::default().decode(&mut bytes);
        }
    }
}
