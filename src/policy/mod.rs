//! Judges objects by policies, purely: `ValidatingAdmissionPolicy` manifests with CEL expressions, and the
//! bindings that say where a policy holds and what a violation does. No I/O; whoever asks brings the objects.

mod expression;
mod manifest;
mod review;

pub use expression::{BadExpression, Expression};
pub use manifest::{BadPolicy, Policies};
pub use review::{Effect, Operation, Request, Verdict};
