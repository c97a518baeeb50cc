//! How a JSON answer is written for people who look at it: indented where `pretty` asks for it, as YAML where `Accept`
//! does. Works on finished answers of any kind; watches and other streams pass as they are.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http_body_util::BodyExt;

use super::accept;
use crate::object::{ApiError, Reason};

/// Programs by which people look: their answers are indented unless they say otherwise, as in Kubernetes.
const VIEWERS: [&str; 3] = ["curl/", "Wget/", "Mozilla/5.0"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation {
    Compact,
    Pretty,
    Yaml,
}

impl Presentation {
    pub fn of(request: &Request) -> Self {
        if accept::wants_yaml(request.headers()) {
            return Self::Yaml;
        }
        let query = request.uri().query().unwrap_or_default();
        let asked = query.split('&').find_map(|pair| match pair.split_once('=').unwrap_or((pair, "")) {
            ("pretty", value) => Some(!matches!(value, "false" | "0")),
            _ => None,
        });
        let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match asked.unwrap_or_else(|| VIEWERS.iter().any(|viewer| agent.starts_with(viewer))) {
            true => Self::Pretty,
            false => Self::Compact,
        }
    }

    /// Rewrites an answer that is not a stream of events.
    pub async fn apply(self, response: Response) -> Response {
        let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|found| found == "application/json");
        match self {
            Self::Pretty if is_json => pretty(response),
            Self::Yaml if is_json => yaml(response).await,
            _ => response,
        }
    }
}

fn pretty(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let mut indent = Indent::default();
    let pieces = body.into_data_stream().map(move |piece| piece.map(|bytes| indent.write(&bytes)));
    Response::from_parts(parts, Body::from_stream(pieces))
}

async fn yaml(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let written = async {
        let json = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let value: serde_json::Value = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
        serde_yaml::to_string(&value).map_err(|error| error.to_string())
    };
    match written.await {
        Ok(text) => {
            parts.headers.remove(CONTENT_LENGTH);
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
            Response::from_parts(parts, Body::from(text))
        }
        Err(why) => ApiError::new(Reason::InternalError, why).into_response(),
    }
}

/// Indents JSON as it passes, whatever the borders of its pieces.
#[derive(Debug, Default)]
struct Indent {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A brace or bracket has been opened and nothing has come after it.
    opened: bool,
}

impl Indent {
    fn write(&mut self, json: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(json.len() * 2);
        for byte in json {
            self.byte(*byte, &mut out);
        }
        out.into()
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return out.push(byte);
        }
        if byte.is_ascii_whitespace() {
            return;
        }
        let closes = matches!(byte, b'}' | b']');
        if self.opened && !closes {
            self.opened = false;
            self.depth += 1;
            self.line(out);
        }
        match byte {
            b'}' | b']' if std::mem::take(&mut self.opened) => {}
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.line(out);
            }
            _ => {}
        }
        out.push(byte);
        match byte {
            b'{' | b'[' => self.opened = true,
            b'"' => self.in_string = true,
            b',' => self.line(out),
            b':' => out.push(b' '),
            _ => {}
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_by_any_printer_however_it_is_cut() {
        let value = serde_json::json!({"a": [1, {"b": "x, \"y\" {z}: \\"}], "c": {}, "d": [], "e": [[]], "f": null});
        let (compact, want) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap());
        for cut in 1..compact.len() {
            let (mut indent, mut got) = (Indent::default(), Vec::new());
            compact.as_bytes().chunks(cut).for_each(|piece| got.extend(indent.write(piece)));
            assert_eq!(String::from_utf8(got).unwrap(), want, "in pieces of {cut}");
        }
    }

    #[test]
    fn people_get_what_they_can_read() {
        let cases = [
            ("/api", "", "kubectl/v1.33.1", Presentation::Compact),
            ("/api?pretty=true", "", "kubectl/v1.33.1", Presentation::Pretty),
            ("/api?pretty", "", "", Presentation::Pretty),
            ("/api", "", "curl/8.0", Presentation::Pretty),
            ("/api?pretty=false", "", "curl/8.0", Presentation::Compact),
            ("/api", "application/yaml", "curl/8.0", Presentation::Yaml),
            ("/api", "application/json, application/yaml", "", Presentation::Compact),
        ];
        for (uri, accept, agent, want) in cases {
            let mut request = http::Request::get(uri).header(USER_AGENT, agent);
            if !accept.is_empty() {
                request = request.header(http::header::ACCEPT, accept);
            }
            assert_eq!(Presentation::of(&request.body(Body::empty()).unwrap()), want, "{uri} {accept} {agent}");
        }
    }
}
