//! Which container of a pod a request means. Pure. (Kubernetes, pod strategy: the words are its own.)

use serde_json::Value;

use crate::object::{ApiError, Object};

const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    pod["spec"][list].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect()
}

/// The container that is named, or the only one.
///
/// # Errors
/// `BadRequest` that says which there are.
pub fn container(pod: &Object, value: &Value, asked: Option<&str>) -> Result<String, ApiError> {
    let name = &pod.key.name;
    match (asked, names(value, "containers").as_slice()) {
        (Some(asked), _) if LISTS.iter().any(|list| names(value, list).contains(&asked)) => Ok(asked.to_owned()),
        (Some(asked), _) => Err(ApiError::bad_request(format!("container {asked} is not valid for pod {name}"))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, several) => {
            let several = several.join(" ");
            let mut message = format!("a container name must be specified for pod {name}, choose one of: [{several}]");
            for (list, kind) in [("initContainers", "init"), ("ephemeralContainers", "ephemeral")] {
                let others = names(value, list);
                if !others.is_empty() {
                    message += &format!(" or one of the {kind} containers: [{}]", others.join(" "));
                }
            }
            Err(ApiError::bad_request(message))
        }
    }
}

/// The node whose agent has the pod.
///
/// # Errors
/// `BadRequest` for a pod that waits for a node.
pub fn node(pod: &Object) -> Result<String, ApiError> {
    let unplaced = || ApiError::bad_request(format!("pod {} does not have a host assigned", pod.key.name));
    pod.meta.node.as_deref().map(str::to_owned).ok_or_else(unplaced)
}
