//! The bridge that the pods of one agent are on: a Docker network of ours, and what the host needs to route to it.

use std::path::Path;

use super::{nft, rules};
use crate::agent::runtime::{Network, NetworkSpec, Runtime, RuntimeError};

#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("{program}: {reason}")]
    Program { program: &'static str, reason: String },
    #[error("the network of the pods could not be made")]
    Engine(#[from] RuntimeError),
}

/// The names of one agent's network: of the Docker network, its device, and the table of rules.
#[derive(Clone, Debug)]
pub struct Bridge {
    agent: String,
}

impl Bridge {
    /// `agent` is the agent's id: some hexadecimal digits.
    pub fn of_agent(agent: &str) -> Self {
        Self { agent: agent.to_owned() }
    }

    pub fn network_name(&self) -> String {
        format!("windlass-{}", self.agent)
    }

    /// Names of devices have at most 15 characters.
    pub fn device(&self) -> String {
        format!("wl-{}", self.agent.chars().take(12).collect::<String>())
    }

    pub fn table(&self) -> String {
        format!("windlass-{}", self.agent)
    }

    pub fn spec(&self) -> NetworkSpec {
        let first = self.agent.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        NetworkSpec {
            name: self.network_name(),
            bridge: self.device(),
            // A subnet of its own for each agent of a machine; which, hardly matters.
            candidates: (0..=u8::MAX).map(|n| format!("10.244.{}.0/24", first.wrapping_add(n))).collect(),
            labels: [(crate::agent::labels::AGENT.to_owned(), self.agent.clone())].into(),
        }
    }

    /// Makes the network, if it is not there.
    ///
    /// # Errors
    /// When the engine does not.
    pub async fn ensure(&self, runtime: &dyn Runtime) -> Result<Network, NetworkError> {
        Ok(runtime.ensure_network(&self.spec()).await?)
    }

    /// Lets packets that a Service rule has redirected through to the pods: the route from 127.0.0.1, and an exception
    /// from Docker's rule that nothing but published ports is forwarded.
    ///
    /// # Errors
    /// When the exception cannot be made.
    pub async fn open(&self) -> Result<(), NetworkError> {
        let device = self.device();
        let route = Path::new("/proc/sys/net/ipv4/conf").join(&device).join("route_localnet");
        if let Err(error) = tokio::fs::write(&route, "1").await {
            tracing::warn!(%error, path = %route.display(), "node ports will not answer on 127.0.0.1");
        }
        let rule = self.exception();
        let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
        let check: Vec<&str> = ["-w", "-C"].into_iter().chain(rule.iter().copied()).collect();
        if nft::run("iptables", &check, "").await.is_ok() {
            return Ok(());
        }
        let insert: Vec<&str> = ["-w", "-I"].into_iter().chain(rule.iter().copied()).collect();
        nft::run("iptables", &insert, "").await.map(drop)
    }

    /// Lets a pod reach itself over a Service. Where the kernel shows bridged packets to the rules, the answer to such a
    /// connection leaves the bridge by the port that it came from, which a bridge does only when told to.
    pub async fn reflect(&self) {
        let ports = Path::new("/sys/class/net").join(self.device()).join("brif");
        let Ok(mut entries) = tokio::fs::read_dir(&ports).await else { return };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let mode = entry.path().join("hairpin_mode");
            if let Err(error) = tokio::fs::write(&mode, "1").await {
                tracing::debug!(%error, path = %mode.display(), "a pod will not reach itself over a Service");
            }
        }
    }

    fn exception(&self) -> [String; 9] {
        let device = self.device();
        ["DOCKER-USER", "-o", &device, "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT"].map(str::to_owned)
    }
}

/// Removes the rules and the network of an agent whose containers are gone.
///
/// # Errors
/// When the kernel or the engine refuses; what was removed before stays removed.
pub async fn remove_all(agent: &str, runtime: &dyn Runtime) -> Result<(), NetworkError> {
    let bridge = Bridge::of_agent(agent);
    nft::apply(&rules::remove(&bridge.table())).await?;
    let rule = bridge.exception();
    let delete: Vec<&str> = ["-w", "-D"].into_iter().chain(rule.iter().map(String::as_str)).collect();
    if let Err(error) = nft::run("iptables", &delete, "").await {
        tracing::debug!(%error, "there was no exception to remove");
    }
    Ok(runtime.remove_network(&bridge.network_name()).await?)
}
