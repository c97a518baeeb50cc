//! What the sources of an Application declare together, at their tips or at given commits. Blocking.

use std::sync::Arc;

use git2::Oid;

use super::mirror::Commit;
use super::reader::{Reading, Wanted};
use super::render::{self, Rendered};
use super::settings::Settings;
use super::upstream::{Follower, OpenError, Position, Upstream};
use crate::diff::plan::SourceError;

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
    /// What people name: a branch, a tag, a commit, `HEAD~1`; for the first source, the others at their tips.
    Named(String),
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

    /// The commits of all sources, in full; empty when there is only one.
    pub fn revisions(&self) -> Vec<String> {
        match &*self.readings {
            [_] => Vec::new(),
            many => many.iter().map(|reading| reading.commit.id.to_string()).collect(),
        }
    }
}

/// Reads the sources; `None` when there is nothing new.
///
/// # Errors
/// When a repository cannot be read or has no such commit.
pub fn read(sources: &[Followed], settings: &Settings, at: &At) -> Result<Option<Desired>, OpenError> {
    let mut positions = Vec::with_capacity(sources.len());
    for (index, source) in sources.iter().enumerate() {
        positions.push(match at {
            At::Commits(commits) if index < commits.len() => {
                source.upstream.position_at(&source.follower, commits[index])?
            }
            At::Named(name) if index == 0 => source.upstream.position_named(&source.follower, name)?,
            _ => source.upstream.position(&source.follower)?,
        });
    }
    if let At::Tips { unless: Some(known) } = at
        && *known == positions
    {
        return Ok(None);
    }
    let mut readings = Vec::with_capacity(sources.len());
    for ((source, settings_of), position) in sources.iter().zip(&settings.sources).zip(&positions) {
        let wanted =
            Wanted { path: &settings_of.path, selection: &settings_of.selection, namespace: &settings.namespace };
        readings.push(source.upstream.opened()?.reader().read(position.commit, wanted)?);
    }
    let rendered = Rendered::together(readings.iter().map(|reading| reading.rendered.clone()));
    Ok(Some(Desired { rendered, readings: readings.into(), positions }))
}

/// Moves errors that stand at their object to the line of their field.
pub fn place(sources: &[Followed], positions: &[Position], errors: &mut [SourceError]) {
    let opened: Vec<_> = sources.iter().filter_map(|source| source.upstream.opened().ok()).collect();
    render::place(errors, |file| {
        let mut texts = opened.iter().zip(positions);
        texts.find_map(|(opened, position)| render::text_of(opened.scout().repository(), position.commit, file))
    });
}
