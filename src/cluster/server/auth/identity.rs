//! The user that a request comes from. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::rbac::Caller;

/// Who asks; a request extension, put there by whoever accepted the connection or checked the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub uid: String,
    pub groups: Vec<String>,
    /// What the authenticator knows besides, for example the pod that a token was made for.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Everybody who showed credentials is in this group.
pub const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ADMINS: &str = "system:masters";
const NODES: &str = "system:nodes";
const NODE_USER: &str = "system:node:";

impl Identity {
    /// A user with credentials, in these groups and in that of everybody who has some.
    pub fn authenticated(user: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { user: user.into(), groups, ..Self::default() }
    }

    /// May do everything.
    pub fn admin(user: &str) -> Self {
        Self::authenticated(user, [ADMINS.to_owned()])
    }

    /// The agent of a node.
    pub fn node(name: &str) -> Self {
        Self::authenticated(format!("{NODE_USER}{name}"), [NODES.to_owned()])
    }

    /// A caller that showed no credentials.
    pub fn anonymous() -> Self {
        Self { user: "system:anonymous".into(), groups: vec![UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// Reads the subject of a certificate whose chain the TLS layer has verified (`CN` is the user, each `O` a
    /// group); `None` when it names no user.
    pub fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        Some(Self::authenticated(user, subject.iter_organization().filter_map(|o| o.as_str().ok().map(str::to_owned))))
    }

    /// May do everything.
    pub fn is_admin(&self) -> bool {
        self.is_in(ADMINS)
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node that this identity is the agent of.
    pub fn as_node(&self) -> Option<&str> {
        self.user.strip_prefix(NODE_USER).filter(|_| self.is_in(NODES))
    }

    pub fn caller(&self) -> Caller<'_> {
        Caller { user: &self.user, groups: &self.groups }
    }

    /// The `UserInfo` of `authentication.k8s.io/v1`.
    pub fn user_info(&self) -> Value {
        let mut info = json!({"username": self.user, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid);
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}
