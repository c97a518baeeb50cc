//! Tells clients which kinds are served, in the aggregated forms and in the older documents; all of it is
//! derived from the kinds table.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use http::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::accept::{DiscoveryForm, discovery_form};
use super::answer;
use super::api::Server;
use super::{review, usage};
use crate::object::kinds::{self, Subresource};
use crate::object::{Kind, Kinds, views};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// A group-version, in the order of the kinds table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GroupVersion {
    group: &'static str,
    version: &'static str,
}

/// A resource as both forms of discovery show it.
struct Resource {
    name: &'static str,
    singular: &'static str,
    kind: &'static str,
    namespaced: bool,
    verbs: Vec<&'static str>,
    /// The group-version that its objects are stored in.
    stored: GroupVersion,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    subresources: Vec<Sub>,
}

/// Its group-version-kind is that of the parent unless it says otherwise.
struct Sub {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
}

fn group_versions(kinds: &Kinds) -> Vec<GroupVersion> {
    let of_kinds = kinds.all().map(|k| GroupVersion { group: k.group, version: k.version });
    let of_reviews = review::RESOURCES.iter().map(|r| GroupVersion { group: r.group, version: "v1" });
    let of_usage = GroupVersion { group: usage::GROUP, version: usage::VERSION };
    let mut all = Vec::new();
    for one in of_kinds.chain(of_reviews).chain([of_usage]) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    // Stable: what Kubernetes does not have comes last, in the order of the kinds table.
    all.sort_by_key(|one| ORDER.iter().position(|group| *group == one.group).unwrap_or(ORDER.len()));
    all
}

/// The groups in the order in which Kubernetes lists them: kubectl takes the first group that has a resource's name.
const ORDER: [&str; 16] = [
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

fn resources_of(kinds: &Kinds, of: GroupVersion) -> Vec<Resource> {
    let served = kinds.all().filter(|k| k.group == of.group && k.version == of.version).map(resource);
    let reviews = review::RESOURCES.iter().filter(|r| r.group == of.group).map(|r| Resource {
        name: r.plural,
        singular: r.singular,
        kind: r.kind,
        namespaced: r.namespaced,
        verbs: vec!["create"],
        stored: of,
        short_names: &[],
        categories: &[],
        subresources: Vec::new(),
    });
    let measured = usage::RESOURCES.iter().filter(|_| of.group == usage::GROUP).map(|r| Resource {
        name: r.plural,
        singular: "",
        kind: r.kind,
        namespaced: r.namespaced,
        verbs: vec!["get", "list"],
        stored: of,
        short_names: &[],
        categories: &[],
        subresources: Vec::new(),
    });
    let mut all: Vec<Resource> = served.chain(reviews).chain(measured).collect();
    all.sort_by_key(|resource| resource.name);
    all
}

fn resource(kind: &'static Kind) -> Resource {
    // A namespace's content is deleted with it, one by one, so namespaces are not deleted as a collection.
    let verbs = VERBS.into_iter().filter(|v| kind != kinds::NAMESPACE || *v != "deletecollection").collect();
    let mut subresources: Vec<Sub> = kind.subresources.iter().map(|s| sub(kind, *s)).collect();
    subresources.sort_by_key(|sub| sub.name);
    Resource {
        name: kind.plural,
        singular: kind.singular,
        kind: kind.kind,
        namespaced: kind.namespaced,
        verbs,
        stored: GroupVersion { group: views::stored(kind).group, version: views::stored(kind).version },
        short_names: kind.short_names,
        categories: kind.categories,
        subresources,
    }
}

fn sub(kind: &'static Kind, subresource: Subresource) -> Sub {
    const READ_WRITE: &[&str] = &["get", "patch", "update"];
    const STREAM: &[&str] = &["create", "get"];
    const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];
    let (group, version, named, verbs): (_, _, _, &'static [&'static str]) = match subresource {
        Subresource::Status => (kind.group, kind.version, kind.kind, READ_WRITE),
        Subresource::Scale => ("autoscaling", "v1", "Scale", READ_WRITE),
        Subresource::Binding => ("", "v1", "Binding", &["create"]),
        Subresource::Eviction => ("policy", "v1", "Eviction", &["create"]),
        Subresource::Log => (kind.group, kind.version, kind.kind, &["get"]),
        Subresource::Exec => ("", "v1", "PodExecOptions", STREAM),
        Subresource::Attach => ("", "v1", "PodAttachOptions", STREAM),
        Subresource::PortForward => ("", "v1", "PodPortForwardOptions", STREAM),
        Subresource::Token => ("authentication.k8s.io", "v1", "TokenRequest", &["create"]),
        Subresource::EphemeralContainers => (kind.group, kind.version, kind.kind, READ_WRITE),
        Subresource::Proxy => ("", "v1", proxy_options(kind), PROXY),
        Subresource::Finalize => (kind.group, kind.version, kind.kind, &["update"]),
    };
    Sub { name: subresource.as_str(), group, version, kind: named, verbs }
}

fn proxy_options(kind: &'static Kind) -> &'static str {
    match kind.kind {
        "Node" => "NodeProxyOptions",
        "Service" => "ServiceProxyOptions",
        _ => "PodProxyOptions",
    }
}

/// `/`: where there is something.
pub async fn paths(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let snapshot = server.registry.snapshot();
    let mut paths: Vec<String> = FIXED.iter().map(|path| (*path).to_owned()).collect();
    for GroupVersion { group, version } in group_versions(snapshot.kinds()) {
        match group {
            "" => paths.push(format!("/api/{version}")),
            group => paths.extend([format!("/apis/{group}"), format!("/apis/{group}/{version}")]),
        }
    }
    paths.sort();
    paths.dedup();
    cacheable(&headers, "application/json", &json!({"paths": paths}))
}

/// What is served beside the groups and their versions.
const FIXED: [&str; 11] = [
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
];

/// Client libraries ask with a `/` at the end.
pub fn routes() -> Router<Arc<Server>> {
    let mut router = Router::new();
    for end in ["", "/"] {
        router = router
            .route(&format!("/api{end}"), get(core))
            .route(&format!("/apis{end}"), get(groups))
            .route(&format!("/apis/{{group}}{end}"), get(group))
            .route(&format!("/api/{{version}}{end}"), get(core_resources))
            .route(&format!("/apis/{{group}}/{{version}}{end}"), get(resources));
    }
    router
}

async fn core(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    root(server.registry.snapshot().kinds(), &headers, |gv| gv.group.is_empty(), |_, headers| legacy_core(headers))
}

async fn groups(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    root(server.registry.snapshot().kinds(), &headers, |gv| !gv.group.is_empty(), |kinds, _| legacy_groups(kinds))
}

fn root(
    kinds: &Kinds,
    headers: &HeaderMap,
    part: fn(&GroupVersion) -> bool,
    legacy: fn(&Kinds, &HeaderMap) -> Value,
) -> Response {
    match discovery_form(headers) {
        Err(error) => error.into_response(),
        Ok(DiscoveryForm::Legacy) => cacheable(headers, "application/json", &legacy(kinds, headers)),
        Ok(DiscoveryForm::Aggregated(version)) => {
            let form = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
            cacheable(headers, &form, &aggregated(kinds, version, part))
        }
    }
}

fn aggregated(kinds: &Kinds, version: &str, part: fn(&GroupVersion) -> bool) -> Value {
    let mut items: Vec<Value> = Vec::new();
    for gv in group_versions(kinds).into_iter().filter(part) {
        let resources: Vec<Value> = resources_of(kinds, gv).iter().map(|r| aggregated_resource(gv, r)).collect();
        let one = json!({"version": gv.version, "freshness": "Current", "resources": resources});
        match items.iter_mut().find(|i| i["metadata"]["name"].as_str().unwrap_or_default() == gv.group) {
            Some(item) => item["versions"].as_array_mut().into_iter().for_each(|v| v.push(one.clone())),
            None => {
                let metadata = if gv.group.is_empty() { json!({}) } else { json!({"name": gv.group}) };
                items.push(json!({"metadata": metadata, "versions": [one]}));
            }
        }
    }
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items})
}

fn aggregated_resource(gv: GroupVersion, resource: &Resource) -> Value {
    // A group and version that are the list's own are left out.
    let kind = |group: &str, version: &str, kind: &str| {
        let (group, version) = if (group, version) == (gv.group, gv.version) { ("", "") } else { (group, version) };
        json!({"group": group, "version": version, "kind": kind})
    };
    let mut shown = json!({"resource": resource.name, "responseKind": kind(gv.group, gv.version, resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs});
    let sub =
        |s: &Sub| json!({"subresource": s.name, "responseKind": kind(s.group, s.version, s.kind), "verbs": s.verbs});
    let subresources: Vec<Value> = resource.subresources.iter().map(sub).collect();
    if !subresources.is_empty() {
        shown["subresources"] = json!(subresources);
    }
    with_names(shown, resource)
}

fn with_names(mut shown: Value, resource: &Resource) -> Value {
    if !resource.short_names.is_empty() {
        shown["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        shown["categories"] = json!(resource.categories);
    }
    shown
}

fn legacy_core(headers: &HeaderMap) -> Value {
    let address = headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or("127.0.0.1");
    json!({"kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

fn legacy_groups(kinds: &Kinds) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for gv in group_versions(kinds) {
        if !gv.group.is_empty() && !names.contains(&gv.group) {
            names.push(gv.group);
        }
    }
    let groups: Vec<Value> = names.into_iter().map(|name| legacy_group(kinds, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn legacy_group(kinds: &Kinds, name: &str) -> Value {
    let shown = |gv: GroupVersion| json!({"groupVersion": format!("{name}/{}", gv.version), "version": gv.version});
    let versions: Vec<Value> = group_versions(kinds).into_iter().filter(|gv| gv.group == name).map(shown).collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

async fn group(State(server): State<Arc<Server>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let snapshot = server.registry.snapshot();
    let kinds = snapshot.kinds();
    if !group_versions(kinds).iter().any(|gv| gv.group == name) {
        return answer::text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    let mut group = legacy_group(kinds, &name);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    cacheable(&headers, "application/json", &group)
}

async fn core_resources(
    State(server): State<Arc<Server>>,
    Path(version): Path<String>,
    headers: HeaderMap,
) -> Response {
    legacy_resources(server.registry.snapshot().kinds(), "", &version, &headers)
}

async fn resources(
    State(server): State<Arc<Server>>,
    Path((group, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    legacy_resources(server.registry.snapshot().kinds(), &group, &version, &headers)
}

fn legacy_resources(kinds: &Kinds, group: &str, version: &str, headers: &HeaderMap) -> Response {
    let all = group_versions(kinds);
    let Some(gv) = all.iter().find(|gv| gv.group == group && gv.version == version) else {
        // An unknown group has no handler at all; a known one says that it lacks the version.
        return match group.is_empty() || all.iter().any(|gv| gv.group == group) {
            true => answer::no_such_resource().into_response(),
            false => answer::text(StatusCode::NOT_FOUND, "404 page not found\n"),
        };
    };
    let resources: Vec<Value> = resources_of(kinds, *gv).iter().flat_map(|r| legacy_entries(*gv, r)).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    // The core group's document is older than the rule that everything names its version.
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    cacheable(headers, "application/json", &list)
}

fn legacy_entries(gv: GroupVersion, resource: &Resource) -> Vec<Value> {
    let own = json!({"name": resource.name, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs});
    let sub = |s: &Sub| {
        let mut shown = json!({"name": format!("{}/{}", resource.name, s.name), "singularName": "",
            "namespaced": resource.namespaced, "kind": s.kind, "verbs": s.verbs});
        if (s.group, s.version) != (gv.group, gv.version) {
            shown["group"] = json!(s.group);
            shown["version"] = json!(s.version);
        }
        shown
    };
    let subresources = resource.subresources.iter().map(sub);
    let mut own = with_names(own, resource);
    if resource.verbs.contains(&"watch") {
        own["storageVersionHash"] = json!(storage_version_hash(resource.stored, resource.kind));
    }
    std::iter::once(own).chain(subresources).collect()
}

/// Changes when objects are stored in another version than before: a digest of group, version and kind.
fn storage_version_hash(gv: GroupVersion, kind: &str) -> String {
    // Kubernetes goes on storing definitions as it did at first, and clients compare.
    let version = if kind == kinds::CUSTOM_RESOURCE_DEFINITION.kind { "v1beta1" } else { gv.version };
    let stored = format!("{}/{version}/{kind}", gv.group);
    let digest = ring::digest::digest(&ring::digest::SHA256, stored.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(&digest.as_ref()[..8])
}

/// An answer that a client may keep and ask about by its ETag.
pub fn cacheable(headers: &HeaderMap, content_type: &str, body: &Value) -> Response {
    let body = body.to_string();
    let tag = format!("\"{}\"", digest(body.as_bytes()));
    let known = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|one| one.trim() == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::bytes(StatusCode::OK, body)
    };
    let headers = response.headers_mut();
    for (name, value) in [(CONTENT_TYPE, content_type), (ETAG, tag.as_str()), (VARY, "Accept")] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// A short text that changes with the content.
pub fn digest(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    digest.as_ref().iter().map(|b| format!("{b:02X}")).collect()
}
