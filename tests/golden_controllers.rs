//! The controllers in one process on a store in memory, under paused time, with a scripted kubelet: scenarios of
//! our own, and recorded traces of Kubernetes replayed step by step.

#[path = "golden_controllers/actions.rs"]
mod actions;
#[path = "golden_controllers/autoscaling.rs"]
mod autoscaling;
#[path = "golden_controllers/cluster.rs"]
mod cluster;
#[path = "golden_controllers/compare.rs"]
mod compare;
#[path = "golden_controllers/nodes.rs"]
mod nodes;
#[path = "golden_controllers/picture.rs"]
mod picture;
#[path = "golden_controllers/replay.rs"]
mod replay;
#[path = "golden_controllers/report.rs"]
mod report;
#[path = "golden_controllers/scenarios.rs"]
mod scenarios;
#[path = "golden_controllers/scheduler.rs"]
mod scheduler;
#[path = "golden_controllers/workloads.rs"]
mod workloads;
