//! The outcome of each commit as a git note (`git log --notes=windlass`): a line an Application. A note that says so
//! already is left alone.

use std::collections::BTreeSet;

use git2::{ErrorCode, Oid, Repository, Signature};

use super::outcome::{Outcome, Phase};
use crate::sync::mirror::NOTES;

/// A note is read by people.
const LONGEST: usize = 300;

/// What a note says of one Application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    application: String,
    text: String,
}

impl Line {
    pub fn of(outcome: &Outcome) -> Self {
        let word = if outcome.phase == Phase::Succeeded { "deployed" } else { "failed" };
        let time = outcome.finished.map(|time| format!(" at {time:.0}")).unwrap_or_default();
        let message: String = outcome.message.lines().next().unwrap_or_default().chars().take(LONGEST).collect();
        Self { application: outcome.name.clone(), text: format!("{word}{time}: {message}") }
    }
}

/// Adds the lines to the commit's note, each in the place of an earlier one of the same Application.
///
/// # Errors
/// When the repository cannot be written, or does not have the commit.
pub fn write(repository: &Repository, commit: Oid, lines: &[Line]) -> Result<(), git2::Error> {
    let before = match repository.find_note(Some(NOTES), commit) {
        Ok(note) => note.message().unwrap_or_default().to_owned(),
        Err(error) if error.code() == ErrorCode::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let after = merged(&before, lines);
    if after == before {
        return Ok(());
    }
    repository.find_commit(commit)?;
    let who = Signature::now("windlass", "windlass@localhost")?;
    repository.note(&who, &who, Some(NOTES), commit, &after, true).map(drop)
}

/// Makes the repository's notes those of others, with the lines of our own Applications as the repository has them.
///
/// # Errors
/// When the repository cannot be written.
pub fn join(repository: &Repository, theirs: Oid, own: &BTreeSet<String>) -> Result<(), git2::Error> {
    let notes = repository.notes(Some(NOTES))?.collect::<Result<Vec<_>, _>>()?;
    let mut ours = Vec::with_capacity(notes.len());
    for (_, commit) in notes {
        let text = repository.find_note(Some(NOTES), commit)?.message().unwrap_or_default().to_owned();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let lines = lines.filter(|(application, _)| own.contains(*application));
        let line =
            |(application, text): (&str, &str)| Line { application: application.to_owned(), text: text.to_owned() };
        ours.push((commit, lines.map(line).collect::<Vec<_>>()));
    }
    repository.reference(NOTES, theirs, true, "windlass: join notes")?;
    ours.iter().try_for_each(|(commit, lines)| write(repository, *commit, lines))
}

fn merged(before: &str, lines: &[Line]) -> String {
    let known = before.lines().filter(|line| {
        let name = line.split(' ').next().unwrap_or_default();
        !lines.iter().any(|new| new.application == name)
    });
    let mut all: Vec<String> = known.map(str::to_owned).collect();
    all.extend(lines.iter().map(|line| format!("{} {}", line.application, line.text)));
    all.sort();
    all.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_one_line_and_others_keep_theirs() {
        let line = |application: &str, text: &str| Line { application: application.into(), text: text.into() };
        let first = merged("", &[line("b", "failed: x"), line("a", "deployed: 2")]);
        assert_eq!(first, "a deployed: 2\nb failed: x\n");
        assert_eq!(merged(&first, &[line("b", "deployed: 3")]), "a deployed: 2\nb deployed: 3\n");
        assert_eq!(merged(&first, &[line("b", "failed: x")]), first);
    }
}
