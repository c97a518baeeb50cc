//! The hooks of an Application's end: those of PreDelete run before its objects are deleted, those of PostDelete when they
//! are gone. Finalizers of Argo CD's names say that there are such hooks, so an end without them never asks a repository
//! that may be gone as well.

use super::drive::{Subject, is_race};
use super::hook::{Phase, Verdict};
use super::made::make;
use super::record::Record;
use super::{Course, Facts, Next};
use crate::object::application::Application;
use crate::object::{ApiError, ObjectKey};
use crate::sync::desired::Desired;
use crate::sync::render::Rendered;
use crate::sync::worker::Worker;
use crate::sync::{application, stage, status};

pub const PRE_DELETE_FINALIZER: &str = "pre-delete-finalizer.argocd.argoproj.io";
pub const POST_DELETE_FINALIZER: &str = "post-delete-finalizer.argocd.argoproj.io";

/// Whether a commit has hooks of the phase.
pub fn has_hooks(rendered: &Rendered, phase: Phase) -> bool {
    rendered.hooks.iter().any(|(hook, _)| hook.phases.contains(&phase))
}

struct Known<'a> {
    of: Subject<'a>,
    record: &'a Record,
}

impl Facts for Known<'_> {
    fn hook(&self, phase: Phase, place: usize) -> Option<Verdict> {
        let (_, document) = &self.of.hooks()[place];
        self.record.hook(phase, &self.of.key_of(document, phase, self.record))
    }

    fn name(&self, place: usize) -> String {
        self.of.name(place)
    }
}

impl Worker {
    /// Runs the hooks of a phase of the Application's end. `true` when all have succeeded.
    ///
    /// # Errors
    /// Why the end has to wait for somebody.
    pub(in crate::sync) async fn run_ending(&mut self, desired: &Desired, phase: Phase) -> Result<bool, String> {
        let course = Course::of_hooks(&desired.rendered.hooks, phase);
        // Each turn stores something: at most every hook's beginning and end.
        for _ in 0..=2 * desired.rendered.hooks.len() + 8 {
            let application = self.look().map_err(|error| error.to_string())?;
            let of = Subject { desired, application: &application };
            let mut record = of.record(self.shared.registry.clock().now());
            if self.end_hooks(of, &mut record).await.map_err(|error| error.to_string())?.is_some() {
                continue;
            }
            match course.next(&Known { of, record: &record }) {
                Next::Begin(step) => match self.make_hooks(of, step.hooks.clone(), phase, record).await {
                    Ok(true) => {}
                    Ok(false) => return Ok(false),
                    Err(error) if is_race(&error) => {}
                    Err(error) => return Err(format!("a {phase} hook is refused: {error}")),
                },
                Next::Wait(_, message) => {
                    self.tell_progress(of, &record, &message).await;
                    return Ok(false);
                }
                Next::Fail(failed) => {
                    let now = self.shared.registry.clock().now();
                    // Not running any more: the next try makes the hooks anew.
                    self.write_status(|old, _| status::ending_failed(old, &failed.why, now)).await;
                    return Err(failed.why);
                }
                Next::Finish => return Ok(true),
            }
        }
        Ok(false)
    }

    /// `false` when one of an earlier time has to go first.
    async fn make_hooks(
        &mut self,
        of: Subject<'_>,
        places: Vec<usize>,
        phase: Phase,
        mut record: Record,
    ) -> Result<bool, ApiError> {
        let mut transaction = self.shared.registry.begin(&stage::author(Some(of.desired.commit())));
        let mut all = true;
        for place in places {
            let (hook, document) = &of.hooks()[place];
            let key = of.key_of(document, phase, &record);
            if record.hook(phase, &key).is_none() {
                match make(&mut transaction, &self.name, hook, document, &key)? {
                    true => record.set_hook(phase, &key, &Verdict::Running(String::new())),
                    false => all = false,
                }
            }
        }
        let next = status::advanced(
            &of.application.status,
            &self.advanced(of, &record, &format!("{phase} hooks are under way")),
        );
        application::set_status(&mut transaction, &self.key, &next)?;
        let written = transaction.commit().await?;
        self.wrote(&written);
        self.keep_status(&next);
        Ok(all)
    }

    /// The objects of the hooks of a phase, in this sync or end of the Application.
    pub(in crate::sync) fn hook_keys(
        &self,
        application: &Application,
        desired: &Desired,
        phase: Phase,
    ) -> Vec<ObjectKey> {
        let of = Subject { desired, application };
        let record = of.record(self.shared.registry.clock().now());
        let hooks = of.hooks().iter().filter(|(hook, _)| hook.phases.contains(&phase));
        hooks.map(|(_, document)| of.key_of(document, phase, &record)).collect()
    }
}
