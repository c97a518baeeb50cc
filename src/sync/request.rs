//! The body of a plan request: documents that the client rendered (a work tree, a commit that the server need not
//! have), or the name of a revision that the server renders.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::render::Rendered;
use crate::diff::plan::SourceError;

/// `POST /apis/argoproj.io/v1alpha1/namespaces/windlass-system/applications/NAME/plan`, in any namespace
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanRequest {
    /// With documents: what to call them (`work tree`). Without: `REV`, or `A..B` for B as if A were deployed; the
    /// tip of the followed branch when empty.
    pub revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<Vec<PostedDocument>>,
    /// Plan as if these were deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Vec<PostedDocument>>,
    /// Which of the Application's sources the documents are of, by position; the others are read at their tips. All of
    /// them when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<usize>>,
    /// What was wrong when the documents were rendered.
    pub errors: Vec<SourceError>,
    pub warnings: Vec<String>,
}

/// A rendered object and its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostedDocument {
    pub object: Value,
    pub file: String,
    pub line: u32,
}

impl PlanRequest {
    /// Asks what deploying `rendered`, which those of the Application's sources declare, would change; `base` is taken as
    /// deployed when given.
    pub fn of(revision: &str, sources: &[usize], rendered: &Rendered, base: Option<&Rendered>) -> Self {
        Self {
            revision: revision.to_owned(),
            documents: Some(post(rendered)),
            base: base.map(post),
            sources: Some(sources.to_vec()),
            errors: rendered.errors.clone(),
            warnings: rendered.warnings.clone(),
        }
    }
}

fn post(rendered: &Rendered) -> Vec<PostedDocument> {
    let posted = |(object, file, line): (Value, &str, u32)| PostedDocument { object, file: file.to_owned(), line };
    rendered.objects().map(posted).collect()
}

/// Reads posted documents as files are read.
pub fn receive(posted: Vec<PostedDocument>, errors: Vec<SourceError>, namespace: &str) -> Rendered {
    let objects = posted.into_iter().map(|PostedDocument { object, file, line }| (object, file, line));
    Rendered::of_objects(objects, errors, namespace)
}
