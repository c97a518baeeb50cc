//! What a worker does first after a start: takes up what its Application says is deployed.

use std::sync::Arc;

use jiff::Timestamp;

use super::blocking::blocking;
use super::deploy::SyncRun;
use super::desired::{At, Desired};
use super::settings::Settings;
use super::trigger::Trigger;
use super::waves;
use super::worker::Worker;

impl Worker {
    /// After a start: takes up the commit that the Application says is deployed. Where the newest one declares the same, which
    /// is the usual case, gives what that is: following it does it all.
    pub(super) async fn adopt(&mut self, settings: &Arc<Settings>, started: Timestamp) -> Option<Desired> {
        let application = self.look().ok()?;
        self.keep_status(&application.status);
        self.gates.extend(waves::unfinished(self.shared.registry.snapshot().kinds(), &application.status));
        let operation = application.status.operation_state.as_ref();
        let is_under_way = operation.is_some_and(|operation| operation.phase == "Running");
        let last = application.status.history.last()?;
        let commits = waves::commits(&last.revision, &last.revisions);
        if commits.len() != self.sources.len() {
            return None;
        }
        let deployed = match self.desired(settings, At::Commits(commits)).await {
            Ok(deployed) => deployed?,
            Err(error) => {
                tracing::warn!(%error, "the deployed commit is not in the repository any more");
                return None;
            }
        };
        if let Some(newest) = self.same_at_tips(&deployed).await {
            self.unmoved = Some(newest.commit().id);
            return Some(newest);
        }
        if is_under_way {
            // A sync was between two of its steps: what it has done stays, what it has not is as this commit says.
            let left = deployed.rendered.documents.iter().map(|document| &document.key);
            let left = left.filter(|key| !self.gates.contains(*key)).cloned().collect::<Vec<_>>();
            self.take_up_part(&deployed, &left.iter().collect(), &[]);
        } else if deployed.rendered.errors.is_empty() {
            let (settings, trigger) = (settings.clone(), Trigger::Start);
            let run = SyncRun { desired: deployed, settings, trigger, started, asked: None };
            if let Err(failure) = self.deploy(&run).await {
                let reason = failure.summary();
                tracing::warn!(commit = %run.desired.commit().id, reason, "the deployed commit cannot be verified");
            }
        }
        None
    }

    /// What is desired as the newest commits say it, if they declare the same. They are no release then: the one that is
    /// deployed is.
    async fn same_at_tips(&self, desired: &Desired) -> Option<Desired> {
        let (sources, desired) = (self.sources.clone(), desired.clone());
        blocking(move || desired.same_at_tips(&sources)).await
    }
}
