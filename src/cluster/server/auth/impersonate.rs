//! Acting as somebody else (`kubectl --as`), for those whose roles let them. Pure.
//! (Kubernetes reference, "User impersonation".)

use http::HeaderMap;

use super::authorize::authorize;
use super::identity::{AUTHENTICATED, Identity};
use super::tokens::service_account;
use crate::cluster::server::path::Attributes;
use crate::cluster::store::Snapshot;
use crate::object::{ApiError, Reason};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const API: &str = "authentication.k8s.io";

/// Whom a request acts as; `None` when it acts as its caller.
///
/// # Errors
/// `Forbidden` when the caller may not act as them.
pub fn impersonate(snapshot: &Snapshot, caller: &Identity, headers: &HeaderMap) -> Result<Option<Identity>, ApiError> {
    let texts = |name: &str| -> Vec<String> {
        headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok().map(str::to_owned)).collect()
    };
    let (users, groups, uids) = (texts(USER), texts(GROUP), texts(UID));
    let extra: Vec<(String, Vec<String>)> = headers
        .keys()
        .filter_map(|name| Some((name.as_str().strip_prefix(EXTRA)?.to_owned(), texts(name.as_str()))))
        .collect();
    let Some(user) = users.into_iter().next().filter(|user| !user.is_empty()) else {
        if groups.is_empty() && uids.is_empty() && extra.is_empty() {
            return Ok(None);
        }
        return Err(ApiError::new(Reason::BadRequest, "requested groups, a uid or extra without impersonating a user"));
    };
    let account = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let check = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
        let request = Attributes {
            verb: "impersonate",
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        authorize(snapshot, caller, &request)
    };
    match account {
        Some((namespace, name)) => check("", "serviceaccounts", "", namespace, name)?,
        None => check("", "users", "", "", &user)?,
    }
    for group in &groups {
        check("", "groups", "", "", group)?;
    }
    for uid in &uids {
        check(API, "uids", "", "", uid)?;
    }
    for (key, value) in extra.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value))) {
        check(API, "userextras", key, "", value)?;
    }
    let mut identity = match account {
        Some((namespace, name)) if groups.is_empty() => service_account(namespace, name),
        _ => Identity { user, groups, ..Identity::default() },
    };
    if identity.user == "system:anonymous" {
        identity.groups = Identity::anonymous().groups;
    } else if !identity.is_in(AUTHENTICATED) {
        identity.groups.push(AUTHENTICATED.to_owned());
    }
    identity.uid = uids.into_iter().next().unwrap_or_default();
    identity.extra = extra.into_iter().collect();
    Ok(Some(identity))
}
