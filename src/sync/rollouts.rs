//! What a plan means for pods: which workloads restart, which only scale, where their new pods would go, and what would
//! find no room. Foreseen from the cluster as it is, so it is no part of what a plan promises. Pure.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::cluster::registry::{Step, StepKind};
use crate::cluster::scheduler::Forecast;
use crate::cluster::store::Snapshot;
use crate::diff::plan::{Rollout, RolloutEffect};
use crate::object::{ObjectKey, kinds};

/// Pods that one plan places; more would make people wait for what they will not read.
const MOST: usize = 2_000;

/// `steps` are those that write, `ending` those of them whose objects go.
pub fn rollouts<'a>(
    live: &Snapshot,
    steps: impl Iterator<Item = &'a Step>,
    ending: impl Fn(&ObjectKey) -> bool,
) -> Vec<Rollout> {
    let workloads: Vec<(&Step, Effect)> =
        steps.filter_map(|step| Some((step, effect(step, ending(&step.key))?))).collect();
    if workloads.is_empty() {
        return Vec::new();
    }
    let pods = Pods::of(live);
    let mut forecast = Forecast::of(live);
    for (step, effect) in &workloads {
        let gone = match effect {
            Effect::Ends | Effect::Restarts => usize::MAX,
            Effect::Starts => 0,
            Effect::Scales { from, to } => from.saturating_sub(*to),
        };
        pods.of_workload(step).take(gone).for_each(|uid| forecast.without(uid));
    }
    let mut room = MOST;
    let rollout = |(step, effect): &(&Step, Effect)| {
        let after = step.after.as_ref()?;
        let to = replicas(step, after);
        let (effect, new) = match effect {
            Effect::Ends => return None,
            Effect::Starts => (RolloutEffect::Start, to),
            Effect::Restarts => (RolloutEffect::Restart, to),
            Effect::Scales { from, to } => (RolloutEffect::Scale { from: *from, to: *to }, to.saturating_sub(*from)),
        };
        let mut rollout = Rollout {
            kind: step.key.kind.kind.to_owned(),
            namespace: step.key.namespace.clone(),
            name: step.key.name.clone(),
            effect,
            nodes: BTreeMap::new(),
            unfit: 0,
            why: String::new(),
        };
        let template = if step.key.kind == kinds::POD { after } else { &after["spec"]["template"] };
        let outcomes = if step.key.kind == kinds::DAEMON_SET {
            forecast.place_on_each(&step.key.namespace, template).unwrap_or_default()
        } else {
            let few = new.min(room);
            room -= few;
            (0..few).map(|_| forecast.place(&step.key.namespace, template)).collect()
        };
        for outcome in outcomes {
            match outcome {
                Ok(node) => *rollout.nodes.entry(node).or_default() += 1,
                Err(why) => {
                    rollout.unfit += 1;
                    rollout.why = why;
                }
            }
        }
        Some(rollout)
    };
    workloads.iter().filter_map(rollout).collect()
}

/// What happens to the pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Starts,
    Restarts,
    Scales { from: usize, to: usize },
    Ends,
}

/// `None` when nothing does.
fn effect(step: &Step, ends: bool) -> Option<Effect> {
    let kind = step.key.kind;
    let replaces = [kinds::DEPLOYMENT, kinds::STATEFUL_SET, kinds::DAEMON_SET].contains(&kind);
    let is_workload =
        replaces || [kinds::REPLICA_SET, kinds::REPLICATION_CONTROLLER, kinds::JOB, kinds::POD].contains(&kind);
    if !is_workload || step.kind == StepKind::Keep {
        return None;
    }
    let (before, after) = match (&step.before, &step.after) {
        (Some(_), None) => return Some(Effect::Ends),
        (Some(_), Some(_)) if ends => return Some(Effect::Ends),
        (None, Some(_)) => return Some(Effect::Starts),
        (Some(_), Some(_)) if step.kind == StepKind::Replace => return Some(Effect::Restarts),
        (Some(before), Some(after)) => (before.value(), after),
        (None, None) => return None,
    };
    let is_on_delete = after["spec"]["updateStrategy"]["type"] == "OnDelete";
    if replaces
        && !is_on_delete
        && after["spec"]["paused"] != true
        && before["spec"]["template"] != after["spec"]["template"]
    {
        return Some(Effect::Restarts);
    }
    let (from, to) = (replicas(step, &before), replicas(step, after));
    (from != to).then_some(Effect::Scales { from, to })
}

/// How many pods the workload wants.
fn replicas(step: &Step, object: &Value) -> usize {
    let field = match step.key.kind {
        kind if kind == kinds::POD || kind == kinds::DAEMON_SET => return 1,
        kind if kind == kinds::JOB && object["spec"]["suspend"] == true => return 0,
        kind if kind == kinds::JOB => "parallelism",
        _ => "replicas",
    };
    object["spec"][field].as_u64().map_or(1, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// The uids of pods, by the uid of what made them.
struct Pods(HashMap<String, Vec<String>>);

impl Pods {
    fn of(live: &Snapshot) -> Self {
        let mut children: HashMap<String, Vec<String>> = HashMap::new();
        let owned = [kinds::POD, kinds::REPLICA_SET].into_iter().flat_map(|kind| live.list(kind, ""));
        for object in owned {
            if let Some(owner) = object.meta.controller() {
                children.entry(owner.uid.clone()).or_default().push(object.meta.uid.clone());
            }
        }
        Self(children)
    }

    /// Those of a workload as it is, or of what it made; the pod itself.
    fn of_workload<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a str> {
        let own = step.before.as_ref().map(|before| before.meta.uid.as_str());
        let children = own.and_then(|uid| self.0.get(uid)).into_iter().flatten();
        let grandchildren = children.clone().filter_map(|uid| self.0.get(uid)).flatten();
        let own = own.filter(|_| step.key.kind == kinds::POD);
        own.into_iter().chain(children.chain(grandchildren).map(String::as_str))
    }
}
