//! How many requests one cluster gets in a second, over all its brokers.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::pool::Lane;

const WINDOW: Duration = Duration::from_secs(1);

/// Lets at most so many requests of a cluster's turns pass in any second. Each cluster has its own.
///
/// A proof on demand never waits, or a long poll would decide how soon a loss is proven: it passes at once, and is
/// charged to what comes behind it.
#[derive(Debug)]
pub(crate) struct Governor {
    /// Requests per second; 0 for any number.
    limit: usize,
    passed: Mutex<Passed>,
}

impl Governor {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), passed: Mutex::default() }
    }

    /// Waits until one more request may pass; false, at once, when that is not before `deadline`.
    pub(crate) async fn pass(&self, lane: Lane, deadline: Instant) -> bool {
        if self.limit == 0 {
            return true;
        }
        let now = Instant::now();
        let at = {
            let mut passed = self.passed.lock().await;
            match lane {
                Lane::Poll => passed.next(self.limit, now, deadline),
                Lane::Witness => Some(passed.at_once(self.limit, now)),
            }
        };
        let Some(at) = at else { return false };
        if at > now {
            sleep_until(at).await;
        }
        true
    }
}

/// When the last requests passed or are to pass, ascending; at most as many as fit into a window.
#[derive(Debug, Default)]
struct Passed(VecDeque<Instant>);

impl Passed {
    /// When the next request passes, if that is before `deadline`.
    fn next(&mut self, limit: usize, now: Instant, deadline: Instant) -> Option<Instant> {
        let oldest = self.0.len().checked_sub(limit).and_then(|index| self.0.get(index));
        let at = oldest.map_or(now, |oldest| now.max(*oldest + WINDOW));
        if at >= deadline {
            return None;
        }
        self.insert(limit, at);
        Some(at)
    }

    /// Notes a request that passes now, whatever the limit.
    fn at_once(&mut self, limit: usize, now: Instant) -> Instant {
        self.insert(limit, now);
        now
    }

    fn insert(&mut self, limit: usize, at: Instant) {
        let index = self.0.partition_point(|earlier| *earlier <= at);
        self.0.insert(index, at);
        while self.0.len() > limit {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of so many requests, all put at once, passes: milliseconds after the first.
    async fn passing(governor: &Governor, requests: usize, within: Duration) -> Vec<Option<u128>> {
        let start = Instant::now();
        let asked = (0..requests)
            .map(|_| async { governor.pass(Lane::Poll, start + within).await.then(|| start.elapsed().as_millis()) });
        futures_util::future::join_all(asked).await
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_requests_than_the_limit() {
        let long = Duration::from_secs(60);
        let cases = [
            ("fewer", 3, 2, vec![Some(0), Some(0)]),
            ("as many", 3, 3, vec![Some(0); 3]),
            ("more", 2, 5, vec![Some(0), Some(0), Some(1_000), Some(1_000), Some(2_000)]),
            ("without a limit", 0, 4, vec![Some(0); 4]),
        ];
        for (name, limit, requests, want) in cases {
            assert_eq!(passing(&Governor::new(limit), requests, long).await, want, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_pass_too_late_does_not_pass_and_takes_no_place() {
        let governor = Governor::new(1);
        let passed = passing(&governor, 4, Duration::from_millis(1_500)).await;
        assert_eq!(passed, [Some(0), Some(1_000), None, None]);
        // A second after the last that passed, the next one does at once.
        tokio::time::sleep(WINDOW).await;
        assert_eq!(passing(&governor, 1, WINDOW).await, [Some(0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_proof_never_waits_and_what_follows_it_does() {
        let governor = Governor::new(1);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(governor.pass(Lane::Witness, start).await);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(passing(&governor, 1, WINDOW * 2).await, [Some(1_000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_cluster_never_delays_another() {
        let (busy, calm) = (Governor::new(1), Governor::new(1));
        let long = Duration::from_secs(60);
        let (of_busy, of_calm) = tokio::join!(passing(&busy, 3, long), passing(&calm, 1, long));
        assert_eq!((of_busy, of_calm), (vec![Some(0), Some(1_000), Some(2_000)], vec![Some(0)]));
    }
}
