//! Refuses what would exceed a quota of the namespace, and charges what is let in. The charge and the object are stored
//! together, so that writers side by side never go over. (Kubernetes's ResourceQuota admission.)

use serde_json::Value;

use super::options::{Target, WriteOptions};
use super::transaction::Transaction;
use crate::cluster::quota::{self, Amount, Amounts, amounts};
use crate::object::{ApiError, Kind, ObjectKey, kinds};

impl Transaction {
    /// # Errors
    /// `Forbidden`, with the first quota that has no room, or that the object does not say enough for.
    pub(super) fn charge_quotas(
        &mut self,
        kind: &'static Kind,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        // What grows when it is changed: pods by their requests, services by ports, claims by storage.
        let charged_on_update = [kinds::POD, kinds::SERVICE, kinds::CLAIM].contains(&kind);
        if !kind.namespaced || kind == kinds::EVENT || old.is_some() && !charged_on_update {
            return Ok(());
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let quotas: Vec<ObjectKey> =
            self.base.list(kinds::RESOURCE_QUOTA, namespace).map(|quota| quota.key.clone()).collect();
        if quotas.is_empty() {
            return Ok(());
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut asked = quota::usage(kind, object, self.now);
        if let Some(old) = old {
            for (resource, amount) in quota::usage(kind, old, self.now) {
                if let Some(now) = asked.get_mut(&resource) {
                    now.millis -= amount.millis;
                }
            }
        }
        asked.retain(|_, amount| amount.millis > 0);
        let mut charges = Vec::new();
        for key in quotas {
            let Some(quota) = self.current(&key) else { continue };
            if !quota::counts(&quota["spec"], kind, object) {
                continue;
            }
            let hard = amounts(&quota["status"]["hard"]);
            let refuse = |why: String| Err(ApiError::forbidden(kind, name, why));
            let unstated = quota::unstated(kind, object, &hard);
            if !unstated.is_empty() && old.is_none() {
                return refuse(format!("failed quota: {}: must specify {unstated}", key.name));
            }
            let asked: Amounts = asked
                .iter()
                .filter(|(resource, _)| hard.contains_key(*resource))
                .map(|(r, a)| (r.clone(), *a))
                .collect();
            if asked.is_empty() {
                continue;
            }
            let used = amounts(&quota["status"]["used"]);
            let of = |map: &Amounts, resource: &str| map.get(resource).copied().unwrap_or_default();
            let exceeded: Vec<&String> = asked
                .iter()
                .filter(|(resource, amount)| of(&used, resource).plus(**amount).millis > of(&hard, resource).millis)
                .map(|(resource, _)| resource)
                .collect();
            if !exceeded.is_empty() {
                let only = |map: &Amounts| -> Amounts {
                    exceeded.iter().map(|resource| ((*resource).clone(), of(map, resource))).collect()
                };
                return refuse(format!(
                    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    key.name,
                    quota::show(&only(&asked)),
                    quota::show(&only(&used)),
                    quota::show(&only(&hard))
                ));
            }
            charges.push((key, quota, used, asked));
        }
        for (key, mut quota, mut used, asked) in charges {
            for (resource, amount) in asked {
                let sum = used.entry(resource).or_insert_with(Amount::default);
                *sum = sum.plus(amount);
            }
            quota["status"]["used"] = quota::to_value(&used);
            self.update(&Target::status(key), quota, WriteOptions::default())?;
        }
        Ok(())
    }
}
