//! The channel protocols of Kubernetes over WebSocket: each message begins with the channel that it belongs to.
//! Versions 4 and 5 (5 can end the input), the first one, and the forms in base64 for browsers. Encoding is pure.

use axum::extract::ws::Message as Frame;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

use super::session;
use crate::streams::{Ended, Message, Size};

pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const STDERR: u8 = 2;
pub const ERROR: u8 = 3;
pub const RESIZE: u8 = 4;
/// Followed by the channel that is closed.
const CLOSE: u8 = 255;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: &'static str,
    base64: bool,
    /// Says how it ended as a Status, not in words.
    status: bool,
    closes: bool,
}

/// Newest first. A client that names none speaks the first version.
pub const PROTOCOLS: [Protocol; 5] = [
    Protocol { name: "v5.channel.k8s.io", base64: false, status: true, closes: true },
    Protocol { name: "v4.channel.k8s.io", base64: false, status: true, closes: false },
    Protocol { name: "v4.base64.channel.k8s.io", base64: true, status: true, closes: false },
    Protocol { name: "channel.k8s.io", base64: false, status: false, closes: false },
    Protocol { name: "base64.channel.k8s.io", base64: true, status: false, closes: false },
];

impl Protocol {
    /// The first of the client's that is known here.
    pub fn choose(offered: &[String]) -> Option<Self> {
        if offered.is_empty() {
            return PROTOCOLS.into_iter().find(|p| p.name == "channel.k8s.io");
        }
        offered.iter().find_map(|one| PROTOCOLS.into_iter().find(|known| known.name == one))
    }

    pub fn frame(self, channel: u8, payload: &[u8]) -> Frame {
        if self.base64 {
            return Frame::Text(format!("{channel}{}", STANDARD.encode(payload)).into());
        }
        let mut bytes = BytesMut::with_capacity(payload.len() + 1);
        bytes.put_u8(channel);
        bytes.extend_from_slice(payload);
        Frame::Binary(bytes.freeze())
    }

    /// The channel and payload of a frame that has them.
    pub fn parts(self, frame: Frame) -> Option<(u8, Bytes)> {
        // The kind of frame means nothing: the Python client sends what is text to it as text.
        let bytes = match frame {
            Frame::Binary(bytes) => bytes,
            Frame::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            _ => return None,
        };
        let channel = *bytes.first()?;
        if !self.base64 {
            return Some((channel, bytes.slice(1..)));
        }
        Some((channel.checked_sub(b'0')?, STANDARD.decode(bytes.get(1..)?).ok()?.into()))
    }

    /// What a client says; `None` for what means nothing.
    pub fn read(self, frame: Frame) -> Option<Message> {
        match self.parts(frame)? {
            (STDIN, data) if data.is_empty() => None,
            (STDIN, data) => Some(Message::Input(data)),
            (RESIZE, json) => serde_json::from_slice::<Size>(&json).ok().map(Message::Resize),
            (CLOSE, channel) if self.closes && channel.first() == Some(&STDIN) => Some(Message::EndOfInput),
            _ => None,
        }
    }

    /// What a client is told.
    pub fn write(self, message: &Message) -> Option<Frame> {
        match message {
            Message::Output(data) => Some(self.frame(STDOUT, data)),
            Message::Errors(data) => Some(self.frame(STDERR, data)),
            _ => None,
        }
    }

    /// How it ended; the first version says nothing of a success.
    pub fn ending(self, ended: &Ended) -> Option<Frame> {
        match (self.status, session::words(ended)) {
            (true, _) => Some(self.frame(ERROR, session::status(ended).to_string().as_bytes())),
            (false, words) if words.is_empty() => None,
            (false, words) => Some(self.frame(ERROR, words.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn protocol(name: &str) -> Protocol {
        Protocol::choose(&[name.to_owned()]).unwrap()
    }

    #[test]
    fn the_clients_first_choice_that_is_known_is_taken() {
        let cases: [(&[&str], Option<&str>); 5] = [
            (&["v5.channel.k8s.io", "v4.channel.k8s.io"], Some("v5.channel.k8s.io")),
            (&["v9.channel.k8s.io", "v4.channel.k8s.io"], Some("v4.channel.k8s.io")),
            (&["base64.channel.k8s.io"], Some("base64.channel.k8s.io")),
            (&["chat"], None),
            (&[], Some("channel.k8s.io")),
        ];
        for (offered, want) in cases {
            let offered: Vec<String> = offered.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(Protocol::choose(&offered).map(|p| p.name), want, "{offered:?}");
        }
    }

    #[test]
    fn messages_are_read_as_kubectl_sends_them() {
        let v5 = protocol("v5.channel.k8s.io");
        let read = |bytes: &'static [u8]| v5.read(Frame::Binary(Bytes::from_static(bytes)));
        assert_eq!(read(b"\x00hi"), Some(Message::Input(Bytes::from_static(b"hi"))));
        assert_eq!(read(b"\xff\x00"), Some(Message::EndOfInput));
        let size = Size { width: 80, height: 24 };
        assert_eq!(read(b"\x04{\"Width\":80,\"Height\":24}\n"), Some(Message::Resize(size)));
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\x04{\"Width\":-1}"), None);
        let text = Frame::Text("\0hi".into());
        assert_eq!(protocol("v4.channel.k8s.io").read(text), Some(Message::Input(Bytes::from_static(b"hi"))));
        let text = Frame::Text("0aGk=".into());
        assert_eq!(protocol("base64.channel.k8s.io").read(text), Some(Message::Input(Bytes::from_static(b"hi"))));
        assert_eq!(protocol("v4.channel.k8s.io").read(Frame::Binary(Bytes::from_static(b"\xff\x00"))), None);
    }

    #[test]
    fn the_exit_code_is_in_the_last_status() {
        let Some(Frame::Binary(bytes)) = protocol("v5.channel.k8s.io").ending(&Ended::Exited { code: 3 }) else {
            panic!("no ending")
        };
        assert_eq!(bytes[0], ERROR);
        let status: serde_json::Value = serde_json::from_slice(&bytes[1..]).unwrap();
        assert_eq!(status["details"]["causes"][0], serde_json::json!({"reason": "ExitCode", "message": "3"}));
        assert_eq!(protocol("channel.k8s.io").ending(&Ended::Exited { code: 0 }), None);
    }

    proptest! {
        #[test]
        fn any_frame_is_read_or_ignored(bytes in prop::collection::vec(any::<u8>(), 0..64), text in ".{0,64}") {
            for known in PROTOCOLS {
                let _ = known.read(Frame::Binary(bytes.clone().into()));
                let _ = known.read(Frame::Text(text.clone().into()));
            }
        }
    }
}
