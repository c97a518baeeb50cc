//! Compresses large answers that are complete when they start. Streams stay as they are: a compressor would
//! hold their lines back.

use http::Response;
use http_body::Body;
use tower_http::compression::{CompressionLayer, Predicate};

/// Smaller answers cost more to compress than to send; Kubernetes draws the line here too.
const WORTHWHILE: u64 = 128 * 1024;

#[derive(Clone, Copy, Debug)]
pub struct Complete;

impl Predicate for Complete {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        response.body().size_hint().exact().is_some_and(|size| size >= WORTHWHILE)
    }
}

pub fn layer() -> CompressionLayer<Complete> {
    CompressionLayer::new().gzip(true).compress_when(Complete)
}
