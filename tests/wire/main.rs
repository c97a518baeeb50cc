//! Rules of the API over HTTP that no recording of Kubernetes tells: asked of the router, without a network.

#[allow(dead_code, reason = "shared with the replay of the recordings")]
mod client;
mod crowds;
mod floods;
mod hostile;
mod requests;
mod watches;
