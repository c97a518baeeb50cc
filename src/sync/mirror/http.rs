//! Speaks git's smart HTTP for libgit2, over rustls: asks for refs and packs, and sends a pack where notes are pushed. Redirects are
//! not followed, sizes and times are bounded, and credentials go into a header and nowhere else.

use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use ureq::{Agent, Body, http::Response};

use super::location::scrub;

/// A pack of more than this is not a repository of manifests.
const MAX_ANSWER: u64 = 2 << 30;
/// A request is wants and haves, or a pack of notes.
const MAX_REQUEST: usize = 16 << 20;
const CONNECT_TIME: Duration = Duration::from_secs(10);
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// For the whole of one request: also the answer to a server that sends a byte a second.
const WHOLE_TIME: Duration = Duration::from_secs(300);

/// Makes libgit2 use this transport for `http` and `https`, whoever calls it first.
///
/// # Errors
/// When libgit2 refuses.
pub fn register() -> Result<(), Error> {
    // libgit2 keeps its transports for the process, so this is one of the few things that are done once for it.
    static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
    let outcome = REGISTERED.get_or_init(|| {
        let agent = agent();
        ["http", "https"].into_iter().try_for_each(|scheme| {
            let agent = agent.clone();
            let factory =
                move |remote: &git2::Remote<'_>| Transport::smart(remote, true, Http { agent: agent.clone() });
            // SAFETY: `register` must not run beside the creation of other transports; every remote of this program
            // is made after this function has returned, and the cell lets one thread through.
            unsafe { git2::transport::register(scheme, factory) }.map_err(|error| error.message().to_owned())
        })
    });
    outcome.clone().map_err(|message| Error::from_str(&message))
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_TIME))
        .timeout_recv_response(Some(ANSWER_TIME))
        .timeout_global(Some(WHOLE_TIME))
        .user_agent(concat!("git/2 windlass/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::new_with_config(config)
}

struct Http {
    agent: Agent,
}

impl SmartSubtransport for Http {
    fn action(&self, url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let (url, authorization) = take_credentials(url);
        let (service, is_listing) = match service {
            Service::UploadPackLs => ("git-upload-pack", true),
            Service::UploadPack => ("git-upload-pack", false),
            Service::ReceivePackLs => ("git-receive-pack", true),
            Service::ReceivePack => ("git-receive-pack", false),
        };
        let url = url.trim_end_matches('/').to_owned();
        Ok(Box::new(Exchange {
            agent: self.agent.clone(),
            url,
            authorization,
            service,
            is_listing,
            written: Vec::new(),
            answer: None,
        }))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// `https://user:password@host/x` without what is secret, and the header that says it.
fn take_credentials(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((credentials, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let plain = [unescape(user), b":".to_vec(), unescape(password)].concat();
    (format!("{scheme}://{host}{path}"), Some(format!("Basic {}", STANDARD.encode(plain))))
}

/// Undoes percent-encoding (RFC 3986).
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

/// One request and its answer: what is written is sent when the answer is first asked for.
struct Exchange {
    agent: Agent,
    url: String,
    authorization: Option<String>,
    /// `git-upload-pack` (a fetch) or `git-receive-pack` (a push).
    service: &'static str,
    /// Asks for the refs, not for what the service does.
    is_listing: bool,
    written: Vec<u8>,
    answer: Option<Box<dyn Read + Send>>,
}

impl Exchange {
    fn send(&mut self) -> io::Result<Box<dyn Read + Send>> {
        let body = std::mem::take(&mut self.written);
        let (url, service) = (&self.url, self.service);
        let (answer, wanted) = if self.is_listing {
            let mut request = self.agent.get(format!("{url}/info/refs?service={service}"));
            if let Some(authorization) = &self.authorization {
                request = request.header("authorization", authorization);
            }
            (request.call(), format!("application/x-{service}-advertisement"))
        } else {
            let mut request = self.agent.post(format!("{url}/{service}"));
            if let Some(authorization) = &self.authorization {
                request = request.header("authorization", authorization);
            }
            let wanted = format!("application/x-{service}-result");
            let request = request.header("accept", &wanted).content_type(format!("application/x-{service}-request"));
            (request.send(&body), wanted)
        };
        let answer = answer.map_err(|error| io::Error::other(scrub(&error.to_string())))?;
        check(&answer, &wanted).map_err(io::Error::other)?;
        Ok(Box::new(answer.into_body().into_with_config().limit(MAX_ANSWER).reader()))
    }
}

/// What a server's answer means for who configured the repository.
fn check(answer: &Response<Body>, wanted: &str) -> Result<(), String> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match answer.status().as_u16() {
        200 if header("content-type").starts_with(wanted) => Ok(()),
        200 => {
            Err(format!("the server does not speak git's smart protocol (it answered {:?})", header("content-type")))
        }
        401 | 403 => Err("the server refuses access; does the URL need credentials?".to_owned()),
        404 => Err("the server has no such repository, or does not show it without credentials".to_owned()),
        code @ 300..=399 => {
            Err(format!("the server redirects ({code}) to {:?}; use that URL", scrub(header("location"))))
        }
        code => Err(format!("the server answered {code}")),
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.answer.is_none() {
            self.answer = Some(self.send()?);
        }
        self.answer.as_mut().map_or(Ok(0), |answer| answer.read(buffer))
    }
}

impl Write for Exchange {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.written.len() + data.len() > MAX_REQUEST {
            return Err(io::Error::other("the request is absurdly large"));
        }
        // The next round of the negotiation is a request of its own.
        self.answer = None;
        self.written.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url_for_a_header() {
        let basic = |text: &str| Some(format!("Basic {}", STANDARD.encode(text)));
        let cases = [
            ("https://h/x.git", "https://h/x.git", None),
            ("https://u:p@h:8443/x.git", "https://h:8443/x.git", basic("u:p")),
            ("https://token@h/x", "https://h/x", basic("token:")),
            ("https://u%40x:p%3a%2F@h/x", "https://h/x", basic("u@x:p:/")),
            ("https://u:p%zz@h", "https://h", basic("u:p%zz")),
            ("https://h/a@b", "https://h/a@b", None),
        ];
        for (url, clean, header) in cases {
            assert_eq!(take_credentials(url), (clean.to_owned(), header), "{url}");
        }
    }
}
