//! How the newest commit of an Application fares, as its status says. Pure.

use std::fmt;

use git2::Oid;
use jiff::{SignedDuration, Timestamp};

use crate::object::ObjectKey;
use crate::object::application::{Application, PUSH_NOTES_ANNOTATION, REPORTED_ANNOTATION};
use crate::sync::mirror::{RepoLocation, scrub};
use crate::sync::tracking;

/// A release that is older was made before anybody asked to hear of releases.
const OLD: SignedDuration = SignedDuration::from_mins(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Running,
    Succeeded,
    Failed,
}

/// The outcome of the last sync of an Application.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub application: ObjectKey,
    /// What its objects are tracked by; names the Application to people.
    pub name: String,
    pub uid: String,
    pub repository: RepoLocation,
    pub revision: Oid,
    /// The commit that was deployed before.
    pub previous: Option<String>,
    pub phase: Phase,
    pub message: String,
    pub started: String,
    pub finished: Option<Timestamp>,
    pub subject: String,
    pub author: String,
    /// Objects that were changed.
    pub changed: usize,
    /// The notes of the repository are to be pushed.
    pub pushes_notes: bool,
    /// Number of the release in the Application's history, if the commit is deployed.
    pub release: Option<i64>,
}

impl Outcome {
    /// `None` when there was no sync yet.
    pub fn of(key: &ObjectKey, application: &Application) -> Option<Self> {
        let status = &application.status;
        let state = status.operation_state.as_ref()?;
        let asked = state.operation.as_ref().and_then(|operation| operation.sync.as_ref());
        // A trial, or a sync of some of the objects, says nothing of the commit.
        if asked.is_some_and(|sync| sync.dry_run || !sync.resources.is_empty()) {
            return None;
        }
        let result = state.sync_result.as_ref()?;
        let revision: Oid = result.revision.parse().ok()?;
        let phase = match state.phase.as_str() {
            "Succeeded" => Phase::Succeeded,
            "Failed" | "Error" => Phase::Failed,
            _ => Phase::Running,
        };
        let sources = application.spec.all_sources();
        let repository = sources.first()?.repo_url.parse().ok()?;
        let last = status.history.last().filter(|last| last.revision == result.revision);
        let earlier = status.history.iter().rev().find(|entry| entry.revision != result.revision);
        Some(Self {
            application: key.clone(),
            name: tracking::name_of(key),
            uid: application.metadata.uid.clone().unwrap_or_default(),
            repository,
            revision,
            previous: earlier.map(|entry| entry.revision.clone()),
            phase,
            message: scrub(&state.message),
            started: state.started_at.clone().unwrap_or_default(),
            finished: state.finished_at.as_deref().and_then(|time| time.parse().ok()),
            subject: last.map(|last| last.subject.clone()).unwrap_or_default(),
            author: last.map(|last| last.author.clone()).unwrap_or_default(),
            pushes_notes: application.annotation(PUSH_NOTES_ANNOTATION) == Some("true"),
            changed: result.resources.iter().filter(|one| one.hook_type.is_empty()).count(),
            release: last.filter(|_| phase == Phase::Succeeded).map(|last| last.id),
        })
    }

    /// Whether it is another outcome than one before, or to be told of in another way.
    pub fn is_news(&self, before: &Self) -> bool {
        let of = |one: &Self| {
            (one.revision, one.phase, one.message.clone(), one.started.clone(), one.finished, one.pushes_notes)
        };
        of(self) != of(before)
    }

    /// What a git host is told once.
    pub fn status_id(&self) -> String {
        format!("{}-{:?}", self.revision, self.phase)
    }

    /// What a receiver of notifications is told once: a release, or that a commit failed.
    pub fn release_id(&self) -> Option<String> {
        match (self.phase, self.release) {
            (Phase::Succeeded, Some(release)) => Some(format!("{release}-{}-Succeeded", self.revision)),
            (Phase::Failed, _) => Some(self.status_id()),
            _ => None,
        }
    }

    pub fn is_old(&self, now: Timestamp) -> bool {
        self.finished.is_some_and(|finished| now.duration_since(finished) > OLD)
    }
}

/// What others were told last, as an annotation of the Application keeps it: `STATUS RELEASE`, `-` for nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    pub status: Option<String>,
    pub release: Option<String>,
}

impl Reported {
    pub fn of(application: &Application) -> Self {
        let text = application.annotation(REPORTED_ANNOTATION).unwrap_or_default();
        let mut words = text.split(' ').map(|word| (!word.is_empty() && word != "-").then(|| word.to_owned()));
        Self { status: words.next().flatten(), release: words.next().flatten() }
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |word: &'_ Option<String>| word.clone().unwrap_or_else(|| "-".to_owned());
        write!(f, "{} {}", word(&self.status), word(&self.release))
    }
}
