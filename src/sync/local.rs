//! What a repository on this machine declares for an Application, rendered here as the server would: `windlass diff`.
//! Blocking.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use git2::Oid;

use super::mirror::{Mirror, MirrorError, RepoLocation};
use super::reader::{Memory, Prepared, Reader, Wanted};
use super::render::{AgeKeys, Rendered};
use super::settings::{Settings, settings};
use super::tool::Tools;
use crate::diff::plan::SourceError;
use crate::object::application::Application;

/// A repository, read for one Application.
pub struct Local {
    reader: Reader,
    settings: Settings,
    /// The Application's.
    name: String,
    /// Which of the Application's sources are of this repository.
    sources: Vec<usize>,
    tools: Tools,
}

#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("the Application's spec is not supported: {}", .0.join("; "))]
    Spec(Vec<String>),
    #[error("{repository} is none of the Application's sources, which are {sources}; name one of them with --repo")]
    NotASource { repository: String, sources: String },
    #[error(transparent)]
    Repository(#[from] MirrorError),
}

impl Local {
    /// Opens the repository at or around `repo`. An Application with one source is taken to mean it; of several, those are
    /// meant that name its path or one of its remotes. `folder` takes the place of the path that they say.
    ///
    /// # Errors
    /// When there is no repository, or the Application cannot be rendered from it.
    pub fn open(
        repo: &Path,
        application: &Application,
        folder: Option<&str>,
        keys: AgeKeys,
        tools: Tools,
    ) -> Result<Self, LocalError> {
        let mut spec = application.spec.clone();
        if let Some(folder) = folder {
            let sources = std::iter::once(&mut spec.source).chain(&mut spec.sources);
            sources.for_each(|source| folder.clone_into(&mut source.path));
        }
        let settings = settings(&spec).map_err(LocalError::Spec)?;
        let mirror = Mirror::open(repo, &RepoLocation::Local(repo.to_owned()))?;
        let sources: Vec<usize> = match settings.sources.as_slice() {
            [_] => vec![0],
            several => {
                let places = places(&mirror);
                let all = several.iter().enumerate();
                all.filter(|(_, source)| places.contains(&source.location.place())).map(|(index, _)| index).collect()
            }
        };
        if sources.is_empty() {
            let all: Vec<String> = settings.sources.iter().map(|source| source.location.to_string()).collect();
            return Err(LocalError::NotASource { repository: repo.display().to_string(), sources: all.join(", ") });
        }
        let name = application.metadata.name.clone().unwrap_or_default();
        Ok(Self { reader: Reader::new(mirror, Arc::new(Memory::new(Some(keys)))), settings, name, sources, tools })
    }

    /// Which of the Application's sources are rendered here.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// The commit that a person names.
    ///
    /// # Errors
    /// When the name means none.
    pub fn commit(&self, name: &str) -> Result<Oid, MirrorError> {
        self.reader.mirror.resolve(name)
    }

    /// What a commit of the work tree would be; nothing is written.
    ///
    /// # Errors
    /// When there is no work tree or it cannot be read.
    pub fn work_tree(&self) -> Result<Oid, MirrorError> {
        self.reader.mirror.commit_work_tree()
    }

    /// What a commit declares; what is wrong with its manifests is in the result.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn render(&mut self, commit: Oid) -> Result<Arc<Rendered>, MirrorError> {
        let mut parts = Vec::with_capacity(self.sources.len());
        for index in &self.sources {
            let source = &self.settings.sources[*index];
            let wanted = Wanted {
                path: &source.path,
                selection: &source.selection,
                namespace: &self.settings.namespace,
                tools: Some((source, &self.name)),
            };
            let reading = match self.reader.prepare(commit, wanted)? {
                (Prepared::Read(reading), _) => reading,
                (Prepared::Job(commit, job), _) => {
                    let outcome = job.run(&self.tools);
                    self.reader.finish(commit, &job, &self.settings.namespace, outcome)
                }
            };
            parts.push(reading.rendered);
        }
        Ok(Rendered::together(parts))
    }

    /// Moves errors to the line of their field.
    pub fn place(&self, commit: Oid, errors: &mut [SourceError]) {
        self.reader.place(commit, errors);
    }
}

/// What a source may call the repository.
fn places(mirror: &Mirror) -> BTreeSet<String> {
    let repository = mirror.repository();
    let own = [Some(repository.path()), repository.workdir()].into_iter().flatten();
    let own = own.map(|path| RepoLocation::Local(path.to_owned()));
    let names = repository.remotes().ok();
    let remotes = names.iter().flat_map(|names| names.iter()).filter_map(|name| {
        let remote = repository.find_remote(name.ok().flatten()?).ok()?;
        remote.url().ok()?.parse::<RepoLocation>().ok()
    });
    own.chain(remotes).map(|location| location.place()).collect()
}
