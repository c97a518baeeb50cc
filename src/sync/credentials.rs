//! How a private repository is reached: Secrets in Argo CD's shape (label `argocd.argoproj.io/secret-type`), read from
//! windlass's own namespace and from `argocd`. A `repository` is meant for one URL, `repo-creds` for all that begin with
//! theirs. Nothing here is ever shown: `Access` has no `Debug`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::mirror::RepoLocation;
use super::render::AgeKeys;
use crate::cluster::registry::Registry;
use crate::cluster::store::Snapshot;
use crate::object::{Object, SYSTEM_NAMESPACE, kinds};

const TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";
/// Says of a Secret what windlass does with it.
pub const OWN_TYPE_LABEL: &str = "windlass.dev/secret-type";
/// Its values are age keys, as `age-keygen` writes them.
const SOPS_AGE: &str = "sops-age";
const KNOWN_HOSTS: &str = "argocd-ssh-known-hosts-cm";
/// Whoever may write Secrets there may already do everything.
const NAMESPACES: [&str; 2] = [SYSTEM_NAMESPACE, "argocd"];

/// What a fetch needs beside the URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    pub username: String,
    pub password: String,
    pub ssh_key: String,
    /// Lines of a `known_hosts` file.
    pub known_hosts: String,
    pub ignores_host_key: bool,
}

/// What somebody wants of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Read,
    /// With credentials that are for writing where there are some (`repository-write`, `repo-write-creds`).
    Write,
}

/// The credentials for a repository, as the cluster has them now.
pub fn find(live: &Snapshot, location: &RepoLocation, purpose: Purpose) -> Access {
    let hosts = NAMESPACES.iter().filter_map(|namespace| live.find(kinds::CONFIG_MAP, namespace, KNOWN_HOSTS));
    let hosts = hosts.map(|map| map.value()["data"]["ssh_known_hosts"].as_str().unwrap_or_default().to_owned());
    let known_hosts = hosts.collect::<Vec<_>>().join("\n");
    let wanted = location.identity();
    let writing = (purpose == Purpose::Write).then(|| best(live, &wanted, ["repository-write", "repo-write-creds"]));
    let found = writing.flatten().or_else(|| best(live, &wanted, ["repository", "repo-creds"]));
    let Some(data) = found else { return Access { known_hosts, ..Access::default() } };
    let text = |name: &str| data.get(name).cloned().unwrap_or_default();
    let is_set = |name: &str| data.get(name).is_some_and(|value| value.trim() == "true");
    let bearer = text("bearerToken");
    Access {
        // The hosts take a token as the password of any user.
        username: if text("username").is_empty() && !bearer.is_empty() {
            "x-token-auth".to_owned()
        } else {
            text("username")
        },
        password: if bearer.is_empty() { text("password") } else { bearer },
        ssh_key: text("sshPrivateKey"),
        known_hosts,
        ignores_host_key: is_set("insecureIgnoreHostKey") || is_set("insecure"),
    }
}

/// The values of the Secret that fits the repository best. `one` is the type of those that are for a single repository, `all` of
/// those that are for every one whose URL begins with theirs.
fn best(live: &Snapshot, wanted: &str, [one, all]: [&str; 2]) -> Option<BTreeMap<String, String>> {
    let mut best: Option<(usize, BTreeMap<String, String>)> = None;
    for (kind, secret) in secrets(live, TYPE_LABEL) {
        let data = data_of(&secret.value());
        let Some(url) = data.get("url").and_then(|url| url.trim().parse::<RepoLocation>().ok()) else { continue };
        let identity = url.identity();
        let length = match kind {
            kind if kind == one && identity == wanted => usize::MAX,
            kind if kind == all && covers(&identity, wanted) => identity.len(),
            _ => continue,
        };
        if best.as_ref().is_none_or(|(known, _)| length > *known) {
            best = Some((length, data));
        }
    }
    best.map(|(_, data)| data)
}

/// The Secrets of the trusted namespaces that have a label, with what it says.
pub fn secrets<'a>(live: &'a Snapshot, label: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<Object>)> {
    let all = NAMESPACES.iter().flat_map(|namespace| live.list(kinds::SECRET, namespace));
    all.filter_map(move |secret| Some((secret.meta.labels.get(label)?.as_str(), secret)))
}

/// The age keys of the file `path`, and of the Secrets that hold some.
pub fn age_keys(registry: &Registry, path: &Path) -> AgeKeys {
    let (registry, path) = (registry.clone(), path.to_owned());
    AgeKeys::new(move || {
        let live = registry.snapshot();
        let holding = secrets(&live, OWN_TYPE_LABEL).filter(|(kind, _)| *kind == SOPS_AGE);
        let mut texts: Vec<String> = holding.flat_map(|(_, secret)| data_of(&secret.value()).into_values()).collect();
        texts.extend(fs::read_to_string(&path));
        texts.join("\n")
    })
}

/// Whether credentials for `prefix` are for `url` too: up to the end of a part of its path.
pub fn covers(prefix: &str, url: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    url.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The values of a Secret that are text.
pub fn data_of(secret: &Value) -> BTreeMap<String, String> {
    let encoded = secret["data"].as_object().into_iter().flatten();
    let decoded = encoded.filter_map(|(name, value)| {
        let bytes = STANDARD.decode(value.as_str()?).ok()?;
        Some((name.clone(), String::from_utf8(bytes).ok()?))
    });
    decoded.collect()
}

impl Access {
    /// The URL with the credentials in it, for the transport that puts them into a header; one that has some keeps them.
    pub fn url(&self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        let authority = rest.split('/').next().unwrap_or_default();
        if self.password.is_empty() && self.username.is_empty() || authority.contains('@') {
            return url.to_owned();
        }
        format!("{scheme}://{}:{}@{rest}", escape(&self.username), escape(&self.password))
    }
}

/// Percent-encoding of everything that is not plain (RFC 3986).
fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_for_whole_parts_of_a_path() {
        for (prefix, url, want) in [
            ("https://@h/team", "https://@h/team/shop", true),
            ("https://@h/team", "https://@h/team", true),
            ("https://@h/team", "https://@h/teams/shop", false),
            ("https://@h", "https://@h.evil.com/x", false),
        ] {
            assert_eq!(covers(prefix, url), want, "{prefix} {url}");
        }
    }

    #[test]
    fn credentials_go_into_the_url_escaped() {
        let access = Access { username: "u@x".into(), password: "p:/ ä".into(), ..Access::default() };
        assert_eq!(access.url("https://h/x.git"), "https://u%40x:p%3A%2F%20%C3%A4@h/x.git");
        assert_eq!(access.url("https://a:b@h/x.git"), "https://a:b@h/x.git");
        assert_eq!(Access::default().url("https://h/x"), "https://h/x");
    }
}
