//! Server-side apply of any configuration to any object, with whatever `managedFields` it claims to have.
//! The input is the object and the configuration, two JSON texts with a zero byte between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use windlass::diff::apply::{Applier, apply};
use windlass::object::kinds;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let mut next = || serde_json::from_slice::<Value>(parts.next()?).ok();
    let (Some(live), Some(mut config)) = (next(), next()) else { return };
    for kind in [kinds::DEPLOYMENT, kinds::POD, kinds::SERVICE, kinds::CONFIG_MAP] {
        if let Some(members) = config.as_object_mut() {
            members.insert("apiVersion".to_owned(), kind.api_version().into());
            members.insert("kind".to_owned(), kind.kind.into());
        }
        let by = Applier { manager: "fuzz", subresource: None, force: true, now: "2026-01-01T00:00:00Z" };
        let Ok(once) = apply(kind, Some(&live), &config, &by) else { continue };
        let again = apply(kind, Some(&once), &config, &by).expect("what was applied can be applied again");
        assert_eq!(without_managers(&once), without_managers(&again));
    }
});

fn without_managers(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}
