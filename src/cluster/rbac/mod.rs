//! Role-based access control as Kubernetes has it: what the roles and bindings in a snapshot allow a caller, and the
//! roles that every cluster begins with. Pure. Who the caller is, and what else may let it in, is the server's matter;
//! the registry asks here before it stores a role or a binding, so that nobody grants what it does not hold.
//! (Kubernetes reference, "Using RBAC Authorization".)

mod aggregation;
mod bootstrap;
mod coverage;
mod grants;
mod rule;

pub use aggregation::{aggregate, selects};
pub use bootstrap::{DefaultObject, defaults};
pub use coverage::{compact, uncovered};
pub use grants::{Caller, Decision, decide, referenced_rules, rules_of};
pub use rule::Ask;
