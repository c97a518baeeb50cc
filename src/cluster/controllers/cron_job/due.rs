//! Which time of a schedule is due. Pure; `next` gives the first time of the schedule after another.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// So many missed times are worth a warning.
const MANY: i64 = 100;
/// A run begins a little after its time, so that clocks which differ a little agree that it has come.
const DELTA: SignedDuration = SignedDuration::from_millis(100);

/// What to go by.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    /// When the schedule was followed last, or its CronJob was made.
    pub since: Timestamp,
    pub now: Timestamp,
    pub next: &'a dyn Fn(Timestamp) -> Option<Timestamp>,
}

/// The latest time that has come since, if one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: Option<Timestamp>,
    pub too_many: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time difference between two schedules is less than 1 second")]
pub struct NoSchedule;

impl Past<'_> {
    /// # Errors
    /// When the schedule has no times.
    pub fn due(&self, deadline: Option<SignedDuration>) -> Result<Due, NoSchedule> {
        let earliest = deadline.and_then(|deadline| self.now.checked_sub(deadline).ok());
        let since = earliest.map_or(self.since, |earliest| earliest.max(self.since));
        let first = (self.next)(since).ok_or(NoSchedule)?;
        if self.now < first {
            return Ok(Due { at: None, too_many: false });
        }
        let second = (self.next)(first).ok_or(NoSchedule)?;
        if self.now < second {
            return Ok(Due { at: Some(first), too_many: false });
        }
        let distance = second.duration_since(first).as_secs().max(1);
        // A rough count: schedules need not be regular.
        let missed = self.now.duration_since(first).as_secs() / distance + 1;
        Ok(Due { at: Some(self.latest(first, distance)), too_many: missed > MANY })
    }

    /// The last time that has come. It is looked for from a little before now, and from earlier if there is none.
    fn latest(&self, first: Timestamp, distance: i64) -> Timestamp {
        let mut back = distance.saturating_mul(2);
        loop {
            let from = self.now.checked_sub(SignedDuration::from_secs(back)).unwrap_or(first).max(first);
            let mut latest = (from == first).then_some(first);
            let mut time = from;
            while let Some(next) = (self.next)(time).filter(|next| *next <= self.now) {
                latest = Some(next);
                time = next;
            }
            match latest {
                Some(latest) => return latest,
                None => back = back.saturating_mul(4),
            }
        }
    }

    /// How long until the next time.
    pub fn wait(&self) -> Option<Duration> {
        let from = match self.due(None) {
            Ok(Due { at: Some(at), .. }) => at,
            Ok(Due { at: None, .. }) => self.since,
            Err(NoSchedule) => self.now,
        };
        let wait = (self.next)(from)?.duration_since(self.now) + DELTA;
        Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every ten seconds.
    fn tens(after: Timestamp) -> Option<Timestamp> {
        Timestamp::from_second((after.as_second() / 10 + 1) * 10).ok()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_latest_missed_time_is_due() {
        for (since, now, deadline, want, too_many) in [
            (0, 9, None, None, false),
            (0, 10, None, Some(10), false),
            (0, 19, None, Some(10), false),
            (0, 35, None, Some(30), false),
            (3, 1004, None, Some(1000), false),
            (3, 1014, None, Some(1010), true),
            (3, 1014, Some(60), Some(1010), false),
            (3, 1014, Some(2), None, false),
        ] {
            let past = Past { since: at(since), now: at(now), next: &tens };
            let due = past.due(deadline.map(SignedDuration::from_secs)).unwrap();
            assert_eq!(due, Due { at: want.map(at), too_many }, "{since} {now} {deadline:?}");
        }
    }

    #[test]
    fn the_latest_of_irregular_times_is_found() {
        // Two close to each other, and none for long.
        let next = |after: Timestamp| [7, 8, 500].into_iter().map(at).find(|time| *time > after).or(Some(at(9000)));
        let due = |now| Past { since: at(0), now: at(now), next: &next }.due(None).unwrap().at;
        assert_eq!((due(9), due(499), due(5000)), (Some(at(8)), Some(at(8)), Some(at(500))));
    }

    #[test]
    fn the_next_run_comes_a_little_after_the_next_time() {
        let wait = |since, now| Past { since: at(since), now: at(now), next: &tens }.wait().unwrap();
        assert_eq!(wait(0, 4), Duration::from_millis(6100));
        assert_eq!(wait(0, 34), Duration::from_millis(6100));
        let never = Past { since: at(0), now: at(1), next: &|_| None };
        assert_eq!((never.wait(), never.due(None)), (None, Err(NoSchedule)));
    }
}
