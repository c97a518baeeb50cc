//! Revisions of a Deployment: which ReplicaSet stands for its present template, how that one is numbered and
//! annotated, and which old ones are no longer kept. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::sets::{DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY, Set, by_age};
use super::template;

/// Characters of earlier revision numbers that a ReplicaSet remembers.
const HISTORY_LENGTH: usize = 2000;
/// Annotations of a Deployment that its ReplicaSets do not copy: they are about the Deployment itself.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
];

/// The ReplicaSet of a template: the oldest, should there be several, so that the choice never changes.
pub fn find(sets: &[Set], wanted: &PodTemplateSpec) -> Option<usize> {
    let matching = (0..sets.len()).filter(|i| template::same(&sets[*i].template, wanted));
    matching.min_by(|a, b| by_age(&sets[*a], &sets[*b]))
}

/// The number of the revision that comes after all of `old`.
pub fn next<'a>(old: impl Iterator<Item = &'a Set>) -> i64 {
    old.map(Set::revision).max().unwrap_or(0) + 1
}

/// Gives the new ReplicaSet the Deployment's annotations and its number. One that stood for an earlier revision
/// (a rollback) is renumbered, and keeps its earlier number in its history.
pub fn number(set: &mut Set, deployment: &BTreeMap<String, String>, revision: i64) -> bool {
    let mut changed = false;
    for (name, value) in deployment.iter().filter(|(name, _)| !NOT_COPIED.contains(&name.as_str())) {
        changed |= set.annotate(name, value);
    }
    let earlier = set.annotations.get(REVISION).cloned();
    match earlier.as_deref().unwrap_or("").parse::<i64>() {
        Ok(number) if number >= revision => return changed,
        // Somebody wrote something else there: it is theirs.
        Err(_) if earlier.as_ref().is_some_and(|text| !text.is_empty()) => return false,
        _ => {}
    }
    set.annotate(REVISION, &revision.to_string());
    if let Some(earlier) = earlier {
        let history = set.annotations.get(REVISION_HISTORY).map_or("", String::as_str);
        if let Some(history) = remember(history, &earlier, HISTORY_LENGTH) {
            set.annotate(REVISION_HISTORY, &history);
        }
    }
    true
}

/// `history` with `revision` at its end, without the oldest entries where it would be longer than `longest`.
fn remember(history: &str, revision: &str, longest: usize) -> Option<String> {
    if history.is_empty() {
        return Some(revision.to_owned());
    }
    let mut kept = history;
    while kept.len() + 1 + revision.len() > longest {
        kept = kept.split_once(',')?.1;
    }
    Some(format!("{kept},{revision}"))
}

/// The old ReplicaSets that go so that at most `limit` stay: lowest revision first, and none that still has or
/// wants pods, or whose status is behind its spec.
pub fn superseded(old: &[&Set], limit: i32) -> Vec<String> {
    let mut old: Vec<&Set> = old.iter().copied().filter(|s| !s.deleting).collect();
    let limit = usize::try_from(limit).unwrap_or(0);
    let surplus = old.len().saturating_sub(limit);
    old.sort_by(|a, b| a.revision().cmp(&b.revision()).then_with(|| by_age(a, b)));
    let idle = |s: &&Set| {
        s.replicas == 0 && s.status.replicas == 0 && s.status.observed_generation.unwrap_or(0) >= s.generation
    };
    old.into_iter().take(surplus).filter(idle).map(|s| s.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, annotations: &[(&str, &str)]) -> Set {
        let annotations = annotations.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Set { name: name.into(), annotations, ..Set::default() }
    }

    #[test]
    fn a_rollback_renumbers_and_remembers() {
        let mut one = set("a", &[(REVISION, "1")]);
        assert!(number(&mut one, &BTreeMap::new(), 3));
        assert_eq!((one.revision(), one.annotations[REVISION_HISTORY].as_str()), (3, "1"));
        assert!(number(&mut one, &BTreeMap::new(), 5));
        assert_eq!((one.revision(), one.annotations[REVISION_HISTORY].as_str()), (5, "1,3"));
        assert!(!number(&mut one, &BTreeMap::new(), 5), "nothing is left to write");
    }

    #[test]
    fn annotations_are_copied_but_for_those_about_the_deployment_itself() {
        let mut new = set("a", &[]);
        let own = [("kubernetes.io/change-cause", "abc fix"), (NOT_COPIED[0], "{}"), (REVISION, "9")];
        let own = own.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        assert!(number(&mut new, &own, 1));
        let want = BTreeMap::from([
            ("kubernetes.io/change-cause".to_owned(), "abc fix".to_owned()),
            (REVISION.to_owned(), "1".to_owned()),
        ]);
        assert_eq!(new.annotations, want);
    }

    #[test]
    fn the_history_forgets_the_oldest_when_it_is_full() {
        assert_eq!(remember("", "1", 10).as_deref(), Some("1"));
        assert_eq!(remember("1,2,3", "4", 7).as_deref(), Some("1,2,3,4"));
        assert_eq!(remember("1,2,3", "4", 5).as_deref(), Some("2,3,4"));
        assert_eq!(remember("1", "4", 2), None);
    }

    #[test]
    fn the_lowest_revisions_go_and_those_in_use_stay() {
        let mut sets = [set("c", &[(REVISION, "3")]), set("a", &[(REVISION, "1")]), set("b", &[(REVISION, "2")])];
        let names = |sets: &[Set], limit| superseded(&sets.iter().collect::<Vec<_>>(), limit);
        assert_eq!(names(&sets, 1), ["a", "b"]);
        assert_eq!(names(&sets, 3), [""; 0]);
        sets[1].status.replicas = 1;
        assert_eq!(names(&sets, 1), ["b"]);
        sets[2].generation = 2;
        assert_eq!(names(&sets, 1), [""; 0]);
    }
}
