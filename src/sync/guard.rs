//! Decides whether a sync may delete what git no longer has. A commit that takes away much at once, or that shares no
//! history with what is deployed, is more often a mistake than a wish, so its deletions wait until somebody approves
//! that very commit; so do those of objects that ask for it with `Prune=confirm`. Pure: `stage` asks, and deletes.

use crate::object::application::{APPROVE_ANNOTATION, Application, BUDGET_ANNOTATION, SyncOperation};

const SHORTEST_ID: usize = 7;

/// What is done with what the sources declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nobody asked for a sync, and it does not sync by itself.
    Compare,
    Sync {
        pruning: Pruning,
    },
}

impl Wish {
    /// An Application that syncs by itself does so; another one when somebody asks for it, once.
    pub fn of(application: &Application, asked: Option<&SyncOperation>, commit: &str) -> Self {
        let prune = match (asked, application.spec.sync_policy.automation()) {
            (Some(asked), _) => asked.prune,
            (None, Some(automated)) => automated.prune,
            (None, None) => return Self::Compare,
        };
        Self::Sync { pruning: Pruning::of(application, prune, commit) }
    }
}

/// Deletions wait when they are more than so many objects and more than this part of what the Application owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub objects: usize,
    pub percent: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { objects: 10, percent: 50 }
    }
}

impl Budget {
    /// As the annotation says it: `10, 50%`, or one of both.
    fn parse(text: &str) -> Option<Self> {
        let mut budget = Self { objects: 0, percent: 0 };
        for part in text.split(',').map(str::trim) {
            match part.strip_suffix('%') {
                Some(percent) => budget.percent = percent.trim_end().parse().ok().filter(|percent| *percent <= 100)?,
                None => budget.objects = part.parse().ok()?,
            }
        }
        Some(budget)
    }

    fn covers(self, gone: usize, owned: usize) -> bool {
        gone <= self.objects || gone * 100 <= owned * self.percent
    }
}

/// What a sync does with objects that git no longer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruning {
    /// They stay.
    Off,
    /// They are deleted within the budget.
    Guarded(Budget),
    /// They stay: the commit has nothing to do with what is deployed.
    Distrusted,
    /// They are deleted, however many.
    Approved,
}

impl Pruning {
    /// How the Application prunes at the commit. A budget that cannot be read is none: everything waits.
    pub fn of(application: &Application, is_wanted: bool, commit: &str) -> Self {
        let approved = application.annotation(APPROVE_ANNOTATION).map(str::trim).unwrap_or_default();
        let budget = application.annotation(BUDGET_ANNOTATION).map(Budget::parse);
        let none = Budget { objects: 0, percent: 0 };
        match is_wanted {
            false => Self::Off,
            true if approved.len() >= SHORTEST_ID && commit.starts_with(approved) => Self::Approved,
            true => Self::Guarded(budget.map_or_else(Budget::default, |given| given.unwrap_or(none))),
        }
    }

    /// The commit shares no history with what is deployed: nothing is deleted unless that was approved.
    pub fn distrust(&mut self) {
        if matches!(self, Self::Guarded(_)) {
            *self = Self::Distrusted;
        }
    }

    /// Whether an approval would change anything.
    pub fn waits(self) -> bool {
        matches!(self, Self::Guarded(_) | Self::Distrusted)
    }

    /// Why `gone` of the `owned` objects stay, if they do.
    pub fn holds_back(self, gone: usize, owned: usize) -> Option<&'static str> {
        match self {
            Self::Off => Some("pruning is not asked for"),
            Self::Distrusted => Some("the commit shares no history with the one that is deployed"),
            Self::Guarded(budget) if !budget.covers(gone, owned) => Some("that is more than may be pruned unasked"),
            Self::Guarded(_) | Self::Approved => None,
        }
    }
}

/// A commit that declares nothing is far more often a mistake than a wish.
pub fn refuses_emptiness(application: &Application, declared: usize, owned: usize) -> Option<String> {
    let allowed = application.spec.sync_policy.automation().is_some_and(|automated| automated.allow_empty);
    (!allowed && declared == 0 && owned > 0).then(|| {
        format!(
            "the commit declares no objects, and {owned} are deployed; nothing is pruned \
             (syncPolicy.automated.allowEmpty allows it)"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_than_ten_objects_and_half_of_all_wait_for_approval() {
        for (gone, owned, is_held) in
            [(0, 0, false), (10, 10, false), (11, 11, true), (11, 21, true), (11, 22, false), (600, 1000, true)]
        {
            assert_eq!(
                Pruning::Guarded(Budget::default()).holds_back(gone, owned).is_some(),
                is_held,
                "{gone} of {owned}"
            );
            assert_eq!(Pruning::Approved.holds_back(gone, owned), None);
            assert!(Pruning::Off.holds_back(gone, owned).is_some());
            assert!(Pruning::Distrusted.holds_back(gone, owned).is_some());
        }
    }

    #[test]
    fn a_budget_is_a_count_or_a_share_or_both() {
        let budget = |objects, percent| Some(Budget { objects, percent });
        for (text, want) in [
            ("10, 50%", budget(10, 50)),
            ("3", budget(3, 0)),
            ("20 %", budget(0, 20)),
            ("0", budget(0, 0)),
            ("101%", None),
            ("many", None),
            ("-1", None),
        ] {
            assert_eq!(Budget::parse(text), want, "{text}");
        }
    }

    #[test]
    fn an_approval_is_for_one_commit() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let guarded = Pruning::Guarded(Budget::default());
        for (approved, expected) in [
            (commit, Pruning::Approved),
            ("0123456", Pruning::Approved),
            ("012345", guarded),
            ("", guarded),
            ("fedcba9876", guarded),
        ] {
            let application: Application = serde_json::from_value(
                json!({"metadata": {"name": "shop", "annotations": {APPROVE_ANNOTATION: approved}}, "spec": {}}),
            )
            .unwrap();
            assert_eq!(Pruning::of(&application, true, commit), expected, "{approved:?}");
            assert_eq!(Pruning::of(&application, false, commit), Pruning::Off);
        }
    }
}
