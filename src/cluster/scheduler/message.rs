//! Says in Kubernetes's words why a pod is not scheduled: the text of its condition and of its event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::place::Unfit;
use super::preempt::Preemption;

pub fn of(unfit: &Unfit, preemption: &Preemption) -> String {
    if unfit.nodes == 0 {
        return "no nodes available to schedule pods".into();
    }
    if let Some(why) = &unfit.pod {
        // Kubernetes ends this message with the failure of a step for which nothing had been prepared.
        return format!("0/{} nodes are available: {why}. not found", unfit.nodes);
    }
    let why = nodes(unfit.nodes, &unfit.reasons);
    match preemption {
        Preemption::Room { .. } => why,
        // The other thing that could help is a resource claim that nobody needs; there are none here.
        Preemption::Awaited(refused) | Preemption::Refused(refused) => {
            format!("{why} no new claims to deallocate, preemption: {refused}")
        }
    }
}

/// `0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods.`
pub fn nodes(all: usize, reasons: &BTreeMap<Cow<'static, str>, usize>) -> String {
    let mut told: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    told.sort();
    format!("0/{all} nodes are available: {}.", told.join(", "))
}
