//! The life of nodes: who has not been heard of is not ready and gets tainted, pods leave nodes whose taints they do not
//! tolerate, and pods of nodes that are gone are ended. `beats` remembers who was heard when, `health`, `pace` and
//! `leaving` decide, the controllers act.

mod beats;
mod eviction;
mod gone;
mod health;
mod leaving;
mod life;
mod pace;

pub use eviction::EvictionController;
pub use gone::GoneController;
pub use life::LifeController;
