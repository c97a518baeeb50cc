//! What a worker follows: reads its Application, subscribes to the repositories of its sources, and sees what
//! people ask for by annotation, by `operation` or by deleting it.

use std::collections::HashSet;
use std::sync::Arc;

use super::desired::Followed;
use super::events::Note;
use super::settings::{Settings, settings};
use super::trigger::Trigger;
use super::upstream::Follower;
use super::worker::Worker;
use super::{application, status, tracking};
use crate::object::application::{APPROVE_ANNOTATION, Application, ApplicationSpec, SKIP_ANNOTATION};
use crate::object::{ObjectKey, Reason};

impl Worker {
    /// The Application is new, or somebody asks for something, or edited or deleted it.
    pub(super) async fn application_changed(&mut self) {
        let application = match self.look() {
            Ok(application) => application,
            Err(error) if error.reason == Reason::NotFound && self.is_root() => {
                if let Err(error) = self.restore_application().await {
                    tracing::warn!(%error, "the Application cannot be made again");
                }
                return;
            }
            // The manager ends this worker.
            Err(error) if error.reason == Reason::NotFound => return,
            Err(error) => return tracing::warn!(%error, application = %self.key, "the Application cannot be read"),
        };
        if application.metadata.deletion_timestamp.is_some() {
            self.deleting = true;
            return self.cascade().await;
        }
        if application.annotation(SKIP_ANNOTATION) == Some("true") {
            self.leave();
            return;
        }
        let approved = application.annotation(APPROVE_ANNOTATION).map(str::to_owned);
        let newly_approved = approved.is_some() && self.approved != approved && self.spec.is_some();
        self.approved = approved;
        if self.spec.as_ref() != Some(&application.spec) {
            self.respecify(&application).await;
        }
        if newly_approved && self.settings.is_some() {
            self.ask(&Trigger::Refresh);
        }
        // It may have been answered by now.
        let application = self.look().unwrap_or(application);
        self.take_request(&application).await;
        if application::wants_refresh(&application) && !self.refreshing {
            self.refreshing = true;
            match self.settings {
                Some(_) => self.ask(&Trigger::Refresh),
                None => self.refuse_spec(&application.spec).await,
            }
        }
    }

    /// Follows what the spec says from now on.
    async fn respecify(&mut self, application: &Application) {
        let found = settings(&application.spec);
        self.leave();
        self.spec = Some(application.spec.clone());
        match found {
            Ok(settings) => {
                self.subscribe(&settings);
                self.settings = Some(Arc::new(settings));
                self.keep_status(&application.status);
                self.watch_inventory(&application.status);
                let first = self.first.take().unwrap_or(Trigger::Application);
                self.resume_request(application);
                // What is here already is deployed even while a remote is down; what a fetch brings comes after.
                self.read(first.clone()).await;
                self.answer().await;
                if self.awaits_first_fetch() || self.settled.is_none() {
                    self.ask(&first);
                }
            }
            Err(_) => self.refuse_spec(&application.spec).await,
        }
    }

    /// Says what of the spec cannot be done; what is deployed stays.
    async fn refuse_spec(&mut self, spec: &ApplicationSpec) {
        let Err(wrong) = settings(spec) else { return };
        tracing::warn!(application = %self.key, first = wrong.first(), "the spec is not supported");
        if self.write_status(|old, now| status::invalid(old, &wrong, now)).await {
            let notes: Vec<_> = wrong.iter().map(|fault| Note::warning("InvalidSpec", fault.as_str())).collect();
            self.note(&notes).await;
        }
        if std::mem::take(&mut self.refreshing) {
            let _ = application::clear_refresh(&self.shared.registry, &self.key).await;
        }
    }

    pub(super) fn subscribe(&mut self, settings: &Settings) {
        for (index, source) in settings.sources.iter().enumerate() {
            let upstream = self.shared.upstream(&source.location);
            let follower =
                Follower::new(self.key.clone(), index, &source.target_revision, &source.path, self.inbox.clone());
            let follower = Arc::new(follower);
            upstream.follow(follower.clone());
            self.sources.push(Followed { upstream, follower });
        }
    }

    /// Follows nothing any more; what is known of the objects is kept.
    fn leave(&mut self) {
        for source in self.sources.drain(..) {
            source.upstream.unfollow(&source.follower);
        }
        (self.spec, self.settings, self.settled) = (None, None, None);
        (self.retry, self.failures, self.under_way, self.asked) = (None, 0, None, None);
    }

    fn watch_inventory(&mut self, status: &crate::object::application::ApplicationStatus) {
        let owned: HashSet<ObjectKey> =
            tracking::inventory(self.shared.registry.snapshot().kinds(), status).into_iter().collect();
        self.own(owned);
    }
}
