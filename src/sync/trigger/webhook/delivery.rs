//! Whose delivery it is, whether it is genuine, and what it tells of: read from the headers and the raw body
//! alone. Signatures are HMAC-SHA256 compared in constant time; nothing is parsed before it is verified. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;

/// A signed time may be this far from ours (Standard Webhooks).
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A genuine delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub host: Host,
    /// The host's id of it, the same when it is sent again.
    pub id: Option<String>,
    pub event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Branches or tags may have moved.
    Push,
    /// The host tries whether anybody is there.
    Ping,
    PullRequest,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Forgejo,
    Gitea,
    Gogs,
    GitLab,
    Bitbucket,
    GitHub,
    Generic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the delivery carries no {0} header")]
    Unsigned(&'static str),
    #[error("the delivery's signature or token is wrong")]
    Wrong,
    #[error("the delivery's signature is not of sha256")]
    Algorithm,
    #[error("the delivery was signed more than 5 minutes from now")]
    Time,
}

impl Host {
    pub fn name(self) -> &'static str {
        match self {
            Self::Forgejo => "Forgejo",
            Self::Gitea => "Gitea",
            Self::Gogs => "Gogs",
            Self::GitLab => "GitLab",
            Self::Bitbucket => "Bitbucket",
            Self::GitHub => "GitHub",
            Self::Generic => "generic",
        }
    }

    /// Forks send the headers of what they are forks of, so they are looked for first.
    fn of(headers: &HeaderMap) -> Self {
        let order = [
            ("x-forgejo-event", Self::Forgejo),
            ("x-gitea-event", Self::Gitea),
            ("x-gogs-event", Self::Gogs),
            ("x-gitlab-event", Self::GitLab),
            ("x-event-key", Self::Bitbucket),
            ("x-github-event", Self::GitHub),
        ];
        let found = order.into_iter().find(|(header, _)| headers.contains_key(*header));
        found.map_or(Self::Generic, |(_, host)| host)
    }

    fn id_header(self) -> &'static [&'static str] {
        match self {
            Self::Forgejo => &["x-forgejo-delivery", "x-gitea-delivery"],
            Self::Gitea => &["x-gitea-delivery"],
            Self::Gogs => &["x-gogs-delivery"],
            Self::GitLab => &["webhook-id", "idempotency-key", "x-gitlab-event-uuid"],
            Self::Bitbucket => &["x-request-uuid", "x-request-id"],
            Self::GitHub => &["x-github-delivery"],
            Self::Generic => &["x-delivery", "x-request-id"],
        }
    }

    fn event(self, headers: &HeaderMap) -> Event {
        let name = match self {
            Self::Forgejo => "x-forgejo-event",
            Self::Gitea => "x-gitea-event",
            Self::Gogs => "x-gogs-event",
            Self::GitLab => "x-gitlab-event",
            Self::Bitbucket => "x-event-key",
            Self::GitHub => "x-github-event",
            Self::Generic => return Event::Push,
        };
        match text(headers, name).unwrap_or_default() {
            "push" | "create" | "delete" | "Push Hook" | "Tag Push Hook" | "System Hook" | "repo:push"
            | "repo:refs_changed" => Event::Push,
            "pull_request" | "pull_request_sync" | "Merge Request Hook" => Event::PullRequest,
            "ping" | "diagnostics:ping" => Event::Ping,
            _ => Event::Other,
        }
    }
}

/// Reads a delivery; with a `secret`, only one that proves to know it.
///
/// # Errors
/// When it does not.
pub fn read(headers: &HeaderMap, body: &[u8], secret: Option<&[u8]>, now: Timestamp) -> Result<Delivery, Refusal> {
    let host = Host::of(headers);
    if let Some(secret) = secret {
        verify(host, headers, body, secret, now)?;
    }
    let id = host.id_header().iter().find_map(|header| text(headers, header)).map(str::to_owned);
    Ok(Delivery { host, id, event: host.event(headers) })
}

fn verify(host: Host, headers: &HeaderMap, body: &[u8], secret: &[u8], now: Timestamp) -> Result<(), Refusal> {
    match host {
        // Where Forgejo signs, its own header decides: the older one may be of another algorithm or key.
        Host::Forgejo if headers.contains_key("x-forgejo-signature") => {
            bare(headers, "x-forgejo-signature", body, secret)
        }
        Host::Forgejo | Host::Gitea => bare(headers, "x-gitea-signature", body, secret),
        Host::Gogs => bare(headers, "x-gogs-signature", body, secret),
        Host::GitLab if headers.contains_key("webhook-signature") => standard(headers, body, secret, now),
        Host::GitLab => {
            let token = headers.get("x-gitlab-token").ok_or(Refusal::Unsigned("X-Gitlab-Token"))?;
            is_same(token.as_bytes(), secret).then_some(()).ok_or(Refusal::Wrong)
        }
        Host::Bitbucket => prefixed(headers, "x-hub-signature", "X-Hub-Signature", body, secret),
        Host::GitHub => prefixed(headers, "x-hub-signature-256", "X-Hub-Signature-256", body, secret),
        Host::Generic => prefixed(headers, "x-signature", "X-Signature", body, secret),
    }
}

fn bare(headers: &HeaderMap, header: &'static str, body: &[u8], secret: &[u8]) -> Result<(), Refusal> {
    let signature = text(headers, header).ok_or(Refusal::Unsigned(header))?;
    check_hex(signature, body, secret)
}

/// `sha256=<hex>`
fn prefixed(headers: &HeaderMap, header: &str, shown: &'static str, body: &[u8], secret: &[u8]) -> Result<(), Refusal> {
    let signature = text(headers, header).ok_or(Refusal::Unsigned(shown))?;
    let signature = signature.strip_prefix("sha256=").ok_or(Refusal::Algorithm)?;
    check_hex(signature, body, secret)
}

fn check_hex(signature: &str, body: &[u8], secret: &[u8]) -> Result<(), Refusal> {
    let signature = unhex(signature.trim()).ok_or(Refusal::Wrong)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, body, &signature).map_err(|_| Refusal::Wrong)
}

/// `v1,<base64>` over `id.timestamp.body`; several signatures may stand there while a key is being changed.
fn standard(headers: &HeaderMap, body: &[u8], secret: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let need = |header, shown| text(headers, header).ok_or(Refusal::Unsigned(shown));
    let id = need("webhook-id", "webhook-id")?;
    let time = need("webhook-timestamp", "webhook-timestamp")?;
    let signatures = need("webhook-signature", "webhook-signature")?;
    let signed = time.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or(Refusal::Wrong)?;
    let key = std::str::from_utf8(secret).ok().and_then(|secret| secret.strip_prefix("whsec_"));
    let key = key.and_then(|key| STANDARD.decode(key.trim()).ok()).unwrap_or_else(|| secret.to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let mut content = format!("{id}.{time}.").into_bytes();
    content.extend_from_slice(body);
    let mut given = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    if !given.any(|signature| hmac::verify(&key, &content, &signature).is_ok()) {
        return Err(Refusal::Wrong);
    }
    if now.duration_since(signed).abs() > TOLERANCE {
        return Err(Refusal::Time);
    }
    Ok(())
}

/// Compares secrets without telling by its time how much of them agrees, nor how long they are.
fn is_same(given: &[u8], secret: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    hmac::verify(&key, given, hmac::sign(&key, secret).as_ref()).is_ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"whsec_c2VjcmV0IGtleQ==";
    const BODY: &[u8] = br#"{"ref":"refs/heads/main"}"#;
    const NOW: i64 = 1_795_000_000;

    fn hex(key: &[u8], body: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body);
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| {
            (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
        };
        pairs.iter().map(parse).collect()
    }

    fn verdict(pairs: &[(&str, &str)]) -> Result<(Host, Event), Refusal> {
        let now = Timestamp::from_second(NOW).unwrap();
        read(&headers(pairs), BODY, Some(SECRET), now).map(|delivery| (delivery.host, delivery.event))
    }

    #[test]
    fn each_hosts_signature_is_checked_its_own_way() {
        let right = hex(SECRET, BODY);
        let wrong = hex(b"other", BODY);
        let (prefixed, forged) = (format!("sha256={right}"), format!("sha256={wrong}"));
        let sha1 = format!("sha1={right}");
        let secret = std::str::from_utf8(SECRET).unwrap();
        type Case<'a> = (&'a [(&'a str, &'a str)], Result<(Host, Event), Refusal>);
        let cases: &[Case] = &[
            (&[("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &prefixed)], Ok((Host::GitHub, Event::Push))),
            (&[("X-GitHub-Event", "ping"), ("X-Hub-Signature-256", &prefixed)], Ok((Host::GitHub, Event::Ping))),
            (&[("X-GitHub-Event", "issues"), ("X-Hub-Signature-256", &prefixed)], Ok((Host::GitHub, Event::Other))),
            (&[("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &forged)], Err(Refusal::Wrong)),
            (&[("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &sha1)], Err(Refusal::Algorithm)),
            (&[("X-GitHub-Event", "push"), ("X-Hub-Signature", &sha1)], Err(Refusal::Unsigned("X-Hub-Signature-256"))),
            (
                &[("X-Gitea-Event", "push"), ("X-GitHub-Event", "push"), ("X-Gitea-Signature", &right)],
                Ok((Host::Gitea, Event::Push)),
            ),
            // Signed for GitHub's header only: Gitea's own decides.
            (
                &[("X-Gitea-Event", "push"), ("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &prefixed)],
                Err(Refusal::Unsigned("x-gitea-signature")),
            ),
            (
                &[
                    ("X-Forgejo-Event", "push"),
                    ("X-Gitea-Event", "push"),
                    ("X-Forgejo-Signature", &right),
                    ("X-Gitea-Signature", &wrong),
                ],
                Ok((Host::Forgejo, Event::Push)),
            ),
            (
                &[("X-Forgejo-Event", "push"), ("X-Forgejo-Signature", &wrong), ("X-Gitea-Signature", &right)],
                Err(Refusal::Wrong),
            ),
            (&[("X-Forgejo-Event", "push"), ("X-Gitea-Signature", &right)], Ok((Host::Forgejo, Event::Push))),
            (&[("X-Gogs-Event", "push"), ("X-Gogs-Signature", &right)], Ok((Host::Gogs, Event::Push))),
            (&[("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", secret)], Ok((Host::GitLab, Event::Push))),
            (&[("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", "secre")], Err(Refusal::Wrong)),
            (&[("X-Gitlab-Event", "Push Hook")], Err(Refusal::Unsigned("X-Gitlab-Token"))),
            (&[("X-Event-Key", "repo:push"), ("X-Hub-Signature", &prefixed)], Ok((Host::Bitbucket, Event::Push))),
            (&[("X-Event-Key", "repo:refs_changed"), ("X-Hub-Signature", &sha1)], Err(Refusal::Algorithm)),
            (&[("X-Signature", &prefixed)], Ok((Host::Generic, Event::Push))),
            (&[("X-Signature", "sha256=zz")], Err(Refusal::Wrong)),
            (&[("X-Signature", "sha256=")], Err(Refusal::Wrong)),
            (&[], Err(Refusal::Unsigned("X-Signature"))),
        ];
        for (given, want) in cases {
            assert_eq!(verdict(given), *want, "{given:?}");
        }
    }

    #[test]
    fn gitlabs_newer_signature_covers_id_and_time() {
        let sign = |time: &str| {
            let content = [format!("msg_1.{time}.").as_bytes(), BODY].concat();
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret key"), &content);
            format!("v1,AAAA v1,{}", STANDARD.encode(tag.as_ref()))
        };
        let verdict = |time: &str, signature: &str| {
            verdict(&[
                ("X-Gitlab-Event", "Tag Push Hook"),
                ("webhook-id", "msg_1"),
                ("webhook-timestamp", time),
                ("webhook-signature", signature),
                ("X-Gitlab-Token", "ignored"),
            ])
        };
        let (now, old) = (NOW.to_string(), (NOW - 3600).to_string());
        assert_eq!(verdict(&now, &sign(&now)), Ok((Host::GitLab, Event::Push)));
        assert_eq!(verdict(&now, &sign(&old)), Err(Refusal::Wrong));
        assert_eq!(verdict(&old, &sign(&old)), Err(Refusal::Time));
        assert_eq!(verdict("soon", &sign("soon")), Err(Refusal::Wrong));
    }

    #[test]
    fn without_a_secret_nothing_is_checked() {
        let now = Timestamp::from_second(NOW).unwrap();
        let read = read(&headers(&[("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "7")]), BODY, None, now).unwrap();
        assert_eq!(read, Delivery { host: Host::GitHub, id: Some("7".into()), event: Event::Push });
    }
}
