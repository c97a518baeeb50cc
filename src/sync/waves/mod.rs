//! Waves and hooks: a sync that is more than one transaction. Its steps go by phase (PreSync, Sync, PostSync) and wave;
//! a step is one transaction, and the next one waits until the objects that the sync has changed are healthy and its hooks
//! have succeeded. A commit without hooks and with one wave has one step and waits for nothing.
//!
//! How far a sync is, is read from the cluster and from `operationState` in the Application's status, which each step's
//! transaction writes too: a process that is started anew goes on where the last one was, and a newer commit simply
//! begins its own. This file decides; `drive` acts.

mod drive;
mod ending;
mod hook;
mod made;
mod record;

use std::collections::{BTreeMap, HashSet};

pub(super) use drive::{Advance, Subject, Work, is_race, kept};
pub use ending::{POST_DELETE_FINALIZER, PRE_DELETE_FINALIZER, has_hooks};
pub use hook::{HOOK_ANNOTATION, Hook, Phase, Verdict, hook};
pub(super) use made::{release, release_running};
pub use record::{Record, commits, has_begun, hooks_of, last_commits, unfinished};

use super::render::Document;
use crate::diff::health::{Health, Level};
use crate::object::ObjectKey;

/// What one transaction of a sync does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub phase: Phase,
    pub wave: i64,
    /// Objects that are applied.
    pub objects: Vec<ObjectKey>,
    /// Hooks that are made, by their place among the hooks that the commit declares.
    pub hooks: Vec<usize>,
    pub prunes: Prunes,
}

/// What a step deletes of the objects that git no longer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prunes {
    #[default]
    Nothing,
    /// All but those that ask to go last.
    Most,
    All,
}

/// The steps of a sync, in their order, and those of its failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    pub steps: Vec<Step>,
    pub on_failure: Vec<Step>,
}

/// What is known of a step's parts; nothing but hooks unless it says otherwise.
pub trait Facts {
    /// Whether the object still has to be applied.
    fn is_due(&self, _key: &ObjectKey) -> bool {
        false
    }
    /// Whether something that the step prunes is still there.
    fn prunes(&self, _prunes: Prunes) -> bool {
        false
    }
    /// The health of an object that later steps wait for; `None` when they do not.
    fn health(&self, _key: &ObjectKey) -> Option<Health> {
        None
    }
    /// How far a hook is; `None` when this sync has not made it yet.
    fn hook(&self, phase: Phase, place: usize) -> Option<Verdict>;
    /// The hook in words.
    fn name(&self, place: usize) -> String;
}

/// Why a sync does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub why: String,
    /// An object is degraded, which may mend itself.
    pub may_heal: bool,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    Begin(&'a Step),
    /// For something in the step.
    Wait(&'a Step, String),
    Fail(Failed),
    Finish,
}

impl Course {
    /// `last` tells of pruned objects that ask to go last.
    pub fn of(documents: &[Document], hooks: &[(Hook, Document)], prunes: bool, last: bool) -> Self {
        let mut steps: BTreeMap<(Phase, i64), Step> = BTreeMap::new();
        let mut at = |phase: Phase, wave: i64, fill: &mut dyn FnMut(&mut Step)| {
            let new = || Step { phase, wave, objects: Vec::new(), hooks: Vec::new(), prunes: Prunes::Nothing };
            fill(steps.entry((phase, wave)).or_insert_with(new));
        };
        for document in documents {
            let wave = document.facts().wave;
            at(Phase::Sync, wave, &mut |step| step.objects.push(document.key.clone()));
        }
        for (place, (hook, document)) in hooks.iter().enumerate() {
            let wave = document.facts().wave;
            hook.phases.iter().for_each(|phase| at(*phase, wave, &mut |step| step.hooks.push(place)));
        }
        if prunes && !steps.keys().any(|(phase, _)| *phase == Phase::Sync) {
            let step =
                Step { phase: Phase::Sync, wave: 0, objects: Vec::new(), hooks: Vec::new(), prunes: Prunes::Nothing };
            steps.insert((Phase::Sync, 0), step);
        }
        let mut course = Self::default();
        for ((phase, _), step) in steps {
            match phase {
                Phase::PreSync | Phase::Sync | Phase::PostSync => course.steps.push(step),
                Phase::SyncFail => course.on_failure.push(step),
                Phase::PreDelete | Phase::PostDelete => {}
            }
        }
        if let Some(place) = course.steps.iter().rposition(|step| step.phase == Phase::Sync) {
            course.steps[place].prunes = if last { Prunes::Most } else { Prunes::All };
            if last {
                let wave = course.steps[place].wave.saturating_add(1);
                let step =
                    Step { wave, objects: Vec::new(), hooks: Vec::new(), prunes: Prunes::All, ..course.steps[place] };
                course.steps.insert(place + 1, step);
            }
        }
        course
    }

    /// The steps of one phase, hooks alone: those of the Application's end.
    pub fn of_hooks(hooks: &[(Hook, Document)], phase: Phase) -> Self {
        let mut steps: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (place, (hook, document)) in hooks.iter().enumerate() {
            if hook.phases.contains(&phase) {
                steps.entry(document.facts().wave).or_default().push(place);
            }
        }
        let step = |(wave, hooks)| Step { phase, wave, objects: Vec::new(), hooks, prunes: Prunes::Nothing };
        Self { steps: steps.into_iter().map(step).collect(), on_failure: Vec::new() }
    }

    /// Whether one transaction does it all.
    pub fn is_simple(&self) -> bool {
        self.on_failure.is_empty() && self.steps.len() <= 1 && self.steps.iter().all(|step| step.hooks.is_empty())
    }

    /// What comes next in a sync that goes well.
    pub fn next(&self, facts: &impl Facts) -> Next<'_> {
        // Nothing comes after the last step's objects: their health is shown, and waited for only where a failure counts.
        next(&self.steps, facts, !self.on_failure.is_empty())
    }

    /// What comes next in one that failed.
    pub fn next_of_failure(&self, facts: &impl Facts) -> Next<'_> {
        next(&self.on_failure, facts, false)
    }

    /// The objects of the step and of those before it.
    pub fn up_to(&self, last: &Step) -> HashSet<&ObjectKey> {
        let end = self.steps.iter().position(|step| step == last).map_or(0, |place| place + 1);
        self.steps[..end].iter().flat_map(|step| &step.objects).collect()
    }
}

fn next<'a>(steps: &'a [Step], facts: &impl Facts, to_the_last: bool) -> Next<'a> {
    for (place, step) in steps.iter().enumerate() {
        let lacks_hook = step.hooks.iter().any(|place| facts.hook(step.phase, *place).is_none());
        if lacks_hook || step.objects.iter().any(|key| facts.is_due(key)) || facts.prunes(step.prunes) {
            return Next::Begin(step);
        }
        let mut waits = Vec::new();
        for place in &step.hooks {
            match facts.hook(step.phase, *place) {
                Some(Verdict::Failed(why)) => {
                    let why = if why.is_empty() { why } else { format!(": {why}") };
                    let why = format!("the {} hook {} failed{why}", step.phase, facts.name(*place));
                    return Next::Fail(Failed { why, may_heal: false });
                }
                Some(Verdict::Running(_)) => waits.push(format!("the {} hook {}", step.phase, facts.name(*place))),
                Some(Verdict::Succeeded(_)) | None => {}
            }
        }
        let ends = place + 1 == steps.len() && step.hooks.is_empty() && !to_the_last;
        for key in step.objects.iter().filter(|_| !ends) {
            let Some(Health { status, message }) = facts.health(key) else { continue };
            let message = if message.is_empty() { message } else { format!(": {message}") };
            match status {
                Level::Healthy => {}
                Level::Degraded => {
                    let why = format!("{key} of wave {} is degraded{message}", step.wave);
                    return Next::Fail(Failed { why, may_heal: true });
                }
                other => waits.push(format!("{key} ({other}{message})")),
            }
        }
        if waits.is_empty() {
            continue;
        }
        let more = if waits.len() > 3 { format!(" and {} more", waits.len() - 3) } else { String::new() };
        waits.truncate(3);
        return Next::Wait(step, format!("waiting for {}{more}", waits.join(", ")));
    }
    Next::Finish
}
