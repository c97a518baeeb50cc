//! Who asks, and whether they may: authentication by client certificate or token, impersonation, authorisation by
//! role, by being a node, or by being the administrator. Decides; the guard in `api` carries out.

mod authenticate;
mod authorize;
mod bootstrap_token;
mod identity;
mod impersonate;
mod node;
mod token_request;
mod tokens;

pub use authenticate::Authenticator;
pub use authorize::{Selected, authorize, decide};
pub use identity::Identity;
pub use impersonate::impersonate;
pub use node::may_register;
pub use token_request::serve as request_token;
pub use tokens::{ISSUER, Tokens};
