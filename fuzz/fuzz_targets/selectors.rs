//! Any text as a label selector and as a field selector.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use windlass::object::selector::{FieldSelector, Selector};

fuzz_target!(|text: &str| {
    if let Ok(selector) = text.parse::<Selector>() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "7".to_owned())]);
        selector.matches(&labels);
        selector.matches(&BTreeMap::new());
    }
    if let Ok(selector) = text.parse::<FieldSelector>() {
        selector.matches(|path| path.to_owned());
    }
});
