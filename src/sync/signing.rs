//! Deploys only commits that are signed by whom the Application trusts, where it asks for that.

use super::blocking::blocking;
use super::desired::Desired;
use super::signature::{self, SIGNED_BY_ANNOTATION, Signed};
use super::worker::Worker;
use crate::diff::plan::SourceError;
use crate::object::application::Application;
use crate::object::kinds;
use crate::object::meta::string_map;

impl Worker {
    /// Whether every source's commit is signed as the Application asks; with what is wrong if not.
    pub(super) async fn check_signatures(
        &self,
        application: &Application,
        desired: &Desired,
    ) -> Result<(), Vec<SourceError>> {
        let Some(name) = application.annotation(SIGNED_BY_ANNOTATION) else { return Ok(()) };
        let wrong = |file: String, message: String| SourceError { file, line: 0, message };
        let live = self.shared.registry.snapshot();
        let Some(keys) =
            live.find(kinds::CONFIG_MAP, &self.key.namespace, name).map(|map| string_map(&map.value()["data"]))
        else {
            let place = format!("{}/{name}", self.key.namespace);
            let why = format!("{SIGNED_BY_ANNOTATION} names the ConfigMap {place}, which does not exist");
            return Err(vec![wrong(self.key.to_string(), why)]);
        };
        let (sources, positions) = (self.sources.clone(), desired.positions.clone());
        let signatures = blocking(move || -> Vec<(String, Option<Signed>)> {
            let commits = sources.iter().zip(&positions).map(|(source, position)| {
                let signed = source.upstream.opened().ok().and_then(|opened| opened.scout().signed(position.commit));
                (position.commit.to_string(), signed)
            });
            commits.collect()
        })
        .await;
        let refused =
            signatures.iter().filter_map(|(commit, signed)| match signature::verify(signed.as_ref(), &keys) {
                Ok(who) => {
                    tracing::debug!(application = %self.key, commit, who, "the commit is signed");
                    None
                }
                Err(why) => Some(wrong(format!("commit {}", &commit[..7]), format!("not trusted: {why}"))),
            });
        let refused: Vec<_> = refused.collect();
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }
}
