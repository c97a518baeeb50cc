//! Resource quotas: what an object uses of its namespace, and which quotas count it. Pure: the registry refuses with it
//! what is too much, the quota controller adds up with it what there is. (Kubernetes documentation, "Resource Quotas".)

mod amount;
mod scope;
mod usage;

pub use amount::{Amount, Amounts, amounts, show, to_value};
pub use scope::counts;
pub use usage::{unstated, usage};
