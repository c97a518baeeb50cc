//! What the sources of an Application declare together, at their tips or at given commits. Blocking.

use std::sync::Arc;

use git2::Oid;

use super::inbox::Inbox;
use super::mirror::Commit;
use super::reader::{Prepared, Reader, Reading, Wanted};
use super::render::{self, Rendered};
use super::settings::Settings;
use super::syncer::Shared;
use super::tool::Tools;
use super::upstream::{Follower, OpenError, Position, Upstream};
use crate::diff::plan::SourceError;
use crate::object::ObjectKey;
use crate::object::application::Application;
use crate::object::custom::Kinds;

/// A source that is followed.
#[derive(Clone)]
pub struct Followed {
    pub upstream: Arc<Upstream>,
    pub follower: Arc<Follower>,
}

/// Which commits are read.
#[derive(Clone, Debug)]
pub enum At {
    /// The target revisions' newest; nothing is read when they are these.
    Tips { unless: Option<Vec<Position>> },
    /// One a source.
    Commits(Vec<Oid>),
    /// What people name, a source: a branch, a tag, a commit, `HEAD~1`. At their tips: those without a name, or with an empty one.
    Named(Vec<String>),
}

/// What was read of all sources.
#[derive(Clone)]
pub struct Desired {
    pub rendered: Arc<Rendered>,
    /// One a source; never empty.
    readings: Arc<[Reading]>,
    pub positions: Vec<Position>,
}

impl Desired {
    /// The commit of the first source, which speaks for all.
    pub fn commit(&self) -> &Commit {
        &self.readings[0].commit
    }

    /// The same commits with other documents.
    pub fn with(&self, rendered: Rendered) -> Self {
        Self { rendered: Arc::new(rendered), ..self.clone() }
    }

    /// The same at the newest commits of the sources, if these declare no more and no less. Blocking.
    pub fn same_at_tips(&self, sources: &[Followed]) -> Option<Self> {
        let now = positions(sources, &At::Tips { unless: None }).ok()?;
        if now.iter().zip(&self.positions).any(|(now, before)| now.content != before.content) {
            return None;
        }
        let at = |((source, position), reading): ((&Followed, &Position), &Reading)| {
            let commit = source.upstream.opened().ok()?.scout().commit(position.commit).ok()?;
            Some(reading.at(commit))
        };
        let readings = sources.iter().zip(&now).zip(self.readings.iter()).map(at).collect::<Option<_>>()?;
        Some(Self { rendered: self.rendered.clone(), readings, positions: now })
    }

    /// Finds the kinds in the cluster that the sources do not define themselves.
    pub fn resolve(&mut self, cluster: &Kinds) {
        if self.rendered.has_strangers() {
            Arc::make_mut(&mut self.rendered).resolve(cluster);
        }
    }

    /// The commits of all sources, in full; empty when there is only one.
    pub fn revisions(&self) -> Vec<String> {
        match &*self.readings {
            [_] => Vec::new(),
            many => many.iter().map(|reading| reading.commit.id.to_string()).collect(),
        }
    }
}

/// Whether the first source's commit shares no history with the one that is deployed: somebody put another branch in the
/// place of the one that was followed.
pub fn replaces_history(sources: &[Followed], application: &Application, commit: Oid) -> bool {
    let deployed = application.status.history.last().and_then(|entry| entry.revision.parse::<Oid>().ok());
    let (Some(deployed), Some(source)) = (deployed, sources.first()) else { return false };
    source.upstream.opened().is_ok_and(|opened| opened.scout().is_unrelated(deployed, commit))
}

/// Begins to read the sources; `None` when there is nothing new.
///
/// # Errors
/// When a repository cannot be read or has no such commit.
pub fn begin(sources: &[Followed], settings: &Settings, at: &At) -> Result<Option<Begun>, OpenError> {
    let positions = positions(sources, at)?;
    if let At::Tips { unless: Some(known) } = at
        && *known == positions
    {
        return Ok(None);
    }
    begin_at(sources, settings, positions).map(Some)
}

fn positions(sources: &[Followed], at: &At) -> Result<Vec<Position>, OpenError> {
    let position = |(index, source): (usize, &Followed)| match at {
        At::Commits(commits) if index < commits.len() => source.upstream.position_at(&source.follower, commits[index]),
        At::Named(names) if names.get(index).is_some_and(|name| !name.is_empty()) => {
            source.upstream.position_named(&source.follower, &names[index])
        }
        _ => source.upstream.position(&source.follower),
    };
    sources.iter().enumerate().map(position).collect()
}

fn begin_at(sources: &[Followed], settings: &Settings, mut positions: Vec<Position>) -> Result<Begun, OpenError> {
    let mut parts = Vec::with_capacity(sources.len());
    for ((source, settings_of), position) in sources.iter().zip(&settings.sources).zip(&mut positions) {
        let wanted = Wanted {
            path: &settings_of.path,
            selection: &settings_of.selection,
            namespace: &settings.namespace,
            tools: Some((settings_of, &source.follower.application.name)),
        };
        let prepare = |reader: &Reader| reader.prepare(position.commit, wanted);
        let (prepared, is_wide) = source.upstream.opened()?.read(prepare)?;
        source.follower.widen(is_wide);
        // A folder that draws on others is as new as the repository.
        *position = source.upstream.position_at(&source.follower, position.commit)?;
        parts.push(prepared);
    }
    Ok(Begun { parts, positions })
}

/// Sources that were read but for what tools have to render.
pub struct Begun {
    parts: Vec<Prepared>,
    positions: Vec<Position>,
}

impl Begun {
    pub fn needs_tools(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Prepared::Job(..)))
    }

    /// Runs the tools, outside of every lock. Blocking, for as long as they may take.
    ///
    /// # Errors
    /// When a repository cannot be opened.
    pub fn finish(self, sources: &[Followed], settings: &Settings, tools: &Tools) -> Result<Desired, OpenError> {
        let mut readings = Vec::with_capacity(self.parts.len());
        for (part, source) in self.parts.into_iter().zip(sources) {
            readings.push(match part {
                Prepared::Read(reading) => reading,
                Prepared::Job(commit, job) => {
                    let outcome = job.run(tools);
                    let finish = |reader: &Reader| Ok(reader.finish(commit, &job, &settings.namespace, outcome));
                    source.upstream.opened()?.read(finish)?
                }
            });
        }
        let rendered = Rendered::together(readings.iter().map(|reading| reading.rendered.clone()));
        Ok(Desired { rendered, readings: readings.into(), positions: self.positions })
    }
}

/// The sources of an Application, to read from and not to be told of.
pub(super) fn apart(shared: &Shared, key: &ObjectKey, settings: &Settings) -> Vec<Followed> {
    let followed = settings.sources.iter().enumerate().map(|(index, source)| {
        let inbox = Arc::new(Inbox::default());
        let follower = Follower::new(key.clone(), index, &source.target_revision, &source.path, inbox);
        Followed { upstream: shared.upstream(&source.location), follower: Arc::new(follower) }
    });
    followed.collect()
}

/// What the sources declare, with whatever tools they need.
///
/// # Errors
/// When a repository cannot be read or has no such commit.
pub fn read(sources: &[Followed], settings: &Settings, tools: &Tools, at: &At) -> Result<Desired, OpenError> {
    begin_at(sources, settings, positions(sources, at)?)?.finish(sources, settings, tools)
}

/// Moves errors that stand at their object to the line of their field.
pub fn place(sources: &[Followed], positions: &[Position], errors: &mut [SourceError]) {
    let opened: Vec<_> = sources.iter().filter_map(|source| source.upstream.opened().ok()).collect();
    render::place(errors, |file| {
        let mut texts = opened.iter().zip(positions);
        texts.find_map(|(opened, position)| render::text_of(opened.scout().repository(), position.commit, file))
    });
}
