//! CronJobs: a Job at each time of a schedule. `calendar` computes the times, `due` which of them was missed, `plan`
//! decides what one run does; `controller` reads and writes.

mod calendar;
mod controller;
mod due;
mod plan;

pub use controller::CronJobController;
