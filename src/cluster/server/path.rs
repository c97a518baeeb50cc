//! Reads a request line: which resource, which object, which verb. Pure.
//! (Kubernetes API conventions, "Verbs on Resources"; paths as in `/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME/SUB`.)

use http::{Method, Uri};

use crate::cluster::rbac::Ask;

/// What a request is about, as authorisation and metrics see it. Texts are empty where the request has no such part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the method in lower
    /// case for a path that names no resource.
    pub verb: &'static str,
    pub group: String,
    pub version: String,
    /// The plural; empty when the path names no resource.
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// The field selector of a list, decoded.
    pub field_selector: String,
    /// The label selector of a list, decoded.
    pub label_selector: String,
    pub path: String,
}

impl Attributes {
    /// What is to be said of the resource itself, whatever is done with it.
    pub fn warnings(&self) -> Vec<String> {
        match (self.group.as_str(), self.resource.as_str()) {
            ("", "endpoints") => {
                vec!["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    pub fn of(method: &Method, uri: &Uri) -> Self {
        let path = uri.path();
        let mut attributes = Self { path: path.to_owned(), ..Self::default() };
        attributes.read(path);
        let collection = attributes.name.is_empty();
        attributes.verb = match *method {
            _ if attributes.resource.is_empty() => plain_verb(method),
            Method::GET | Method::HEAD if collection && asks_to_watch(uri) => "watch",
            Method::GET | Method::HEAD if collection => "list",
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if collection => "deletecollection",
            Method::DELETE => "delete",
            _ => plain_verb(method),
        };
        if collection {
            attributes.field_selector = parameter(uri, "fieldSelector");
            attributes.label_selector = parameter(uri, "labelSelector");
        }
        attributes
    }

    /// What is asked for, as roles see it. A list of the one object of a name asks for that object.
    pub fn ask(&self) -> Ask<'_> {
        let chosen = || self.field_selector.split(',').find_map(|term| term.strip_prefix("metadata.name="));
        Ask {
            verb: self.verb,
            group: &self.group,
            resource: &self.resource,
            subresource: &self.subresource,
            name: if self.name.is_empty() { chosen().unwrap_or_default() } else { &self.name },
            path: &self.path,
        }
    }

    fn read(&mut self, path: &str) {
        let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let rest = match segments.as_slice() {
            ["api", version, rest @ ..] => {
                self.version = (*version).to_owned();
                rest
            }
            ["apis", group, version, rest @ ..] => {
                self.group = (*group).to_owned();
                self.version = (*version).to_owned();
                rest
            }
            _ => return,
        };
        let (namespace, parts) = match rest {
            // A namespace is an object of its own and has subresources, which are not resources inside it.
            ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => ("", rest),
            ["namespaces", namespace, parts @ ..] => (*namespace, parts),
            parts => ("", parts),
        };
        let at = |i: usize| parts.get(i).map(|s| (*s).to_owned()).unwrap_or_default();
        self.namespace = namespace.to_owned();
        self.resource = at(0);
        self.name = at(1);
        // What follows a proxy is for whoever is behind it.
        let subresource = parts.get(2..).unwrap_or_default();
        self.subresource = if at(2) == "proxy" { at(2) } else { subresource.join("/") };
    }
}

fn plain_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

fn asks_to_watch(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split('&').any(|pair| matches!(pair, "watch" | "watch=true" | "watch=1" | "watch=True" | "watch=t"))
}

/// The value of a parameter in the query.
fn parameter(uri: &Uri, name: &str) -> String {
    let mut pairs = uri.query().unwrap_or_default().split('&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(decode).unwrap_or_default()
}

/// Undoes percent encoding; what is not valid UTF-8 afterwards is replaced and so names nothing that exists.
fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = segment.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_read_as_kubernetes_reads_them() {
        // method and URI -> verb group/version resource/subresource namespace name
        let cases = [
            ("GET", "/api/v1/namespaces/d/pods", "list /v1 pods/ d "),
            ("GET", "/api/v1/namespaces/d/pods?watch=true", "watch /v1 pods/ d "),
            ("GET", "/api/v1/pods", "list /v1 pods/  "),
            ("GET", "/api/v1/namespaces", "list /v1 namespaces/  "),
            ("GET", "/api/v1/namespaces/d", "get /v1 namespaces/  d"),
            ("PUT", "/api/v1/namespaces/d/finalize", "update /v1 namespaces/finalize  d"),
            ("POST", "/api/v1/namespaces/d/pods/p/eviction", "create /v1 pods/eviction d p"),
            ("DELETE", "/apis/apps/v1/namespaces/d/deployments", "deletecollection apps/v1 deployments/ d "),
            ("PATCH", "/apis/apps/v1/namespaces/d/deployments/w/scale", "patch apps/v1 deployments/scale d w"),
            ("GET", "/api/v1/nodes/n%2E1", "get /v1 nodes/  n.1"),
            ("GET", "/apis/apps/v1", "get apps/v1 /  "),
            ("GET", "/api/v1/namespaces/d/services/web:80/proxy/a/b", "get /v1 services/proxy d web:80"),
            ("GET", "/version", "get / /  "),
        ];
        for (method, uri, want) in cases {
            let a = Attributes::of(&Method::from_bytes(method.as_bytes()).unwrap(), &uri.parse().unwrap());
            let got = format!(
                "{} {}/{} {}/{} {} {}",
                a.verb, a.group, a.version, a.resource, a.subresource, a.namespace, a.name
            );
            assert_eq!(got, want, "{method} {uri}");
        }
    }
}
