//! What an Application's spec means to the syncer, and what of it cannot be done: every field that is not supported
//! is named, and nothing is deployed while one of them would change what is. Pure.

use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Map, Value};

use super::ignore::Ignored;
use super::mirror::{LocationError, RepoLocation, scrub};
use crate::cluster::registry::Propagation;
use crate::object::application::{
    ApplicationSpec, Automated, Directory, Helm, Kustomize, NamespaceMetadata, Retry, Source, SyncPolicy,
};

/// Namespace of objects that name none, when the Application names none either.
pub const DESTINATION: &str = "default";
/// The cluster that this program is, in Argo CD's words.
pub const THIS_SERVER: &str = "https://kubernetes.default.svc";
const THIS_CLUSTER: &str = "in-cluster";

#[derive(Clone, Debug)]
pub struct Settings {
    pub sources: Vec<SourceSettings>,
    /// Namespace of objects that name none.
    pub namespace: String,
    /// How it is synced without being asked; `None` when it is not.
    pub automated: Option<Automated>,
    pub options: SyncOptions,
    pub retry: RetryPolicy,
    pub ignored: Ignored,
    pub history_limit: usize,
    /// `labels` and `annotations` of a namespace that is made for it.
    pub namespace_metadata: Map<String, Value>,
    /// What it asks for and does not get, without harm to what is deployed.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct SourceSettings {
    pub location: RepoLocation,
    pub target_revision: String,
    /// Normalised; empty for all of the repository.
    pub path: String,
    pub selection: Selection,
    pub kustomize: Option<Kustomize>,
    pub helm: Option<Helm>,
    /// Files are read as they are, whatever tool the folder asks for.
    pub is_plain: bool,
}

/// Which files of a folder are manifests of the Application.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub recurse: bool,
    include: Option<GlobMatcher>,
    exclude: Option<GlobMatcher>,
}

/// `syncOptions` of the Application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncOptions {
    pub create_namespace: bool,
    pub prune_last: bool,
    pub respect_ignore_differences: bool,
    pub fail_on_shared_resource: bool,
    pub replace: bool,
    pub force: bool,
    /// Fields that a kind does not have are left out, and named, in place of keeping the commit out.
    pub drops_unknown_fields: bool,
    /// How what git no longer has is deleted.
    pub propagation: Option<Propagation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// `None`: without end.
    pub limit: Option<u32>,
    pub first: Duration,
    pub factor: u32,
    pub longest: Duration,
}

impl Selection {
    /// Everything below the folder.
    pub fn all() -> Self {
        Self { recurse: true, ..Self::default() }
    }

    /// # Errors
    /// What is wrong with a pattern.
    pub fn of(directory: Option<&Directory>) -> Result<Self, String> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        let pattern = |name: &str, text: &str| match text {
            "" => Ok(None),
            text => {
                let glob = GlobBuilder::new(text).literal_separator(false).build();
                glob.map(|glob| Some(glob.compile_matcher())).map_err(|error| format!("{name}: {error}"))
            }
        };
        Ok(Self {
            recurse: directory.recurse,
            include: pattern("directory.include", &directory.include)?,
            exclude: pattern("directory.exclude", &directory.exclude)?,
        })
    }

    /// Whether the file at `path`, from the Application's folder, is chosen.
    pub fn takes(&self, path: &str) -> bool {
        !self.exclude.as_ref().is_some_and(|glob| glob.is_match(path))
            && self.include.as_ref().is_none_or(|glob| glob.is_match(path))
    }
}

/// Options that ask for what is done in any case: objects are applied by the server, and only those that differ.
const AS_ALWAYS: [&str; 4] = [
    "ApplyOutOfSyncOnly=true",
    "ServerSideApply=true",
    "SkipDryRunOnMissingResource=true",
    "ClientSideApplyMigration=true",
];

impl SyncOptions {
    /// The options, and what is wrong with those that mean nothing here.
    pub fn of(options: &[String]) -> (Self, Vec<String>) {
        let mut found = Self::default();
        let (mut unknown, mut validates) = (Vec::new(), true);
        for option in options.iter().map(|option| option.trim()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let flag = match name {
                "CreateNamespace" => &mut found.create_namespace,
                "PruneLast" => &mut found.prune_last,
                "RespectIgnoreDifferences" => &mut found.respect_ignore_differences,
                "FailOnSharedResource" => &mut found.fail_on_shared_resource,
                "Replace" => &mut found.replace,
                "Force" => &mut found.force,
                "Validate" => &mut validates,
                "PrunePropagationPolicy" => {
                    found.propagation = match value {
                        "foreground" => Some(Propagation::Foreground),
                        "background" => Some(Propagation::Background),
                        "orphan" => Some(Propagation::Orphan),
                        _ => {
                            unknown.push(format!("{option}: must be foreground, background or orphan"));
                            continue;
                        }
                    };
                    continue;
                }
                _ if AS_ALWAYS.contains(&option) => continue,
                _ => {
                    unknown.push(format!("{option}: is not supported and changes nothing"));
                    continue;
                }
            };
            match value {
                "true" => *flag = true,
                "false" => *flag = false,
                _ => unknown.push(format!("{option}: must be {name}=true or {name}=false")),
            }
        }
        found.drops_unknown_fields = !validates;
        let warnings = unknown.into_iter().map(|fault| format!("spec.syncPolicy.syncOptions: {fault}")).collect();
        (found, warnings)
    }
}

/// `managedNamespaceMetadata` as a patch of the namespace's metadata.
fn namespace_metadata(policy: &SyncPolicy) -> Map<String, Value> {
    let Some(NamespaceMetadata { labels, annotations }) = &policy.managed_namespace_metadata else { return Map::new() };
    let fields = [("labels", labels), ("annotations", annotations)];
    let fields = fields.into_iter().filter(|(_, entries)| !entries.is_empty());
    fields.map(|(name, entries)| (name.to_owned(), serde_json::json!(entries))).collect()
}

impl Default for RetryPolicy {
    /// What fails for a reason that may pass is tried for as long as it may.
    fn default() -> Self {
        Self { limit: None, first: Duration::from_secs(5), factor: 2, longest: Duration::from_secs(180) }
    }
}

impl RetryPolicy {
    /// # Errors
    /// When a duration cannot be read.
    pub fn of(retry: Option<&Retry>) -> Result<Self, String> {
        let Some(retry) = retry else { return Ok(Self::default()) };
        let backoff = retry.backoff.clone().unwrap_or_default();
        let time = |name: &str, text: &str, default: Duration| match text {
            "" => Ok(default),
            text => {
                duration(text).ok_or_else(|| format!("syncPolicy.retry.backoff.{name}: {text:?} is not a duration"))
            }
        };
        let defaults = Self::default();
        Ok(Self {
            limit: u32::try_from(retry.limit.unwrap_or(5)).ok(),
            first: time("duration", &backoff.duration, defaults.first)?,
            factor: backoff.factor.and_then(|factor| u32::try_from(factor).ok()).filter(|f| *f > 0).unwrap_or(2),
            longest: time("maxDuration", &backoff.max_duration, defaults.longest)?,
        })
    }

    /// The wait before the try after `failures` failures; `None` when there is to be none.
    pub fn wait(&self, failures: u32) -> Option<Duration> {
        if self.limit.is_some_and(|limit| failures > limit) {
            return None;
        }
        let power = self.factor.saturating_pow(failures.saturating_sub(1).min(30));
        Some(self.first.saturating_mul(power).min(self.longest))
    }
}

/// Go's durations, and Argo CD's bare seconds: `5s`, `1m30s`, `2h`, `90`.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let seconds = match &after[..unit] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &after[unit..];
    }
    Some(total)
}

/// A path of a source, without what means nothing.
pub fn normalised(path: &str) -> Result<String, String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    match parts.contains(&"..") {
        true => Err(format!("{path:?} leads out of the repository")),
        false => Ok(parts.join("/")),
    }
}

/// # Errors
/// Everything that is wrong with the spec or not supported, each with its field.
pub fn settings(spec: &ApplicationSpec) -> Result<Settings, Vec<String>> {
    let mut wrong = Vec::new();
    let destination = &spec.destination;
    if !matches!(destination.server.trim_end_matches('/'), "" | THIS_SERVER) {
        wrong.push(format!(
            "spec.destination.server: {:?} is not this cluster; only {THIS_SERVER} is supported",
            scrub(&destination.server)
        ));
    }
    if !matches!(destination.name.as_str(), "" | THIS_CLUSTER) {
        wrong.push(format!("spec.destination.name: {:?} is not this cluster ({THIS_CLUSTER})", destination.name));
    }
    let mut sources = Vec::new();
    for (index, source) in spec.all_sources().iter().enumerate() {
        let at = if spec.sources.is_empty() { "spec.source".to_owned() } else { format!("spec.sources[{index}]") };
        match source_settings(source) {
            Ok(source) => sources.push(source),
            Err(faults) => wrong.extend(faults.into_iter().map(|fault| format!("{at}.{fault}"))),
        }
    }
    let retry = RetryPolicy::of(spec.sync_policy.retry.as_ref()).map_err(|fault| wrong.push(format!("spec.{fault}")));
    let ignored = Ignored::of(&spec.ignore_differences).map_err(|faults| wrong.extend(faults));
    let (options, mut warnings) = SyncOptions::of(&spec.sync_policy.sync_options);
    let namespace_metadata = namespace_metadata(&spec.sync_policy);
    if !namespace_metadata.is_empty() && !options.create_namespace {
        warnings.push(
            "spec.syncPolicy.managedNamespaceMetadata: changes nothing without the sync option CreateNamespace=true"
                .to_owned(),
        );
    }
    match (retry, ignored, wrong.is_empty()) {
        (Ok(retry), Ok(ignored), true) => Ok(Settings {
            ignored,
            sources,
            namespace: Some(&destination.namespace).filter(|n| !n.is_empty()).map_or(DESTINATION, |n| n).to_owned(),
            automated: spec.sync_policy.automation().cloned(),
            options,
            namespace_metadata,
            warnings,
            retry,
            history_limit: spec.revision_history_limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(10).max(1),
        }),
        _ => Err(wrong),
    }
}

fn source_settings(source: &Source) -> Result<SourceSettings, Vec<String>> {
    let mut wrong = Vec::new();
    let mut unsupported = |is_set: bool, field: &str, advice: &str| {
        if is_set {
            wrong.push(format!("{field} is not supported; {advice}"));
        }
    };
    unsupported(source.plugin.is_some(), "plugin", "render the manifests into the repository");
    unsupported(!source.chart.is_empty(), "chart", "keep the chart in a git repository and name its folder in path");
    unsupported(!source.reference.is_empty(), "ref", "keep the value files beside the chart");
    let jsonnet = source.directory.as_ref().is_some_and(|directory| directory.jsonnet.is_some());
    unsupported(jsonnet, "directory.jsonnet", "render the manifests into the repository");
    let location =
        source.repo_url.parse::<RepoLocation>().map_err(|error: LocationError| wrong.push(format!("repoURL: {error}")));
    let path = normalised(&source.path).map_err(|fault| wrong.push(format!("path: {fault}")));
    let selection = Selection::of(source.directory.as_ref()).map_err(|fault| wrong.push(fault));
    match (location, path, selection) {
        (Ok(location), Ok(path), Ok(selection)) if wrong.is_empty() => Ok(SourceSettings {
            location,
            target_revision: source.target_revision.trim().to_owned(),
            path,
            selection,
            kustomize: source.kustomize.clone(),
            helm: source.helm.clone(),
            is_plain: source.directory.as_ref().is_some_and(|directory| !directory.include.is_empty()),
        }),
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: Value) -> Result<Settings, Vec<String>> {
        settings(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_usual_manifest_of_argo_cd_is_understood() {
        let found = read(json!({
            "project": "default",
            "source": {"repoURL": "https://example.com/a.git", "path": "./guestbook/", "targetRevision": "HEAD"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "guestbook"},
            "syncPolicy": {"automated": {"prune": true}, "syncOptions": ["CreateNamespace=true", "PrunePropagationPolicy=foreground"],
                "retry": {"limit": 2, "backoff": {"duration": "1m30s", "factor": 3, "maxDuration": "10m"}}}}))
        .unwrap();
        assert_eq!((found.namespace.as_str(), found.sources[0].path.as_str()), ("guestbook", "guestbook"));
        assert!(
            found.automated.unwrap().prune && found.options.create_namespace && !found.sources[0].selection.recurse
        );
        let waits: Vec<_> = (1..=4).map(|n| found.retry.wait(n).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(90), Some(270), None, None]);
        assert_eq!(RetryPolicy::default().wait(50), Some(Duration::from_secs(180)));
    }

    #[test]
    fn every_field_that_is_not_supported_is_named() {
        let found = read(json!({
            "sources": [
                {"repoURL": "https://example.com/a.git", "chart": "nginx", "plugin": {"name": "x"}},
                {"repoURL": "ext::sh -c id", "path": "../x", "directory": {"jsonnet": {}, "include": "{a"}}],
            "destination": {"server": "https://u:s3cret@1.2.3.4", "name": "other"},
            "syncPolicy": {"retry": {"backoff": {"duration": "soon"}}}}))
        .unwrap_err();
        let starts = [
            "spec.destination.server",
            "spec.destination.name",
            "spec.sources[0].plugin",
            "spec.sources[0].chart",
            "spec.sources[1].directory.jsonnet",
            "spec.sources[1].repoURL",
            "spec.sources[1].path",
            "spec.sources[1].directory.include",
            "spec.syncPolicy.retry.backoff.duration",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (fault, start) in found.iter().zip(starts) {
            assert!(fault.starts_with(start) && !fault.contains("s3cret"), "{fault} does not begin with {start}");
        }
    }

    #[test]
    fn disabled_automation_is_none_and_absent_enabled_is_true() {
        let automated = |policy: Value| {
            let spec = json!({"source": {"repoURL": "/x"}, "syncPolicy": {"automated": policy}});
            read(spec).unwrap().automated.is_some()
        };
        assert!(automated(json!({})) && automated(json!({"enabled": true})));
        assert!(!automated(json!({"enabled": false})) && !automated(Value::Null));
    }

    #[test]
    fn files_are_chosen_as_argo_cd_chooses_them() {
        let chosen = |include: &str, exclude: &str, path: &str| {
            let directory =
                Directory { include: include.to_owned(), exclude: exclude.to_owned(), ..Directory::default() };
            Selection::of(Some(&directory)).unwrap().takes(path)
        };
        for (include, exclude, path, want) in [
            ("", "", "a.yaml", true),
            ("*.yaml", "", "sub/a.yaml", true),
            ("*.yml", "", "a.yaml", false),
            ("{a.yaml,b.yaml}", "", "b.yaml", true),
            ("", "config.*", "config.yaml", false),
            ("*.yaml", "env-usw2/*", "env-usw2/a.yaml", false),
            ("*.yaml", "env-usw2/*", "env-use2/a.yaml", true),
        ] {
            assert_eq!(chosen(include, exclude, path), want, "{include} {exclude} {path}");
        }
    }
}
