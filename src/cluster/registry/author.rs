//! Who writes: every write carries it, and drift, audit and the release log read it from there.

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Author {
    /// `kubernetes-admin`, `system:serviceaccount:NS:NAME`, `system:node:NAME`, `system:controller:NAME`.
    pub user: String,
    pub groups: Vec<String>,
    /// The client program, as its User-Agent names it.
    pub client: String,
    /// Field manager of the write (Kubernetes API, server-side apply).
    pub manager: String,
    /// The commit that asks for the write, where there is one.
    pub commit: Option<String>,
}

impl Author {
    /// A part of the control plane, for example `controller("deployment")`.
    pub fn controller(name: &str) -> Self {
        Self {
            user: format!("system:controller:{name}"),
            // The control plane acts on behalf of nobody: no role limits it.
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            client: "windlass".into(),
            manager: "windlass-controllers".into(),
            commit: None,
        }
    }
}
