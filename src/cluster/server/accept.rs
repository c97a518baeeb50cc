//! Chooses the form of an answer out of the `Accept` header: plain JSON, a Table, metadata only.
//! (Kubernetes API reference, "Alternate representations of resources"; RFC 9110 for the list's grammar.)

use http::HeaderMap;
use http::header::ACCEPT;

use crate::object::{ApiError, Reason};

/// How objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// Rows for people; the version of `meta.k8s.io` is `v1` or `v1beta1`.
    Table(&'static str),
    /// `PartialObjectMetadata`, or its List for a collection.
    Metadata(&'static str),
}

/// How discovery is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscoveryForm {
    Legacy,
    Aggregated(&'static str),
}

/// One entry of an Accept header, without its weight.
struct MediaRange<'a> {
    essence: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|p| p.split_once('=')).map(|(k, v)| (k.trim(), v.trim())).collect();
        Self { essence, parameters }
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(k, _)| *k == name).map_or("", |(_, v)| v)
    }

    fn is_yaml(&self) -> bool {
        self.essence == "application/yaml"
    }

    fn takes_json(&self) -> bool {
        matches!(self.essence, "application/json" | "application/*" | "*/*" | "")
    }
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = MediaRange<'_>> {
    let values = headers.get_all(ACCEPT).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(|range| MediaRange::parse(range.trim()))
}

fn not_acceptable() -> ApiError {
    let offered = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    ApiError::new(Reason::NotAcceptable, format!("only the following media types are accepted: {offered}"))
}

/// No encoding will do, whatever the form.
fn no_representation() -> ApiError {
    let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                   application/vnd.kubernetes.protobuf, application/json;stream=watch, \
                   application/vnd.kubernetes.protobuf;stream=watch";
    ApiError { about: Some(Box::default()), ..ApiError::new(Reason::NotAcceptable, message) }
}

/// The first entry that can be served decides; no header at all means JSON.
///
/// # Errors
/// `NotAcceptable`.
pub fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    if !headers.contains_key(ACCEPT) {
        return Ok(Form::Plain);
    }
    let is_served = |range: &MediaRange<'_>| range.takes_json() || range.is_yaml();
    if !ranges(headers).any(|range| is_served(&range)) {
        return Err(no_representation());
    }
    ranges(headers).filter(is_served).find_map(|r| form_of(&r)).ok_or_else(not_acceptable)
}

/// Events cannot be written as YAML.
///
/// # Errors
/// `NotAcceptable`.
pub fn watch_form(headers: &HeaderMap) -> Result<Form, ApiError> {
    if wants_yaml(headers) {
        return Err(no_representation());
    }
    form(headers)
}

/// Whether the first encoding that can be served is YAML; answers are written as JSON first in any case.
pub fn wants_yaml(headers: &HeaderMap) -> bool {
    ranges(headers).find(|range| range.takes_json() || range.is_yaml()).is_some_and(|range| range.is_yaml())
}

fn form_of(range: &MediaRange<'_>) -> Option<Form> {
    let version = match (range.parameter("g"), range.parameter("v")) {
        ("meta.k8s.io", "v1") => Some("v1"),
        ("meta.k8s.io", "v1beta1") => Some("v1beta1"),
        _ => None,
    };
    match range.parameter("as") {
        "" => Some(Form::Plain),
        "Table" => version.map(Form::Table),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => version.map(Form::Metadata),
        _ => None,
    }
}

/// # Errors
/// `NotAcceptable`.
pub fn discovery_form(headers: &HeaderMap) -> Result<DiscoveryForm, ApiError> {
    if !headers.contains_key(ACCEPT) {
        return Ok(DiscoveryForm::Legacy);
    }
    let choose = |range: MediaRange<'_>| match (range.parameter("as"), range.parameter("g"), range.parameter("v")) {
        ("", ..) => Some(DiscoveryForm::Legacy),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Some(DiscoveryForm::Aggregated("v2")),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") => Some(DiscoveryForm::Aggregated("v2beta1")),
        _ => None,
    };
    ranges(headers).filter(MediaRange::takes_json).find_map(choose).ok_or_else(not_acceptable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, value.parse().unwrap())])
    }

    #[test]
    fn the_first_form_that_can_be_served_is_chosen() {
        let cases = [
            ("application/json", Some(Form::Plain)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Form::Table("v1"))),
            ("application/json;as=Table;g=meta.k8s.io;v=v1beta1", Some(Form::Table("v1beta1"))),
            ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", Some(Form::Plain)),
            ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Some(Form::Metadata("v1"))),
            ("application/vnd.kubernetes.protobuf, */*", Some(Form::Plain)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Form::Plain)),
            ("*/*", Some(Form::Plain)),
            ("application/yaml", Some(Form::Plain)),
            ("text/html", None),
        ];
        for (header, want) in cases {
            assert_eq!(form(&accept(header)).ok(), want, "{header}");
        }
        assert_eq!(form(&HeaderMap::new()), Ok(Form::Plain));
    }

    #[test]
    fn kubectl_of_every_version_gets_its_form_of_discovery() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        let cases = [
            (format!("{v2},{beta},application/json"), DiscoveryForm::Aggregated("v2")),
            (format!("{beta},application/json"), DiscoveryForm::Aggregated("v2beta1")),
            ("application/json".into(), DiscoveryForm::Legacy),
        ];
        for (header, want) in cases {
            assert_eq!(discovery_form(&accept(&header)), Ok(want), "{header}");
        }
    }
}
