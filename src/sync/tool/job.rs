//! One rendering by a tool: what it needs of the commit, what identifies its outcome, and the outcome.

use std::path::Path;
use std::sync::Arc;

use git2::{Repository, Tree};
use ring::digest::{Context, SHA256};
use tempfile::TempDir;

use super::child::{ToolError, Tools};
use super::export::{Budget, ExportError, export};
use super::{helm, kustomize};
use crate::diff::plan::SourceError;
use crate::object::application::{Helm, Kustomize};
use crate::sync::render::{File, read_manifests};

/// What a folder asks for.
#[derive(Clone, Debug)]
pub enum Source {
    Kustomize(Kustomize),
    Helm(Helm),
}

/// A folder that is ready to be rendered, outside of any lock.
pub struct Job {
    pub id: OutcomeId,
    source: Source,
    /// Name of the Application, which a Helm release is called by.
    name: String,
    namespace: String,
    path: String,
    /// The file that asks for the tool.
    asks: String,
    folder: TempDir,
}

/// Identifies an outcome: what was read, and how it is rendered.
pub type OutcomeId = [u8; 32];

/// Whether the folder asks for a tool: the file that does, and the tool.
pub fn choose(folder: &Tree, kustomize: Option<&Kustomize>, helm: Option<&Helm>) -> Option<(String, Source)> {
    let has = |name: &str| folder.get_name(name).is_some();
    if helm.is_some() || has("Chart.yaml") && kustomize.is_none() {
        return Some(("Chart.yaml".to_owned(), Source::Helm(helm.cloned().unwrap_or_default())));
    }
    let found = ["kustomization.yaml", "kustomization.yml", "Kustomization"].into_iter().find(|name| has(name));
    let name = found.or(kustomize.map(|_| "kustomization.yaml"))?;
    Some((name.to_owned(), Source::Kustomize(kustomize.cloned().unwrap_or_default())))
}

/// What is rendered: the folder `path` of `tree`, for the Application `name`.
pub struct Wanted<'a> {
    pub path: &'a str,
    pub asks: String,
    pub source: Source,
    pub name: &'a str,
    pub namespace: &'a str,
}

/// Writes what the tool needs into a folder of its own. Gives the outcome's key alone when `known` has it.
///
/// # Errors
/// What is wrong with the folder.
pub fn prepare(
    repository: &Repository,
    tree: &Tree,
    wanted: Wanted,
    known: impl Fn(&OutcomeId) -> bool,
) -> Result<(OutcomeId, bool, Option<Job>), Vec<SourceError>> {
    let Wanted { path, asks, source, name, namespace } = wanted;
    let asks = if path.is_empty() { asks } else { format!("{path}/{asks}") };
    let at_file = |message: String| vec![SourceError { file: asks.clone(), line: 0, message }];
    let needs = match &source {
        Source::Kustomize(_) => kustomize::needs(repository, tree, path)?,
        Source::Helm(helm) => helm::needs(helm, path).map_err(at_file)?,
    };
    let mut context = Context::new(&SHA256);
    for need in &needs {
        let id = if need.is_empty() { Some(tree.id()) } else { tree.get_path(need.as_ref()).ok().map(|e| e.id()) };
        context.update(format!("{need}\0{id:?}\0").as_bytes());
    }
    context.update(format!("{source:?}\0{name}\0{namespace}\0{path}").as_bytes());
    let mut key = OutcomeId::default();
    key.copy_from_slice(context.finish().as_ref());
    let is_wide = needs.iter().any(|need| need != path);
    if known(&key) {
        return Ok((key, is_wide, None));
    }
    let exported = || -> Result<TempDir, ExportError> {
        let folder = TempDir::new()?;
        let mut budget = Budget::default();
        for need in &needs {
            export(repository, tree, need, &folder.path().join("tree"), &mut budget)?;
        }
        std::fs::create_dir_all(folder.path().join("home"))?;
        Ok(folder)
    };
    let folder = exported().map_err(|error| at_file(error.to_string()))?;
    let (name, namespace, path) = (name.to_owned(), namespace.to_owned(), path.to_owned());
    Ok((key, is_wide, Some(Job { id: key, source, name, namespace, path, asks, folder })))
}

impl Job {
    /// Runs the tool. Blocking, for up to a minute.
    ///
    /// # Errors
    /// What the tool says, at the place that it names.
    pub fn run(&self, tools: &Tools) -> Result<Arc<File>, Vec<SourceError>> {
        let (tree, home) = (self.folder.path().join("tree"), self.folder.path().join("home"));
        let output = match &self.source {
            Source::Kustomize(options) => kustomize::run(tools, options, &tree, &home, &self.path),
            Source::Helm(options) => helm::run(tools, options, &tree, &home, self),
        };
        let output = output.map_err(|error| vec![self.located(&error, &tree)])?;
        let mut file = read_manifests(&output);
        if matches!(self.source, Source::Helm(_)) {
            helm::map_hooks(&mut file, &self.source);
        }
        if !file.faults.is_empty() {
            let at = |message: &str| SourceError { file: self.asks.clone(), line: 0, message: message.to_owned() };
            return Err(file.faults.iter().map(|fault| at(&fault.message)).collect());
        }
        for manifest in &mut file.manifests {
            // The lines are of the tool's output, which nobody sees.
            manifest.line = 0;
        }
        Ok(Arc::new(file))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The file that asks for the tool.
    pub fn asks(&self) -> &str {
        &self.asks
    }

    fn located(&self, error: &ToolError, tree: &Path) -> SourceError {
        let tree = format!("{}/", tree.display());
        let text = error.to_string().replace(&tree, "").replace(tree.trim_end_matches('/'), ".");
        let lines: Vec<String> = text.lines().map(said).filter(|line| !line.is_empty()).collect();
        let message: String = lines[lines.len().saturating_sub(10)..].join(" ").chars().take(2000).collect();
        let (file, line) = place_in(&message).unwrap_or_else(|| (self.asks.clone(), 0));
        SourceError { file, line, message }
    }
}

/// What a line says, without what kubectl's log puts before it: time and process, which differ each time.
fn said(line: &str) -> String {
    let line = line.trim();
    let is_logged = |head: &str| {
        let mut letters = head.chars();
        matches!(letters.next(), Some('E' | 'F' | 'W' | 'I')) && letters.take(4).all(|c| c.is_ascii_digit())
    };
    let Some((_, text)) = line.split_once("] ").filter(|(head, _)| is_logged(head)) else { return line.to_owned() };
    let quoted = text.split_once(" err=").map(|(_, error)| serde_json::from_str(error));
    match quoted {
        Some(Ok(error)) => error,
        _ => text.to_owned(),
    }
}

/// The first `PATH.yaml:LINE` that a tool names.
fn place_in(message: &str) -> Option<(String, u32)> {
    message.split([' ', '(', '"', '\'']).find_map(|word| {
        let (file, rest) = word.split_once(':')?;
        let is_file = [".yaml", ".yml", ".tpl", ".json"].iter().any(|ending| file.ends_with(ending));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((file.to_owned(), digits.parse().ok()?)).filter(|_| is_file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_logs_is_told_without_its_time() {
        let logged = r#"E1130 12:21:17.853672    4551 run.go:72] "command failed" err="no such file: \"a\"""#;
        assert_eq!(said(logged), "no such file: \"a\"");
        assert_eq!(said("W1130 12:21:17.853672    4551 x.go:1] commonLabels is old"), "commonLabels is old");
        assert_eq!(said(" Error: [a] b "), "Error: [a] b");
    }

    #[test]
    fn the_place_that_a_tool_names_is_found() {
        let cases = [
            ("Error: template: shop/templates/web.yaml:12:3: executing \"x\"", Some(("shop/templates/web.yaml", 12))),
            ("error: accumulating resources: missing (apps/a.yaml:7)", Some(("apps/a.yaml", 7))),
            ("Error: http://x:80/ is down", None),
        ];
        for (message, want) in cases {
            assert_eq!(place_in(message), want.map(|(file, line)| (file.to_owned(), line)), "{message}");
        }
    }
}
