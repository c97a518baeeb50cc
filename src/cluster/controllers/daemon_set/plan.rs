//! Decides which pods of a DaemonSet are made and deleted. Pure.
//!
//! `manage` gives each node its one pod; only when that has nothing to do, `roll` replaces pods of earlier revisions.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSetSpec;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::eligibility::Fit;
use crate::cluster::controllers::events::Note;
use crate::cluster::controllers::pods;
use crate::cluster::controllers::scaled::{Rounding, scaled};

/// A pod of a DaemonSet.
#[derive(Clone, Debug)]
pub struct Daemon {
    pub pod: Arc<Pod>,
    /// It is of the present template.
    pub updated: bool,
}

impl Daemon {
    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn is_bound(&self) -> bool {
        self.pod.spec.as_ref().and_then(|s| s.node_name.as_ref()).is_some_and(|n| !n.is_empty())
    }
}

/// A node with the pods that are there or on their way: bound ones first, then older ones.
#[derive(Clone, Debug)]
pub struct Place {
    pub node: String,
    /// The node is there.
    pub exists: bool,
    pub fit: Fit,
    pub pods: Vec<Daemon>,
}

impl Place {
    pub fn sort(&mut self) {
        self.pods.sort_by(|a, b| {
            let key = |d: &Daemon| (!d.is_bound(), d.pod.metadata.creation_timestamp.as_ref().map(|t| t.0));
            key(a).cmp(&key(b)).then_with(|| a.name().cmp(b.name()))
        });
    }

    /// The pods of the present and of an earlier template that are not going; `None` when there are several of one.
    fn pair(&self) -> Option<(Option<&Daemon>, Option<&Daemon>)> {
        let (mut new, mut old) = (None, None);
        for daemon in self.pods.iter().filter(|d| !pods::is_deleting(&d.pod)) {
            let place = if daemon.updated { &mut new } else { &mut old };
            if place.replace(daemon).is_some() {
                return None;
            }
        }
        Some((new, old))
    }
}

/// What a plan needs to know of the spec, for as many nodes as the set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub min_ready_seconds: i32,
    pub rolls: bool,
    pub surge: usize,
    pub unavailable: usize,
    surges: bool,
}

impl Policy {
    pub fn of(spec: &DaemonSetSpec, places: &[Place]) -> Self {
        let wanted = i32::try_from(places.iter().filter(|p| p.fit.run).count()).unwrap_or(i32::MAX);
        let strategy = spec.update_strategy.as_ref();
        let rolls = strategy.and_then(|s| s.type_.as_deref()) != Some("OnDelete");
        let rolling = strategy.and_then(|s| s.rolling_update.as_ref()).filter(|_| rolls);
        let amount = |value: Option<&IntOrString>, of| {
            usize::try_from(value.map_or(0, |value| scaled(value, of, Rounding::Up))).unwrap_or(0)
        };
        let (max_surge, max_unavailable) =
            (rolling.and_then(|r| r.max_surge.as_ref()), rolling.and_then(|r| r.max_unavailable.as_ref()));
        let surge = amount(max_surge, wanted);
        let mut unavailable = amount(max_unavailable, wanted);
        if surge == 0 && unavailable == 0 {
            // Neither would never move.
            unavailable = 1;
        }
        let min_ready_seconds = spec.min_ready_seconds.unwrap_or(0);
        Self { min_ready_seconds, rolls, surge, unavailable, surges: amount(max_surge, 1) > 0 }
    }
}

#[derive(Debug, Default)]
pub struct Plan {
    /// Nodes that get a pod.
    pub create: Vec<String>,
    /// Pods that go.
    pub delete: Vec<String>,
    pub notes: Vec<Note>,
    /// When a failed pod may be replaced.
    pub retry: Option<Duration>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty()
    }

    fn delete(&mut self, daemon: &Daemon) {
        self.delete.push(daemon.name().to_owned());
    }
}

/// Makes missing pods, and deletes failed ones and those too much. `replace` says for a node whether a failed pod may be
/// replaced now, or else how long to wait.
pub fn manage(
    places: &[Place],
    policy: Policy,
    now: Timestamp,
    mut replace: impl FnMut(&str) -> Result<(), Duration>,
) -> Plan {
    let mut plan = Plan::default();
    for place in places {
        let staying = place.pods.iter().filter(|d| !pods::is_deleting(&d.pod));
        match place.fit {
            _ if !place.exists => {
                // What runs there goes with the node; what waits for it would wait for ever.
                staying.filter(|d| !d.is_bound()).for_each(|d| plan.delete(d));
            }
            Fit { run: true, .. } if place.pods.is_empty() => plan.create.push(place.node.clone()),
            Fit { stay: true, .. } => {
                let mut running = Vec::new();
                for daemon in staying {
                    match pods::phase(&daemon.pod) {
                        "Failed" => match replace(&place.node) {
                            Ok(()) => {
                                plan.notes
                                    .push(Note::warning("FailedDaemonPod", found("failed", daemon, place, "kill")));
                                plan.delete(daemon);
                            }
                            Err(wait) => plan.retry = Some(plan.retry.map_or(wait, |earlier| earlier.min(wait))),
                        },
                        "Succeeded" => {
                            let message = found("succeeded", daemon, place, "delete");
                            plan.notes.push(Note::normal("SucceededDaemonPod", message));
                            plan.delete(daemon);
                        }
                        _ => running.push(daemon),
                    }
                }
                keep_one(&mut plan, place, &running, policy, now);
            }
            Fit { stay: false, .. } => staying.for_each(|d| plan.delete(d)),
        }
    }
    plan
}

fn found(what: &str, daemon: &Daemon, place: &Place, verb: &str) -> String {
    let namespace = daemon.pod.metadata.namespace.as_deref().unwrap_or_default();
    format!("Found {what} daemon pod {namespace}/{} on node {}, will try to {verb} it", daemon.name(), place.node)
}

/// Of several pods on a node the first stays. With a surge, a ready one of an earlier template stays beside the first
/// of the present one until that is available.
fn keep_one(plan: &mut Plan, place: &Place, running: &[&Daemon], policy: Policy, now: Timestamp) {
    if !policy.surges {
        running.iter().skip(1).for_each(|d| plan.delete(d));
        return;
    }
    if running.is_empty() && place.fit.run {
        // The one that is on its way out does not count.
        plan.create.push(place.node.clone());
    }
    if running.len() <= 1 {
        return;
    }
    let (mut new, mut old) = (None, None);
    for daemon in running {
        let first = if daemon.updated { &mut new } else { &mut old };
        match first {
            None => *first = Some(*daemon),
            Some(_) => plan.delete(daemon),
        }
    }
    if let (Some(new), Some(old)) = (new, old)
        && (!pods::is_ready(&old.pod) || pods::is_available(&new.pod, policy.min_ready_seconds, now))
    {
        plan.delete(old);
    }
}

/// Replaces pods of earlier templates, as many at a time as may be missing, or as may be there beside them.
pub fn roll(places: &[Place], policy: Policy, now: Timestamp) -> Plan {
    let concerned = places.iter().filter(|p| p.fit.run || !p.pods.is_empty());
    let is_available = |d: &Daemon| pods::is_available(&d.pod, policy.min_ready_seconds, now);
    let mut plan = Plan::default();
    let mut candidates = Vec::new();
    // Missing pods, or those that surge and are not available yet.
    let mut busy = 0;
    for place in concerned {
        let name = |d: &Daemon| if policy.surge > 0 { place.node.clone() } else { d.name().to_owned() };
        match place.pair() {
            None => busy += 1,
            Some((None, None)) if policy.surge > 0 => {}
            Some((None, None)) => busy += 1,
            Some((Some(new), None)) => busy += usize::from(policy.surge == 0 && !is_available(new)),
            Some((Some(_), Some(_))) if policy.surge == 0 => busy += 1,
            Some((Some(new), Some(_))) if !is_available(new) => busy += 1,
            Some((Some(_), Some(old))) => plan.delete(old),
            // One that does not work is replaced at once, but counts as missing.
            Some((None, Some(old))) if !is_available(old) && policy.surge > 0 => plan.create.push(name(old)),
            Some((None, Some(old))) if !is_available(old) => {
                busy += 1;
                plan.delete(old);
            }
            Some((None, Some(old))) => candidates.push(name(old)),
        }
    }
    let most = if policy.surge > 0 { policy.surge } else { policy.unavailable };
    candidates.truncate(most.saturating_sub(busy));
    if policy.surge > 0 {
        plan.create.extend(candidates)
    } else {
        plan.delete.extend(candidates)
    }
    plan
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T01:00:00Z";

    /// One letter a pod: `r` ready, `n` not ready, `f` failed, `d` succeeded, `t` terminating; capital ones are of an
    /// earlier template; `u` waits to be bound.
    fn daemon(node: usize, index: usize, letter: char) -> Daemon {
        let kind = letter.to_ascii_lowercase();
        let phase = match kind {
            'f' => "Failed",
            'd' => "Succeeded",
            'u' => "Pending",
            _ => "Running",
        };
        let ready = if kind == 'r' { "True" } else { "False" };
        let mut pod: Value = json!({"metadata": {"name": format!("{node}{letter}{index}"), "namespace": "n",
                "creationTimestamp": format!("2026-01-01T00:00:{index:02}Z")},
            "spec": {"containers": []}, "status": {"phase": phase, "conditions": [
                {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:59:58Z"}]}});
        if kind != 'u' {
            pod["spec"]["nodeName"] = json!(node.to_string());
        }
        if kind == 't' {
            pod["metadata"]["deletionTimestamp"] = json!(NOW);
        }
        Daemon { pod: Arc::new(serde_json::from_value(pod).unwrap()), updated: letter.is_ascii_lowercase() }
    }

    /// Nodes separated by blanks, each with its pods: `!` before them is a node that it is not for, `~` one where it
    /// may stay, `?` one that is gone, `-` no pod.
    fn places(text: &str) -> Vec<Place> {
        let place = |(node, text): (usize, &str)| {
            let fit = match text.chars().next() {
                Some('!' | '?') => Fit::default(),
                Some('~') => Fit { run: false, stay: true },
                _ => Fit { run: true, stay: true },
            };
            let letters = text.chars().filter(char::is_ascii_alphabetic);
            let pods = letters.enumerate().map(|(index, letter)| daemon(node, index, letter)).collect();
            let mut place = Place { node: node.to_string(), exists: !text.starts_with('?'), fit, pods };
            place.sort();
            place
        };
        text.split(' ').enumerate().map(place).collect()
    }

    fn policy(surge: &str, unavailable: &str, places: &[Place]) -> Policy {
        let number = |text: &str| text.parse::<i64>().map_or(json!(text), |n| json!(n));
        let spec = json!({"selector": {}, "template": {}, "updateStrategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": number(surge), "maxUnavailable": number(unavailable)}}});
        Policy::of(&serde_json::from_value(spec).unwrap(), places)
    }

    fn shown(plan: &Plan) -> String {
        let created = plan.create.iter().map(|n| format!("+{n}"));
        let deleted = plan.delete.iter().map(|n| format!("-{n}"));
        created.chain(deleted).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_node_gets_its_one_pod() {
        for (surge, nodes, want) in [
            ("0", "- r -", "+0 +2"),
            ("0", "r !r ~r !- ~-", "-1r0"),
            ("0", "!t ~n t", ""),
            ("0", "f d r", "-0f0 -1d0"),
            ("0", "rn urr", "-0n1 -1r2 -1u0"),
            ("0", "?r ?u", "-1u0"),
            ("1", "t Rn Nn Rr", "+0 -2N0 -3R0"),
            ("1", "RRnn r", "-0R1 -0n3"),
        ] {
            let places = places(nodes);
            let plan = manage(&places, policy(surge, "1", &places), NOW.parse().unwrap(), |_| Ok(()));
            assert_eq!(shown(&plan), want, "surge {surge}: {nodes}");
        }
    }

    #[test]
    fn a_failed_pod_waits_while_its_node_backs_off() {
        let places = places("f r f");
        let wait = |node: &str| Err(Duration::from_secs(if node == "0" { 9 } else { 4 }));
        let plan = manage(&places, policy("0", "1", &places), NOW.parse().unwrap(), wait);
        assert_eq!((shown(&plan).as_str(), plan.retry), ("", Some(Duration::from_secs(4))));
        let told = manage(&places, policy("0", "1", &places), NOW.parse().unwrap(), |_| Ok(())).notes;
        assert_eq!(told[0].message, "Found failed daemon pod n/0f0 on node 0, will try to kill it");
    }

    #[test]
    fn pods_of_earlier_templates_are_replaced_within_the_bounds() {
        for (surge, unavailable, nodes, want) in [
            ("0", "1", "R R R", "-0R0"),
            ("0", "2", "R R R", "-0R0 -1R0"),
            ("0", "50%", "R R R", "-0R0 -1R0"),
            ("0", "100%", "R R R", "-0R0 -1R0 -2R0"),
            ("0", "1", "r R R", "-1R0"),
            ("0", "1", "n R R", ""),
            ("0", "2", "n R R", "-1R0"),
            ("0", "1", "T R R", ""),
            ("0", "1", "N R R", "-0N0"),
            ("0", "2", "N R R", "-0N0 -1R0"),
            ("0", "0", "R R", "-0R0"),
            ("0", "1", "r r", ""),
            ("1", "0", "R R R", "+0"),
            ("50%", "0", "R R R", "+0 +1"),
            ("1", "0", "Rn R R", ""),
            ("1", "0", "Rr R R", "+1 -0R0"),
            ("1", "0", "N R R", "+0 +1"),
            ("1", "0", "r r", ""),
        ] {
            let places = places(nodes);
            let plan = roll(&places, policy(surge, unavailable, &places), NOW.parse().unwrap());
            assert_eq!(shown(&plan), want, "surge {surge} unavailable {unavailable}: {nodes}");
        }
    }
}
