//! From files to objects: reads the manifests of a commit, a work tree or a folder, and reports everything that
//! is wrong with them at once, each with its file and line. Nothing that it reads is executed or followed.

mod assemble;
mod config;
mod facts;
mod folder;
mod hidden;
mod locate;
mod manifest;
mod plain;
mod sops;
#[cfg(test)]
pub use sops::tests as sops_tests;
mod tree;
mod yaml;

pub use assemble::{Document, Rendered, place};
pub use folder::{FolderError, directory};
pub use manifest::{File, Manifest, is_manifest, read as read_manifests};
pub use sops::AgeKeys;
pub use tree::{Cache, Folder, TreeError, is_safe_name, text_of};
pub use yaml::{Fault, Parsed, parse};
