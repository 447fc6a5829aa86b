//! Over which stretches of time a class's records went through one connection.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Moment;

/// So many stretches are remembered. Forgetting the oldest only leaves more without a proof.
const STRETCHES_KEPT: usize = 64;

/// Looks that told the same connection.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    link: u64,
    /// The first look that told it.
    first: Duration,
    /// The last one.
    last: Duration,
}

/// The connections of one class to one partition's leader, in the order of looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Links(VecDeque<Stretch>);

impl Links {
    /// Takes note of one look. A look that tells nothing ends no stretch: the same number afterwards is the same
    /// connection.
    pub(super) fn note(&mut self, link: Option<u64>, at: Moment) {
        let Some(link) = link else { return };
        match self.0.back_mut() {
            Some(stretch) if stretch.link == link => stretch.last = stretch.last.max(at.mono),
            Some(_) | None => self.0.push_back(Stretch { link, first: at.mono, last: at.mono }),
        }
        if self.0.len() > STRETCHES_KEPT {
            self.0.pop_front();
        }
    }

    /// The first look after `since` that told a connection not told before: whatever had been written by then went through
    /// it or through one that is closed.
    pub(super) fn other_after(&self, since: Duration) -> Option<Duration> {
        self.0.iter().map(|stretch| stretch.first).find(|first| *first > since)
    }

    /// True when all that was sent from `since` to `until` went through one connection, in the order sent.
    pub(super) fn is_one(&self, since: Duration, until: Duration) -> bool {
        self.0.iter().any(|stretch| stretch.first <= since && until <= stretch.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn only_looks_around_both_ends_make_it_one_connection() {
        let looks = |list: &[(u64, Option<u64>)]| {
            let mut links = Links::default();
            for (second, link) in list {
                links.note(*link, Moment { wall: Timestamp::default(), mono: Duration::from_secs(*second) });
            }
            links
        };
        let cases = [
            ("no look", looks(&[]), false),
            ("before and after", looks(&[(1, Some(7)), (9, Some(7))]), true),
            ("only before", looks(&[(1, Some(7)), (4, Some(7))]), false),
            ("only after", looks(&[(4, Some(7)), (9, Some(7))]), false),
            ("another one in between", looks(&[(1, Some(7)), (4, Some(8)), (9, Some(9))]), false),
            ("another one at the end", looks(&[(1, Some(7)), (5, Some(7)), (9, Some(8))]), false),
            ("not known in between", looks(&[(1, Some(7)), (4, None), (9, Some(7))]), true),
        ];
        for (name, links, want) in cases {
            assert_eq!(links.is_one(Duration::from_secs(3), Duration::from_secs(6)), want, "{name}");
        }
    }
}
