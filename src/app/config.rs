//! What a windlass is built from.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::runtime::Runtime;
use crate::sync::RepoLocation;

/// All that `build` needs to know; nothing is read from the environment behind its back.
pub struct Config {
    /// The repository to follow; none serves an API without a syncer.
    pub repo: Option<Repo>,
    /// Certificates, kubeconfig, store and mirror live here.
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub node_name: String,
    pub storage: Storage,
    /// What runs the containers of this node.
    pub runtime: Arc<dyn Runtime>,
    /// Program ClusterIPs and node ports with nftables.
    pub network: bool,
    pub webhook_secret: Option<Vec<u8>>,
    /// Where every request to the API is written down.
    pub audit_log: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Repo {
    pub location: RepoLocation,
    /// The repository's current branch when not named.
    pub branch: Option<String>,
    /// Folder of the manifests inside the repository; empty for all of it.
    pub path: String,
    /// How often a remote is asked for news.
    pub poll_interval: Duration,
    /// Where `kustomize`, `helm` and `ssh` are looked for, as in the variable `PATH`.
    pub tools_path: OsString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In `data_dir`, safe against `kill -9`.
    Disk,
    /// Gone with the process.
    Memory,
}
