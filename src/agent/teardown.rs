//! Takes away all that an agent made on a machine: for `windlass down`, the demo and tests. Nothing else's.

use std::path::Path;

use super::labels;
use super::network::{self, NetworkError};
use super::runtime::{Runtime, RuntimeError};
use super::start::identity;

#[derive(Debug, thiserror::Error)]
pub enum TeardownError {
    #[error("the container engine refuses")]
    Runtime(#[from] RuntimeError),
    #[error("the network of the pods cannot be removed")]
    Network(#[from] NetworkError),
}

/// Removes the containers, the rules and the network of the agent whose directory is `data_dir`, which must not
/// be running, and gives the number of containers. Volumes in the directory stay.
///
/// # Errors
/// When the engine or the kernel refuses; what was removed before stays removed.
pub async fn teardown(runtime: &dyn Runtime, data_dir: &Path) -> Result<usize, TeardownError> {
    let agent = identity(data_dir);
    let containers = runtime.containers(&labels::of_agent(&agent)).await?;
    for container in &containers {
        runtime.remove(&container.id).await?;
    }
    network::remove_all(&agent, runtime).await?;
    Ok(containers.len())
}
