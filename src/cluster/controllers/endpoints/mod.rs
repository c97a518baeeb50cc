//! Endpoints of Services: which pods stand behind a Service with a selector, as EndpointSlices and as the older
//! Endpoints object. Services without a selector are somebody else's. `backends` reads pods, `slices` and `subsets`
//! decide, `controller` reads and writes.

mod backends;
mod controller;
mod slices;
mod subsets;

pub use controller::EndpointsController;
