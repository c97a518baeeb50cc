//! Who wants to hear of outcomes: Secrets with the label `windlass.dev/secret-type`, in windlass's own namespace and in
//! `argocd`.
//!
//! - `git-host`: `url` (a repository, or what the URLs of several begin with), `token`; `provider` (`github`, `gitlab`,
//!   `gitea`, `forgejo`) and `api` where the host is none of the well-known ones.
//! - `notification`: `url`; `secret` signs the body (`X-Signature: sha256=HEX`); `applications`, a list of names with
//!   commas, for some only.

use std::collections::BTreeMap;

use super::host::{GitHost, Provider};
use crate::cluster::store::Snapshot;
use crate::object::ObjectKey;
use crate::sync::credentials::{OWN_TYPE_LABEL, covers, data_of, secrets};
use crate::sync::mirror::RepoLocation;

/// A receiver of notifications.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Of its Secret.
    pub name: String,
    pub url: String,
    pub secret: String,
    applications: Vec<String>,
}

struct Host {
    prefix: String,
    data: BTreeMap<String, String>,
}

#[derive(Default)]
pub struct Targets {
    hosts: Vec<Host>,
    receivers: Vec<Receiver>,
}

impl Targets {
    /// Those that the cluster has now.
    pub fn find(live: &Snapshot) -> Self {
        let mut targets = Self::default();
        for (kind, secret) in secrets(live, OWN_TYPE_LABEL) {
            let data = data_of(&secret.value());
            let text = |name: &str| data.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
            match kind {
                "git-host" => {
                    let Ok(url) = text("url").parse::<RepoLocation>() else { continue };
                    targets.hosts.push(Host { prefix: url.place(), data });
                }
                "notification" if text("url").starts_with("http") => targets.receivers.push(Receiver {
                    name: secret.key.name.clone(),
                    url: text("url"),
                    secret: text("secret"),
                    applications: text("applications").split(',').map(|name| name.trim().to_owned()).collect(),
                }),
                _ => {}
            }
        }
        targets
    }

    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.receivers.is_empty()
    }

    /// The host of a repository, if somebody gave a token for it.
    pub fn host(&self, repository: &RepoLocation) -> Option<GitHost> {
        let wanted = repository.place();
        let fitting = self.hosts.iter().filter(|host| covers(&host.prefix, &wanted));
        let best = fitting.max_by_key(|host| host.prefix.len())?;
        let text = |name: &str| best.data.get(name).map(|text| text.trim()).unwrap_or_default();
        let (host, path) = wanted.split_once('/')?;
        let provider = Provider::of(text("provider"), host.split(':').next().unwrap_or(host))?;
        let api = match text("api").trim_end_matches('/') {
            "" => provider.api(host),
            given => given.to_owned(),
        };
        Some(GitHost { provider, api, repository: path.to_owned(), token: text("token").to_owned() })
    }

    /// Whoever wants to hear of an Application.
    pub fn receivers(&self, application: &ObjectKey) -> impl Iterator<Item = &Receiver> {
        let is_meant = |receiver: &&Receiver| {
            let named = &receiver.applications;
            named.iter().all(String::is_empty) || named.contains(&application.name)
        };
        self.receivers.iter().filter(is_meant)
    }
}
