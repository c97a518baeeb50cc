//! The query parameters of the API, read once into typed options. Unknown parameters are ignored, as in Kubernetes.

use std::time::Duration;

use axum::extract::Query;
use http::{HeaderMap, Uri, header::USER_AGENT};

use crate::cluster::registry::validation::format;
use crate::object::selector::{BadSelector, FieldSelector, Operator, Selector};
use crate::object::{ApiError, Cause, Reason, Revision};

use super::options::{LONGEST_MANAGER, What, Wrong, invalid};

/// All parameters of a request, in order.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// # Errors
    /// When the query is not form-encoded text.
    pub fn of(uri: &Uri) -> Result<Self, ApiError> {
        let Query(pairs) = Query::try_from_uri(uri).map_err(|e| ApiError::bad_request(e.to_string()))?;
        Ok(Self(pairs))
    }

    /// The first value of a parameter; empty values read as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// Whether the parameter is given at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(k, _)| k == name)
    }

    /// All values of a parameter, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// A parameter without a value counts as true, as in Kubernetes.
    pub fn flag(&self, name: &str) -> bool {
        self.0
            .iter()
            .find(|(k, _)| k == name)
            .is_some_and(|(_, v)| !matches!(v.as_str(), "false" | "0" | "False" | "f"))
    }

    /// # Errors
    /// When the value is not an integer.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |v: &str| {
            v.parse().map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {v:?}: invalid syntax")))
        };
        self.text(name).map(parse).transpose()
    }
}

/// Parameters of list and watch.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    pub watch: bool,
    pub labels: Selector,
    pub fields: FieldSelector,
    /// `None`: the latest state; `Some(0)`: any state.
    pub revision: Option<Revision>,
    pub exact: bool,
    pub limit: Option<usize>,
    pub continue_token: Option<String>,
    pub timeout: Option<Duration>,
    pub bookmarks: bool,
    pub send_initial_events: bool,
    pub include_object: IncludeObject,
}

/// What a row of a Table carries of its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// # Errors
    /// When the parameter has a value that means nothing.
    pub fn of(parameters: &Parameters) -> Result<Self, ApiError> {
        match parameters.text("includeObject") {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("Object") => Ok(Self::Object),
            Some("None") => Ok(Self::None),
            Some(other) => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

impl ListQuery {
    /// # Errors
    /// The refusal for the client.
    pub fn of(parameters: &Parameters) -> Result<Self, ApiError> {
        let labels = parameters.text("labelSelector").unwrap_or_default();
        let fields = parameters.text("fieldSelector").unwrap_or_default();
        let seconds = parameters.integer("timeoutSeconds")?.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
        let watch = parameters.flag("watch");
        let asked_revision = |text: &str| {
            // A watch is refused by a layer that has no word for the reason.
            let listed = |error: ApiError| ApiError::bad_request(format!("invalid resource version: {error}"));
            revision(text).map_err(|error| if watch { error } else { listed(error) })
        };
        let unreadable = |bad: BadSelector| ApiError::bad_request(bad.to_string());
        let query = Self {
            watch,
            labels: label_selector(labels)?,
            fields: fields.parse().map_err(unreadable)?,
            revision: parameters.text("resourceVersion").map(asked_revision).transpose()?,
            exact: parameters.text("resourceVersionMatch") == Some("Exact"),
            limit: parameters.integer("limit")?.and_then(|l| usize::try_from(l).ok()).filter(|l| *l > 0),
            continue_token: parameters.text("continue").map(str::to_owned),
            timeout: seconds.map(Duration::from_secs),
            bookmarks: parameters.flag("allowWatchBookmarks"),
            send_initial_events: parameters.flag("sendInitialEvents"),
            include_object: IncludeObject::of(parameters)?,
        };
        query.check(parameters)?;
        Ok(query)
    }

    fn check(&self, parameters: &Parameters) -> Result<(), ApiError> {
        let matching = parameters.text("resourceVersionMatch");
        let wrong_match = |what| Wrong { field: "resourceVersionMatch", what };
        let forbidden = |why| wrong_match(What::Forbidden(why));
        let unsupported = |given: &str, supported| wrong_match(What::Unsupported(format!("{given:?}"), supported));
        let says_initial_events = parameters.has("sendInitialEvents");
        let mut wrong = Vec::new();
        if let Some(given) = matching {
            if self.watch && !says_initial_events {
                wrong.push(forbidden(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            } else if !self.watch && self.revision.is_none() {
                wrong.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
            }
            if self.continue_token.is_some() {
                wrong.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
            }
            match given {
                "NotOlderThan" => {}
                "Exact" if !self.watch && self.revision == Some(Revision(0)) => {
                    wrong.push(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
                }
                "Exact" if !self.watch => {}
                other if self.watch => wrong.push(unsupported(other, "\"NotOlderThan\"")),
                other => wrong.push(unsupported(other, "\"Exact\", \"NotOlderThan\", \"\"")),
            }
        }
        if says_initial_events && !self.watch {
            let what = What::Forbidden("sendInitialEvents is forbidden for list");
            wrong.push(Wrong { field: "sendInitialEvents", what });
        } else if says_initial_events && matching != Some("NotOlderThan") {
            wrong.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(invalid("ListOptions", &wrong)) }
    }
}

/// A label selector whose keys and values are such as labels can have: any other is a mistake that would select
/// nothing, or everything.
fn label_selector(text: &str) -> Result<Selector, ApiError> {
    let selector: Selector = text.parse().map_err(|bad: BadSelector| ApiError::bad_request(bad.to_string()))?;
    for requirement in selector.requirements() {
        let key = &requirement.key;
        let values: Vec<&String> = match &requirement.operator {
            Operator::In(values) | Operator::NotIn(values) => values.iter().collect(),
            _ => Vec::new(),
        };
        let of_key = format::qualified_name(key).into_iter().map(|why| ("<nil>".to_owned(), key, why));
        let of_values = values.into_iter().enumerate().flat_map(|(i, value)| {
            format::label_value(value).into_iter().map(move |why| (format!("values[{i}][{key}]"), value, why))
        });
        if let Some((place, text, why)) = of_key.chain(of_values).next() {
            let message = format!("unable to parse requirement: {place}: Invalid value: \"{text}\": {why}");
            return Err(ApiError::bad_request(message));
        }
    }
    Ok(selector)
}

/// # Errors
/// When `text` is not a decimal number.
pub fn revision(text: &str) -> Result<Revision, ApiError> {
    let message =
        format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
    text.parse().map_err(|_| ApiError::new(Reason::Unknown, message))
}

/// A state was asked for that the store has yet to reach.
pub fn too_large(asked: Revision, current: Revision) -> ApiError {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let what = "Too large resource version".to_owned();
    let cause = Cause { reason: "ResourceVersionTooLarge".into(), message: what, field: String::new() };
    ApiError { causes: vec![cause], retry_after_seconds: Some(1), ..ApiError::new(Reason::Timeout, message) }
}

/// The client program and its field manager: `fieldManager`, else the User-Agent up to its first `/`, as much of it as
/// a manager's name can have.
pub fn client_and_manager(parameters: &Parameters, headers: &HeaderMap) -> (String, String) {
    let client = headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("unknown");
    let program: String = client.split('/').next().unwrap_or_default().chars().take(LONGEST_MANAGER).collect();
    let manager = parameters.text("fieldManager").map_or(program, str::to_owned);
    (client.to_owned(), manager)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn list_parameters_are_decoded() {
        let query = "labelSelector=app%3Dweb&fieldSelector=metadata.name%3Da&limit=500&resourceVersion=7&watch=1&timeoutSeconds=3";
        let list = ListQuery::of(&parameters(query)).unwrap();
        assert!(list.watch);
        assert_eq!(list.limit, Some(500));
        assert_eq!(list.revision, Some(Revision(7)));
        assert_eq!(list.fields.exact("metadata.name"), Some("a"));
        assert_eq!(list.timeout, Some(Duration::from_secs(3)));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for query in ["watch=1&sendInitialEvents=true", "resourceVersionMatch=Exact", "resourceVersion=abc", "limit=x"]
        {
            assert!(ListQuery::of(&parameters(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn the_field_manager_falls_back_to_the_program() {
        let headers = HeaderMap::from_iter([(USER_AGENT, "kubectl/v1.33.1 (linux/amd64)".parse().unwrap())]);
        assert_eq!(client_and_manager(&parameters(""), &headers).1, "kubectl");
        assert_eq!(client_and_manager(&parameters("fieldManager=me"), &headers).1, "me");
    }
}
