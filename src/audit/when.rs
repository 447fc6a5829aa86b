//! Moments of this process and of earlier ones, and when to ask again.

use std::time::Duration;

use crate::model::{Moment, Timestamp};

/// When something happened. The monotonic clock does not span processes: of an earlier one only the wall clock is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// The wall clock.
    pub(super) wall: Timestamp,
    /// The monotonic clock; none for an earlier process.
    pub(super) mono: Option<Duration>,
}

impl When {
    /// Something an earlier process saw.
    pub(super) fn earlier_process(wall: Timestamp) -> Self {
        Self { wall, mono: None }
    }

    /// The time from here to `at`: monotonic where it can be.
    pub(super) fn until(self, at: Moment) -> Duration {
        match self.mono {
            Some(mono) => at.mono.saturating_sub(mono),
            None => at.wall.since(self.wall),
        }
    }

    /// True when it was over before a request of this process was sent.
    pub(super) fn is_before(self, begun: Moment) -> bool {
        self.mono.is_none_or(|mono| mono <= begun.mono)
    }
}

impl From<Moment> for When {
    fn from(at: Moment) -> Self {
        Self { wall: at.wall, mono: Some(at.mono) }
    }
}

/// When a question may be asked again: after one second, then twice as long each time, up to ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    next: Duration,
    step: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(10);

    pub(super) fn is_due(self, at: Moment) -> bool {
        self.next <= at.mono
    }

    /// Notes that the question is asked now.
    pub(super) fn asked(&mut self, at: Moment) {
        self.next = at.mono + self.step;
        self.step = (self.step * 2).min(Self::LONGEST);
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Duration::ZERO, step: Self::FIRST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, mono: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(wall), mono: Duration::from_millis(mono) }
    }

    #[test]
    fn a_wall_clock_jump_is_no_latency() {
        let sent = When::from(at(5_000, 100));
        assert_eq!(sent.until(at(3_605_000, 150)), Duration::from_millis(50), "jumped an hour ahead");
        assert_eq!(sent.until(at(0, 150)), Duration::from_millis(50), "jumped back");
        let earlier = When::earlier_process(Timestamp::from_millis(5_000));
        assert_eq!(earlier.until(at(7_000, 1)), Duration::from_secs(2), "an earlier process has only the wall clock");
        assert!(earlier.is_before(at(0, 0)) && sent.is_before(at(0, 100)) && !sent.is_before(at(9_999, 99)));
    }

    #[test]
    fn questions_are_spaced_out_to_ten_seconds() {
        let (mut backoff, mut asked) = (Backoff::default(), Vec::new());
        for second in 0..40 {
            if backoff.is_due(at(0, second * 1000)) {
                backoff.asked(at(0, second * 1000));
                asked.push(second);
            }
        }
        assert_eq!(asked, [0, 1, 3, 7, 15, 25, 35]);
    }
}
