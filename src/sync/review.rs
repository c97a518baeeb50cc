//! Posts to a pull request what merging it would change: one comment for all Applications, brought up to date in place
//! whenever a commit is added. The plan is that of the pull request's own commits, as if their base were deployed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::blocking::blocking;
use super::mirror::RepoLocation;
use super::records::{Client, GitHost, Targets};
use super::request::PlanRequest;
use super::routes;
use super::syncer::Shared;
use super::trigger::webhook::PullRequest;
use super::upstream::Upstream;
use crate::diff::plan::Plan;
use crate::diff::render::markdown_within;
use crate::object::application::Application;
use crate::object::{ObjectKey, kinds};

/// What the comment is found by again.
const MARK: &str = "<!-- windlass plan -->";
/// GitHub takes 65536 characters.
const LONGEST: usize = 60_000;
/// Pages of comments that are looked through for the own one.
const PAGES: u32 = 20;
const TRIES: u32 = 5;
const RETRY: Duration = Duration::from_secs(3);

/// Pull requests that wait for their comment: of each, the newest state.
#[derive(Default)]
pub struct Reviews {
    waiting: Mutex<BTreeMap<(Vec<String>, u64), PullRequest>>,
    bell: Notify,
}

impl Reviews {
    pub fn put(&self, request: PullRequest) {
        let key = (request.urls.clone(), request.number);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key, request);
        self.bell.notify_one();
    }

    fn take(&self) -> Option<PullRequest> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_first().map(|(_, request)| request)
    }

    fn is_superseded(&self, request: &PullRequest) -> bool {
        let key = (request.urls.clone(), request.number);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key)
    }
}

/// Reviews whatever comes.
pub(super) async fn run(shared: Arc<Shared>) {
    let client = Client::default();
    loop {
        let Some(request) = shared.reviews.take() else {
            shared.reviews.bell.notified().await;
            continue;
        };
        for attempt in 1..=TRIES {
            let Err(why) = review(&shared, &client, &request).await else { break };
            tracing::warn!(number = request.number, attempt, why, "the plan is not posted to the pull request");
            if shared.reviews.is_superseded(&request) {
                break;
            }
            tokio::time::sleep(RETRY.saturating_mul(attempt)).await;
        }
    }
}

async fn review(shared: &Arc<Shared>, client: &Client, request: &PullRequest) -> Result<(), String> {
    let snapshot = shared.registry.snapshot();
    let targets = Targets::find(&snapshot);
    let urls: Vec<RepoLocation> = request.urls.iter().filter_map(|url| url.parse().ok()).collect();
    let concerned: Vec<(ObjectKey, Arc<Application>, RepoLocation)> = snapshot
        .list(kinds::APPLICATION, "")
        .filter_map(|object| {
            let application: Application = object.decode().ok()?;
            let source = application.spec.all_sources().first()?;
            let location: RepoLocation = source.repo_url.parse().ok()?;
            let is_meant = urls.iter().any(|url| url.place() == location.place());
            is_meant.then(|| (object.key.clone(), Arc::new(application), location))
        })
        .collect();
    let Some((_, _, location)) = concerned.first() else { return Ok(()) };
    let Some(host) = targets.host(location) else {
        tracing::info!(repository = %location, "no Secret of type git-host has a token for it: no plan is posted");
        return Ok(());
    };
    let upstream = shared.upstream(location);
    let (from, number) = (host.head_of(request.number), request.number);
    let fetched = upstream.clone();
    blocking(move || fetched.fetch_pull(&from, number)).await.map_err(|error| error.to_string())?;
    let mut plans = Vec::new();
    for (key, application, _) in concerned {
        if !follows(&upstream, &application, &request.base).await {
            continue;
        }
        let (shared, upstream, request) = (shared.clone(), upstream.clone(), request.clone());
        plans.push(blocking(move || plan(&shared, &upstream, &key, &application, &request)).await);
    }
    if plans.is_empty() {
        return Ok(());
    }
    post(client, &host, request.number, &comment(request, &plans)).await
}

/// Whether the Application deploys what is merged into the branch.
async fn follows(upstream: &Arc<Upstream>, application: &Application, base: &str) -> bool {
    let target =
        application.spec.all_sources().first().map(|source| source.target_revision.clone()).unwrap_or_default();
    match target.as_str() {
        "" | "HEAD" => {
            let upstream = upstream.clone();
            blocking(move || upstream.default_branch()).await.is_ok_and(|branch| branch == base)
        }
        named => named.strip_prefix("refs/heads/").unwrap_or(named) == base,
    }
}

type Planned = Result<Plan, (String, String)>;

fn plan(
    shared: &Shared,
    upstream: &Upstream,
    key: &ObjectKey,
    application: &Application,
    request: &PullRequest,
) -> Planned {
    let failed = |why: String| (key.name.clone(), why);
    let base = upstream.fork_point(&request.base, request.head).map_err(|error| failed(error.to_string()))?;
    let asked = PlanRequest { revision: format!("{base}..{}", request.head), ..PlanRequest::default() };
    routes::compute(shared, key, application, asked).map_err(|error| failed(error.message))
}

fn comment(request: &PullRequest, plans: &[Planned]) -> String {
    let head = request.head.to_string();
    let short = &head[..7];
    let is_idle = |planned: &&Planned| planned.as_ref().is_ok_and(Plan::is_empty);
    let idle = plans.iter().filter(is_idle).count();
    let base = request.base.replace('`', "");
    let mut text = format!("{MARK}\nWhat merging {short} into `{base}` would change:\n");
    let shown: Vec<&Planned> = plans.iter().filter(|planned| !is_idle(planned)).collect();
    for (number, planned) in shown.iter().enumerate() {
        // What the short ones leave is for those that follow.
        let room = LONGEST.saturating_sub(text.len()) / (shown.len() - number);
        let part = match planned {
            Ok(plan) => format!("\n### {}\n\n{}", plan.application, markdown_within(plan, room - room / 10)),
            Err((application, why)) => format!("\n### {application}\n\nNo plan: {why}\n"),
        };
        if text.len() + part.len() > LONGEST {
            text.push_str("\nThe rest is too long for a comment: `windlass diff` shows it.\n");
            break;
        }
        text.push_str(&part);
    }
    match idle {
        0 => {}
        1 => text.push_str("\nNothing changes in 1 Application.\n"),
        idle => text.push_str(&format!("\nNothing changes in {idle} Applications.\n")),
    }
    text
}

async fn post(client: &Client, host: &GitHost, number: u64, text: &str) -> Result<(), String> {
    let mut known = None;
    for page in 1..=PAGES {
        let answer = client.send(host.comments(number, page)).await?;
        let comments = answer.as_array().cloned().unwrap_or_default();
        let own = comments.iter().find(|one| one["body"].as_str().is_some_and(|body| body.starts_with(MARK)));
        known = own.and_then(|own| own["id"].as_u64());
        if known.is_some() || comments.is_empty() {
            break;
        }
    }
    client.send(host.comment(number, known, text)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::plan::{Action, PlanStep};

    fn planned(application: &str, objects: usize) -> Planned {
        let step = |n: usize| PlanStep {
            action: Action::Create,
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: "shop".to_owned(),
            name: format!("{application}-{n}"),
            source: format!("{application}/conf.yaml:{n}"),
            changes: Vec::new(),
        };
        Ok(Plan { application: application.to_owned(), steps: (0..objects).map(step).collect(), ..Plan::default() })
    }

    #[test]
    fn plans_that_are_too_long_for_a_comment_share_its_room() {
        let head = "0123456789012345678901234567890123456789".parse().unwrap();
        let request = PullRequest { number: 1, base: "main".to_owned(), head, urls: Vec::new() };
        let plans = [planned("long", 5000), planned("short", 1), planned("longer", 9000)];
        let text = comment(&request, &plans);
        assert!(text.len() <= LONGEST && text.len() > LONGEST / 2, "{}", text.len());
        for part in ["### long\n", "### short\n", "### longer\n", "ConfigMap shop/short-0", "shop/longer-0"] {
            assert!(text.contains(part), "{part} is missing");
        }
        assert_eq!(text.matches("more objects").count(), 2);
    }
}
