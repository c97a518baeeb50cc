//! HorizontalPodAutoscalers: as many pods as their load asks for. `demand` computes how many from what the pods use,
//! `limits` how fast that may change, `past` remembers what was recommended and done, `plan` puts them together;
//! `controller` reads and writes. (Kubernetes documentation, "Horizontal Pod Autoscaling: algorithm details".)

mod controller;
mod demand;
mod limits;
mod past;
mod plan;

pub use controller::AutoscalerController;
