//! `windlass diff`: what deploying the work tree, a revision, or one revision after another would change, computed by the
//! server's dry run. Strictly read-only.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::args::{DiffArgs, DiffFormat, Global};
use super::client;
use super::output::{Paint, show};
use crate::diff::plan::Plan;
use crate::diff::render::{self, Style};
use crate::object::application::Application;
use crate::object::kinds;
use crate::sync::render::{Rendered, place, work_tree};
use crate::sync::{self, PlanRequest, Selection};

/// Namespace of objects that name none, where the Application does not say.
const DESTINATION: &str = "default";

pub async fn run(args: DiffArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let client = client::connect(&args.connection).await?;
    let application = client::application(&client, &args.connection).await?;
    let repo = args.repo.clone().unwrap_or_else(|| PathBuf::from("."));
    let folder = Folder {
        repo: &repo,
        below: args.path.as_deref().unwrap_or(&application.spec.source.path).trim_start_matches("./"),
        namespace: match application.spec.destination.namespace.as_str() {
            "" => DESTINATION,
            namespace => namespace,
        },
        selection: &Selection::of(application.spec.source.directory.as_ref()).map_err(anyhow::Error::msg)?,
    };
    let request = folder.request(args.revision.as_deref())?;
    let mut plan = plan(&client, &application, &request).await?;
    if args.revision.is_none() {
        place(&mut plan.errors, |file| std::fs::read_to_string(repo.join(file)).ok());
    }
    match args.output {
        DiffFormat::Text => {
            show(render::text(&plan, Style { colours: Paint::for_stdout(global).is_on() }))?;
        }
        DiffFormat::Markdown => show(render::markdown(&plan))?,
        DiffFormat::Json => show(serde_json::to_string_pretty(&plan)?)?,
    }
    Ok(ExitCode::from(exit_code(&plan)))
}

/// 0 no differences, 1 differences, 2 something is wrong with what was to be compared.
fn exit_code(plan: &Plan) -> u8 {
    match (plan.errors.is_empty(), plan.steps.is_empty()) {
        (false, _) => 2,
        (true, false) => 1,
        (true, true) => 0,
    }
}

/// The manifests of a repository.
struct Folder<'a> {
    repo: &'a Path,
    below: &'a str,
    namespace: &'a str,
    /// Which of the files are the Application's.
    selection: &'a Selection,
}

impl Folder<'_> {
    fn request(&self, revision: Option<&str>) -> anyhow::Result<PlanRequest> {
        let Some(revision) = revision else {
            let repo = self.repo.display();
            let below = if self.below == "." { "" } else { self.below };
            let rendered = work_tree(self.repo, below, self.namespace, self.selection);
            let rendered = rendered.with_context(|| format!("cannot read the work tree at {repo} (--repo)"))?;
            return Ok(PlanRequest::of("work tree", &rendered, None));
        };
        match revision.split_once("..") {
            None => {
                let (id, rendered) = self.at(revision)?;
                Ok(PlanRequest::of(&id, &rendered, None))
            }
            Some((base, after)) => {
                let or_head = |side| if str::is_empty(side) { "HEAD" } else { side };
                let (_, base) = self.at(or_head(base))?;
                let (id, rendered) = self.at(or_head(after))?;
                Ok(PlanRequest::of(&id, &rendered, Some(&base)))
            }
        }
    }

    fn at(&self, revision: &str) -> anyhow::Result<(String, Rendered)> {
        let below = if self.below == "." { "" } else { self.below };
        let read = sync::at_revision(self.repo, revision, below, self.namespace, self.selection);
        let (commit, rendered) = read.with_context(|| format!("cannot read revision {revision:?}"))?;
        Ok((commit.id.to_string(), rendered))
    }
}

async fn plan(client: &kube::Client, application: &Application, request: &PlanRequest) -> anyhow::Result<Plan> {
    let name = application.metadata.name.as_deref().unwrap_or_default();
    let namespace = application.metadata.namespace.as_deref().unwrap_or_default();
    let path = format!("{}/{name}/plan", kinds::APPLICATION.collection_path(namespace));
    let body = serde_json::to_vec(request)?;
    let request = http::Request::post(path).header("content-type", "application/json").body(body)?;
    client.request(request).await.with_context(|| format!("the server cannot plan for Application {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::plan::SourceError;

    #[test]
    fn an_error_outweighs_a_difference() {
        let wrong =
            Plan { errors: vec![SourceError { file: "a".into(), line: 1, message: "b".into() }], ..Plan::default() };
        assert_eq!((exit_code(&Plan::default()), exit_code(&wrong)), (0, 2));
    }
}
