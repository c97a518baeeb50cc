//! Judges writes by policies, purely: `ValidatingAdmissionPolicy` manifests with CEL expressions, and the
//! bindings that say where a policy holds and what a violation does. No I/O; whoever asks brings the objects.

mod manifest;
mod matching;
mod review;

mod expression;
mod instrument;
mod names;

pub use expression::{BadExpression, Expression};
pub use manifest::{Policies, is_policy};
pub use review::{Cluster, Effect, Operation, Request, Verdict};

#[cfg(test)]
mod tests;
