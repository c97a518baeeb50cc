//! Gives claims their volumes: those that are there, and directories of a node for the class `local-path`.

mod controller;
mod local;

pub use controller::VolumeController;

#[cfg(test)]
mod tests;
