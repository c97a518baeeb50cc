//! What every sync asks of every object, found out once when its file is read. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::config;
use crate::object::Kind;
use crate::sync::stage::CHANGE_CAUSE;
use crate::sync::tracking;
use crate::sync::waves::HOOK_ANNOTATION;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The wave in which it is synced.
    pub wave: i64,
    /// It may be made at a moment of the sync only.
    pub may_be_hook: bool,
    /// It has sync options of its own.
    pub has_options: bool,
    /// It says itself why it changed.
    pub has_cause: bool,
    /// Nobody is restarted because of it, or it is not.
    pub opts_out: bool,
    /// Images of its pods, each once.
    pub images: Box<[Box<str>]>,
    /// ConfigMaps and Secrets that the pods of its template read.
    pub reads: Box<[(&'static Kind, Box<str>)]>,
}

impl Facts {
    pub fn of(object: &Value) -> Self {
        let annotations = &object["metadata"]["annotations"];
        let template = &object["spec"]["template"]["spec"];
        let reads = config::read_by(template).into_iter().map(|(kind, name)| (kind, Box::from(name)));
        Self {
            wave: tracking::sync_wave(object),
            may_be_hook: annotations.get(HOOK_ANNOTATION).is_some(),
            has_options: tracking::has_options(object),
            has_cause: annotations.get(CHANGE_CAUSE).is_some(),
            opts_out: annotations[config::OPT_OUT] == "disabled",
            images: images(object).into_iter().map(Box::from).collect(),
            reads: reads.collect(),
        }
    }
}

fn images(object: &Value) -> BTreeSet<&str> {
    let spec = &object["spec"];
    let pods = [spec, &spec["template"]["spec"], &spec["jobTemplate"]["spec"]["template"]["spec"]];
    let lists = pods.into_iter().flat_map(|pod| [&pod["initContainers"], &pod["containers"]]);
    lists.filter_map(Value::as_array).flatten().filter_map(|container| container["image"].as_str()).collect()
}
