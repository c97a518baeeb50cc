//! The file that makes kubectl and every other client talk to this cluster.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::authority::Credentials;
use super::files;

/// Where the cluster is and as whom to talk to it.
pub struct Kubeconfig<'a> {
    /// `https://HOST:PORT`.
    pub server: &'a str,
    /// The authority's certificate, PEM.
    pub authority: &'a str,
    pub user: &'a str,
    pub credentials: &'a Credentials,
}

impl Kubeconfig<'_> {
    /// The file's text. JSON is YAML, and has one way only to quote.
    pub fn text(&self) -> String {
        let encode = |pem: &str| STANDARD.encode(pem);
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "windlass",
            "clusters": [{"name": "windlass",
                "cluster": {"server": self.server, "certificate-authority-data": encode(self.authority)}}],
            "users": [{"name": self.user, "user": {
                "client-certificate-data": encode(&self.credentials.certificate),
                "client-key-data": encode(&self.credentials.key)}}],
            "contexts": [{"name": "windlass", "context": {"cluster": "windlass", "user": self.user}}]});
        // YAML is what people expect in this file; JSON, which is YAML too, if it cannot be written.
        serde_yaml::to_string(&config).unwrap_or_else(|_| config.to_string())
    }

    /// Writes the file, mode 0600.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if files::read(path)?.as_deref() == Some(self.text().as_str()) {
            return Ok(());
        }
        files::write_private(path, &self.text())
    }
}
