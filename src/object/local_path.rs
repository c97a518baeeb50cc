//! The names by which the control plane and the agents speak of volumes that are directories of a node.

/// The provisioner, as a StorageClass names it.
pub const PROVISIONER: &str = "windlass.dev/local-path";
/// The annotation in which a node says where its volumes are.
pub const DIRECTORY: &str = "windlass.dev/volumes-dir";
/// The label of a volume that names its node: by it the node's agent finds those that it has to remove.
pub const NODE: &str = "windlass.dev/node";
/// Keeps a volume until its node's agent has removed its directory.
pub const FINALIZER: &str = "windlass.dev/local-path";
