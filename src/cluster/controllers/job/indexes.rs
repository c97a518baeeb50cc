//! Sets of completion indexes in the compressed form of a Job's status: `0-4,7,9`. Pure.

use std::fmt;

/// Ascending intervals (first, last) that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(i32, i32)>);

impl Indexes {
    /// Reads the compressed form; indexes from `end` on are left out, and so is what cannot be read.
    pub fn parse(text: &str, end: i32) -> Self {
        let intervals = text.split(',').filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (i32, i32) = (first.parse().ok()?, last.parse().ok()?);
            (first < end && first <= last).then_some((first, last.min(end - 1)))
        });
        Self::of_intervals(intervals.collect())
    }

    pub fn of(indexes: impl IntoIterator<Item = i32>) -> Self {
        Self::of_intervals(indexes.into_iter().map(|index| (index, index)).collect())
    }

    fn of_intervals(mut intervals: Vec<(i32, i32)>) -> Self {
        intervals.sort_unstable();
        let mut merged: Vec<(i32, i32)> = Vec::new();
        for (first, last) in intervals {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    pub fn union(&self, other: &Self) -> Self {
        Self::of_intervals(self.0.iter().chain(&other.0).copied().collect())
    }

    pub fn has(&self, index: i32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    pub fn len(&self) -> i32 {
        let count = self.0.iter().map(|(first, last)| i64::from(*last) - i64::from(*first) + 1).sum::<i64>();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many indexes both have.
    pub fn common(&self, other: &Self) -> i32 {
        // |a and b| = |a| + |b| - |a or b|
        self.len() + other.len() - self.union(other).len()
    }

    /// The first `count` indexes below `end` that are not in the set.
    pub fn missing(&self, count: usize, end: i32) -> Vec<i32> {
        let mut missing = Vec::new();
        let mut candidate = 0;
        for (first, last) in self.0.iter().copied().chain([(end, end)]) {
            let room = count - missing.len();
            missing.extend((candidate..first.min(end)).take(room));
            candidate = candidate.max(last.saturating_add(1));
        }
        missing
    }
}

/// Two neighbours are listed, three or more become a range.
impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (first, last)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{first}")?;
            match last - first {
                0 => {}
                1 => write!(f, ",{last}")?,
                _ => write!(f, "-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_compressed_form_is_read_and_written() {
        for (text, end, want) in [
            ("", 5, ""),
            ("0,1", 5, "0,1"),
            ("0-2", 5, "0-2"),
            ("0,1,2", 5, "0-2"),
            ("1,3-5,7", 9, "1,3-5,7"),
            ("1,3-5,7", 5, "1,3,4"),
            ("1,x,3", 5, "1,3"),
        ] {
            assert_eq!(Indexes::parse(text, end).to_string(), want, "{text} below {end}");
        }
    }

    #[test]
    fn missing_indexes_come_in_order() {
        let set = Indexes::parse("1,3-5", 9);
        assert_eq!(set.missing(3, 9), [0, 2, 6]);
        assert_eq!(set.missing(9, 7), [0, 2, 6]);
        assert_eq!(set.missing(1, 9), [0]);
        assert_eq!(Indexes::default().missing(2, 0), [0; 0]);
    }

    proptest! {
        #[test]
        fn a_set_behaves_as_a_set(
            a in proptest::collection::btree_set(0..40_i32, 0..20),
            b in proptest::collection::btree_set(0..40_i32, 0..20),
        ) {
            let (x, y) = (Indexes::of(a.iter().copied()), Indexes::of(b.iter().copied()));
            prop_assert_eq!(usize::try_from(x.len()).unwrap(), a.len());
            prop_assert_eq!(usize::try_from(x.common(&y)).unwrap(), a.intersection(&b).count());
            let union = x.union(&y);
            prop_assert!((0..40).all(|i| union.has(i) == (a.contains(&i) || b.contains(&i))));
            prop_assert_eq!(&Indexes::parse(&union.to_string(), 40), &union);
            let missing: Vec<i32> = (0..40).filter(|i| !union.has(*i)).take(7).collect();
            prop_assert_eq!(union.missing(7, 40), missing);
        }
    }
}
