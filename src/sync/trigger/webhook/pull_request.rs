//! What a delivery tells of a pull request. A hint like all of them: what is planned is read from the repository. Pure.

use git2::Oid;
use serde_json::Value;

use super::delivery::Host;
use super::repository;

/// A pull request (at GitLab, a merge request) that was opened or has a new commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    pub number: u64,
    /// The branch that it is to be merged into.
    pub base: String,
    pub head: Oid,
    /// URLs of the repository, as the host writes them.
    pub urls: Vec<String>,
}

/// `None` when the delivery is about something else that happened to a pull request, or is not understood.
pub fn read(host: Host, body: &[u8]) -> Option<PullRequest> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let (number, base, head, action) = match host {
        Host::GitLab => {
            let about = &body["object_attributes"];
            let head = &about["last_commit"]["id"];
            (&about["iid"], &about["target_branch"], head, &about["action"])
        }
        Host::GitHub | Host::Gitea | Host::Forgejo | Host::Gogs => {
            let about = &body["pull_request"];
            (&body["number"], &about["base"]["ref"], &about["head"]["sha"], &body["action"])
        }
        Host::Bitbucket | Host::Generic => return None,
    };
    let is_news = matches!(
        action.as_str(),
        Some("opened" | "open" | "reopened" | "reopen" | "synchronize" | "synchronized" | "update" | "edited")
    );
    is_news.then_some(())?;
    let (base, urls) = (base.as_str()?.to_owned(), repository::urls(&body));
    Some(PullRequest { number: number.as_u64()?, base, head: head.as_str()?.parse().ok()?, urls })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pull_request_is_read_as_each_host_writes_it() {
        let sha = "89ca52c1b3f4b9c3a1d2e3f4a5b6c7d8e9f00112";
        let want = PullRequest {
            number: 7,
            base: "main".into(),
            head: sha.parse().unwrap(),
            urls: vec!["https://h/o/r.git".into()],
        };
        let github = |action: &str| {
            json!({"action": action, "number": 7, "repository": {"clone_url": "https://h/o/r.git"},
                "pull_request": {"base": {"ref": "main"}, "head": {"sha": sha}}})
        };
        let gitlab = json!({"object_attributes": {"iid": 7, "action": "update", "target_branch": "main",
            "last_commit": {"id": sha}}, "project": {"git_http_url": "https://h/o/r.git"}});
        let of = |host, body: &Value| read(host, body.to_string().as_bytes());
        for host in [Host::GitHub, Host::Gitea, Host::Forgejo] {
            assert_eq!(of(host, &github("opened")), Some(want.clone()));
        }
        assert_eq!(of(Host::Gitea, &github("synchronized")), Some(want.clone()));
        assert_eq!(of(Host::GitHub, &github("closed")), None);
        assert_eq!(of(Host::GitLab, &gitlab), Some(want));
        assert_eq!(of(Host::GitLab, &github("opened")), None);
        assert_eq!(read(Host::GitHub, b"{"), None);
    }
}
