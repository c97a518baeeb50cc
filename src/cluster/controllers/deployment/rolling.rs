//! One step of a rolling update: how far the new ReplicaSet may grow, and how far the old ones must or may
//! shrink. Pure arithmetic over sizes.

use super::fenceposts::Bounds;

/// A ReplicaSet as the arithmetic sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// `spec.replicas`.
    pub replicas: i32,
    /// `status.availableReplicas`.
    pub available: i32,
}

/// One ReplicaSet, by its place in the list that was given, and its next size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    pub index: usize,
    pub to: i32,
}

/// The size of the new ReplicaSet, `new` of `total` pods now: down at once, up as far as the surge allows.
pub fn grow(new: i32, total: i32, bounds: Bounds) -> i32 {
    if new >= bounds.wanted {
        return bounds.wanted;
    }
    let room = (bounds.most() - total).max(0);
    new + room.min(bounds.wanted - new)
}

/// Shrinks the old ReplicaSets, which come oldest first: pods that are not available first, because nobody misses
/// them, then as many available ones as may be missing.
///
/// 4 wanted, 1 may be missing, old 4 of 4 available, new 1 of 0: 4 + 1 - 3 - 1 = 1 old pod may go.
pub fn shrink(old: &[Size], new: Size, bounds: Bounds) -> Vec<Resize> {
    let mut old = old.to_vec();
    let total = old.iter().map(|s| s.replicas).sum::<i32>() + new.replicas;
    // New pods that are not available yet are counted as existing, but cannot replace an old one.
    let removable = total - bounds.least() - (new.replicas - new.available);
    if removable <= 0 || old.iter().all(|s| s.replicas == 0) {
        return Vec::new();
    }
    let mut resizes = remove_unhealthy(&mut old, removable);
    resizes.extend(remove_available(&mut old, new, bounds));
    resizes
}

fn remove_unhealthy(old: &mut [Size], mut removable: i32) -> Vec<Resize> {
    let mut resizes = Vec::new();
    for (index, size) in old.iter_mut().enumerate() {
        let unhealthy = size.replicas - size.available;
        let removed = unhealthy.min(removable);
        if removed > 0 {
            removable -= removed;
            size.replicas -= removed;
            resizes.push(Resize { index, to: size.replicas });
        }
    }
    resizes
}

fn remove_available(old: &mut [Size], new: Size, bounds: Bounds) -> Vec<Resize> {
    let available = old.iter().map(|s| s.available).sum::<i32>() + new.available;
    let mut removable = available - bounds.least();
    let mut resizes = Vec::new();
    for (index, size) in old.iter_mut().enumerate() {
        let removed = size.replicas.min(removable);
        if removed > 0 {
            removable -= removed;
            size.replicas -= removed;
            resizes.push(Resize { index, to: size.replicas });
        }
    }
    resizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(wanted: i32, surge: i32, unavailable: i32) -> Bounds {
        Bounds { wanted, surge, unavailable }
    }

    #[test]
    fn the_new_set_grows_into_the_surge_and_shrinks_at_once() {
        for (new, total, limits, want) in [
            (0, 4, bounds(4, 1, 1), 1),
            (1, 4, bounds(4, 1, 1), 2),
            (0, 5, bounds(4, 1, 1), 0),
            (0, 0, bounds(4, 1, 1), 4),
            (0, 4, bounds(4, 0, 1), 0),
            (6, 6, bounds(4, 1, 1), 4),
            (3, 9, bounds(4, 1, 1), 3),
            (0, 10, bounds(10, 10, 0), 10),
        ] {
            assert_eq!(grow(new, total, limits), want, "{new} of {total} with {limits:?}");
        }
    }

    #[test]
    fn old_sets_lose_unhealthy_pods_first_and_keep_what_must_be_available() {
        let size = |replicas, available| Size { replicas, available };
        let to = |index, to| Resize { index, to };
        for (old, new, limits, want) in [
            (vec![size(4, 4)], size(1, 0), bounds(4, 1, 1), vec![to(0, 3)]),
            (vec![size(4, 4)], size(1, 0), bounds(4, 1, 0), vec![]),
            (vec![size(4, 4)], size(1, 1), bounds(4, 1, 0), vec![to(0, 3)]),
            // None of the old ones is available: all but those that count towards the least may go.
            (vec![size(3, 0)], size(1, 0), bounds(3, 1, 0), vec![]),
            (vec![size(3, 0)], size(1, 1), bounds(3, 1, 0), vec![to(0, 2)]),
            (vec![size(2, 1), size(3, 3)], size(1, 0), bounds(4, 2, 1), vec![to(0, 1), to(0, 0)]),
            (vec![size(1, 0), size(3, 3)], size(3, 3), bounds(4, 2, 1), vec![to(0, 0), to(1, 0)]),
            (vec![size(0, 0)], size(4, 4), bounds(4, 1, 1), vec![]),
            (vec![size(10, 10)], size(10, 0), bounds(10, 10, 10), vec![to(0, 0)]),
        ] {
            assert_eq!(shrink(&old, new, limits), want, "{old:?} {new:?} {limits:?}");
        }
    }
}
