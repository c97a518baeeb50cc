//! Deployments: a ReplicaSet for each pod template, and the pace at which pods move from the old ones to the new
//! one. `controller` reads and writes; everything that it does is decided by `plan`.

mod controller;
mod fenceposts;
mod plan;
mod progress;
mod revision;
mod rolling;
mod scaling;
mod sets;
#[cfg(test)]
mod simulation;
mod template;

pub use controller::DeploymentController;
