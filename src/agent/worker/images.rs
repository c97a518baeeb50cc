//! Makes sure that the image of a container is here, as its pull policy says.

use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use kube::api::Api;
use tokio_util::sync::CancellationToken;

use super::outcome::Problem;
use crate::agent::context::{self, Context};
use crate::agent::events::{Severity, Subject};
use crate::agent::runtime::Login;

/// Fetches the image if it has to be. Dropped half-way when the pod is to end.
///
/// # Errors
/// Why there is no image, as the container's waiting reason.
pub async fn ensure(
    context: &Context,
    pod: &Pod,
    container: &Container,
    cancel: &CancellationToken,
) -> Result<(), Problem> {
    let image = container.image.as_deref().unwrap_or_default();
    let subject = || Subject::container(pod, &container.name);
    let policy = container.image_pull_policy.as_deref().unwrap_or_else(|| default_policy(image));
    let here = context.runtime.image(image).await.map_err(|error| Problem::new("ImageInspectError", error))?;
    let here = here.is_some();
    match (policy, here) {
        ("Never", false) => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            context.events.record(subject(), Severity::Warning, "ErrImageNeverPull", &message);
            context.events.record(subject(), Severity::Warning, "Failed", "Error: ErrImageNeverPull");
            return Err(Problem::new("ErrImageNeverPull", message));
        }
        ("Always", _) | (_, false) => {}
        (_, true) => {
            let message = format!("Container image \"{image}\" already present on machine");
            context.events.record(subject(), Severity::Normal, "Pulled", &message);
            return Ok(());
        }
    }
    context.events.record(subject(), Severity::Normal, "Pulling", &format!("Pulling image \"{image}\""));
    let began = context.clock.now();
    let login = login(context, pod, image).await;
    let pulled = tokio::select! {
        pulled = context.runtime.pull(image, login.as_ref()) => pulled,
        () = cancel.cancelled() => return Err(Problem::new("ErrImagePull", "the pod is being deleted")),
    };
    match pulled {
        Ok(()) => {
            let took = context.clock.now().duration_since(began).as_millis();
            let size = context.runtime.image(image).await.ok().flatten().map_or(0, |image| image.size_bytes);
            let took = format!("{}.{:03}s", took / 1000, took % 1000);
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {size} bytes."
            );
            context.events.record(subject(), Severity::Normal, "Pulled", &message);
            Ok(())
        }
        // `Always` asks the registry for a newer image; when it has none of that name, one made here is the newest.
        Err(error) if here => {
            tracing::debug!(image, %error, "the registry has no such image; the one that is here is used");
            let message = format!("Container image \"{image}\" already present on machine");
            context.events.record(subject(), Severity::Normal, "Pulled", &message);
            Ok(())
        }
        Err(error) => {
            let message = format!("Failed to pull image \"{image}\": {error}");
            context.events.record(subject(), Severity::Warning, "Failed", &message);
            context.events.record(subject(), Severity::Warning, "Failed", "Error: ErrImagePull");
            let back_off = format!("Back-off pulling image \"{image}\"");
            context.events.record(subject(), Severity::Normal, "BackOff", &back_off);
            Err(Problem::new("ErrImagePull", error))
        }
    }
}

/// As the API server would default it: a tag that moves is pulled again.
fn default_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once([':', '@']) {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

/// The first of the pod's pull secrets that is for the image's registry.
async fn login(context: &Context, pod: &Pod, image: &str) -> Option<Login> {
    let secrets: Api<Secret> =
        Api::namespaced(context.client.clone(), pod.metadata.namespace.as_deref().unwrap_or("default"));
    for reference in pod.spec.as_ref()?.image_pull_secrets.iter().flatten() {
        let Ok(Some(secret)) = context::request(secrets.get_opt(&reference.name)).await else { continue };
        let config = secret.data.as_ref().and_then(|data| data.get(".dockerconfigjson"));
        if let Some(login) = config.and_then(|config| login_for(&config.0, image)) {
            return Some(login);
        }
    }
    None
}

/// The registry of an image: its first part if that looks like a host, else Docker's own.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

fn login_for(config: &[u8], image: &str) -> Option<Login> {
    use base64::Engine;
    let config: serde_json::Value = serde_json::from_slice(config).ok()?;
    let wanted = registry(image);
    let matches = |server: &str| {
        let host = server.trim_start_matches("https://").trim_start_matches("http://");
        let host = host.split('/').next().unwrap_or(host);
        host == wanted || (wanted == "docker.io" && host == "index.docker.io")
    };
    let (server, entry) = config["auths"].as_object()?.iter().find(|(server, _)| matches(server))?;
    let field = |name: &str| entry[name].as_str().map(str::to_owned);
    let both = field("auth").and_then(|auth| base64::engine::general_purpose::STANDARD.decode(auth).ok());
    let both = both.and_then(|both| String::from_utf8(both).ok());
    let (user, password) = match both.as_deref().and_then(|both| both.split_once(':')) {
        Some((user, password)) => (user.to_owned(), password.to_owned()),
        None => (field("username")?, field("password")?),
    };
    Some(Login { server: server.clone(), user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_secret_is_used_for_its_registry_only() {
        let config = br#"{"auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}, "reg.example:5000": {"username": "u", "password": "p"}}}"#;
        let user = |image: &str| login_for(config, image).map(|login| login.user);
        assert_eq!(user("nginx:1"), Some("a".into()));
        assert_eq!(user("reg.example:5000/x/y:1"), Some("u".into()));
        assert_eq!(user("other.example/x"), None);
    }

    #[test]
    fn moving_tags_are_pulled_each_time() {
        for (image, want) in [("a", "Always"), ("r:5000/a", "Always"), ("a:latest", "Always"), ("a:1", "IfNotPresent")]
        {
            assert_eq!(default_policy(image), want, "{image}");
        }
    }
}
