//! `windlass diff`: what deploying the work tree, a revision, or one revision after another would change, computed by the
//! server's dry run. Strictly read-only.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use git2::Oid;

use super::args::{DiffArgs, DiffFormat, Global};
use super::client;
use super::output::{Paint, show};
use crate::diff::plan::Plan;
use crate::diff::render::{self, Style};
use crate::object::application::Application;
use crate::object::kinds;
use crate::sync::render::AgeKeys;
use crate::sync::{Local, PlanRequest, Tools};

pub async fn run(args: DiffArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let client = client::connect(&args.connection).await?;
    let application = client::application(&client, &args.connection).await?;
    let repo = args.repo.clone().unwrap_or_else(|| PathBuf::from("."));
    let tools = Tools::new(std::env::var_os("PATH").unwrap_or_default());
    let keys = age_keys(client::data_dir(args.connection.data_dir.clone())?);
    let mut local = Local::open(&repo, &application, args.path.as_deref(), keys, tools)?;
    let (commit, request) = request(&mut local, args.revision.as_deref())?;
    let mut plan = plan(&client, &application, &request).await?;
    local.place(commit, &mut plan.errors);
    match args.output {
        DiffFormat::Text => {
            show(render::text(&plan, Style { colours: Paint::for_stdout(global).is_on() }))?;
        }
        DiffFormat::Markdown => show(render::markdown(&plan))?,
        DiffFormat::Json => show(serde_json::to_string_pretty(&plan)?)?,
    }
    Ok(ExitCode::from(exit_code(&plan)))
}

/// Where sops looks for age keys, and the key of a windlass on this machine.
fn age_keys(data_dir: PathBuf) -> AgeKeys {
    AgeKeys::new(move || {
        let named = std::env::var_os("SOPS_AGE_KEY_FILE").map(PathBuf::from);
        let usual = dirs::config_dir().map(|dir| dir.join("sops/age/keys.txt"));
        let files = [Some(data_dir.join("age.key")), named, usual];
        let mut texts: Vec<String> =
            files.into_iter().flatten().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
        texts.extend(std::env::var("SOPS_AGE_KEY"));
        texts.join("\n")
    })
}

/// 0 no differences, 1 differences, 2 something is wrong with what was to be compared.
fn exit_code(plan: &Plan) -> u8 {
    match (plan.errors.is_empty(), plan.steps.is_empty()) {
        (false, _) => 2,
        (true, false) => 1,
        (true, true) => 0,
    }
}

/// The request for a plan of the work tree or of what a person names, and the commit that errors are of.
fn request(local: &mut Local, revision: Option<&str>) -> anyhow::Result<(Oid, PlanRequest)> {
    let Some(revision) = revision else {
        let commit = local.work_tree()?;
        let rendered = local.render(commit)?;
        return Ok((commit, PlanRequest::of("work tree", local.sources(), &rendered, None)));
    };
    let mut at = |name: &str| {
        let commit = local.commit(if name.is_empty() { "HEAD" } else { name })?;
        let rendered = local.render(commit);
        Ok::<_, anyhow::Error>((commit, rendered.with_context(|| format!("cannot read revision {name:?}"))?))
    };
    let (base, after) = match revision.split_once("..") {
        Some((base, after)) => (Some(at(base)?.1), after),
        None => (None, revision),
    };
    let (commit, rendered) = at(after)?;
    Ok((commit, PlanRequest::of(&commit.to_string(), local.sources(), &rendered, base.as_deref())))
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
