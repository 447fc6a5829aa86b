//! One receiver's queue, drained in order and with patience.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Attempt, Counts, Courier};
use crate::alert::Notice;
use crate::clock::Clock;
use crate::model::Moment;
use crate::store::{Delivery, Due, DueNotice, Outbox, StoreError};

/// The most notices in one message.
const TOGETHER: usize = 50;

/// How patiently delivery is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause after the first failure; each further one doubles it,
    pub(super) first: Duration,
    /// up to this.
    pub(super) longest: Duration,
    /// After so long a notice is given up.
    pub(super) give_up: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            give_up: Duration::from_secs(24 * 3600),
        }
    }
}

impl Pace {
    /// The pause after so many failures in a row: between half and all of the doubled one, by `chance` from 0 to 255,
    /// so that receivers that broke together are not asked together.
    fn pause(&self, failures: u32, chance: u8) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(self.longest);
        doubled / 2 + doubled / 2 * u32::from(chance) / 255
    }
}

/// The task of one receiver.
pub(super) struct Drain<C> {
    pub(super) receiver: String,
    pub(super) courier: C,
    pub(super) outbox: Outbox,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) counts: watch::Sender<Counts>,
}

impl<C: Courier> Drain<C> {
    /// Runs until it is told to stop, or the store is closed.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        // Failures in a row, of whatever notice: a dead receiver is asked once per pause and not once per notice.
        let mut failures = 0;
        let mut closed_until = Duration::ZERO;
        while !stopping.is_cancelled() {
            let now = self.clock.now();
            let mut wake = Some(closed_until);
            if closed_until <= now.mono {
                let Ok(due) = self.outbox.next_due(&self.receiver, now).await else { return };
                let due = self.without_expired(due, now);
                wake = due.next;
                let batch = together(&due.notices);
                if !batch.is_empty() {
                    failures = if self.deliver(&batch).await { 0 } else { failures + 1 };
                    if failures > 0 {
                        closed_until = self.clock.now().mono + self.pace.pause(failures, chance());
                    }
                    continue;
                }
            }
            let pause = wake.map(|wake| wake.saturating_sub(now.mono));
            tokio::select! {
                changed = self.outbox.changed(), if closed_until <= now.mono => match changed {
                    Ok(()) => {}
                    Err(StoreError::Closed) => return,
                    Err(error) => tracing::warn!(%error, "the outbox did not say whether it changed"),
                },
                () = sleep(pause) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    fn without_expired(&self, due: Due, now: Moment) -> Due {
        let (expired, notices): (Vec<_>, Vec<_>) =
            due.notices.into_iter().partition(|notice| notice.age >= self.pace.give_up);
        for notice in expired {
            let why = format!("not delivered within {} s", self.pace.give_up.as_secs());
            tracing::error!(receiver = %self.receiver, notice = %notice.notice.id, "notice given up");
            self.outbox.record_attempt(&notice.notice.id, now, Delivery::Expired { why });
            self.count("expired", 1);
        }
        Due { notices, next: due.next }
    }

    /// Delivers one message; false when the receiver is better left alone for a while.
    async fn deliver(&self, batch: &[DueNotice]) -> bool {
        let notices: Vec<Arc<Notice>> = batch.iter().map(|due| Arc::clone(&due.notice)).collect();
        let attempt = self.courier.deliver(&notices).await;
        // One of many may be what it does not like.
        if matches!(attempt, Attempt::Refused { .. }) && batch.len() > 1 {
            for due in batch {
                let attempt = self.courier.deliver(std::slice::from_ref(&due.notice)).await;
                self.record(std::slice::from_ref(due), &attempt);
                if matches!(attempt, Attempt::Retry { .. }) {
                    return false;
                }
            }
            return true;
        }
        self.record(batch, &attempt);
        !matches!(attempt, Attempt::Retry { .. })
    }

    fn record(&self, batch: &[DueNotice], attempt: &Attempt) {
        let now = self.clock.now();
        let (outcome, why) = match attempt {
            Attempt::Delivered => ("delivered", ""),
            Attempt::Retry { why, .. } => ("retried", why.as_str()),
            Attempt::Refused { why } => ("refused", why.as_str()),
        };
        if !why.is_empty() {
            tracing::warn!(receiver = %self.receiver, notices = batch.len(), outcome, why, "notices not delivered");
        }
        for due in batch {
            let delivery = match attempt {
                Attempt::Delivered => Delivery::Delivered,
                Attempt::Refused { why } => Delivery::Refused { why: why.clone() },
                Attempt::Retry { why, after } => {
                    let wished = after.unwrap_or_default().min(self.pace.longest);
                    let pause = self.pace.pause(due.attempts.saturating_add(1), chance()).max(wished);
                    Delivery::Retry { why: why.clone(), not_before: now.mono + pause }
                }
            };
            self.outbox.record_attempt(&due.notice.id, now, delivery);
        }
        self.count(outcome, u64::try_from(batch.len()).unwrap_or(u64::MAX));
    }

    fn count(&self, outcome: &'static str, notices: u64) {
        self.counts.send_modify(|counts| *counts.entry((self.receiver.clone(), outcome)).or_default() += notices);
    }
}

/// The first notice and those behind it that may share its message: same status, cluster and kind. With each failure
/// of the first they become fewer, until what no receiver can take is alone and holds nobody back.
fn together(due: &[DueNotice]) -> Vec<DueNotice> {
    let group = |due: &DueNotice| {
        let notice = due.notice.as_ref();
        (notice.status, notice.alert.finding.cluster.clone(), notice.alert.finding.kind)
    };
    let Some(first) = due.first() else { return Vec::new() };
    let room = TOGETHER.checked_shr(first.attempts).unwrap_or(0).max(1);
    due.iter().filter(|notice| group(notice) == group(first)).take(room).cloned().collect()
}

/// A random byte; without randomness the pauses are merely alike.
fn chance() -> u8 {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_or(255, |()| byte[0])
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::NoticeStatus;
    use crate::store::samples_for_tests::notice;

    #[test]
    fn a_message_holds_what_is_alike_and_fewer_after_each_failure() {
        let due = |number: usize, status, attempts| {
            let notice = Arc::new(notice(&format!("f{number}"), status, "ops"));
            DueNotice { notice, attempts, age: Duration::ZERO }
        };
        for (attempts, want) in [(0, 50), (1, 25), (4, 3), (6, 1), (u32::MAX, 1)] {
            let mut all: Vec<_> = (0..70).map(|number| due(number, NoticeStatus::Firing, attempts)).collect();
            all.insert(1, due(99, NoticeStatus::Resolved, attempts));
            let batch = together(&all);
            assert_eq!(batch.len(), want, "{attempts}");
            assert!(batch.iter().all(|due| due.notice.status == NoticeStatus::Firing), "{attempts}");
        }
        assert!(together(&[]).is_empty());
    }

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pace = Pace::default();
        let cases = [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (u32::MAX, 300)];
        for (failures, seconds) in cases {
            let all = Duration::from_secs(seconds);
            assert_eq!(pace.pause(failures, 255), all, "{failures}");
            assert_eq!(pace.pause(failures, 0), all / 2, "{failures}");
        }
    }
}
