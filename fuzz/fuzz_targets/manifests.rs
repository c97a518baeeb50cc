//! Any bytes as a file of manifests: documents or faults with their lines, whatever they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass::sync::render::read_manifests;

fuzz_target!(|content: &[u8]| {
    let file = read_manifests(content);
    let lines = content.iter().filter(|byte| **byte == b'\n').count() + 1;
    for manifest in &file.manifests {
        assert!(manifest.object().is_object() && !manifest.name.is_empty());
        assert!(manifest.line as usize <= lines, "line {} of {lines}", manifest.line);
    }
});
