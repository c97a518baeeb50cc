//! The APIs of git hosts: commit statuses, and comments of pull requests. Here are the requests as values. Pure.

use serde_json::{Value, json};

use super::call::{Call, Method};
use super::outcome::{Outcome, Phase};

/// Longest description that all hosts take.
const LONGEST: usize = 140;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    GitHub,
    GitLab,
    /// Forgejo's API is the same.
    Gitea,
}

/// A repository at a git host, and who may write there.
#[derive(Clone, PartialEq, Eq)]
pub struct GitHost {
    pub provider: Provider,
    /// Base of the API, without a slash at its end.
    pub api: String,
    /// `OWNER/NAME`; at GitLab of any depth.
    pub repository: String,
    pub token: String,
}

impl Provider {
    /// By its name; by the host where that is one of the well-known ones.
    pub fn of(name: &str, host: &str) -> Option<Self> {
        match (name.trim().to_ascii_lowercase().as_str(), host) {
            ("github", _) | ("", "github.com") => Some(Self::GitHub),
            ("gitlab", _) | ("", "gitlab.com") => Some(Self::GitLab),
            ("gitea" | "forgejo", _) | ("", "codeberg.org" | "gitea.com") => Some(Self::Gitea),
            _ => None,
        }
    }

    /// Where the API of a host is.
    pub fn api(self, host: &str) -> String {
        match (self, host) {
            (Self::GitHub, "github.com") => "https://api.github.com".to_owned(),
            (Self::GitHub, host) => format!("https://{host}/api/v3"),
            (Self::GitLab, host) => format!("https://{host}/api/v4"),
            (Self::Gitea, host) => format!("https://{host}/api/v1"),
        }
    }
}

impl GitHost {
    fn call(&self, method: Method, path: &str, body: &Value) -> Call {
        let headers = match self.provider {
            Provider::GitHub => vec![
                ("authorization", format!("Bearer {}", self.token)),
                ("accept", "application/vnd.github+json".to_owned()),
                ("x-github-api-version", "2022-11-28".to_owned()),
            ],
            Provider::GitLab => vec![("private-token", self.token.clone())],
            Provider::Gitea => vec![("authorization", format!("token {}", self.token))],
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Call { method, url: format!("{}{path}", self.api), headers, body }
    }

    fn project(&self) -> String {
        match self.provider {
            Provider::GitLab => format!("/projects/{}", self.repository.replace('/', "%2F")),
            Provider::GitHub | Provider::Gitea => format!("/repos/{}", self.repository),
        }
    }

    /// Sets the status of the outcome's commit. One context an Application: a later call replaces it.
    pub fn status(&self, outcome: &Outcome) -> Call {
        let context = format!("windlass/{}", outcome.name);
        let description: String = outcome.message.lines().next().unwrap_or_default().chars().take(LONGEST).collect();
        let (revision, project) = (outcome.revision, self.project());
        if self.provider == Provider::GitLab {
            let state = match outcome.phase {
                Phase::Running => "running",
                Phase::Succeeded => "success",
                Phase::Failed => "failed",
            };
            let body = json!({"state": state, "name": context, "description": description});
            return self.call(Method::Post, &format!("{project}/statuses/{revision}"), &body);
        }
        let state = match outcome.phase {
            Phase::Running => "pending",
            Phase::Succeeded => "success",
            Phase::Failed => "failure",
        };
        let body = json!({"state": state, "context": context, "description": description});
        self.call(Method::Post, &format!("{project}/statuses/{revision}"), &body)
    }

    /// A page of the comments of a pull request, from 1.
    pub fn comments(&self, number: u64, page: u32) -> Call {
        let project = self.project();
        let path = match self.provider {
            Provider::GitHub => format!("{project}/issues/{number}/comments?per_page=100&page={page}"),
            Provider::Gitea => format!("{project}/issues/{number}/comments?limit=50&page={page}"),
            Provider::GitLab => format!("{project}/merge_requests/{number}/notes?per_page=100&page={page}"),
        };
        self.call(Method::Get, &path, &Value::Null)
    }

    /// Writes a comment; in the place of `known`, an earlier one, if there is one.
    pub fn comment(&self, number: u64, known: Option<u64>, text: &str) -> Call {
        let (project, body) = (self.project(), json!({"body": text}));
        match (self.provider, known) {
            (Provider::GitLab, None) => {
                self.call(Method::Post, &format!("{project}/merge_requests/{number}/notes"), &body)
            }
            (Provider::GitLab, Some(id)) => {
                self.call(Method::Put, &format!("{project}/merge_requests/{number}/notes/{id}"), &body)
            }
            (_, None) => self.call(Method::Post, &format!("{project}/issues/{number}/comments"), &body),
            (_, Some(id)) => self.call(Method::Patch, &format!("{project}/issues/comments/{id}"), &body),
        }
    }

    /// The ref under which the host keeps the newest commit of a pull request.
    pub fn head_of(&self, number: u64) -> String {
        match self.provider {
            Provider::GitLab => format!("refs/merge-requests/{number}/head"),
            Provider::GitHub | Provider::Gitea => format!("refs/pull/{number}/head"),
        }
    }
}
