//! Decides what is done next for a StatefulSet. Pure.
//!
//! In order (`OrderedReady`), each pod waits until all before it are available, and deletions go one by one from the
//! highest ordinal; in parallel, only the rolling update does. Scaling comes before updating.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSetSpec;
use k8s_openapi::api::core::v1::Pod;

use super::identity::REVISION;
use crate::cluster::controllers::pods;
use crate::cluster::controllers::scaled::{Rounding, scaled};

/// What a plan needs to know of the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub ordered: bool,
    pub min_ready_seconds: i32,
    pub update: Update,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    OnDelete,
    Rolling {
        /// Pods of this many lowest ordinals stay as they are.
        partition: usize,
        /// Pods that may be unavailable, wherever they are; `None` is one, and only those above the next one count.
        unavailable: Option<usize>,
    },
}

impl Policy {
    pub fn of(spec: &StatefulSetSpec) -> Self {
        let strategy = spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|s| s.rolling_update.as_ref());
        let update = match strategy.and_then(|s| s.type_.as_deref()) {
            Some("OnDelete") => Update::OnDelete,
            _ => Update::Rolling {
                partition: rolling.map_or(0, |r| size(r.partition.unwrap_or(0))),
                unavailable: rolling
                    .and_then(|r| r.max_unavailable.as_ref())
                    .map(|most| size(scaled(most, spec.replicas.unwrap_or(1), Rounding::Up)).max(1)),
            },
        };
        Self {
            ordered: spec.pod_management_policy.as_deref() != Some("Parallel"),
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
            update,
        }
    }
}

fn size(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// A pod that is there, with what was found out about it.
#[derive(Clone, Debug)]
pub struct Member {
    pub ordinal: i64,
    pub pod: Arc<Pod>,
    /// It has the labels and claims of its ordinal, and its claims have the owners that they must have.
    pub consistent: bool,
    /// Not all of its claims exist.
    pub lacks_claims: bool,
}

/// The place of a wanted ordinal.
#[derive(Clone, Debug)]
pub enum Replica {
    There(Member),
    Missing {
        ordinal: i64,
        /// A claim of it still belongs to an earlier pod, and will go with that.
        stale_claim: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes the claims and the pod of an ordinal.
    Create(i64),
    /// Makes the claims of a pod that waits for them.
    MakeClaims(String),
    /// Brings labels and claims of a pod in order.
    Mend(String),
    /// Gives the claims of a pod that is to go their owners.
    GiveClaims(String),
    Delete(String),
    /// Deletes a pod that has ended, so that it is made again.
    Recreate {
        name: String,
        failed: bool,
    },
}

/// `replicas` in the order of their ordinals; `condemned` are those that are not wanted, highest first; `revision` is
/// the one that pods are to have.
pub fn plan(policy: Policy, replicas: &[Replica], condemned: &[Member], revision: &str, now: Timestamp) -> Vec<Action> {
    let mut plan = Plan { policy, now, actions: Vec::new() };
    if !plan.fill(replicas) {
        return plan.actions;
    }
    let unowned = condemned.iter().filter(|member| !member.consistent);
    plan.actions.extend(unowned.map(|member| Action::GiveClaims(name(&member.pod))));
    if plan.shrink(replicas, condemned) {
        plan.update(replicas, revision);
    }
    plan.actions
}

struct Plan {
    policy: Policy,
    now: Timestamp,
    actions: Vec<Action>,
}

impl Plan {
    /// Makes pods of wanted ordinals be there and sound; false when the rest has to wait.
    fn fill(&mut self, replicas: &[Replica]) -> bool {
        let ordered = self.policy.ordered;
        for replica in replicas {
            let member = match replica {
                Replica::Missing { stale_claim: true, .. } if ordered => return false,
                Replica::Missing { stale_claim: true, .. } => continue,
                Replica::Missing { ordinal, .. } => {
                    self.actions.push(Action::Create(*ordinal));
                    if ordered {
                        return false;
                    }
                    continue;
                }
                Replica::There(member) => member,
            };
            let pod = &member.pod;
            if pods::has_ended(pod) {
                if !pods::is_deleting(pod) {
                    let failed = pods::phase(pod) == "Failed";
                    self.actions.push(Action::Recreate { name: name(pod), failed });
                }
                if ordered {
                    return false;
                }
                continue;
            }
            if pods::phase(pod) == "Pending" && member.lacks_claims {
                self.actions.push(Action::MakeClaims(name(pod)));
            }
            if ordered && (pods::is_deleting(pod) || !self.is_available(pod)) {
                return false;
            }
            if !member.consistent {
                self.actions.push(Action::Mend(name(pod)));
            }
        }
        true
    }

    /// Deletes pods that are not wanted; false when the update has to wait.
    fn shrink(&mut self, replicas: &[Replica], condemned: &[Member]) -> bool {
        let ordered = self.policy.ordered;
        let first_unhealthy = self.first_unhealthy(replicas, condemned);
        for member in condemned {
            let pod = &member.pod;
            if pods::is_deleting(pod) {
                if ordered {
                    return false;
                }
                continue;
            }
            if ordered && !self.is_available(pod) && first_unhealthy != Some(member.ordinal) {
                return false;
            }
            self.actions.push(Action::Delete(name(pod)));
            if ordered {
                return false;
            }
        }
        true
    }

    /// The lowest ordinal among those wanted whose pod is not sound, or else among those that are not wanted.
    fn first_unhealthy(&self, replicas: &[Replica], condemned: &[Member]) -> Option<i64> {
        let sick = |pod: &Pod| pods::is_deleting(pod) || !self.is_available(pod);
        let wanted = replicas.iter().find_map(|replica| match replica {
            Replica::Missing { ordinal, .. } => Some(*ordinal),
            Replica::There(member) => sick(&member.pod).then_some(member.ordinal),
        });
        wanted.or_else(|| condemned.iter().rev().find(|m| sick(&m.pod)).map(|m| m.ordinal))
    }

    /// Deletes the pod of the highest ordinal that is of another revision, once those above it are available.
    fn update(&mut self, replicas: &[Replica], revision: &str) {
        let Update::Rolling { partition, unavailable } = self.policy.update else { return };
        if let Some(most) = unavailable {
            self.update_several(replicas, revision, partition, most);
            return;
        }
        for replica in replicas.iter().skip(partition).rev() {
            // One that was only just asked for is not available.
            let Replica::There(member) = replica else { return };
            let pod = &member.pod;
            if !is_of(pod, revision) && !pods::is_deleting(pod) {
                let known = |action: &Action| matches!(action, Action::Recreate { name: n, .. } if *n == name(pod));
                if !self.actions.iter().any(known) {
                    self.actions.push(Action::Delete(name(pod)));
                }
                return;
            }
            if pods::is_deleting(pod) || !self.is_available(pod) {
                return;
            }
        }
    }

    /// Deletes pods of another revision from the highest ordinal down, as long as no more than `most` are unavailable.
    fn update_several(&mut self, replicas: &[Replica], revision: &str, partition: usize, most: usize) {
        let is_sound = |replica: &&Replica| matches!(replica, Replica::There(m) if !pods::is_deleting(&m.pod) && self.is_available(&m.pod));
        let room = most.saturating_sub(replicas.len() - replicas.iter().filter(is_sound).count());
        let outdated = replicas.iter().skip(partition).rev().filter_map(|replica| match replica {
            Replica::There(member) => Some(&member.pod),
            Replica::Missing { .. } => None,
        });
        let outdated = outdated.filter(|pod| !is_of(pod, revision) && !pods::is_deleting(pod) && !pods::has_ended(pod));
        self.actions.extend(outdated.take(room).map(|pod| Action::Delete(name(pod))));
    }

    fn is_available(&self, pod: &Pod) -> bool {
        is_running_and_ready(pod) && pods::is_available(pod, self.policy.min_ready_seconds, self.now)
    }
}

pub fn is_running_and_ready(pod: &Pod) -> bool {
    pods::phase(pod) == "Running" && pods::is_ready(pod)
}

pub fn is_of(pod: &Pod, revision: &str) -> bool {
    pod.metadata.labels.as_ref().and_then(|l| l.get(REVISION)).is_some_and(|r| r == revision)
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T01:00:00Z";

    /// One letter a pod: `-` missing, `s` missing with a stale claim, `p` pending, `n` running but not ready, `r` ready,
    /// `o` ready and of an old revision, `x` old and not ready, `t` terminating, `T` terminating and old, `f` failed,
    /// `d` succeeded, `i` ready but not consistent, `c` pending without its claims.
    fn member(ordinal: usize, letter: char) -> Member {
        let revision = if "oxT".contains(letter) { "old" } else { "new" };
        let phase = match letter {
            'p' | 'c' => "Pending",
            'f' => "Failed",
            'd' => "Succeeded",
            _ => "Running",
        };
        let ready = if "rotTi".contains(letter) { "True" } else { "False" };
        let mut pod: Value = json!({"metadata": {"name": format!("db-{ordinal}"), "labels": {REVISION: revision}},
            "status": {"phase": phase, "conditions": [
                {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:59:58Z"}]}});
        if "tT".contains(letter) {
            pod["metadata"]["deletionTimestamp"] = json!(NOW);
        }
        let pod = Arc::new(serde_json::from_value(pod).unwrap());
        let ordinal = i64::try_from(ordinal).unwrap();
        Member { ordinal, pod, consistent: letter != 'i', lacks_claims: letter == 'c' }
    }

    fn replicas(letters: &str) -> Vec<Replica> {
        let replica = |(ordinal, letter): (usize, char)| match letter {
            '-' | 's' => Replica::Missing { ordinal: i64::try_from(ordinal).unwrap(), stale_claim: letter == 's' },
            letter => Replica::There(member(ordinal, letter)),
        };
        letters.chars().enumerate().map(replica).collect()
    }

    fn shown(action: &Action) -> String {
        match action {
            Action::Create(ordinal) => format!("+{ordinal}"),
            Action::MakeClaims(name) => format!("claims {}", &name[3..]),
            Action::Mend(name) => format!("mend {}", &name[3..]),
            Action::GiveClaims(name) => format!("give {}", &name[3..]),
            Action::Delete(name) => format!("-{}", &name[3..]),
            Action::Recreate { name, failed: true } => format!("failed {}", &name[3..]),
            Action::Recreate { name, failed: false } => format!("ended {}", &name[3..]),
        }
    }

    /// Wanted pods and, after a `|`, those that are not.
    fn decide(policy: Policy, letters: &str) -> String {
        let (wanted, rest) = letters.split_once('|').unwrap_or((letters, ""));
        let from = wanted.len();
        let mut condemned: Vec<Member> = rest.chars().enumerate().map(|(i, l)| member(from + i, l)).collect();
        condemned.reverse();
        let actions = plan(policy, &replicas(wanted), &condemned, "new", NOW.parse().unwrap());
        actions.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    const ROLLING: Update = Update::Rolling { partition: 0, unavailable: None };
    const ORDERED: Policy = Policy { ordered: true, min_ready_seconds: 0, update: ROLLING };
    const PARALLEL: Policy = Policy { ordered: false, ..ORDERED };

    #[test]
    fn in_order_each_waits_for_those_before_it() {
        for (pods, want) in [
            ("---", "+0"),
            ("p--", ""),
            ("n--", ""),
            ("r--", "+1"),
            ("r-r", "+1"),
            ("n-r", ""),
            ("rt-", ""),
            ("rfr", "failed 1"),
            ("dr-", "ended 0"),
            ("s--", ""),
            ("c--", "claims 0"),
            ("rir", "mend 1"),
            ("rrr|r", "-3"),
            ("rrr|rr", "-4"),
            ("rrr|rt", ""),
            ("rnr|r", ""),
            ("rrr|nr", "-4"),
            ("rrr|rn", "-4"),
            ("rrr|nn", ""),
            ("rrr|n", "-3"),
            ("rr|ir", "give 2 -3"),
        ] {
            assert_eq!(decide(ORDERED, pods), want, "{pods}");
        }
    }

    #[test]
    fn in_parallel_nothing_waits_but_the_update() {
        for (pods, want) in [
            ("---", "+0 +1 +2"),
            ("p-n", "+1"),
            ("s-r", "+1"),
            ("rfr", "failed 1"),
            ("rrr|rt", "-3"),
            ("nnn|nn", "-4 -3"),
            ("o-o", "+1 -2"),
            ("ooo", "-2"),
            ("oon", ""),
            ("oor", "-1"),
            ("xoo", "-2"),
        ] {
            assert_eq!(decide(PARALLEL, pods), want, "{pods}");
        }
    }

    #[test]
    fn an_update_goes_down_from_the_highest_ordinal_to_the_partition() {
        let partition = |partition| Policy { update: Update::Rolling { partition, unavailable: None }, ..ORDERED };
        for (policy, pods, want) in [
            (ORDERED, "ooo", "-2"),
            (ORDERED, "ooT", ""),
            (ORDERED, "oo-", "+2"),
            (ORDERED, "oor", "-1"),
            (ORDERED, "orr", "-0"),
            (ORDERED, "rrr", ""),
            // A broken pod blocks in order, also one that an update would mend.
            (ORDERED, "oox", ""),
            (partition(2), "ooo", "-2"),
            (partition(2), "oor", ""),
            (partition(3), "ooo", ""),
            (partition(9), "ooo", ""),
            (Policy { update: Update::OnDelete, ..ORDERED }, "ooo", ""),
            (Policy { min_ready_seconds: 2, ..ORDERED }, "oor", "-1"),
            (Policy { min_ready_seconds: 3, ..ORDERED }, "oor", ""),
            (Policy { min_ready_seconds: 3, ..ORDERED }, "r-", ""),
        ] {
            assert_eq!(decide(policy, pods), want, "{policy:?} {pods}");
        }
    }

    #[test]
    fn an_update_may_take_several_pods_at_a_time() {
        let several = |ordered, partition, most| Policy {
            ordered,
            update: Update::Rolling { partition, unavailable: Some(most) },
            ..ORDERED
        };
        for (policy, pods, want) in [
            (several(true, 0, 2), "oooo", "-3 -2"),
            (several(true, 0, 2), "ooTT", ""),
            (several(true, 0, 2), "oo--", "+2"),
            (several(true, 0, 2), "oorr", "-1 -0"),
            (several(true, 3, 2), "oooo", "-3"),
            (several(true, 0, 9), "ooo", "-2 -1 -0"),
            // Whatever is unavailable counts, also of the new revision and below.
            (several(false, 0, 2), "ooon", "-2"),
            (several(false, 0, 2), "nooT", ""),
            (several(false, 0, 2), "o-or", "+1 -2"),
            (several(false, 0, 1), "xoo", ""),
        ] {
            assert_eq!(decide(policy, pods), want, "{policy:?} {pods}");
        }
    }

    #[test]
    fn a_share_of_pods_is_rounded_up_and_never_none() {
        for (most, replicas, want) in [(json!("25%"), 5, 2), (json!("1%"), 3, 1), (json!(3), 5, 3), (json!("0%"), 3, 1)]
        {
            let spec = json!({"replicas": replicas, "selector": {}, "serviceName": "db", "template": {},
                "updateStrategy": {"rollingUpdate": {"maxUnavailable": most}}});
            let spec: StatefulSetSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(Policy::of(&spec).update, Update::Rolling { partition: 0, unavailable: Some(want) });
        }
    }
}
