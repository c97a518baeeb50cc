//! Namespaces: what every one of them has (a default ServiceAccount, the certificate authority), and the end of those that are deleted: their
//! content goes first, pods before everything else, and conditions say what remains meanwhile.

mod accounts;
mod contents;
mod controller;
mod root_ca;

pub use accounts::AccountController;
pub use controller::NamespaceController;
pub use root_ca::RootCaController;
