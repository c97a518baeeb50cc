//! Where the repository is: a path or a URL. Refuses what git would take as a command or an option, and never
//! shows credentials.

use std::fmt;
use std::path::{Path, PathBuf};

/// A repository to follow.
#[derive(Clone, PartialEq, Eq)]
pub enum RepoLocation {
    /// The repository at, or around, a folder of this machine.
    Local(PathBuf),
    /// A URL, perhaps with credentials in it: only ever shown by `Display`, which leaves them out.
    Remote(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("the repository's location is empty")]
    Empty,
    #[error("{0:?} is no repository: it begins with a dash")]
    Dash(String),
    #[error("{scheme:?} is not supported; use https://, ssh:// or a path")]
    Scheme { scheme: String },
    #[error("the URL names no host")]
    NoHost,
}

impl std::str::FromStr for RepoLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        if text.starts_with('-') {
            return Err(LocationError::Dash(scrub(text)));
        }
        // `ext::sh -c ...` and its like run programs.
        if let Some((scheme, _)) = text.split_once("::")
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            return Err(LocationError::Scheme { scheme: format!("{scheme}::") });
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "file" => Ok(Self::Local(PathBuf::from(rest))),
                "https" | "http" | "ssh" => {
                    let host = rest.split('/').next().unwrap_or_default();
                    let host = host.rsplit('@').next().unwrap_or_default();
                    if host.is_empty() || host.starts_with('-') {
                        return Err(LocationError::NoHost);
                    }
                    Ok(Self::Remote(text.to_owned()))
                }
                other => Err(LocationError::Scheme { scheme: other.to_owned() }),
            };
        }
        // `git@host:path` unless a file of that name exists is how git reads ssh locations.
        let before_slash = text.split('/').next().unwrap_or_default();
        if let Some((host, _)) = before_slash.split_once(':').filter(|_| !Path::new(text).exists()) {
            let host = host.rsplit('@').next().unwrap_or_default();
            return match host.is_empty() || host.starts_with('-') {
                true => Err(LocationError::NoHost),
                false => Ok(Self::Remote(text.to_owned())),
            };
        }
        Ok(Self::Local(PathBuf::from(text)))
    }
}

impl RepoLocation {
    /// What two locations of one repository have in common: no end that means nothing, the host in lower case. May
    /// hold credentials.
    pub fn identity(&self) -> String {
        match self {
            Self::Local(path) => path.canonicalize().unwrap_or_else(|_| path.clone()).to_string_lossy().into_owned(),
            Self::Remote(url) => {
                let scp = || url.replacen(':', "/", 1);
                let (scheme, rest) = match url.split_once("://") {
                    Some((scheme, rest)) => (scheme, rest.to_owned()),
                    None => ("ssh", scp()),
                };
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
                let path = path.trim_end_matches('/');
                let path = path.strip_suffix(".git").unwrap_or(path);
                format!("{}://{user}@{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
            }
        }
    }

    /// `HOST/PATH`, the same for HTTPS and for SSH; the path of a local one.
    pub fn place(&self) -> String {
        let identity = self.identity();
        let rest = identity.split_once("://").map_or(identity.as_str(), |(_, rest)| rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{host}{path}").trim_end_matches('/').to_owned()
    }

    /// Whether it is reached over SSH: `ssh://user@host/path` or `user@host:path`.
    pub fn is_ssh(&self) -> bool {
        matches!(self, Self::Remote(url) if url.split_once("://").is_none_or(|(scheme, _)| scheme.eq_ignore_ascii_case("ssh")))
    }

    /// The name of the Application that follows the repository: its last path segment as a DNS label.
    pub fn name(&self) -> String {
        let text = match self {
            Self::Local(path) => {
                let named = path.components().next_back().is_some_and(|c| matches!(c, std::path::Component::Normal(_)));
                let full = if named { path.clone() } else { path.canonicalize().unwrap_or_else(|_| path.clone()) };
                full.to_string_lossy().into_owned()
            }
            Self::Remote(url) => scrub(url).split(['?', '#']).next().unwrap_or_default().to_owned(),
        };
        let last = text.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let last = last.strip_suffix(".git").unwrap_or(last).to_ascii_lowercase();
        let label: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(52).collect();
        match label.trim_matches('-') {
            "" => "repository".to_owned(),
            label => label.to_owned(),
        }
    }
}

/// Without credentials.
impl fmt::Display for RepoLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote(url) => f.write_str(&scrub(url)),
        }
    }
}

impl fmt::Debug for RepoLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes `user:password@` out of every URL in a text.
pub fn scrub(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after.find(|c: char| c == '/' || c == '?' || c == '#' || c.is_whitespace() || "\"'<>".contains(c));
        let (authority, remaining) = after.split_at(end.unwrap_or(after.len()));
        clean.push_str(authority.rsplit('@').next().unwrap_or_default());
        rest = remaining;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_and_https_are_taken() {
        assert_eq!("/srv/shop".parse(), Ok(RepoLocation::Local("/srv/shop".into())));
        assert_eq!("file:///srv/shop".parse(), Ok(RepoLocation::Local("/srv/shop".into())));
        for remote in ["https://u:p@h/x.git", "ssh://git@h:22/x.git", "git@h:team/x.git"] {
            assert!(matches!(remote.parse(), Ok(RepoLocation::Remote(_))), "{remote}");
        }
        assert!(
            "git@h:x".parse::<RepoLocation>().unwrap().is_ssh()
                && !"https://h/x".parse::<RepoLocation>().unwrap().is_ssh()
        );
        for bad in [
            "",
            "-u",
            "--upload-pack=x",
            "ext::sh -c id",
            "fd::17",
            "ssh://-oProxyCommand=x/y",
            "git@-h:x",
            "git://h/x",
            "https:///x",
            "https://-x/y",
        ] {
            assert!(bad.parse::<RepoLocation>().is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let location: RepoLocation = "https://user:s3cret@example.com/a/Shop.git".parse().unwrap();
        assert_eq!(location.to_string(), "https://example.com/a/Shop.git");
        assert_eq!(format!("{location:?}"), "https://example.com/a/Shop.git");
        assert_eq!(
            scrub("cannot reach https://a:b@h/x and http://t@i: no"),
            "cannot reach https://h/x and http://i: no"
        );
        assert_eq!(scrub("https://a:p@ss@h/x"), "https://h/x");
    }

    #[test]
    fn spellings_of_one_repository_are_one() {
        let identity = |text: &str| text.parse::<RepoLocation>().unwrap().identity();
        let same = ["https://Example.com/a/b.git", "https://example.com/a/b", "HTTPS://example.com/a/b/"];
        assert!(same.iter().all(|text| identity(text) == identity(same[0])), "{same:?}");
        for other in ["https://example.com/a/B", "https://example.com/a/b/c", "https://u@example.com/a/b"] {
            assert_ne!(identity(other), identity(same[0]), "{other}");
        }
    }

    #[test]
    fn the_application_is_named_after_the_repository() {
        for (text, name) in
            [("/srv/My_Shop.git", "my-shop"), ("https://u:p@h/team/web.git?x=y/z", "web"), ("/srv/-.-", "repository")]
        {
            assert_eq!(text.parse::<RepoLocation>().unwrap().name(), name, "{text}");
        }
    }
}
