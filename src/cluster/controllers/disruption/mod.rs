//! Disruption budgets: how many pods of a set may be evicted now, so that enough of them stay up. `budget` counts
//! (pure), `controller` watches and writes. Who evicts asks the registry, which spends what is allowed.

mod budget;
mod controller;

pub use controller::DisruptionController;
