//! Spreads a change of a Deployment's size over its ReplicaSets while it rolls, each by its share. Pure.

use super::fenceposts::Bounds;

/// A ReplicaSet that has pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub replicas: i32,
    /// The most pods that the Deployment might have had when this ReplicaSet was last sized (its annotation).
    pub most_before: Option<i32>,
}

/// The next sizes of `shares`, which come largest first: of equal ones the newer first when the Deployment grows,
/// the older first when it shrinks. `reported` is the Deployment's `status.replicas`.
///
/// 10 wanted and at most 13, so far of 5 and at most 8 with 5 + 3 pods: the five get
/// round(5 * 13 / 8) - 5 = 3 and the three round(3 * 13 / 8) - 3 = 2, together 13.
pub fn proportional(shares: &[Share], bounds: Bounds, reported: i32) -> Vec<i32> {
    let total: i32 = shares.iter().map(|s| s.replicas).sum();
    let allowed = if bounds.wanted > 0 { bounds.most() } else { 0 };
    let to_add = allowed - total;
    let mut added = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(shares.len());
    for share in shares {
        let proportion = proportion(*share, bounds, reported, to_add, added);
        added += proportion;
        sizes.push(share.replicas + proportion);
    }
    // What rounding left over goes to the largest.
    if let Some(largest) = sizes.first_mut() {
        *largest = (*largest + to_add - added).max(0);
    }
    sizes
}

fn proportion(share: Share, bounds: Bounds, reported: i32, to_add: i32, added: i32) -> i32 {
    if share.replicas == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(share, bounds, reported);
    let allowed = to_add - added;
    if to_add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
}

fn fraction(share: Share, bounds: Bounds, reported: i32) -> i32 {
    if bounds.wanted == 0 {
        return -share.replicas;
    }
    let before = share.most_before.filter(|most| *most != 0).unwrap_or(reported);
    if before == 0 {
        return 0;
    }
    let sized = f64::from(share.replicas) * f64::from(bounds.most()) / f64::from(before);
    // Both factors are at most a few thousand pods, far from the limits of the type.
    sized.round() as i32 - share.replicas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_gets_its_share_and_the_largest_the_rest() {
        let share = |replicas, most| Share { replicas, most_before: most };
        let bounds = |wanted, surge| Bounds { wanted, surge, unavailable: 0 };
        for (shares, limits, reported, want) in [
            (vec![share(5, Some(8)), share(3, Some(8))], bounds(10, 3), 8, vec![8, 5]),
            (vec![share(8, Some(13)), share(5, Some(13))], bounds(5, 3), 13, vec![5, 3]),
            (vec![share(4, Some(6)), share(2, Some(6))], bounds(0, 0), 6, vec![0, 0]),
            (vec![share(4, Some(6)), share(2, Some(6))], bounds(8, 4), 6, vec![8, 4]),
            (vec![share(4, None), share(2, None)], bounds(8, 4), 6, vec![8, 4]),
            (vec![share(4, None), share(2, None)], bounds(4, 2), 6, vec![4, 2]),
            (vec![share(1, Some(3)), share(1, Some(3)), share(1, Some(3))], bounds(4, 1), 3, vec![2, 2, 1]),
        ] {
            assert_eq!(proportional(&shares, limits, reported), want, "{shares:?} to {limits:?}");
        }
    }
}
