//! The cluster's certificates: an authority made at the first start, the server's certificate, and certificates
//! for clients, whose subject is their identity. Kept in `DATA_DIR/pki`, readable by the owner only.

mod authority;
mod files;
mod kubeconfig;

pub use authority::{Authority, Credentials, PkiError, private_key};
pub use kubeconfig::Kubeconfig;
