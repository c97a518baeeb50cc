//! How far a rolling update may go above and below the wanted number of pods. Pure.
//! (Kubernetes API, `DeploymentSpec.strategy.rollingUpdate`.)

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::controllers::scaled::{Rounding, scaled};

/// Bounds of a Deployment at its present size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Pods that are wanted.
    pub wanted: i32,
    /// Pods that may exist beyond those.
    pub surge: i32,
    /// Wanted pods that may be missing.
    pub unavailable: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    RollingUpdate,
    Recreate,
}

pub fn strategy(spec: &DeploymentSpec) -> Strategy {
    match spec.strategy.as_ref().and_then(|s| s.type_.as_deref()) {
        Some("Recreate") => Strategy::Recreate,
        _ => Strategy::RollingUpdate,
    }
}

impl Bounds {
    pub fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let wanted = spec.and_then(|s| s.replicas).unwrap_or(1);
        let Some(spec) = spec.filter(|s| strategy(s) == Strategy::RollingUpdate) else {
            return Self { wanted, surge: 0, unavailable: 0 };
        };
        let rolling = spec.strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".into());
        let surge = rolling.and_then(|r| r.max_surge.as_ref()).unwrap_or(&quarter);
        let unavailable = rolling.and_then(|r| r.max_unavailable.as_ref()).unwrap_or(&quarter);
        resolve(wanted, surge, unavailable)
    }

    /// Pods that must stay available.
    pub fn least(self) -> i32 {
        self.wanted - self.unavailable
    }

    /// Pods that may exist.
    pub fn most(self) -> i32 {
        self.wanted + self.surge
    }
}

/// Surge is rounded up and unavailability down. Both zero would never move: then one pod may be missing.
/// At 1 replica, 25% and 25% are a surge of 1 and none missing.
pub fn resolve(wanted: i32, surge: &IntOrString, unavailable: &IntOrString) -> Bounds {
    let surge = scaled(surge, wanted, Rounding::Up);
    let mut unavailable = scaled(unavailable, wanted, Rounding::Down);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    Bounds { wanted, surge, unavailable: unavailable.min(wanted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_in_favour_of_availability_and_never_stand_still() {
        let parse = |text: &str| text.parse().map_or_else(|_| IntOrString::String(text.into()), IntOrString::Int);
        for (wanted, surge, unavailable, want) in [
            (1, "25%", "25%", (1, 0)),
            (4, "25%", "25%", (1, 1)),
            (10, "25%", "25%", (3, 2)),
            (10, "100%", "100%", (10, 10)),
            (3, "0%", "0%", (0, 1)),
            (3, "0", "100%", (0, 3)),
            (2, "1", "5", (1, 2)),
            (0, "25%", "25%", (0, 0)),
            (5, "nonsense", "2", (0, 2)),
        ] {
            let bounds = resolve(wanted, &parse(surge), &parse(unavailable));
            assert_eq!((bounds.surge, bounds.unavailable), want, "{wanted} of {surge} and {unavailable}");
        }
    }
}
