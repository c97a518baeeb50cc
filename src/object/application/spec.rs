//! What an Application asks for.

use std::collections::BTreeMap;

use super::Opaque;

wire! {
    struct ApplicationSpec {
        /// Kept and shown; there are no projects.
        project: String,
        /// Where the manifests are.
        source: Source,
        /// In place of `source`: what each of them declares, together.
        sources: Vec<Source>,
        /// Where the objects go: this cluster, and the namespace of those that name none.
        destination: Destination,
        /// Whether and how it is synced without being asked.
        sync_policy: SyncPolicy,
        /// Fields that others may write: they are neither drift nor put back.
        ignore_differences: Vec<IgnoreDifferences>,
        /// Notes and links for people.
        info: Vec<Info>,
        /// How many releases the history keeps; 10 when absent.
        revision_history_limit: Option<i32>,
    }

    struct Source {
        /// URL or local path of the repository.
        #[serde(rename = "repoURL")]
        repo_url: String,
        /// Folder inside the repository; empty for all of it.
        path: String,
        /// Branch, tag, tag pattern or commit; empty for the repository's HEAD.
        target_revision: String,
        /// How a folder of plain manifests is read.
        directory: Option<Directory>,
        /// Options of Kustomize, for a folder with a `kustomization.yaml`.
        kustomize: Option<Kustomize>,
        /// Options of Helm, for a folder with a `Chart.yaml`.
        helm: Option<Helm>,
        /// A chart of a Helm repository.
        chart: String,
        /// A name by which the value files of other sources can refer to this one.
        #[serde(rename = "ref")]
        reference: String,
        /// What the source is called where there are several.
        name: String,
        /// Not supported: an Application with one is refused.
        plugin: Option<Opaque>,
    }

    struct Directory {
        /// Whether folders inside the folder are read too.
        recurse: bool,
        /// Glob of the files that are read; all when empty. Files are then read as they are, whatever tool the folder asks for.
        include: String,
        /// Glob of files that are not read.
        exclude: String,
        /// Not supported: an Application with one is refused.
        jsonnet: Option<Opaque>,
    }

    struct Kustomize {
        /// Put before the names of all objects.
        name_prefix: String,
        /// Put after the names of all objects.
        name_suffix: String,
        /// `[OLD=]NEW[:TAG|@DIGEST]`
        images: Vec<String>,
        /// Added to the labels of all objects, and to selectors.
        common_labels: BTreeMap<String, String>,
        /// Added to the annotations of all objects.
        common_annotations: BTreeMap<String, String>,
        common_annotations_envsubst: bool,
        force_common_labels: bool,
        force_common_annotations: bool,
        label_without_selector: bool,
        label_include_templates: bool,
        /// Namespace of all objects.
        namespace: String,
        /// Replicas of workloads by name.
        replicas: Vec<KustomizeReplica>,
        /// Patches of the objects.
        patches: Vec<KustomizePatch>,
        /// Folders of components to take in.
        components: Vec<String>,
        ignore_missing_components: bool,
        version: String,
        kube_version: String,
        api_versions: Vec<String>,
    }

    struct KustomizeReplica {
        name: String,
        count: Opaque,
    }

    struct KustomizePatch {
        path: String,
        patch: String,
        target: Option<KustomizeTarget>,
        options: BTreeMap<String, bool>,
    }

    struct KustomizeTarget {
        group: String,
        version: String,
        kind: String,
        name: String,
        namespace: String,
        label_selector: String,
        annotation_selector: String,
    }

    struct Helm {
        /// Name of the release; the Application's when empty.
        release_name: String,
        /// Files of values, from the folder, or with `/` from the root of the repository.
        value_files: Vec<String>,
        ignore_missing_value_files: bool,
        /// Values as YAML text; they beat those of the files.
        values: String,
        /// Values as an object; they beat `values`.
        values_object: Option<Opaque>,
        /// Single values, as `--set` takes them; they beat all others.
        parameters: Vec<HelmParameter>,
        /// Single values that are the contents of files.
        file_parameters: Vec<HelmFileParameter>,
        pass_credentials: bool,
        /// Whether the chart's CustomResourceDefinitions are left out.
        skip_crds: bool,
        /// Whether the chart's tests are left out.
        skip_tests: bool,
        skip_schema_validation: bool,
        version: String,
        /// Namespace that the chart is rendered for; the destination's when empty.
        namespace: String,
        kube_version: String,
        api_versions: Vec<String>,
    }

    struct HelmParameter {
        name: String,
        value: String,
        force_string: bool,
    }

    struct HelmFileParameter {
        name: String,
        path: String,
    }

    struct Destination {
        /// `https://kubernetes.default.svc` or empty: this cluster.
        server: String,
        /// `in-cluster` or empty: this cluster.
        name: String,
        /// Namespace of objects that name none.
        namespace: String,
    }

    struct SyncPolicy {
        /// Sync every commit without being asked; when absent, commits are compared only.
        automated: Option<Automated>,
        /// `NAME=true`, for example `CreateNamespace=true` or `PruneLast=true`.
        sync_options: Vec<String>,
        /// How a sync is tried again that the cluster refused.
        retry: Option<Retry>,
        /// Labels and annotations of the namespace, with `CreateNamespace=true`.
        managed_namespace_metadata: Option<NamespaceMetadata>,
    }

    struct Automated {
        /// Absent means true.
        enabled: Option<bool>,
        /// Whether objects are deleted that git no longer has.
        prune: bool,
        /// Whether what others change is put back.
        self_heal: bool,
        /// Whether a commit may delete everything.
        allow_empty: bool,
    }

    struct Retry {
        /// Tries after the first; below 0 without end.
        limit: Option<i64>,
        /// The waits between tries.
        backoff: Option<Backoff>,
        refresh: bool,
    }

    struct Backoff {
        /// `5s`, `2m`; a bare number is of seconds.
        duration: String,
        /// What each wait is multiplied by to make the next.
        factor: Option<i64>,
        /// The longest wait, written like `duration`.
        max_duration: String,
    }

    struct NamespaceMetadata {
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
    }

    struct IgnoreDifferences {
        /// `*` for any.
        group: String,
        /// Kind of the objects that are meant.
        kind: String,
        /// Name of the object; all of the kind when empty.
        name: String,
        /// Namespace of the objects; all when empty.
        namespace: String,
        /// Fields as JSON pointers (RFC 6901): `/spec/replicas`.
        json_pointers: Vec<String>,
        /// Fields as jq paths: `.spec.template.spec.containers[].image`.
        jq_path_expressions: Vec<String>,
        /// Managers whose fields are meant, as `metadata.managedFields` names them.
        managed_fields_managers: Vec<String>,
    }

    struct Info {
        name: String,
        value: String,
    }
}

impl ApplicationSpec {
    /// `sources` where there are any, else the one `source`.
    pub fn all_sources(&self) -> &[Source] {
        if self.sources.is_empty() { std::slice::from_ref(&self.source) } else { &self.sources }
    }
}

impl SyncPolicy {
    /// How the Application is synced without being asked; `None` when it is not.
    pub fn automation(&self) -> Option<&Automated> {
        self.automated.as_ref().filter(|automated| automated.enabled != Some(false))
    }
}
