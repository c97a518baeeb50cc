//! What an Application asks for.

use std::collections::BTreeMap;

use super::Opaque;

wire! {
    struct ApplicationSpec {
        project: String,
        source: Source,
        /// In place of `source`: what each of them declares, together.
        sources: Vec<Source>,
        destination: Destination,
        sync_policy: SyncPolicy,
        ignore_differences: Vec<IgnoreDifferences>,
        info: Vec<Info>,
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
        directory: Option<Directory>,
        kustomize: Option<Kustomize>,
        helm: Option<Helm>,
        /// A chart of a Helm repository.
        chart: String,
        /// A name by which the value files of other sources can refer to this one.
        #[serde(rename = "ref")]
        reference: String,
        name: String,
        plugin: Option<Opaque>,
    }

    struct Directory {
        recurse: bool,
        include: String,
        exclude: String,
        jsonnet: Option<Opaque>,
    }

    struct Kustomize {
        name_prefix: String,
        name_suffix: String,
        /// `[OLD=]NEW[:TAG|@DIGEST]`
        images: Vec<String>,
        common_labels: BTreeMap<String, String>,
        common_annotations: BTreeMap<String, String>,
        common_annotations_envsubst: bool,
        force_common_labels: bool,
        force_common_annotations: bool,
        label_without_selector: bool,
        label_include_templates: bool,
        namespace: String,
        replicas: Vec<KustomizeReplica>,
        patches: Vec<KustomizePatch>,
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
        release_name: String,
        value_files: Vec<String>,
        ignore_missing_value_files: bool,
        values: String,
        values_object: Option<Opaque>,
        parameters: Vec<HelmParameter>,
        file_parameters: Vec<HelmFileParameter>,
        pass_credentials: bool,
        skip_crds: bool,
        skip_tests: bool,
        skip_schema_validation: bool,
        version: String,
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
        server: String,
        name: String,
        /// Namespace of objects that name none.
        namespace: String,
    }

    struct SyncPolicy {
        automated: Option<Automated>,
        sync_options: Vec<String>,
        retry: Option<Retry>,
        managed_namespace_metadata: Option<NamespaceMetadata>,
    }

    struct Automated {
        /// Absent means true.
        enabled: Option<bool>,
        prune: bool,
        self_heal: bool,
        allow_empty: bool,
    }

    struct Retry {
        /// Tries after the first; below 0 without end.
        limit: Option<i64>,
        backoff: Option<Backoff>,
        refresh: bool,
    }

    struct Backoff {
        /// `5s`, `2m`; a bare number is of seconds.
        duration: String,
        factor: Option<i64>,
        max_duration: String,
    }

    struct NamespaceMetadata {
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
    }

    struct IgnoreDifferences {
        /// `*` for any.
        group: String,
        kind: String,
        name: String,
        namespace: String,
        json_pointers: Vec<String>,
        jq_path_expressions: Vec<String>,
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
