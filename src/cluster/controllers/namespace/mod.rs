//! Namespaces: what every one of them has (a default ServiceAccount), and the end of those that are deleted: their
//! content goes first, pods before everything else, and conditions say what remains meanwhile.

mod accounts;
mod contents;
mod controller;

pub use accounts::AccountController;
pub use controller::NamespaceController;
