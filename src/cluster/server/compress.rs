//! Compresses large answers, at the level that Kubernetes chose: those that are complete when they start, and long lists.
//! Streams of events stay as they are: a compressor would hold their lines back.

use http::Response;
use http_body::Body;
use tower_http::compression::{CompressionLayer, CompressionLevel, Predicate};

/// Smaller answers cost more to compress than to send; Kubernetes draws the line here too.
pub const WORTHWHILE: u64 = 128 * 1024;

#[derive(Clone, Copy, Debug)]
pub struct Complete;

/// In a response: it comes in pieces, is long, and ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct LongList;

impl Predicate for Complete {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        response.body().size_hint().exact().is_some_and(|size| size >= WORTHWHILE)
            || response.extensions().get::<LongList>().is_some()
    }
}

pub fn layer() -> CompressionLayer<Complete> {
    CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(Complete)
}
