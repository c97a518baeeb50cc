//! The three kinds of patches on any object: a patched object, or a refusal.
//! The input is the object and the patch, two JSON texts with a zero byte between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use windlass::diff::{jsonpatch, strategic};
use windlass::object::kinds;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let mut next = || serde_json::from_slice::<Value>(parts.next()?).ok();
    let (Some(object), Some(patch)) = (next(), next()) else { return };
    let _ = jsonpatch::apply(&object, &patch);
    if let Ok(once) = jsonpatch::merge(&object, &patch) {
        // RFC 7386: a merge patch that was applied changes nothing more.
        assert_eq!(jsonpatch::merge(&once, &patch).ok().as_ref(), Some(&once));
    }
    for kind in [kinds::DEPLOYMENT, kinds::POD, kinds::SERVICE, kinds::CONFIG_MAP] {
        let _ = strategic::merge(kind, &object, &patch);
    }
});
